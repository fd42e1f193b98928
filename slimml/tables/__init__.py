"""Tables of rows, however the user keeps them: DATA files, frames, arrays, lists of dicts; and the --schema FILE.

read.py   a file -> Table, told by content      objects.py   a frame, array or list of dicts -> Table
write.py  a Table -> a file, by its ending      declared.py  --schema FILE -> a Domain per column

csv_text.py, arrow_file.py, numpy_file.py: one format each      infer.py: Python values -> a typed column
"""

from slimml.tables.declared import read_schema
from slimml.tables.objects import from_any
from slimml.tables.read import read_table
from slimml.tables.table import Table
from slimml.tables.write import write_table

__all__ = ["Table", "from_any", "read_schema", "read_table", "write_table"]

"""NPY files: a matrix is columns x0, x1, ...; a vector is one column; a structured array has names."""

from __future__ import annotations

from io import BytesIO
from os import PathLike

import numpy as np

from slimml.errors import InputError, UsageError
from slimml.tables.infer import typed_array
from slimml.tables.table import Table, assemble, positional

MAGIC = b"\x93NUMPY"


def read_npy(path: str | PathLike[str]) -> Table:
    """The table in an NPY file; one that holds pickled objects is refused. Raises InputError."""
    try:
        # Mapped, so that a header which claims more than the file holds allocates nothing.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        hint = "save numbers with numpy.save; rows of mixed kinds go into CSV or Parquet"
        if "Python objects" in str(error) or "allow_pickle" in str(error):
            what = "the array holds pickled Python objects, and slimml runs no pickles"
            raise InputError(what, where=str(path), hint=hint) from None
        raise InputError(f"not a sound NPY file: {error}", where=str(path), hint=hint) from None
    try:
        return from_array(np.array(array))
    except InputError as error:
        raise InputError(error.what, where=str(path), hint=error.hint) from None


def from_array(array: np.ndarray) -> Table:
    """A table from an array of one or two dimensions. Raises InputError for another one."""
    if array.dtype.names is not None and array.ndim == 1:
        return assemble(array.dtype.names, [typed_array(array[name]) for name in array.dtype.names])
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufUSO":
        what = f"an array of {array.ndim} dimensions and dtype {array.dtype} is no table"
        raise InputError(what, hint="pass rows and columns: two dimensions, of numbers, bools or strings")
    columns = [array] if array.ndim == 1 else [array[:, i] for i in range(array.shape[1])]
    return assemble(positional(len(columns)), [typed_array(c) for c in columns], named=False)


def encode_npy(table: Table) -> bytes:
    """One column becomes a vector, columns of one kind a matrix, others a structured array. Raises UsageError."""
    columns = [_storable(name, table.columns[name]) for name in table.names]
    if len(columns) == 1:
        array = columns[0]
    elif len({c.dtype for c in columns}) == 1:
        array = np.column_stack(columns)
    else:
        array = np.empty(len(table), dtype=[(n, c.dtype) for n, c in zip(table.names, columns, strict=True)])
        for name, values in zip(table.names, columns, strict=True):
            array[name] = values
    out = BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _storable(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values
    if all(isinstance(v, str) for v in values.tolist()):
        return values.astype(str)
    raise UsageError(
        f"column {name!r} mixes kinds of values, which NPY holds only as a pickle", hint="write .csv or .parquet"
    )

"""What a Python caller holds rows in, to a table. No library is imported to find out which one made the data."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slimml.errors import InputError
from slimml.tables.arrow_file import from_arrow
from slimml.tables.infer import Typed, objects, typed, typed_array
from slimml.tables.numpy_file import from_array
from slimml.tables.read import read_table
from slimml.tables.table import Table, assemble, positional

_KNOWN = "pass a path, a pandas or polars frame, a pyarrow table, a 2-D array, or a list of dicts or of lists"


def from_any(data: Any) -> Table:
    """A table from a path, a pandas or polars frame, a pyarrow table, a numpy array, a scipy sparse matrix, a list of
    dicts, of lists or of texts, a Series, or a dict of columns. Raises InputError for anything else, and what
    `read_table` raises.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, (str, os.PathLike)):
        return read_table(data)
    library = type(data).__module__.partition(".")[0]
    if isinstance(data, np.ndarray):
        return from_array(np.asarray(data))
    if hasattr(data, "iloc") and getattr(data, "ndim", 0) == 2:
        return _pandas(data)
    if library == "pyarrow" and hasattr(data, "schema"):
        return from_arrow(data)
    if library == "polars" and hasattr(data, "get_columns"):
        return assemble(tuple(data.columns), [_polars_column(s) for s in data.get_columns()])
    if library == "scipy" and hasattr(data, "toarray"):
        return from_array(np.asarray(data.toarray()))
    if library in ("pandas", "polars") and hasattr(data, "to_list"):
        return assemble(positional(1), [typed(data.to_list())], named=False)
    if isinstance(data, Mapping):
        return assemble(tuple(map(str, data)), [_values(v) for v in data.values()])
    if isinstance(data, (list, tuple)):
        return _rows(data)
    raise InputError(f"cannot read rows from a {type(data).__name__}", hint=_KNOWN)


def _texts(texts: Sequence[Any]) -> Table:
    """Documents, one a row."""
    return assemble(positional(1), [(objects(list(texts)), "object")], named=False)


def _values(values: Any) -> Typed:
    return typed_array(np.asarray(values)) if hasattr(values, "dtype") else typed(list(values))


def _pandas(frame: Any) -> Table:
    names = frame.columns.tolist()
    # As scikit-learn has it: columns have names if all of them are strings, and none where none is.
    named = all(isinstance(n, str) for n in names)
    if not named and any(isinstance(n, str) for n in names):
        hint = "rename the columns: frame.columns = frame.columns.astype(str)"
        raise InputError("some columns have names that are no strings", hint=hint)
    columns = [_pandas_column(frame.iloc[:, i]) for i in range(len(names))]
    return assemble(tuple(names) if named else positional(len(names)), columns, named=named)


def _pandas_column(series: Any) -> Typed:
    dtype = str(series.dtype)
    if dtype == "category":
        values = series.astype(object).tolist()
        return objects([math.nan if v is None or v != v else v for v in values]), "category"
    if dtype == "str":  # pandas 3: str or NaN
        return objects(series.tolist()), "str"
    if isinstance(series.dtype, np.dtype):
        array = series.to_numpy()
        if array.dtype.kind in "biuf":
            return typed_array(array)
    elif getattr(series.dtype, "kind", "O") in "iuf" or (series.dtype.kind == "b" and series.hasnans):
        # Nullable and Arrow-backed numbers.
        if not series.hasnans:
            return typed_array(series.to_numpy())
        return series.to_numpy(dtype="float64", na_value=math.nan), "float64"
    elif series.dtype.kind == "b":
        return series.to_numpy().astype(bool), "bool"
    # An object column stays one: None and NaN mean different things to some estimators.
    return objects(series.tolist()), "object"


def _polars_column(series: Any) -> Typed:
    dtype = str(series.dtype)
    if dtype.startswith(("Categorical", "Enum")):
        return objects([math.nan if v is None else v for v in series.to_list()]), "category"
    if dtype == "String":
        return objects([math.nan if v is None else v for v in series.to_list()]), "str"
    return typed(series.to_list())


def _rows(rows: Sequence[Any]) -> Table:
    if rows and all(isinstance(r, Mapping) for r in rows):
        names = list(dict.fromkeys(str(n) for r in rows for n in r))
        return assemble(tuple(names), [typed([r.get(n, math.nan) for r in rows]) for n in names])
    if rows and all(isinstance(r, (list, tuple)) or getattr(r, "ndim", 0) == 1 for r in rows):
        width = len(rows[0])
        for i, row in enumerate(rows):
            if len(row) != width:
                raise InputError(f"row 0 has {width} values, row {i} has {len(row)}", hint=_KNOWN)
        plain = [r.tolist() if hasattr(r, "tolist") else r for r in rows]
        return assemble(positional(width), [typed([r[i] for r in plain]) for i in range(width)], named=False)
    if rows and all(isinstance(r, (str, bytes)) for r in rows):
        return _texts(rows)
    raise InputError("a list that holds neither dicts nor lists of values is no table", hint=_KNOWN)

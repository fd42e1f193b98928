"""What callers hold their rows in, seen as columns. No library is imported to find out which one made the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slimml.errors import InputError
from slimml.runtime.values import NAN, is_pandas_na

_ROWS = "pass a dict, a list of dicts or of lists, a 2-D array, a DataFrame or a table"
_ARROW_NUMBERS = {
    *("bool", "halffloat", "float", "double"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows from any container.

    `names`   the columns' names, or None where they are known by position alone
    `column`  the values of the i-th column: a list of Python values or a 1-D numpy array
    `block`   the whole as a 2-D numpy array of bools, ints or floats, where it came as one
    `nulls`   whether None is how this container says that a value is missing; in a numpy or pandas column of objects
              it is a value of its own, as scikit-learn has it
    `bare`    whether it is an array, a sparse matrix or a list of lists, which say nothing about their columns
    `dtypes`  the columns' dtypes by name, of a container whose columns scikit-learn takes in their own
    """

    count: int
    width: int
    names: list[str] | None
    column: Callable[[int], Any]
    block: Any = None
    nulls: bool = False
    bare: bool = False
    dtypes: Callable[[], list[str]] | None = None


def open_table(data: Any, *, flat: bool, absent: float = 0.0) -> Table:
    """Any supported container but dicts, lists and tuples. `flat`: 1-D containers are rows of one column;
    `absent`: what stands where a sparse matrix stores nothing.

    Raises InputError, in scikit-learn's words where it has some.
    """
    library = _library(type(data))
    if library == "pandas" and data.ndim == 2:
        return _pandas(data)
    if library == "polars" and hasattr(data, "get_column"):
        return _polars(data)
    if library == "pyarrow" and hasattr(data, "num_columns"):
        return _arrow(data)
    if library == "scipy":
        return _sparse(data, absent)
    one_column = getattr(data, "to_pylist" if library == "pyarrow" else "to_list", None)
    if library in ("pandas", "polars", "pyarrow") and one_column is not None:
        if flat:
            return _one_column(one_column())
        what = f"expected a 2-dimensional container, got a {type(data).__name__}"
        raise InputError(what, hint="for one row pass a dict or row.to_frame().T; for one column series.to_frame()")
    if library == "numpy" or (not library and hasattr(data, "__array__")):
        return _array(data, flat)
    hint = "call .collect() first" if hasattr(data, "collect") else _ROWS
    raise InputError(f"cannot read rows from a {type(data).__name__}", hint=hint)


def from_lists(rows: Sequence[Any]) -> Table:
    """A list of lists, tuples or 1-D arrays, known by position. Raises InputError for ragged rows."""
    width = len(rows[0])
    for i, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) and getattr(row, "ndim", 0) != 1:
            raise InputError(f"row 0 is a list of values, row {i} a {type(row).__name__}", hint=_ROWS)
        if len(row) != width:
            raise InputError(f"row 0 has {width} values, row {i} has {len(row)}", hint=_ROWS)
    return Table(len(rows), width, None, lambda i: [row[i] for row in rows], nulls=True, bare=True)


def from_dicts(rows: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> Table:
    """A list of dicts, with the columns that every row has among those `wanted`. Raises InputError."""
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(f"row 0 is a dict, row {i} a {type(row).__name__}", hint=_ROWS)
    names = [name for name in wanted if all(name in row for row in rows)]
    return Table(len(rows), len(names), names, lambda i: [row[names[i]] for row in rows], nulls=True)


def one_row_of_frame(frame: Any, *, categories: bool) -> list[Any] | None:
    """The values of a pandas frame of one row at a fraction of the cost of its columns; None where they would differ:

    a frame of ints and floats gives floats, and pandas.NA of a nullable number column means NaN, not an unknown one.
    """
    row = frame.iloc[0]
    if categories and row.dtype.kind != "O":
        return None
    values: list[Any] = row.tolist()
    return None if categories and any(map(is_pandas_na, values)) else values


def _library(kind: type) -> str:
    # Subclasses (geopandas, numpy's own matrix) count as what they derive from.
    roots = [cls.__module__.partition(".")[0] for cls in kind.__mro__]
    return next((root for root in roots if root in ("numpy", "pandas", "polars", "pyarrow", "scipy")), "")


def is_pandas_frame(data: object) -> bool:
    """Whether `data` is a pandas DataFrame, told without importing pandas."""
    return _library(type(data)) == "pandas" and getattr(data, "ndim", 0) == 2


def _one_column(values: list[Any]) -> Table:
    return Table(len(values), 1, None, lambda i: values)


def _array(data: Any, flat: bool) -> Table:
    import numpy as np

    if type(data).__name__ == "matrix":
        raise InputError("np.matrix is not supported", hint="convert it with np.asarray")
    array = np.asarray(data)
    if array.ndim == 1 and flat and array.dtype.kind in "biufUOST":
        return _one_column(array.tolist())
    if array.dtype.kind not in "biufOUST":
        hint = "a structured array becomes rows as pandas.DataFrame(array)" if array.dtype.names else _ROWS
        raise InputError(f"cannot read numbers or categories from an array of dtype {array.dtype}", hint=hint)
    if array.ndim != 2:
        got = {0: "scalar array", 1: "1D array"}.get(array.ndim, f"array with dim {array.ndim}")
        hint = "reshape it with array.reshape(-1, 1) if it is one column, array.reshape(1, -1) if it is one row"
        raise InputError(f"Expected 2D array, got {got} instead", hint=hint)
    block = array if array.dtype.kind in "biuf" else None
    return Table(array.shape[0], array.shape[1], None, lambda i: array[:, i], block, bare=True)


def _pandas(frame: Any) -> Table:
    names = frame.columns.tolist()
    strings = sum(isinstance(name, str) for name in names)
    if strings not in (0, len(names)):  # as scikit-learn has it: all are names, or none is
        what = "feature names are only supported if all columns have string names; this frame mixes them with others"
        raise InputError(what, hint="rename the columns: frame.columns = frame.columns.astype(str)")
    # Those of extensions have other names ("Float32"), and come to the original as float64.
    return Table(
        len(frame), len(names), names if strings else None, lambda i: _series(frame.iloc[:, i]),
        dtypes=lambda: [str(dtype) for dtype in frame.dtypes],
    )  # fmt: skip


def _series(series: Any) -> Any:
    kind = getattr(series.dtype, "kind", "O")
    if kind not in "biufcmM":
        return series.tolist()
    if type(series.dtype).__module__.startswith("numpy") or not series.hasnans:
        return series.to_numpy()
    return series.to_numpy() if kind in "cmM" else series.to_numpy(dtype="float64", na_value=NAN)


def _polars(frame: Any) -> Table:
    def column(i: int) -> Any:
        series = frame.get_column(names[i])
        return series.to_numpy() if series.dtype.is_numeric() and not series.dtype.is_decimal() else series.to_list()

    names = list(frame.columns)
    return Table(frame.height, len(names), names, column, nulls=True)


def _arrow(table: Any) -> Table:
    def column(i: int) -> Any:
        values = table.column(i)
        if str(values.type) not in _ARROW_NUMBERS:
            # Not to_numpy: for a dictionary in chunks it puts a category where null is.
            return values.to_pylist()
        return values.to_numpy(zero_copy_only=False)

    names = list(table.schema.names)
    return Table(table.num_rows, len(names), names, column, nulls=True)


def _sparse(matrix: Any, absent: float) -> Table:
    import numpy as np

    if not hasattr(matrix, "toarray") or len(matrix.shape) != 2 or matrix.dtype.kind not in "biuf":
        raise InputError(f"cannot read rows from a {type(matrix).__name__}", hint="pass a 2-D sparse matrix of numbers")
    if absent == 0:
        dense = np.asarray(matrix.toarray())
    else:
        stored = matrix.tocsr().tocoo()
        dense = np.full(matrix.shape, absent)
        dense[stored.row, stored.col] = stored.data
    return Table(dense.shape[0], dense.shape[1], None, lambda i: dense[:, i], dense, bare=True)

"""Reading fitted attributes with the care that a file from anywhere deserves."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowerer
from slimml.ingest.record import Record, Symbol
from slimml.ir.node import Node

# Matrices that were fitted on sparse rows are written out in full up to here.
_MOST_CELLS = 1 << 26


def vector(est: Record, name: str, ctx: Lowerer, width: int | None = None) -> np.ndarray:
    """A fitted attribute as a float64 vector; its length must be `width` where one is given."""
    value = np.asarray(est_array(est, name, ctx), dtype=np.float64)
    if value.ndim != 1 or (width is not None and len(value) != width):
        raise ctx.unsupported(f"{est.name}.{name} has shape {value.shape}, expected ({width},)")
    return value


def floats_of(est: Record, name: str, block: Node, ctx: Lowerer) -> np.ndarray:
    """A fitted attribute in float64, or in float32 where it is so and meets a float32 block.

    A Python number takes the block's dtype, as numpy has it.
    """
    value = est_array(est, name, ctx)
    weak = isinstance(getattr(est, name), int | float) and not isinstance(getattr(est, name), np.generic)
    narrow = block.type.dtype == "float32" and (weak or value.dtype == np.float32)
    return value.astype(np.float32 if narrow else np.float64)


def est_array(est: Record, name: str, ctx: Lowerer) -> np.ndarray:
    """A fitted attribute that has to be an array of numbers."""
    value = getattr(est, name)
    if not isinstance(value, np.ndarray | np.generic | int | float | list) or np.asarray(value).dtype == object:
        raise ctx.unsupported(f"{est.name}.{name} is a {type(value).__name__}, not an array of numbers")
    return np.asarray(value)


def dense_matrix(est: Record, name: str, ctx: Lowerer) -> np.ndarray:
    """A fitted matrix as float64, written out in full where it is sparse."""
    value: Any = getattr(est, name)
    if hasattr(value, "toarray"):
        rows, columns = value.shape
        if rows * columns > _MOST_CELLS:
            raise ctx.unsupported(f"{name} of {rows} x {columns} cells, which would be written out in full")
        value = value.toarray()
    else:
        value = est_array(est, name, ctx)
    if value.ndim != 2:
        raise ctx.unsupported(f"{est.name}.{name} has shape {value.shape}, not that of a matrix")
    return np.ascontiguousarray(value, dtype=np.float64)


def scalars(values: Any, ctx: Lowerer) -> tuple[object, ...]:
    """An array or list of categories as plain Python scalars. Numpy's own become Python's; others are refused."""
    plain = np.asarray(values, dtype=object).ravel().tolist()
    out: list[object] = []
    for value in plain:
        value = value.item() if isinstance(value, np.generic) else value
        if is_missing_symbol(value):
            value = float("nan")
        if value is not None and type(value) not in (bool, int, float, str):
            raise ctx.unsupported(f"a category is a {type(value).__name__}: {value!r:.60}")
        out.append(value)
    return tuple(out)


def is_missing_symbol(value: object) -> bool:
    """Whether a value is pandas.NA, which an inert reading leaves as a record or a symbol."""
    return isinstance(value, Record | Symbol) and value.path.startswith("pandas.") and "NA" in value.name


def labels(value: Any, ctx: Lowerer) -> np.ndarray:
    """A classes_ array: bool, int, float, str or object of plain scalars.

    A str of Python 2, on which scikit-learn ran up to 0.20, is one of Python 3 here.
    """
    table = np.asarray(value)
    if table.dtype.kind == "S" and (0, 0) < ctx.version < (0, 21) and b"".join(table.ravel().tolist()).isascii():
        table = table.astype("U")
    if table.ndim != 1 or table.dtype.kind not in "biufUO":
        raise ctx.unsupported(f"classes_ of dtype {table.dtype} and shape {table.shape} are not handled")
    if table.dtype == object:
        scalars(table, ctx)
    return table


def dtype_name(value: Any, ctx: Lowerer) -> str:
    """The name of a dtype parameter: numpy.float64 the class, "float64", a dtype."""
    if isinstance(value, Symbol):
        known = {"float": "float64", "int": "int64", "bool": "bool", "bool_": "bool", "object": "object"}
        return known.get(value.name, value.name)
    if isinstance(value, str | np.dtype):
        return np.dtype(value).name
    raise ctx.unsupported(f"dtype {value!r:.60} is not handled")


def steps_of(est: Record, name: str, ctx: Lowerer) -> list[tuple[Any, ...]]:
    """A list of (name, estimator, ...) tuples."""
    steps = getattr(est, name)
    if not isinstance(steps, list | tuple) or not all(isinstance(s, list | tuple) and len(s) >= 2 for s in steps):
        raise ctx.unsupported(f"{est.name}.{name} is no list of steps")
    return [tuple(s) for s in steps]

"""Python values, or a numpy array of any dtype, to a column of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from slimml.tables.table import Dtype

Typed = tuple[np.ndarray, Dtype]


def objects(values: Sequence[Any]) -> np.ndarray:
    """A 1-D array of the values themselves."""
    out = np.empty(len(values), dtype=object)
    out[:] = values  # in one step; np.array() would make a matrix out of values that are lists
    return out


def typed(values: Sequence[Any]) -> Typed:
    """A column of Python values, as pandas would type it: numbers with None or NaN are floats."""
    kinds = {type(v) for v in values}
    missing = type(None) in kinds or any(type(v) is float and v != v for v in values)
    present = kinds - {type(None)}
    if present == {bool} and not missing:
        return np.array(values, dtype=bool), "bool"
    if present <= {int, float} and (present or not values):
        return _numbers(values, whole=present == {int} and not missing)
    if str in present and present <= {str, float} and type(None) not in kinds and _only_nan(values):
        return objects([v if isinstance(v, str) else math.nan for v in values]), "str"
    return objects(values), "object"


def _only_nan(values: Sequence[Any]) -> bool:
    return all(isinstance(v, str) or v != v for v in values)


def _numbers(values: Sequence[Any], *, whole: bool) -> Typed:
    if whole and values:
        try:
            return np.array(values, dtype=np.int64), "int64"
        except OverflowError:
            pass
    try:
        return np.array([math.nan if v is None else v for v in values], dtype=np.float64), "float64"
    except OverflowError:  # an int beyond every float
        return objects(values), "object"


def typed_array(array: np.ndarray) -> Typed:
    """A 1-D numpy array of any dtype."""
    if array.dtype.kind == "b":
        return np.ascontiguousarray(array), "bool"
    if array.dtype.kind in "iu" and array.dtype != np.uint64:
        return array.astype(np.int64), "int64"
    if array.dtype == np.uint64 and not (len(array) and array.max() > np.iinfo(np.int64).max):
        return array.astype(np.int64), "int64"
    if array.dtype.kind in "uf":
        return array.astype(np.float64), "float64"
    listed: list[Any] = array.tolist()
    return typed(listed)

"""float64 and float32 as ordered integers: neighbours differ by one, and both zeros are 0."""

from __future__ import annotations

import numpy as np

_WHOLE: dict[np.dtype, type[np.int64] | type[np.int32]] = {
    np.dtype(np.float64): np.int64,
    np.dtype(np.float32): np.int32,
}


def to_keys(values: np.ndarray) -> np.ndarray:
    """Floats without NaN to integers (int64), in the order of the numbers."""
    whole = _WHOLE[values.dtype]
    bits: np.ndarray = np.ascontiguousarray(values).view(whole)
    return np.where(bits < 0, -(bits & np.iinfo(whole).max), bits).astype(np.int64)


def from_keys(keys: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The inverse of `to_keys`; 0 becomes 0.0."""
    magnitude: np.ndarray = np.abs(keys).astype(_WHOLE[np.dtype(dtype)]).view(dtype)
    return np.asarray(np.where(keys < 0, -magnitude, magnitude), dtype=dtype)


def highest(dtype: np.dtype) -> int:
    """The key of infinity; that of -infinity is its negative."""
    return int(to_keys(np.array([np.inf], dtype=dtype))[0])


def middle(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The floor of the mean, for keys whose sum overflows their dtype."""
    return np.asarray((low >> 1) + (high >> 1) + (low & high & 1))


def floored(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The last number of a float dtype at or below each float64."""
    with np.errstate(over="ignore"):
        near = values.astype(dtype)
        return np.where(near.astype(np.float64) > values, np.nextafter(near, near.dtype.type(-np.inf)), near)


def narrowed(cuts: np.ndarray) -> np.ndarray | None:
    """float32 cuts that part the doubles, rounded to float32, as `cuts` part them as they are; None if there are none.

    x <= c is float32(x) <= float32(c) for every double x, rounding being monotone, if c is the last that rounds there.
    """
    with np.errstate(over="ignore"):
        narrow = cuts.astype(np.float32)
        last = np.nextafter(cuts, np.inf).astype(np.float32) > narrow
    return narrow if last.all() else None

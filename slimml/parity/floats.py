"""float64 as ordered integers: neighbours differ by one, -0.0 comes right before 0.0."""

from __future__ import annotations

import numpy as np

_SIGN = np.int64(-(2**63))


def to_order(values: np.ndarray) -> np.ndarray:
    """float64 without NaN to int64, in the order of the numbers."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, _SIGN - bits - 1, bits)


def from_order(order: np.ndarray) -> np.ndarray:
    """The inverse of `to_order`."""
    bits = np.where(order < 0, _SIGN - order - 1, order)
    return np.ascontiguousarray(bits).view(np.float64)


LOWEST, HIGHEST = (int(to_order(np.array([v]))[0]) for v in (-np.inf, np.inf))


def neighbours(values: np.ndarray, reach: int = 1) -> np.ndarray:
    """The values and `reach` floats on either side of each, infinities included, sorted, each bit pattern once."""
    order = to_order(values)
    around = order[:, None] + np.arange(-reach, reach + 1)
    return from_order(np.unique(np.clip(around, LOWEST, HIGHEST)))

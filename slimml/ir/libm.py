"""The C library's functions on floats, which numpy's own vectorized ones differ from in last bits.

XGBoost's links call expf; numpy's float32 exp answers other last bits, and others again from one CPU to the next.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable
from functools import cache

import numpy as np

# Where the C library keeps its mathematics; None is the running program, which is linked with it elsewhere.
_LIBRARIES = {"linux": ("libm.so.6", None), "win32": ("ucrtbase",)}


def expf(x: np.ndarray) -> np.ndarray:
    """exp of float32 values, by the C library where it can be had; else exp in double, rounded to float32."""
    return _mapped(_named("expf") or _exp, x)


def logf(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of float32 values, likewise."""
    return _mapped(_named("logf") or _log, x)


def _mapped(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    flat = np.fromiter(map(function, x.ravel().tolist()), dtype=np.float32, count=x.size)
    return flat.reshape(x.shape)


@cache
def _named(name: str) -> Callable[[float], float] | None:
    for library in _LIBRARIES.get(sys.platform, (None,)):
        try:
            function = getattr(ctypes.CDLL(library), name)
        except (OSError, AttributeError):
            continue
        function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
        found: Callable[[float], float] = function
        return found
    return None


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan

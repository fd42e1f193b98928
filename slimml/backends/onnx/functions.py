"""The functions of `Apply` in ONNX's operators.

Those of `FUNCTIONS` that are exact have numpy's bits here. Of the others ONNX Runtime has a few in double precision;
log1p and expm1 are made of log and exp as Kahan does it, which keeps their precision next to zero. Sines, the functions
that are inverse to them and powers of two stay where numpy is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from slimml.backends.onnx.rules import Scope

# From a tensor of a dtype of floats to that of the function's values.
Emit = Callable[["Scope", str, str], str]


def _operator(name: str) -> Emit:
    return lambda scope, x, dtype: scope.op(name, x)


def _times(constant: float) -> Emit:
    return lambda scope, x, dtype: scope.op("Mul", x, scope.const(constant, dtype))


def _reciprocal(scope: Scope, x: str, dtype: str) -> str:
    return scope.op("Div", scope.const(1.0, dtype), x)


def _square(scope: Scope, x: str, dtype: str) -> str:
    return scope.op("Mul", x, x)


def _sign(scope: Scope, x: str, dtype: str) -> str:
    return scope.op("Where", scope.op("IsNaN", x), x, scope.op("Sign", x))


def _trunc(scope: Scope, x: str, dtype: str) -> str:
    negative = scope.op("Less", x, scope.const(0.0, dtype))
    return scope.op("Where", negative, scope.op("Ceil", x), scope.op("Floor", x))


def _nan_to_num(scope: Scope, x: str, dtype: str) -> str:
    most = scope.const(np.finfo(dtype).max, dtype)
    x = scope.op("Where", scope.op("IsNaN", x), scope.const(0.0, dtype), x)
    x = scope.op("Where", scope.op("Greater", x, most), most, x)
    least = scope.op("Neg", most)
    return scope.op("Where", scope.op("Less", x, least), least, x)


def _log1p(scope: Scope, x: str, dtype: str) -> str:
    """log(u) x / (u - 1), u = 1 + x as it is rounded (Higham, Accuracy and Stability, §1.14.1); x where u is 1."""
    one = scope.const(1.0, dtype)
    u = scope.op("Add", x, one)
    log, short = scope.op("Log", u), scope.op("Sub", u, one)
    share = scope.op("Div", x, short)
    # Infinite over infinite, and 0 over 0, is no share: those values are log(u) and x themselves.
    known = scope.op("Where", scope.op("IsNaN", share), log, scope.op("Mul", log, share))
    return scope.op("Where", scope.op("Equal", short, scope.const(0.0, dtype)), x, known)


def _expm1(scope: Scope, x: str, dtype: str) -> str:
    """(u - 1) x / log(u), u = exp(x) as it is rounded; x where u is 1, and u - 1 where u is far from it."""
    u = scope.op("Exp", x)
    short = scope.op("Sub", u, scope.const(1.0, dtype))
    near = scope.op("Less", scope.op("Abs", x), scope.const(1.0, dtype))
    made = scope.op("Mul", short, scope.op("Div", x, scope.op("Log", u)))
    made = scope.op("Where", near, made, short)
    return scope.op("Where", scope.op("Equal", short, scope.const(0.0, dtype)), x, made)


# No cosh, sinh, tan or inverse sine in double precision in ONNX Runtime 1.32.
EMITTED: Mapping[str, Emit] = {
    "absolute": _operator("Abs"),
    "ceil": _operator("Ceil"),
    "deg2rad": _times(np.pi / 180),
    "exp": _operator("Exp"),
    "expm1": _expm1,
    "fabs": _operator("Abs"),
    "floor": _operator("Floor"),
    "log": _operator("Log"),
    "log1p": _log1p,
    "nan_to_num": _nan_to_num,
    "negative": _operator("Neg"),
    "rad2deg": _times(180 / np.pi),
    "reciprocal": _reciprocal,
    "rint": _operator("Round"),
    "sign": _sign,
    "sqrt": _operator("Sqrt"),
    "square": _square,
    "tanh": _operator("Tanh"),
    "trunc": _trunc,
}

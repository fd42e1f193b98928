"""PowerCurve in ONNX's operators, in double precision: every column by its own power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slimml.backends.onnx.functions import EMITTED
from slimml.ir.ops.curves import BACK, BOX_COX, NO_POWER, OVERFLOW, YEO_JOHNSON_POWER, PowerCurve

if TYPE_CHECKING:
    from slimml.backends.onnx.rules import Scope

_DOUBLE = "float64"


def expressible(node: PowerCurve) -> bool:
    """In float32 the original computes some steps in double, some not; of ways back there is none here."""
    doubles = node.source.dtype == _DOUBLE and node.lambdas.dtype == np.float64
    return doubles and node.source.width > 0 and node.kind not in BACK


def power_curve(scope: Scope, node: PowerCurve) -> str:
    """The curve; columns whose power is none are logarithms."""
    x = scope.x(node)
    if node.kind == BOX_COX:
        return _box_cox(scope, x, node.lambdas)
    zero = scope.const(0.0)
    right = scope.op("GreaterOrEqual", x, zero)
    up, down = scope.op("Where", right, x, zero), scope.op("Where", right, zero, scope.op("Neg", x))
    side = _by_power if node.kind == YEO_JOHNSON_POWER else _by_exponential
    above = side(scope, up, node.lambdas, np.abs(node.lambdas) < np.spacing(1.0))
    below = side(scope, down, 2 - node.lambdas, ~(np.abs(node.lambdas - 2) > np.spacing(1.0)))
    return scope.op("Where", right, above, scope.op("Neg", below))


def _by_exponential(scope: Scope, x: str, power: np.ndarray, none: np.ndarray) -> str:
    log, divisor = EMITTED["log1p"](scope, x, _DOUBLE), scope.const(np.where(none, 1.0, power))
    raised = EMITTED["expm1"](scope, scope.op("Mul", log, divisor), _DOUBLE)
    return scope.op("Where", scope.const(none), log, scope.op("Div", raised, divisor))


def _by_power(scope: Scope, x: str, power: np.ndarray, none: np.ndarray) -> str:
    one, divisor = scope.const(1.0), scope.const(np.where(none, 1.0, power))
    raised = scope.op("Sub", scope.op("Pow", scope.op("Add", x, one), divisor), one)
    log = EMITTED["log1p"](scope, x, _DOUBLE)
    return scope.op("Where", scope.const(none), log, scope.op("Div", raised, divisor))


def _box_cox(scope: Scope, x: str, power: np.ndarray) -> str:
    none = np.abs(power) < NO_POWER
    own = np.where(none, 1.0, power)
    log, divisor = scope.op("Log", x), scope.const(own)
    raised = scope.op("Mul", log, divisor)
    small = scope.op("Div", EMITTED["expm1"](scope, raised, _DOUBLE), divisor)
    far = scope.op("Exp", scope.op("Sub", raised, scope.const(np.log(np.abs(own)))))
    far = scope.op("Sub", scope.op("Mul", scope.const(np.sign(own)), far), scope.const(1 / own))
    y = scope.op("Where", scope.op("Less", raised, scope.const(OVERFLOW)), small, far)
    return scope.op("Where", scope.const(none), log, y)

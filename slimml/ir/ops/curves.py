"""A curve of its own for every column: powers, and shares of what was seen below."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.node import Node, Value, require, require_inputs
from slimml.ir.types import ValueType

_SHARE = Domain(low=0.0, high=1.0, missing=False)
_SHARE_OR_MISSING = replace(_SHARE, missing=True)
# Beyond it exp overflows, and the Box-Cox curve is computed another way.
OVERFLOW, NO_POWER = 709.78, 1e-19

BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER = "box-cox", "yeo-johnson", "yeo-johnson-power"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PowerCurve(Node):
    """A power of every column, of the kind that makes what is skewed more normal; lambdas (width,) of floats.

    box-cox            (x**l - 1) / l, log(x) where l is 0, in double with the C library's functions, as scipy.special
    yeo-johnson        ((x + 1)**l - 1) / l for x >= 0, -((1 - x)**(2 - l) - 1) / (2 - l) below, as
                       scipy.stats computes it: by log1p and expm1 of numpy, in the dtypes that numpy promotes to
    yeo-johnson-power  the same by np.power, which loses digits next to zero
    """

    kind: str
    lambdas: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.kind in (BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER), f"no power curve {self.kind!r:.40}")
        require(self.source.dtype in ("float64", "float32"), f"PowerCurve takes floats, got {self.source}")
        require(self.lambdas.dtype in (np.float64, np.float32), "PowerCurve.lambdas are floats")
        require(self.lambdas.shape == (self.source.width,), "PowerCurve.lambdas needs one entry per column")

    def infer(self) -> ValueType:
        least = 5e-324 if self.kind == BOX_COX else -np.inf
        pairs = zip(self.source.domains, np.isfinite(self.lambdas).tolist(), strict=True)
        domains = tuple(Domain(missing=d.missing or d.low < least or not ok) for d, ok in pairs)
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        curve = _CURVES[self.kind]
        out = np.empty_like(x)
        with np.errstate(all="ignore"):
            for c, power in enumerate(self.lambdas):
                out[:, c] = curve(x[:, c], power)
        return out


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class QuantileCurve(Node):
    """How large a share of what was seen lies below x: quantiles (width, n) rise in each row, references (n,) too.

    Interpolated from below and from above, and the mean of both. The first quantile is 0 and the last is 1; where
    `margin` is not 0, so is what lies below the first plus margin, and above the last minus margin. csr: the stored
    entries alone.
    """

    quantiles: np.ndarray
    references: np.ndarray
    margin: float

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"))
        require(self.source.dtype in ("float64", "float32"), f"QuantileCurve takes floats, got {self.source}")
        require(self.quantiles.dtype == self.references.dtype == np.float64, "QuantileCurve's tables are float64")
        shape = (self.source.width, len(self.references))
        require(self.references.ndim == 1 and self.quantiles.shape == shape, "QuantileCurve needs a row per column")
        require(len(self.references), "QuantileCurve has no quantiles")
        with np.errstate(invalid="ignore"):
            falls = (np.diff(self.quantiles) < 0).any() or not (np.diff(self.references) >= 0).all()
        require(not falls, "QuantileCurve's tables do not rise")
        require(0 <= self.references[0] and self.references[-1] <= 1, "QuantileCurve.references are shares")
        require(self.margin >= 0, "QuantileCurve.margin is negative")

    def infer(self) -> ValueType:
        known = np.isfinite(self.quantiles).all(axis=1).tolist()
        pairs = zip(self.source.domains, known, strict=True)
        domains = tuple(_SHARE if ok and not d.missing else _SHARE_OR_MISSING for d, ok in pairs)
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: Value) -> Value:
        with np.errstate(invalid="ignore"):
            if isinstance(x, Csr):
                return x.with_data(self._stored(x))
            columns = [self._column(x[:, c], c) for c in range(x.shape[1])]
        return np.stack(columns, axis=1) if columns else x

    def _stored(self, x: Csr) -> np.ndarray:
        out = np.empty_like(x.data)
        order = np.argsort(x.indices, kind="stable")
        edges = np.searchsorted(x.indices[order], np.arange(x.width + 1))
        for c in np.unique(x.indices).tolist():
            at = order[edges[c] : edges[c + 1]]
            out[at] = self._column(x.data[at], c)
        return out

    def _column(self, x: np.ndarray, c: int) -> np.ndarray:
        seen, share = self.quantiles[c], self.references
        if self.margin:
            margin = x.dtype.type(self.margin)
            first, last = x - margin < seen[0], x + margin > seen[-1]
        else:
            first, last = x == seen[0], x == seen[-1]
        out, known = x.copy(), ~np.isnan(x)
        y = x[known]
        # Where quantiles repeat, one direction knows only the first of them and the other only the last.
        out[known] = 0.5 * (np.interp(y, seen, share) - np.interp(-y, -seen[::-1], -share[::-1]))
        out[last], out[first] = 1, 0
        return out


def _box_cox(x: np.ndarray, power: np.floating) -> np.ndarray:
    p = float(power)
    return np.fromiter((_box_cox_of(v, p) for v in x.tolist()), dtype=np.float64, count=len(x))


def _box_cox_of(x: float, power: float) -> float:
    log = _log(x)
    if abs(power) < NO_POWER:
        return log
    raised = power * log
    if raised < OVERFLOW:
        return math.expm1(raised) / power
    return math.copysign(1.0, power) * _exp(raised - _log(abs(power))) - 1 / power


def _log(x: float) -> float:
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _yeo_johnson(x: np.ndarray, power: np.floating) -> np.ndarray:
    dtype = np.result_type(x, power)
    eps, below = np.finfo(dtype).eps, 2 - power
    out = np.zeros(x.shape, dtype=dtype)
    right = x >= 0
    log = np.log1p(x[right])
    out[right] = log if abs(power) < eps else np.expm1(power * log) / power
    log = np.log1p(-x[~right])
    out[~right] = -np.expm1(below * log) / below if abs(power - 2) > eps else -log
    return out


def _yeo_johnson_power(x: np.ndarray, power: np.floating) -> np.ndarray:
    eps, below = np.spacing(1.0), 2 - power
    out = np.zeros_like(x)
    right = x >= 0
    y = x[right]
    out[right] = np.log1p(y) if abs(power) < eps else (np.power(y + 1, power) - 1) / power
    y = -x[~right]
    out[~right] = -(np.power(y + 1, below) - 1) / below if abs(power - 2) > eps else -np.log1p(y)
    return out


_CURVES: dict[str, Callable[[np.ndarray, np.floating], np.ndarray]] = {
    BOX_COX: _box_cox,
    YEO_JOHNSON: _yeo_johnson,
    YEO_JOHNSON_POWER: _yeo_johnson_power,
}

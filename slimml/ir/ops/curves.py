"""A curve of its own for every column: powers, shares of what was seen below, and the way back from both."""

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
# Beyond it a product has overflown, or is about to, and the way back from Box-Cox is computed another way.
_LARGE = 1.79e308

BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER = "box-cox", "yeo-johnson", "yeo-johnson-power"
BOX_COX_BACK, BOX_COX_BACK_POWER, YEO_JOHNSON_BACK = "box-cox-back", "box-cox-back-power", "yeo-johnson-back"
BACK = (BOX_COX_BACK, BOX_COX_BACK_POWER, YEO_JOHNSON_BACK)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PowerCurve(Node):
    """A power of every column, of the kind that makes what is skewed more normal; lambdas (width,) of floats.

    box-cox            (x**l - 1) / l, log(x) where l is 0, in double with the C library's functions, as scipy.special
    yeo-johnson        ((x + 1)**l - 1) / l for x >= 0, -((1 - x)**(2 - l) - 1) / (2 - l) below, as
                       scipy.stats computes it: by log1p and expm1 of numpy, in the dtypes that numpy promotes to
    yeo-johnson-power  the same by np.power, which loses digits next to zero

    and of the way back, which is NaN where no x leads there, or next to it

    box-cox-back        exp(log1p(x l) / l), exp(x) where l is 0, in double with the C library's functions, as
                        scipy.special
    box-cox-back-power  (x l + 1)**(1 / l) by np.power, as scikit-learn before 1.6
    yeo-johnson-back    (x l + 1)**(1 / l) - 1 for x >= 0, 1 - (1 - (2 - l) x)**(1 / (2 - l)) below, by np.power
    """

    kind: str
    lambdas: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.kind in _CURVES, f"no power curve {self.kind!r:.40}")
        require(self.source.dtype in ("float64", "float32"), f"PowerCurve takes floats, got {self.source}")
        require(self.lambdas.dtype in (np.float64, np.float32), "PowerCurve.lambdas are floats")
        require(self.lambdas.shape == (self.source.width,), "PowerCurve.lambdas needs one entry per column")

    def infer(self) -> ValueType:
        least = 5e-324 if self.kind == BOX_COX else -np.inf
        pairs = zip(self.source.domains, np.isfinite(self.lambdas).tolist(), strict=True)
        back = self.kind in BACK
        domains = tuple(Domain(missing=back or d.missing or d.low < least or not ok) for d, ok in pairs)
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
        _check_quantiles(self)

    def infer(self) -> ValueType:
        pairs = zip(self.source.domains, self._steady().tolist(), strict=True)
        domains = tuple(_SHARE if ok and not d.missing else _SHARE_OR_MISSING for d, ok in pairs)
        return replace(self.source, domains=domains, groups=())

    def _steady(self) -> np.ndarray:
        """Of which columns no slope overflows: infinity from one side less infinity from the other is NaN."""
        with np.errstate(all="ignore"):
            steps = np.diff(self.quantiles, axis=1)
            slopes = np.where(steps == 0, 0.0, np.diff(self.references) / steps)
            whole = np.isfinite(self.quantiles).all(axis=1)
            return np.asarray(whole & np.isfinite(steps).all(axis=1) & np.isfinite(slopes).all(axis=1))

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


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class QuantileBack(Node):
    """The way back from QuantileCurve: the value below which a share x of what was seen lies.

    quantiles (width, n) rise in each row, references (n,) too. Beyond the references it is the end's quantile, and
    where `margin` is not 0, so it is for shares of less than it, and of more than 1 minus it.
    """

    quantiles: np.ndarray
    references: np.ndarray
    margin: float

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"QuantileBack takes float64, got {self.source}")
        _check_quantiles(self)
        require(bool(np.isfinite(self.quantiles).all()), "QuantileBack.quantiles are finite")

    def infer(self) -> ValueType:
        pairs = zip(self.quantiles[:, 0].tolist(), self.quantiles[:, -1].tolist(), self.source.domains, strict=True)
        domains = tuple(Domain(low=a, high=b, missing=d.missing) for a, b, d in pairs)
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        with np.errstate(over="ignore", invalid="ignore"):
            for c, quantiles in enumerate(self.quantiles):
                out[:, c] = np.interp(x[:, c], self.references, quantiles)
                if self.margin:
                    out[x[:, c] + self.margin > 1, c] = quantiles[-1]
                    out[x[:, c] - self.margin < 0, c] = quantiles[0]
        out[np.isnan(x)] = np.nan  # of a single quantile numpy.interp makes that
        return out


def _check_quantiles(node: QuantileCurve | QuantileBack) -> None:
    name = type(node).__name__
    require(node.quantiles.dtype == node.references.dtype == np.float64, f"{name}'s tables are float64")
    shape = (node.source.width, len(node.references))
    require(node.references.ndim == 1 and node.quantiles.shape == shape, f"{name} needs a row per column")
    require(len(node.references), f"{name} has no quantiles")
    with np.errstate(invalid="ignore"):
        falls = (np.diff(node.quantiles) < 0).any() or not (np.diff(node.references) >= 0).all()
    require(not falls, f"{name}'s tables do not rise")
    require(0 <= node.references[0] and node.references[-1] <= 1, f"{name}.references are shares")
    require(node.margin >= 0, f"{name}.margin is negative")


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


def _box_cox_back(x: np.ndarray, power: np.floating) -> np.ndarray:
    p = float(power)
    return np.fromiter((_box_cox_back_of(v, p) for v in x.tolist()), dtype=np.float64, count=len(x))


def _box_cox_back_of(x: float, power: float) -> float:
    if power == 0:
        return _exp(x)
    product = power * x
    if product < _LARGE:
        return _exp(_log1p(product) / power)
    log = _log(math.copysign(1.0, power) * (x + 1 / power))
    return _exp((log + _log(abs(power))) / power)


def _log1p(x: float) -> float:
    if x > -1:
        return math.log1p(x)
    return -math.inf if x == -1 else math.nan


def _box_cox_back_power(x: np.ndarray, power: np.floating) -> np.ndarray:
    return np.asarray(np.exp(x) if power == 0 else (x * power + 1) ** (1 / power))


def _yeo_johnson_back(x: np.ndarray, power: np.floating) -> np.ndarray:
    eps, below = np.spacing(1.0), 2 - power
    out = np.zeros_like(x)
    right = x >= 0
    y = x[right]
    out[right] = np.exp(y) - 1 if abs(power) < eps else np.power(y * power + 1, 1 / power) - 1
    y = x[~right]
    out[~right] = 1 - np.power(-below * y + 1, 1 / below) if abs(power - 2) > eps else 1 - np.exp(-y)
    return out


_CURVES: dict[str, Callable[[np.ndarray, np.floating], np.ndarray]] = {
    BOX_COX: _box_cox,
    YEO_JOHNSON: _yeo_johnson,
    YEO_JOHNSON_POWER: _yeo_johnson_power,
    BOX_COX_BACK: _box_cox_back,
    BOX_COX_BACK_POWER: _box_cox_back_power,
    YEO_JOHNSON_BACK: _yeo_johnson_back,
}

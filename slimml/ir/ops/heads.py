"""From sums to answers: links, votes, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from slimml.errors import InputError
from slimml.ir.domain import Domain
from slimml.ir.libm import expf
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType

_PROBABILITY = Domain(low=0.0, high=1.0, missing=True)
# What becomes of a row that has nothing to share out.
EMPTY = ("uniform", "kept", "missing")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Elementwise(Node):
    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype in self._dtypes(), f"{type(self).__name__} does not take {self.source}")

    def _dtypes(self) -> tuple[str, ...]:
        return ("float64", "float32")

    def infer(self) -> ValueType:
        return replace(self.source, domains=(Domain(),) * self.source.width, groups=())


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Sigmoid(_Elementwise):
    """y = 1 / (1 + exp(-x)), with the C library's exp, as scipy.special.expit has it; in float32 with its expf.

    numpy's own vectorized exp differs from libm's in the last bit of some values, and from one CPU to the next.
    """

    def infer(self) -> ValueType:
        return replace(self.source, domains=(_PROBABILITY,) * self.source.width, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        if x.dtype == np.float32:
            one = np.float32(1)
            return np.asarray(one / (one + expf(-x)))
        return _mapped(_expit, x)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Exp(_Elementwise):
    """y = exp(x); in float32 with the C library's expf

    `serial`: in float64 too value by value with the C library's exp, as a loop in C++ has it.
    """

    serial: bool = False

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        if x.dtype == np.float32:
            return expf(x)
        if self.serial:
            return _mapped(_exp, x)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(x))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Log(_Elementwise):
    """y = log(x); log(0) is -inf"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(x))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LogMean(_Elementwise):
    """y = log(x) of x, a mean of `terms` numbers; log(0) is -inf

    The original adds up logarithms, one after another, which says the same but for rounding.
    """

    terms: int

    def check(self) -> None:
        _Elementwise.check(self)
        require(0 < self.terms < 1 << 31, f"LogMean of {self.terms} terms")

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(x))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LogAddExp(Node):
    """y = log(exp(x0) + exp(x1) + ...), cell by cell, one after another as numpy.logaddexp adds them; float64"""

    def check(self) -> None:
        require(self.inputs, "LogAddExp takes at least one input")
        require_inputs(self, len(self.inputs))
        same = {(x.type.dtype, x.type.width) for x in self.inputs}
        require(len(same) == 1 and self.source.dtype == "float64", "LogAddExp adds float64 of one width")

    def infer(self) -> ValueType:
        return ValueType("float64", (Domain(),) * self.source.width)

    def evaluate(self, *values: np.ndarray) -> np.ndarray:
        total = np.full_like(values[0], -np.inf)
        with np.errstate(invalid="ignore"):
            for value in values:
                total = np.logaddexp(total, value)
        return total


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ShareGuard(_Elementwise):
    """The identity on rows that look like probabilities, or (`shares` is False) on those that do not; else InputError.

    They look like it if every value lies between 0 and 1, and all add up to 1 or nearly so, as numpy.isclose has it.
    """

    shares: bool

    def infer(self) -> ValueType:
        if not self.shares:
            return self.source
        domains = tuple(replace(d, low=max(d.low, 0.0), high=min(d.high, 1.0)) for d in self.source.domains)
        return replace(self.source, domains=domains)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        inside = ((x >= 0) & (x <= 1)).all(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            refused = (inside & np.isclose(x.sum(axis=1), 1.0)) != self.shares
        if refused.any():
            what = "does not look like probabilities" if self.shares else "looks like probabilities"
            raise InputError(
                f"row {np.flatnonzero(refused)[0]} {what}, by which the original chooses its arithmetic for all rows",
                where=self.origin,
                hint="What the original answers here depends on the rows beside it: leave such rows out.",
            )
        return x


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Exp2(_Elementwise):
    """y = 2 ** x, as numpy's power has it"""

    def _dtypes(self) -> tuple[str, ...]:
        return ("float64",)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.power(2.0, x))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Tanh(_Elementwise):
    """y = tanh(x)"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.tanh(x))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Softmax(_Elementwise):
    """y = exp(x - max) / sum(exp(x - max)) over the columns

    In float32 with the C library's expf, and the sum added column by column in float64, as XGBoost's Softmax does.
    `serial`: in float64 with the C library's exp, and added column by column, as a loop in C++ has it.
    """

    serial: bool = False

    def infer(self) -> ValueType:
        return replace(self.source, domains=(_PROBABILITY,) * self.source.width, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            if x.dtype == np.float32:
                raised = expf(x - x.max(axis=1)[:, None])
                total = np.add.accumulate(raised.astype(np.float64), axis=1)[:, -1:].astype(np.float32)
                return np.asarray(raised / total)
            below = x - x.max(axis=1)[:, None]
            if self.serial:
                raised = _mapped(_exp, below)
                # accumulate adds strictly one after another, where sum() would add in pairs.
                return np.asarray(raised / np.add.accumulate(raised, axis=1)[:, -1:])
            raised = np.exp(below)
        return np.asarray(raised / raised.sum(axis=1)[:, None])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Softplus(_Elementwise):
    """y = log(1 + exp(x)), with the C library's exp and log1p; `plain`: with its log, which rounds the sum first"""

    plain: bool = False

    def _dtypes(self) -> tuple[str, ...]:
        return ("float64",)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        if self.plain:
            return _mapped(lambda v: math.log(1 + _exp(v)), x)
        return _mapped(lambda v: math.log1p(_exp(v)), x)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SignedSquare(_Elementwise):
    """y = |x| * x"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.abs(x) * x)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LogSoftmax(_Elementwise):
    """y = x - log(sum(exp(x))) over the columns; the largest terms stay out of the sum, as in scipy's logsumexp.

    `shifted`: the largest is taken away first, beside which the logarithm may vanish.
    """

    shifted: bool = False

    def _dtypes(self) -> tuple[str, ...]:
        return ("float64",)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        top = x.max(axis=1, keepdims=True)
        if self.shifted:
            with np.errstate(all="ignore"):
                return np.asarray((x - top) - np.log(np.exp(x - top).sum(axis=1, keepdims=True)))
        largest = x == top
        with np.errstate(all="ignore"):
            rest = np.exp(np.where(largest, -np.inf, x) - np.where(np.isfinite(top), top, 0.0))
            count, total = largest.astype(np.float64).sum(axis=1, keepdims=True), rest.sum(axis=1, keepdims=True)
            total = np.where(total == 0, total, total / count)
            return np.asarray(x - (np.log1p(total) + np.log(count) + top))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class NormalizeRows(_Elementwise):
    """y = x / sum(x) over the columns; a row whose sum is 0 becomes uniform, stays ("kept"), or turns "missing" """

    empty: str = "uniform"

    def check(self) -> None:
        _Elementwise.check(self)
        require(self.empty in EMPTY, f"NormalizeRows knows nothing of {self.empty!r} rows")

    def infer(self) -> ValueType:
        return replace(self.source, domains=(_PROBABILITY,) * self.source.width, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        total = x.sum(axis=1)
        empty = total == 0
        if self.empty == "missing":
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(x / total[:, None])
        if self.empty == "kept":
            return np.asarray(x / np.where(empty, x.dtype.type(1), total)[:, None])
        share = np.where(empty[:, None], x.dtype.type(1), x)
        return np.asarray(share / np.where(empty, x.dtype.type(x.shape[1]), total)[:, None])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Complement(_Elementwise):
    """p to (1 - p, p)"""

    def check(self) -> None:
        _Elementwise.check(self)
        require(self.source.width == 1, "Complement takes one column")

    def infer(self) -> ValueType:
        (domain,) = self.source.domains
        # XGBoost's binary:logitraw hands a margin where others hand a chance.
        kept = _PROBABILITY if domain.low >= 0 and domain.high <= 1 else Domain()
        return replace(self.source, domains=(kept,) * 2, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate([1 - x, x], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Confidence(_Elementwise):
    """y = x / (3 (|x| + 1)), between -1/3 and 1/3: what breaks a tie between votes and overturns none"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.asarray(x / (3 * (np.abs(x) + 1)))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ArgMax(_Elementwise):
    """The first column that holds the row's largest value: int64 (n, 1)"""

    def infer(self) -> ValueType:
        return ValueType("int64", (Domain(integer=True, low=0, high=self.source.width - 1, missing=False),))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.argmax(x, axis=1)[:, None])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WeightedMedian(_Elementwise):
    """The value of a row at which the weights of its columns, added up in the order of its values, reach half: (n, 1)

    `weights` float64 (width,).
    """

    weights: np.ndarray

    def check(self) -> None:
        _Elementwise.check(self)
        require(self.weights.shape == (self.source.width,) and len(self.weights), "WeightedMedian: a weight per column")
        require(self.weights.dtype == np.float64, "WeightedMedian.weights is float64")

    def infer(self) -> ValueType:
        return ValueType(self.source.dtype, (Domain(),))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        order, reached = self.reached(x)
        rows = np.arange(len(x))
        first = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)
        return np.asarray(x[rows, order[rows, first]][:, None])

    def reached(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The columns in the order of their values, and what the weights add up to so far; both (n, width)."""
        order = np.argsort(x, axis=1)
        return order, np.cumsum(self.weights[order], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class IsPositive(_Elementwise):
    """1 where x > 0 (`or_zero`: x >= 0), else 0: int64"""

    or_zero: bool = False

    def infer(self) -> ValueType:
        return ValueType("int64", (Domain(integer=True, low=0, high=1, missing=False),) * self.source.width)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return (x >= 0 if self.or_zero else x > 0).astype(np.int64)


def _mapped(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    return np.fromiter(map(function, x.ravel().tolist()), dtype=np.float64, count=x.size).reshape(x.shape)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:  # infinite in C
        return math.inf


def _expit(x: float) -> float:
    try:
        return 1.0 / (1.0 + math.exp(-x))
    except OverflowError:  # exp(-x) is infinite in C, and 1 / (1 + inf) is 0
        return 0.0

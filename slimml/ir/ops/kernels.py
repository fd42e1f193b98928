"""Kernel machines: distances to support vectors, sums for each pair of classes, votes and coupled probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir import nearest
from slimml.ir.domain import Domain
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType

_RESULT = Domain(missing=True)
_PROBABILITY = Domain(low=0.0, high=1.0, missing=True)
# Differences that are held at once, so that they stay in a core's cache.
_BLOCK = 1 << 15
MAX_DEGREE = 1 << 20
# A pair of classes has a sum of its own.
MAX_CLASSES = 4096
# The error functions that make a logistic one: sklearn/gaussian_process/_gpc.py.
_SLOPES = np.array([0.41, 0.4, 0.37, 0.44, 0.39])
_HEIGHTS = np.array([-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654])
# Bounds of a pair's probability, and when the coupling stops: constants of libsvm.
_LEAST, _STEPS, _ENOUGH = 1e-7, 100, 0.005


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Distances(Node):
    points: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        name = type(self).__name__
        require(self.source.dtype == "float64", f"{name} takes float64, got {self.source}")
        require(self.points.ndim == 2 and self.points.dtype == np.float64, f"{name}.points is a matrix")
        require(self.points.shape[1] == self.source.width, f"{name} needs a coordinate per column")

    def infer(self) -> ValueType:
        return ValueType("float64", (Domain(low=0.0, missing=True),) * len(self.points))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SquaredDistances(_Distances):
    """y[j] = the sum over the columns of (x - points[j])**2; points float64 (k, width)"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.empty((len(x), len(self.points)))
        step = max(1, _BLOCK // max(1, self.points.size))
        with np.errstate(over="ignore", invalid="ignore"):
            for at in range(0, len(x), step):
                apart = x[at : at + step, None, :] - self.points
                np.einsum("rkc,rkc->rk", apart, apart, out=out[at : at + step])
        return out


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ExpandedDistances(_Distances):
    """y[j] = |x|**2 - 2 x.points[j] + |points[j]|**2, 0 where that is negative; points float64 (k, width)"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return nearest.expanded(x, self.points)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Power(Node):
    """y = x ** degree for a whole degree, by squaring, lowest bit first, as libsvm multiplies"""

    degree: int

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"Power takes float64, got {self.source}")
        require(0 <= self.degree <= MAX_DEGREE, f"Power.degree is {self.degree}")

    def infer(self) -> ValueType:
        return replace(self.source, domains=(_RESULT,) * self.source.width, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return power(x, self.degree)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PairSums(Node):
    """One sum for each pair of classes (0, 1), (0, 2), ..., (1, 2), ... over the columns that belong to the two.

    Column c belongs to the class in whose run of `counts` (k,) it lies. The sum of pair (i, j) takes row j - 1 of
    `coef` (k - 1, width) over the columns of i, row i over those of j, and `bias` (k (k - 1) / 2,).
    """

    coef: np.ndarray
    counts: np.ndarray
    bias: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"PairSums takes float64, got {self.source}")
        require(self.coef.ndim == 2 and self.coef.dtype == self.bias.dtype == np.float64, "PairSums.coef is float64")
        require(self.counts.ndim == 1 and self.counts.dtype == np.int64, "PairSums.counts is int64")
        k = len(self.counts)
        require(2 <= k <= MAX_CLASSES, f"PairSums of {k} classes")
        width = self.source.width
        fits = (self.counts >= 0).all() and (self.counts <= width).all() and int(self.counts.sum()) == width
        require(fits, "PairSums.counts are not the columns of each class")
        require(self.coef.shape == (k - 1, width), "PairSums.coef needs a row for each other class")
        require(self.bias.shape == (k * (k - 1) // 2,), "PairSums.bias needs an entry per pair")

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * len(self.bias))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.sums(x, self.coef) + self.bias)

    def sums(self, x: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """The sums without the bias, (n, pairs)."""
        first, second = np.triu_indices(len(self.counts), 1)
        ends = np.cumsum(self.counts)
        # shares[c][:, r]: what the columns of class c add to the sum in which they take row r.
        shares = np.stack([x[:, e - n : e] @ coef[:, e - n : e].T for e, n in zip(ends, self.counts, strict=True)])
        return np.asarray((shares[first, :, second - 1] + shares[second, :, first]).T)

    def weights(self) -> np.ndarray:
        """The same as one matrix, (pairs, width), zero where a column belongs to neither class."""
        first, second = np.triu_indices(len(self.counts), 1)
        owner = np.repeat(np.arange(len(self.counts)), self.counts)
        own_first, own_second = owner == first[:, None], owner == second[:, None]
        return np.asarray(np.where(own_first, self.coef[second - 1], np.where(own_second, self.coef[first], 0.0)))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PairVotes(Node):
    """Pairwise sums to one score per class: how many pairs it wins; a pair is won by its first class where x > 0.

    `confident`: won by the first class unless x < 0, and s / (3 (|s| + 1)) is added to a class's votes, s being the sum
    of its pairs' values, so that a tie of votes is broken (scikit-learn's one-vs-rest decision).
    """

    classes: int
    confident: bool

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"PairVotes takes float64, got {self.source}")
        require(2 <= self.classes <= MAX_CLASSES, f"PairVotes of {self.classes} classes")
        require(self.source.width == self.classes * (self.classes - 1) // 2, "PairVotes takes a column per pair")

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * self.classes)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        first, second = np.triu_indices(self.classes, 1)
        won = ~(x < 0) if self.confident else x > 0  # where x is NaN the two differ too
        votes, total = np.zeros((2, len(x), self.classes))
        for pair, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
            votes[:, i] += won[:, pair]
            votes[:, j] += ~won[:, pair]
            if self.confident:
                total[:, i] += x[:, pair]
                total[:, j] -= x[:, pair]
        return votes + total / (3 * (np.abs(total) + 1)) if self.confident else votes


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PairCoupling(Node):
    """Pairwise sums to class probabilities: a sigmoid of slope * x + shift for each pair, coupled as libsvm does.

    slope, shift: float64 (pairs,). The coupling is method 2 of Wu, Lin and Weng, Probability Estimates for Multi-class
    Classification by Pairwise Coupling, JMLR 5 (2004), and stops by itself.
    """

    slope: np.ndarray
    shift: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"PairCoupling takes float64, got {self.source}")
        for value in (self.slope, self.shift):
            require(value.shape == (self.source.width,) and value.dtype == np.float64, "PairCoupling: one per pair")
        k = self.classes
        require(2 <= k <= MAX_CLASSES and k * (k - 1) // 2 == self.source.width, "PairCoupling takes all pairs")

    def infer(self) -> ValueType:
        return ValueType("float64", (_PROBABILITY,) * self.classes)

    @property
    def classes(self) -> int:
        """How many classes make that many pairs."""
        return int((1 + np.sqrt(1 + 8.0 * self.source.width)) // 2)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return self.coupled(self.chances(x))[0]

    def chances(self, x: np.ndarray) -> np.ndarray:
        """The probability that the first class of each pair wins it."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = x * self.slope + self.shift
            small = np.exp(-np.abs(z))
            chance = np.where(z >= 0, small, 1.0) / (1.0 + small)
        return np.asarray(np.clip(chance, _LEAST, 1 - _LEAST))

    def coupled(self, chance: np.ndarray, steps: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Class probabilities (n, k), how many steps each row took (or `steps`: takes), and by how much it stopped.

        The last: the smallest distance, over the steps of a row, between its error and the error that is enough.
        """
        k = self.classes
        q = _quadratic(chance, k)
        p = np.full((len(chance), k), 1.0 / k)
        taken = np.zeros(len(chance), dtype=np.int64)
        margin = np.full(len(chance), np.inf)
        live = np.arange(len(chance))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for step in range(max(_STEPS, k)):
                slope = np.einsum("nij,nj->ni", q[live], p[live])
                value = np.einsum("ni,ni->n", p[live], slope)
                error = np.abs(slope - value[:, None]).max(axis=1)
                margin[live] = np.minimum(margin[live], np.abs(error - _ENOUGH / k))
                more = ~(error < _ENOUGH / k) if steps is None else steps[live] > step
                live = live[more]
                if not len(live):
                    break
                taken[live] += 1
                p[live] = _improved(q[live], p[live], slope[more], value[more])
        return p, taken, margin


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LatentChance(Node):
    """The mean of a logistic function of a normal variable, from its mean and its variance, (n, 1) each: (n, 1)

    The logistic function is a sum of five error functions (Williams and Barber, Bayesian Classification with Gaussian
    Processes, PAMI 20 (1998), appendix A), with scikit-learn's constants.
    """

    def check(self) -> None:
        require_inputs(self, 2)
        both = {x.type.dtype for x in self.inputs}
        require(both == {"float64"} and {x.type.width for x in self.inputs} == {1}, "LatentChance takes two columns")

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,))

    def evaluate(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        return np.asarray(self.terms(mean, variance).sum(axis=1)[:, None] + 0.5 * _HEIGHTS.sum())

    def terms(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """What each error function adds, (n, 5)."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            alpha = 1 / (2 * variance)
            at = _SLOPES * mean * np.sqrt(alpha / (alpha + _SLOPES**2))
            erf = np.fromiter(map(math.erf, at.ravel().tolist()), dtype=np.float64, count=at.size).reshape(at.shape)
            return np.asarray(_HEIGHTS * (np.sqrt(np.pi / alpha) * erf / (2 * np.sqrt(variance * 2 * np.pi))))


def power(x: np.ndarray, degree: int) -> np.ndarray:
    """x ** degree by squaring."""
    result, factor = np.ones_like(x), x
    while degree:
        if degree & 1:
            result = result * factor
        factor = factor * factor
        degree >>= 1
    return result


def _quadratic(chance: np.ndarray, k: int) -> np.ndarray:
    """Q of the quadratic form that the coupling minimizes, (n, k, k)."""
    first, second = np.triu_indices(k, 1)
    r = np.zeros((len(chance), k, k))
    r[:, first, second], r[:, second, first] = chance, 1 - chance
    q = -r * r.transpose(0, 2, 1)
    q[:, range(k), range(k)] = (r * r).sum(axis=1)
    return q


def _improved(q: np.ndarray, p: np.ndarray, slope: np.ndarray, value: np.ndarray) -> np.ndarray:
    """One sweep over the classes, each moved to its optimum and all scaled to a sum of 1."""
    for t in range(p.shape[1]):
        own = q[:, t, t]
        move = (value - slope[:, t]) / own
        scale = (1 + move)[:, None]
        value = (value + move * (move * own + 2 * slope[:, t])) / scale[:, 0] / scale[:, 0]
        slope = (slope + move[:, None] * q[:, t, :]) / scale
        p = p.copy()
        p[:, t] += move
        p = p / scale
    return p

"""B-splines of a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimml.ir.domain import Domain
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType

MAX_DEGREE = 64
# Knots that are closer to each other may make infinities.
_LEAST = 1e-300
CONTINUE, CONSTANT, LINEAR, PERIODIC = "continue", "constant", "linear", "periodic"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Splines(Node):
    """The B-splines of a degree over each column's knots (width, n) at x; n - degree - 1 columns for each.

    By de Boor's recursion, as scipy's BSpline has it, computed in float64 and rounded to the dtype of the block.
    Outside of the knots' inner interval `outside` says what is meant: the polynomials go on (continue), stay as they
    are at the ends (constant) or go on along the tangent (linear), or x is taken modulo the interval's length, and the
    first splines are the last ones too (periodic: degree columns fewer). `edges` (width,) int64: the knots, counted
    from both ends, between which a column is inside (constant, linear). A missing value has no splines.
    `spread`: where one spline overflows all of the column's are missing, as a product with unit vectors has it.
    """

    knots: np.ndarray
    degree: int
    outside: str
    edges: np.ndarray
    spread: bool

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype in ("float64", "float32"), f"Splines takes floats, got {self.source}")
        require(0 <= self.degree <= MAX_DEGREE, f"Splines.degree is {self.degree}")
        require(self.outside in (CONTINUE, CONSTANT, LINEAR, PERIODIC), f"nothing outside is {self.outside!r:.40}")
        require(self.knots.ndim == 2 and self.knots.dtype == np.float64, "Splines.knots is a matrix of float64")
        width, count = self.knots.shape
        require(width == self.source.width == len(self.edges), "Splines needs knots and an edge for each column")
        require(count >= 2 * self.degree + 2, "Splines has too few knots for its degree")
        require(self.outside != PERIODIC or 0 < self.each >= self.degree, "Splines has too few knots for a period")
        rises = np.isfinite(self.knots).all() and (np.diff(self.knots) >= 0).all()
        require(rises, "Splines.knots do not rise")
        require(self.edges.shape == (width,) and self.edges.dtype == np.int64, "Splines.edges is int64")
        require(((self.edges >= 0) & (self.edges < count // 2)).all(), "Splines.edges lie beyond the knots")
        near = self.edges + (self.edges <= 1) <= self.each
        require(self.outside in (CONTINUE, PERIODIC) or (near.all() and self.degree), "Splines has too few columns")

    @property
    def each(self) -> int:
        """How many columns there are for each column of the input."""
        twice = self.degree if self.outside == PERIODIC else 0
        return int(self.knots.shape[1]) - self.degree - 1 - twice

    def infer(self) -> ValueType:
        # Between the edges splines are shares, where no quotient overflows; polynomials that go on overflow.
        share = Domain(low=0.0, high=2.0, missing=False)
        with np.errstate(over="ignore"):
            steps = np.diff(self.knots, axis=1)
            fits = np.isfinite(self.knots[:, -1] - self.knots[:, 0]) & ((steps == 0) | (steps > _LEAST)).all(axis=1)
        ends = [share if self.outside == CONSTANT and ok else Domain() for ok in fits.tolist()]
        return ValueType(self.source.dtype, tuple(d for d in ends for _ in range(self.each)))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            blocks = [self.column(x[:, c].astype(np.float64), c) for c in range(x.shape[1])]
            return np.concatenate([np.zeros((len(x), 0)), *blocks], axis=1).astype(x.dtype)

    def column(self, x: np.ndarray, c: int) -> np.ndarray:
        """The splines of one column, (n, each) float64."""
        knots, missing = self.knots[c], np.isnan(x)
        if self.outside in (CONTINUE, PERIODIC):
            y = self._basis(self._wrapped(x, knots) if self.outside == PERIODIC else x, knots)
            y[missing] = 0
            return y
        edge = int(self.edges[c])
        low, high = knots[edge], knots[-edge - 1]
        y = np.zeros((len(x), self.each))
        inside = (low <= x) & (x <= high)
        y[inside] = self._basis(x[inside], knots)
        for end, beyond in ((low, x < low), (high, x > high)):
            first = end is low
            value, slope = (self._basis(np.array([end]), knots, nu)[0] for nu in (0, 1))
            if self.outside == CONSTANT:
                near = slice(0, self.degree) if first else slice(self.each - self.degree, self.each)
                y[beyond, near] = value[near]
                continue
            reach = edge + 1 if edge <= 1 else edge
            for j in range(reach) if first else range(self.each - reach, self.each):
                y[beyond, j] = value[j] + (x[beyond] - end) * slope[j]
        return y

    def _wrapped(self, x: np.ndarray, knots: np.ndarray) -> np.ndarray:
        start, stop = knots[self.degree], knots[len(knots) - self.degree - 1]
        return start + (x - start) % (stop - start) if stop > start else np.zeros_like(x)

    def _basis(self, x: np.ndarray, knots: np.ndarray, derivative: int = 0) -> np.ndarray:
        """The splines at x, or their first derivative."""
        k, count = self.degree, len(knots) - self.degree - 1
        at = np.clip(np.searchsorted(knots, x, side="right") - 1, k, count - 1)
        weights = [np.ones(len(x))] + [np.zeros(len(x))] * k
        for j in range(1, k + 1):
            before = weights[:j]
            weights[0] = np.zeros(len(x))
            for n in range(1, j + 1):
                right, left = knots[at + n], knots[at + n - j]
                same = right == left
                if j > k - derivative:
                    w = j * before[n - 1] / (right - left)
                    less, more = weights[n - 1] - w, w
                else:
                    w = before[n - 1] / (right - left)
                    less, more = weights[n - 1] + w * (right - x), w * (x - left)
                weights[n - 1] = np.where(same, weights[n - 1], less)
                weights[n] = np.where(same, 0.0, more)
        y, rows = np.zeros((len(x), self.each)), np.arange(len(x))
        for a, weight in enumerate(weights):
            y[rows, (at - k + a) % self.each] += weight
        if self.spread:
            y[~np.isfinite(weights).all(axis=0)] = np.nan
        return y

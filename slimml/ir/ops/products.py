"""Products of columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.node import Node, Value, require, require_inputs
from slimml.ir.types import ValueType

MAX_TERMS = 1 << 20
# The parents of terms that are a column, and of the one that is 1 for every row.
COLUMN, ONE = -1, -2


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Products(Node):
    """One term per entry of `parent` and `column` (k,), int64: an earlier term times a column.

    y[t] = y[parent[t]] * x[column[t]], rounded at each step in the dtype of the block; x[column[t]] itself where the
    parent is -1, and 1 where it is -2. csr: only products of stored entries are stored.
    """

    parent: np.ndarray
    column: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"))
        require(self.source.dtype in ("float64", "float32"), f"Products takes floats, got {self.source}")
        require(self.parent.ndim == 1 and self.parent.shape == self.column.shape, "Products needs a column per parent")
        require(self.parent.dtype == self.column.dtype == np.int64, "Products' terms are int64")
        require(len(self.parent) <= MAX_TERMS, "Products makes too many terms")
        if len(self.parent):
            earlier = (self.parent >= ONE) & (self.parent < np.arange(len(self.parent)))
            inside = (self.column >= 0) & (self.column < max(self.source.width, 1))
            require(earlier.all() and inside.all(), "Products points outside of its input")
            require(self.source.width or (self.parent == ONE).all(), "Products points outside of its input")

    def infer(self) -> ValueType:
        largest = float(np.finfo(self.source.dtype).max)
        ends: list[tuple[float, float, bool, bool]] = []
        domains = []
        for p, c in zip(self.parent.tolist(), self.column.tolist(), strict=True):
            ends.append(self._interval(ends, p, c, largest))
            low, high, missing, whole = ends[-1]
            domains.append(Domain(integer=whole, low=low, high=high, missing=missing))
        return ValueType(self.source.dtype, tuple(domains), self.source.layout)

    def _interval(
        self, ends: list[tuple[float, float, bool, bool]], parent: int, column: int, largest: float
    ) -> tuple[float, float, bool, bool]:
        """Bounds of a term, whether it may be missing, and whether it is whole."""
        if parent == ONE:
            return 1.0, 1.0, False, True
        x = self.source.domains[column]
        if parent == COLUMN:
            return x.low, x.high, x.missing, x.integer
        low, high, missing, whole = ends[parent]
        products = [a * b for a in (low, high) for b in (x.low, x.high)]
        if missing or x.missing or not all(abs(p) <= largest for p in products):
            # Infinity times 0 is missing.
            return -np.inf, np.inf, True, False
        return min(products), max(products), False, whole and x.integer

    def evaluate(self, x: Value) -> Value:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return self._stored(x) if isinstance(x, Csr) else self._dense(x)

    def _dense(self, x: np.ndarray) -> np.ndarray:
        out = np.ones((len(x), len(self.parent)), dtype=x.dtype)
        for start, stop in self.runs():
            run = np.arange(start, stop)[self.parent[start:stop] != ONE]
            made = x[:, self.column[run]]
            deeper = self.parent[run] >= 0
            made[:, deeper] *= out[:, self.parent[run[deeper]]]
            out[:, run] = made
        return out

    def runs(self) -> Iterator[tuple[int, int]]:
        """Runs of terms whose parents all stand before them."""
        start, count = 0, len(self.parent)
        while start < count:
            within = self.parent[start:] >= start
            stop = start + int(np.argmax(within)) if within.any() else count
            yield start, stop
            start = stop

    def _stored(self, x: Csr) -> Csr:
        order = np.lexsort((x.rows(), x.indices))
        rows, data, edges = x.rows()[order], x.data[order], np.searchsorted(x.indices[order], np.arange(x.width + 1))
        n, terms = x.shape[0], []
        for p, c in zip(self.parent.tolist(), self.column.tolist(), strict=True):
            own = slice(edges[c], edges[c + 1]) if p != ONE else slice(0, 0)
            if p == ONE:
                terms.append((np.arange(n), np.ones(n, dtype=x.dtype)))
            elif p == COLUMN:
                terms.append((rows[own], data[own]))
            else:
                both, left, right = np.intersect1d(terms[p][0], rows[own], assume_unique=True, return_indices=True)
                terms.append((both, terms[p][1][left] * data[own][right]))
        return _assembled(terms, n, x.dtype)


def _assembled(terms: list[tuple[np.ndarray, np.ndarray]], n: int, dtype: np.dtype) -> Csr:
    """A block of columns, each as (rows, entries)."""
    rows = np.concatenate([np.zeros(0, np.int64), *(r for r, _ in terms)])
    data = np.concatenate([np.zeros(0, dtype), *(d for _, d in terms)])
    column = np.repeat(np.arange(len(terms)), [len(r) for r, _ in terms])
    order = np.argsort(rows, kind="stable")
    ends = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n))))
    return Csr(data[order], column[order], ends, len(terms))

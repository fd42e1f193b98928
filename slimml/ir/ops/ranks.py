"""Numbers to small integers: where a value falls among a column's cuts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from slimml.ir.domain import Domain, ranks
from slimml.ir.forest import MISSING
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Rank(Node):
    """The number of the column's cuts that are below the value; -1 for NaN.

    So `x <= cuts[i]` is `rank <= i`, exactly. `cuts` holds the columns' sorted cuts one after another, in the dtype of
    the input; column c owns cuts[offsets[c]:offsets[c + 1]]. `table`, where it is not empty, maps raw ranks to model
    ranks, one entry more per column than it has cuts: it is how intervals become categories and sentinels missing.
    """

    cuts: np.ndarray
    offsets: np.ndarray
    table: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        width = self.source.width
        require(self.cuts.ndim == 1 and self.cuts.dtype == self.source.dtype, "Rank.cuts is in its input's dtype")
        require_offsets(self.offsets, width, len(self.cuts))
        if len(self.cuts) > 1:
            # NaN fails the comparison too.
            steps = np.diff(self.cuts) > 0
            starts = self.offsets[1:-1]
            steps[starts[(starts > 0) & (starts < len(self.cuts))] - 1] = True
            require(steps.all(), "Rank.cuts do not rise")
        require(not np.isnan(self.cuts).any(), "Rank.cuts hold NaN")
        require(self.table.dtype == np.int32 and self.table.ndim == 1, "Rank.table is an int32 vector")
        require(len(self.table) in (0, len(self.cuts) + width), "Rank.table needs an entry per raw rank")
        require(not len(self.table) or self.table.min() >= MISSING, "Rank.table holds a rank below -1")

    def infer(self) -> ValueType:
        counts = np.diff(self.offsets).tolist()
        missing = [d.missing for d in self.source.domains]
        if len(self.table):
            bounds = self.offsets + np.arange(len(self.offsets))
            tables = [self.table[a:b] for a, b in pairwise(bounds.tolist())]
            counts = [int(t.max(initial=0)) for t in tables]
            missing = [m or bool((t == MISSING).any()) for m, t in zip(missing, tables, strict=True)]
        shared: dict[tuple[int, bool], object] = {}
        domains = tuple(shared.setdefault((n, m), ranks(n, missing=m)) for n, m in zip(counts, missing, strict=True))
        return ValueType("int32", domains)  # type: ignore[arg-type]

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.zeros(x.shape, dtype=np.int32)
        counts = np.diff(self.offsets)
        single = np.flatnonzero(counts == 1)
        if len(single):
            out[:, single] = x[:, single] > self.cuts[self.offsets[single]]
        for c in np.flatnonzero(counts > 1).tolist():
            out[:, c] = np.searchsorted(self.cuts[self.offsets[c] : self.offsets[c + 1]], x[:, c])
        if len(self.table):
            out = self.table[out + (self.offsets[:-1] + np.arange(x.shape[1]))]
        if x.dtype.kind == "f":
            nan = np.isnan(x)
            if nan.any():
                out[nan] = MISSING
        return out


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Widen(Node):
    """float32 numbers as those float64 ones that a graph of float64 rows answers as the original answers the float32.

    y is x, moved by as little as it takes to be above as many `cuts` of its column as x is above `ends`; a missing one
    is `missing`, which may be NaN.

    `cuts`     float64, `ends` float32: those of column c from offsets[c] to offsets[c + 1], where neither falls
    `missing`  float64 (width,)
    """

    cuts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray
    missing: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float32", f"Widen takes float32, got {self.source}")
        require(self.cuts.ndim == 1 and self.cuts.shape == self.ends.shape, "Widen needs an end for each cut")
        wide = self.cuts.dtype == self.missing.dtype == np.float64
        require(wide and self.ends.dtype == np.float32, "Widen.cuts and .missing are float64, .ends float32")
        require(self.missing.shape == (self.source.width,), "Widen.missing needs an entry per column")
        require_offsets(self.offsets, self.source.width, len(self.cuts))
        rises = (np.diff(self.cuts) > 0) & (np.diff(self.ends) >= 0)
        starts = self.offsets[1:-1]
        rises[starts[(starts > 0) & (starts < len(self.cuts))] - 1] = True
        require(rises.all() and not (np.isnan(self.cuts).any() or np.isnan(self.ends).any()), "Widen's tables fall")

    def infer(self) -> ValueType:
        pairs = zip(self.source.domains, np.isnan(self.missing).tolist(), strict=True)
        return ValueType("float64", tuple(Domain(missing=d.missing and nan) for d, nan in pairs))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = x.astype(np.float64)
        for c in np.flatnonzero(np.diff(self.offsets)).tolist():
            own = slice(self.offsets[c], self.offsets[c + 1])
            cuts, above = self.cuts[own], np.searchsorted(self.ends[own], x[:, c])
            with np.errstate(over="ignore"):  # beyond the largest number there is infinity
                lowest = np.append(-np.inf, np.nextafter(cuts, np.inf))
            # NaN stays NaN in both.
            out[:, c] = np.minimum(np.maximum(out[:, c], lowest[above]), np.append(cuts, np.inf)[above])
        filled = ~np.isnan(self.missing)
        if filled.any():
            out[:, filled] = np.where(np.isnan(x[:, filled]), self.missing[filled], out[:, filled])
        return out


def require_offsets(offsets: np.ndarray, width: int, total: int) -> None:
    """Check that offsets start at 0, never fall and end at `total`, one more than `width` of them."""
    require(
        offsets.dtype == np.int64 and offsets.shape == (width + 1,), "offsets need one entry per column, and an end"
    )
    require(offsets[0] == 0 and offsets[-1] == total, "offsets do not span their table")
    require((np.diff(offsets) >= 0).all(), "offsets fall")

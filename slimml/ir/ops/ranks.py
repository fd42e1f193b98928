"""Numbers to small integers: where a value falls among a column's cuts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from slimml.ir.domain import ranks
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


def require_offsets(offsets: np.ndarray, width: int, total: int) -> None:
    """Check that offsets start at 0, never fall and end at `total`, one more than `width` of them."""
    require(
        offsets.dtype == np.int64 and offsets.shape == (width + 1,), "offsets need one entry per column, and an end"
    )
    require(offsets[0] == 0 and offsets[-1] == total, "offsets do not span their table")
    require((np.diff(offsets) >= 0).all(), "offsets fall")

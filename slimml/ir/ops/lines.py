"""Curves through points: a broken line for each column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from slimml.ir.domain import Domain
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.ops.ranks import require_offsets
from slimml.ir.types import ValueType

BEYOND = ("ends", "missing")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Interpolate(Node):
    """y on the column's broken line, NaN where x is; beyond its ends the end's y, or NaN if `beyond` is "missing".

    Column c has the points (xs[i], ys[i]) for i from offsets[c] to offsets[c + 1], in the dtype of the input; its xs
    never fall, and its ys never fall or never rise. In float64 it is what numpy.interp computes; in float32, where the
    xs rise, what scipy's interp1d does of x and the points around it.
    """

    xs: np.ndarray
    ys: np.ndarray
    offsets: np.ndarray
    beyond: str = "ends"

    def check(self) -> None:
        require_inputs(self, 1)
        dtype = self.source.dtype
        require(dtype in ("float64", "float32"), f"Interpolate takes floats, got {self.source}")
        require(self.xs.ndim == 1 and self.xs.shape == self.ys.shape, "Interpolate needs a y for each x")
        require(self.xs.dtype == self.ys.dtype == dtype, f"Interpolate has points of {dtype}")
        require_offsets(self.offsets, self.source.width, len(self.xs))
        require((np.diff(self.offsets) > 0).all(), "Interpolate has a column without points")
        require(np.isfinite(self.xs).all() and np.isfinite(self.ys).all(), "Interpolate's points are finite")
        steps = np.diff(self.xs)
        steps[self.offsets[1:-1] - 1] = 1
        require((steps > 0).all() if dtype == "float32" else (steps >= 0).all(), "Interpolate's points do not rise")
        rises = np.diff(self.ys)
        for a, b in pairwise(self.offsets.tolist()):
            own = rises[a : b - 1]
            require((own >= 0).all() or (own <= 0).all(), "Interpolate's ys rise and fall")
        require(self.beyond in BEYOND, f"Interpolate knows nothing of {self.beyond!r} beyond its ends")

    def infer(self) -> ValueType:
        domains = tuple(Domain(missing=self.beyond == "missing" or d.missing) for d in self.source.domains)
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        for c in range(x.shape[1]):
            xs, ys = self.points(c)
            column = x[:, c]
            with np.errstate(over="ignore", invalid="ignore"):
                out[:, c] = np.interp(column, xs, ys) if x.dtype == np.float64 else _between(column, xs, ys)
            if self.beyond == "missing":
                out[(column < xs[0]) | (column > xs[-1]), c] = np.nan
        return out

    def starts(self, x: np.ndarray) -> np.ndarray:
        """The y of the point at or before each x, of the first one where there is none."""
        out = np.empty_like(x)
        for c in range(x.shape[1]):
            xs, ys = self.points(c)
            out[:, c] = ys[np.maximum(np.searchsorted(xs, x[:, c], side="right") - 1, 0)]
        return out

    def points(self, column: int) -> tuple[np.ndarray, np.ndarray]:
        """The xs and the ys of a column."""
        own = slice(self.offsets[column], self.offsets[column + 1])
        return self.xs[own], self.ys[own]


def _between(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    if len(xs) == 1:
        return np.where(np.isnan(x), x, ys[0])
    x = np.clip(x, xs[0], xs[-1])
    above = np.clip(np.searchsorted(xs, x), 1, len(xs) - 1)
    slope = (ys[above] - ys[above - 1]) / (xs[above] - xs[above - 1])
    return np.asarray(slope * (x - xs[above - 1]) + ys[above - 1])

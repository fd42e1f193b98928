"""Filling what is missing from the nearest rows that have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir import nearest
from slimml.ir.domain import Domain
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType

WEIGHTS = ("present", "uniform", "distance")
# Distances that are held at once.
_CELLS = 1 << 20


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class NeighborFill(Node):
    """Where a value is NaN the mean of its column over the `count` nearest points that have one; x elsewhere.

    Distances are `nearest.with_gaps`; where none is a number the column is filled with `means`.

    `points`   float64 (m, width), NaN where a value is missing
    `means`    float64 (width,); NaN for columns in which every point is, which stay as they are
    `weights`  uniform: the points count alike; present: but for those at no distance, which count nothing; distance:
               1 / distance, or 1 and 0 where a distance is 0
    """

    points: np.ndarray
    means: np.ndarray
    count: int
    weights: str

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"NeighborFill takes float64, got {self.source}")
        require(self.points.ndim == 2 and self.points.dtype == np.float64, "NeighborFill.points is a float64 matrix")
        require(self.points.shape[1] == self.source.width, "NeighborFill needs a coordinate per column")
        require(len(self.points) and not np.isinf(self.points).any(), "NeighborFill.points are infinite, or none")
        require(self.means.shape == (self.source.width,) and self.means.dtype == np.float64, "NeighborFill.means")
        require(self.weights in WEIGHTS and 0 < self.count < 1 << 31, "NeighborFill of an unknown kind")

    def infer(self) -> ValueType:
        empty = np.isnan(self.points).all(axis=0) | np.isnan(self.means)
        domains = tuple(d if e else Domain(missing=True) for d, e in zip(self.source.domains, empty, strict=True))
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = x.copy()
        for rows, column, distance in self.receivers(x):
            out[rows, column] = self.filled(column, distance)
        return out

    def receivers(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
        """Rows that lack a value, the column, and their distances to the points that have one."""
        gaps, held = np.isnan(x), ~np.isnan(self.points)
        lacking = np.flatnonzero((gaps & held.any(axis=0)).any(axis=1))
        step = max(1, _CELLS // len(self.points))
        for at in range(0, len(lacking), step):
            some = lacking[at : at + step]
            distance = nearest.with_gaps(x[some], self.points)
            for column in np.flatnonzero(gaps[some].any(axis=0) & held.any(axis=0)).tolist():
                mine = np.flatnonzero(gaps[some, column])
                yield some[mine], column, distance[np.ix_(mine, np.flatnonzero(held[:, column]))]

    def filled(self, column: int, distance: np.ndarray) -> np.ndarray:
        """What rows with those distances to the points that have a value of the column are filled with."""
        out = np.full(len(distance), self.means[column])
        near = np.flatnonzero(~np.isnan(distance).all(axis=1))
        if len(near):
            donors = self.donors(column)
            places, weights = self.chosen(distance[near])
            with np.errstate(invalid="ignore", divide="ignore"):
                out[near] = (donors[places] * weights).sum(axis=1) / weights.sum(axis=1)
        return out

    def donors(self, column: int) -> np.ndarray:
        """The values of a column that there are."""
        values = self.points[:, column]
        return np.asarray(values[~np.isnan(values)])

    def chosen(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest points of each row, and how much each counts; both (n, count)."""
        count = min(self.count, distance.shape[1])
        places = np.argpartition(distance, count - 1, axis=1)[:, :count]
        own = np.take_along_axis(distance, places, axis=1)
        if self.weights == "distance":
            with np.errstate(divide="ignore"):
                weights = 1.0 / own
            infinite = np.isinf(weights)
            met = infinite.any(axis=1)
            weights[met] = infinite[met]
            return places, np.where(np.isnan(weights), 0.0, weights)
        absent = np.isnan(own) if self.weights == "present" else np.zeros(own.shape, dtype=bool)
        return places, np.where(absent, 0.0, 1.0)

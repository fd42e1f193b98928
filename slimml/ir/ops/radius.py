"""Neighbours within a radius: which points are that near, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimml.errors import InputError
from slimml.ir import nearest
from slimml.ir.domain import Domain
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType

METHODS = ("direct", "expanded", "partition", "tree")
METRICS = ("euclidean", "manhattan", "chebyshev", "minkowski")
WEIGHTS = ("uniform", "distance")
_RESULT = Domain(missing=True)
_NO_SCALE = np.zeros((0, 0))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WithinRadius(Node):
    """The distances to the points that are no further than `radius`, infinite for the others: float64 (n, m).

    `points`   float64 (m, width)
    `metric`   euclidean, manhattan, chebyshev, minkowski (of power `p`)
    `method`   how distances are rounded, and in which form they are compared: direct and tree (before roots are taken),
               expanded (|x|**2 - 2 x.y + |y|**2, so too), partition (expanded too, else after roots are taken)
    """

    points: np.ndarray
    metric: str
    p: float
    method: str
    radius: float

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"WithinRadius takes float64, got {self.source}")
        require(self.points.ndim == 2 and self.points.dtype == np.float64, "WithinRadius.points is a float64 matrix")
        require(self.points.shape[1] == self.source.width > 0, "WithinRadius needs a coordinate per column")
        require(self.metric in METRICS and self.method in METHODS, "WithinRadius of an unknown kind")
        require(self.p > 0 and self.radius >= 0, "WithinRadius has an odd power or radius")

    def infer(self) -> ValueType:
        return ValueType("float64", (Domain(low=0.0, missing=False),) * len(self.points))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        compared, limit = self.compared(x), self.limit()
        with np.errstate(invalid="ignore"):
            inside = compared <= limit
            return np.where(inside, self.apart(compared), np.inf)

    def compared(self, x: np.ndarray) -> np.ndarray:
        """What is compared with `limit()`, (n, m)."""
        if self.metric == "euclidean" and self.method in ("expanded", "partition"):
            return nearest.expanded(x, self.points)
        values = nearest.reduced_distances(x, self.points, self.metric, self.p, _NO_SCALE)
        return np.asarray(nearest.distances(values, self.metric, self.p)) if self._rooted() else values

    def limit(self) -> float:
        """The radius in the form that is compared."""
        if self.metric == "euclidean":
            return self.radius * self.radius
        return self.radius**self.p if self.metric == "minkowski" and not self._rooted() else self.radius

    def apart(self, compared: np.ndarray) -> np.ndarray:
        """Distances from what is compared."""
        return compared if self._rooted() else np.asarray(nearest.distances(compared, self.metric, self.p))

    def _rooted(self) -> bool:
        return self.method == "partition" and self.metric != "euclidean"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _OfRadius(Node):
    """An op on what WithinRadius answers."""

    weights: str

    def check(self) -> None:
        require_inputs(self, 1)
        require(isinstance(self.inputs[0], WithinRadius), f"{type(self).__name__} reads neighbours")
        require(self.weights in WEIGHTS, f"{type(self).__name__}.weights are unknown")
        require(len(self._table()) == self.source.width, f"{type(self).__name__} needs an entry per point")

    def _table(self) -> np.ndarray:
        raise NotImplementedError

    def counted(self, x: np.ndarray) -> np.ndarray:
        """How much each point counts, (n, m): 1 or 1 / distance, 1 and 0 where a distance is 0; 0 beyond the radius."""
        inside = np.isfinite(x)
        if self.weights == "uniform":
            return np.asarray(inside, dtype=np.float64)
        with np.errstate(divide="ignore"):
            weights = np.where(inside, 1.0 / x, 0.0)
        met = (x == 0).any(axis=1)
        weights[met] = x[met] == 0
        return weights


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RadiusVotes(_OfRadius):
    """The weights of the neighbours of each class, then 1 for rows that have none: (n, classes + 1).

    `labels`    int64 (m,): the class of each point
    `outliers`  the column, of all of these, that a row without neighbours counts 1 in; -1: such rows are refused
    """

    labels: np.ndarray
    classes: int
    outliers: int

    def check(self) -> None:
        _OfRadius.check(self)
        require(self.labels.ndim == 1 and self.labels.dtype == np.int64, "RadiusVotes.labels is int64")
        require(0 < self.classes <= 1 << 20, f"RadiusVotes of {self.classes} classes")
        require(
            not len(self.labels) or 0 <= self.labels.min() <= self.labels.max() < self.classes, "labels of no class"
        )
        require(-1 <= self.outliers <= self.classes, "RadiusVotes.outliers is no column")

    def _table(self) -> np.ndarray:
        return self.labels

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * (self.classes + 1))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        lonely = ~np.isfinite(x).any(axis=1)
        if self.outliers < 0 and lonely.any():
            raise InputError(
                f"row {int(np.flatnonzero(lonely)[0])} has no neighbours within the radius",
                where=self.origin,
                hint="The original raises here too: fit it with a label for outliers, or with a larger radius.",
            )
        total = np.zeros((len(x), self.classes + 1))
        for row, weights in enumerate(self.counted(x)):
            total[row, :-1] = np.bincount(self.labels, weights, minlength=self.classes)
        total[lonely, self.outliers] = 1.0
        return total


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RadiusMeans(_OfRadius):
    """The mean of the neighbours' targets, (n, outputs), or `empty` for rows without neighbours.

    `targets` float64 (m, outputs), `empty` float64 (outputs,).
    """

    targets: np.ndarray
    empty: np.ndarray

    def check(self) -> None:
        _OfRadius.check(self)
        require(self.targets.ndim == 2 and self.targets.dtype == np.float64, "RadiusMeans.targets is float64")
        require(self.empty.shape == self.targets.shape[1:] and self.empty.dtype == np.float64, "RadiusMeans.empty")

    def _table(self) -> np.ndarray:
        return self.targets

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * self.targets.shape[1])

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.tile(self.empty, (len(x), 1))
        inside = np.isfinite(x)
        for row in np.flatnonzero(inside.any(axis=1)).tolist():
            own = self.targets[inside[row]]
            if self.weights == "uniform":
                out[row] = np.mean(own, axis=0)
            else:
                weights = self.counted(x[row : row + 1])[0, inside[row]]
                with np.errstate(invalid="ignore"):
                    out[row] = (own * weights[:, None]).sum(axis=0) / weights.sum()
        return out

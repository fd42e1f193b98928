"""Nearest neighbours: which training rows are nearest, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from slimml.ir import nearest
from slimml.ir.domain import Domain
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.types import ValueType

METHODS = ("direct", "expanded", "partition", "ordered", "ordered_partition", "kd_tree", "ball_tree")
_EXPANDED = ("expanded", "ordered", "ordered_partition")
_PARTITIONED = ("partition", "ordered_partition")
WEIGHTS = ("uniform", "distance")
_RESULT = Domain(missing=True)
# Distances that are held at once.
_CELLS = 1 << 20
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Neighbors(Node):
    """The positions of the `count` points nearest to a row, nearest first, then their distances: float64 (n, 2 count).

    `points`   float64 (m, width)
    `metric`   euclidean, manhattan, chebyshev, minkowski (of power `p`), cosine, seuclidean, mahalanobis
    `scale`    float64: the variances of seuclidean (1, width), the matrix of mahalanobis (width, width), else (0, 0)
    `method`   which of scikit-learn's ways says how distances are rounded, and which of equally near points come first:
               direct or expanded (brute force, |x|**2 - 2 x.y + |y|**2 if expanded), both through a heap; partition
               (brute force, expanded, through numpy's partition); ordered, ordered_partition (as expanded and
               partition, but added up column by column); kd_tree, ball_tree
    of a tree  `order` int64 (m,): points by leaf; `start`, `end` int64 and `leaf` bool (nodes,); `radius` (nodes,);
               `bounds` (2 nodes, width): lower then upper bounds of a KD tree, or (nodes, width): centres
    """

    points: np.ndarray
    metric: str
    p: float
    scale: np.ndarray
    method: str
    count: int
    order: np.ndarray
    start: np.ndarray
    end: np.ndarray
    leaf: np.ndarray
    radius: np.ndarray
    bounds: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"Neighbors takes float64, got {self.source}")
        require(self.points.ndim == 2 and self.points.dtype == np.float64, "Neighbors.points is a float64 matrix")
        require(self.points.shape[1] == self.source.width > 0, "Neighbors needs a coordinate per column")
        require(self.metric in nearest.METRICS and self.method in METHODS, "Neighbors of an unknown kind")
        require(self.p > 0, "Neighbors.p is a positive power")
        partitioned = self.metric in ("cosine", "mahalanobis")
        require(partitioned <= (self.method == "partition"), f"{self.metric} distances are partitioned")
        sides = {"seuclidean": 1, "mahalanobis": self.source.width}.get(self.metric, 0)
        shape = (sides, self.source.width if sides else 0)
        require(self.scale.shape == shape and self.scale.dtype == np.float64, "Neighbors.scale does not fit its metric")
        require(not sides or self.method in ("direct", "partition"), f"{self.metric} distances of a tree")
        require(self.metric == "euclidean" or self.method not in _EXPANDED, "only euclidean distances are expanded")
        require(0 < self.count <= len(self.points), "Neighbors.count is not among the points")
        self._check_tree()

    def _check_tree(self) -> None:
        tree = self.method in ("kd_tree", "ball_tree")
        nodes, m = len(self.start), len(self.points)
        one = all(a.shape == (nodes,) for a in (self.start, self.end, self.leaf, self.radius))
        require(one and self.order.shape == ((m,) if tree else (0,)), "a tree of neighbours has odd arrays")
        sides = 2 if self.method == "kd_tree" else 1
        require(self.bounds.shape == ((sides * nodes, self.source.width) if tree else (0, 0)), "odd bounds of a tree")
        require((nodes > 0) == tree, "a tree of neighbours needs nodes, and nothing else does")
        kinds = {a.dtype.name for a in (self.order, self.start, self.end)}
        require(kinds == {"int64"} and self.leaf.dtype == np.bool_, "a tree of neighbours has arrays of odd dtypes")
        require(self.radius.dtype == self.bounds.dtype == np.float64, "a tree of neighbours has odd bounds")
        if not tree:
            return
        require(0 <= self.order.min() and self.order.max() < m, "a leaf names a point that is not there")
        held = (0 <= self.start) & (self.start <= self.end) & (self.end <= m)
        require(held.all(), "a node of a tree holds points that are not there")
        inner = np.flatnonzero(~self.leaf)
        require(not len(inner) or 2 * int(inner[-1]) + 2 < nodes, "a node of a tree has no children")

    def infer(self) -> ValueType:
        place = Domain(integer=True, low=0.0, high=float(len(self.points) - 1), missing=False)
        return ValueType("float64", (place,) * self.count + (_RESULT,) * self.count)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.empty((len(x), 2 * self.count))
        step = max(1, _CELLS // len(self.points))
        for at in range(0, len(x), step):
            out[at : at + step] = self._some(x[at : at + step])
        return out

    def reduced(self, x: np.ndarray) -> np.ndarray:
        """What the points are compared by, (n, m)."""
        if self.metric == "cosine":
            return nearest.cosines(x, self.points)
        if self.metric == "euclidean" and self.method in ("expanded", "partition"):
            return nearest.expanded(x, self.points)
        if self.method in ("ordered", "ordered_partition"):
            return nearest.expanded_in_order(x, self.points)
        values = nearest.reduced_distances(x, self.points, self.metric, self.p, self.scale)
        return nearest.distances(values, self.metric, self.p) if self.method == "partition" else values

    def _some(self, x: np.ndarray) -> np.ndarray:
        values = self.reduced(x)
        if self.method in _PARTITIONED:
            places = nearest.by_partition(values, self.count)
            found = np.take_along_axis(values, places, axis=1)
            found = np.sqrt(found) if self.metric == "euclidean" else found
            return np.concatenate([places, found], axis=1)
        tree = self.method in ("kd_tree", "ball_tree")
        empty = math.inf if tree else _LARGEST
        walk = self._walk() if tree else None

        def replay(row: int) -> nearest.Heap:
            if walk is not None:
                return walk.heap(x[row], values[row], self.count)
            return nearest.pushed(values[row], self.count, empty)

        places, found = nearest.by_heap(values, self.count, empty, replay)
        return np.concatenate([places, nearest.distances(found, self.metric, self.p)], axis=1)

    def _walk(self) -> nearest.Walk:
        bounds = self.bounds.reshape(-1, len(self.start), self.source.width)
        p = {"euclidean": 2.0, "manhattan": 1.0}.get(self.metric, self.p)
        return nearest.Walk(self.order, self.start, self.end, self.leaf, self.radius, bounds, self.metric, p)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _OfNeighbors(Node):
    """An op on what Neighbors answers."""

    weights: str

    def check(self) -> None:
        require_inputs(self, 1)
        require(isinstance(self.inputs[0], Neighbors), f"{type(self).__name__} reads neighbours")
        require(self.weights in WEIGHTS, f"{type(self).__name__}.weights are unknown")
        require(len(self._table()) == len(self._neighbors.points), f"{type(self).__name__} needs an entry per point")

    @property
    def _neighbors(self) -> Neighbors:
        found = self.inputs[0]
        assert isinstance(found, Neighbors)
        return found

    def _table(self) -> np.ndarray:
        raise NotImplementedError

    def split(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Positions int64 (n, k), and weights (n, k): 1 / distance, or 1 and 0 where a distance is 0; None if equal."""
        k = self._neighbors.count
        places = x[:, :k].astype(np.int64)
        if self.weights == "uniform":
            return places, None
        with np.errstate(divide="ignore"):
            weights = 1.0 / x[:, k:]
        infinite = np.isinf(weights)
        met = infinite.any(axis=1)
        weights[met] = infinite[met]
        return places, weights


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class NeighborVotes(_OfNeighbors):
    """The weights of the neighbours of each class, (n, classes); labels int64 (m,): the class of each point.

    `paired`: added up as numpy adds a row, with zeros for other classes (`predict`), else one neighbour after another.
    """

    labels: np.ndarray
    classes: int
    paired: bool

    def check(self) -> None:
        _OfNeighbors.check(self)
        require(self.labels.ndim == 1 and self.labels.dtype == np.int64, "NeighborVotes.labels is int64")
        require(0 < self.classes <= 1 << 20, f"NeighborVotes of {self.classes} classes")
        require(0 <= self.labels.min() and self.labels.max() < self.classes, "NeighborVotes.labels of no class")

    def _table(self) -> np.ndarray:
        return self.labels

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * self.classes)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        places, weights = self.split(x)
        voted = self.labels[places]
        weights = np.ones(voted.shape) if weights is None else weights
        if self.paired:
            return np.stack([np.where(voted == c, weights, 0.0).sum(axis=1) for c in range(self.classes)], axis=1)
        total = np.zeros((len(x), self.classes))
        for i in range(voted.shape[1]):
            total[np.arange(len(x)), voted[:, i]] += weights[:, i]
        return total


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class NeighborMeans(_OfNeighbors):
    """The mean of the neighbours' targets, (n, outputs); targets float64 (m, outputs)."""

    targets: np.ndarray

    def check(self) -> None:
        _OfNeighbors.check(self)
        require(self.targets.ndim == 2 and self.targets.dtype == np.float64, "NeighborMeans.targets is float64")

    def _table(self) -> np.ndarray:
        return self.targets

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * self.targets.shape[1])

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        places, weights = self.split(x)
        if weights is None:
            return np.asarray(np.mean(self.targets[places], axis=1))
        with np.errstate(invalid="ignore"):
            sums = [np.sum(self.targets[places, j] * weights, axis=1) for j in range(self.targets.shape[1])]
            return np.asarray(np.stack(sums, axis=1) / np.sum(weights, axis=1)[:, None])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OutlierFactor(Node):
    """How much denser than a row its neighbours lie, on average (the local outlier factor): (n, 1)

    `reach` float64 (m,): how far each point's own neighbours reach; `density` float64 (m,): how densely it lies.
    """

    reach: np.ndarray
    density: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        near = self.inputs[0]
        require(isinstance(near, Neighbors), "OutlierFactor reads neighbours")
        assert isinstance(near, Neighbors)
        for value in (self.reach, self.density):
            require(value.shape == (len(near.points),) and value.dtype == np.float64, "OutlierFactor: one per point")

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        k = x.shape[1] // 2
        places = x[:, :k].astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            own = 1.0 / (np.mean(self.reached(x), axis=1) + 1e-10)
            return np.asarray(np.mean(self.density[places] / own[:, None], axis=1)[:, None])

    def reached(self, x: np.ndarray) -> np.ndarray:
        """How far away each neighbour counts: its distance, or as far as its own neighbours reach; (n, k)."""
        k = x.shape[1] // 2
        return np.asarray(np.maximum(x[:, k:], self.reach[x[:, :k].astype(np.int64)]))

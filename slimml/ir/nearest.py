"""The k nearest of many points as scikit-learn finds them, ties included.

Distances come first, for all points at once and bit for bit. They alone say which points are nearest wherever no two of
them are equal. Where some are, the heap and the walk of the original (utils/_heap.pyx, utils/_sorting.pyx,
neighbors/_binary_tree.pxi.tp) are played back for that row: which of the equal ones stays is a matter of their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

METRICS = ("euclidean", "manhattan", "chebyshev", "minkowski", "cosine", "seuclidean", "mahalanobis")
# Those compared by their squares.
_SQUARED = ("euclidean", "seuclidean", "mahalanobis")
# Nearer than this to each other, relative to their size, a tree's bounds may cut off the one and not the other.
_NEAR_TIE = 1e-9
_SMALL_SORT = 15
# Cells of a block of distances.
_BLOCK = 1 << 18

Array = np.ndarray
_NO_SCALE = np.zeros((0, 0))


@dataclass(slots=True)
class Heap:
    """The k smallest values pushed so far, largest first; `index` says which point each belongs to."""

    value: list[float]
    index: list[int]

    def push(self, value: float, index: int) -> None:
        """Take a value that is smaller than the largest, which it drives out."""
        values, indices = self.value, self.index
        if not value < values[0]:
            return
        at, size = 0, len(values)
        while (left := 2 * at + 1) < size:
            right = left + 1
            # Of two equal children the left one rises.
            child = left if right >= size or values[left] >= values[right] else right
            if not value < values[child]:
                break
            values[at], indices[at] = values[child], indices[child]
            at = child
        values[at], indices[at] = value, index

    def sorted(self) -> tuple[list[float], list[int]]:
        """Values and indices, smallest first, in the order in which the original's sort leaves equal ones."""
        _sort(self.value, self.index, 0, len(self.value), 2 * int(math.log2(len(self.value))))
        return self.value, self.index


def reduced_distances(x: Array, points: Array, metric: str, p: float, scale: Array) -> Array:
    """What distances are compared by (for euclidean ones their squares), (n, k), added up column by column as C does.

    `scale`: (1, width), the variances of seuclidean; (width, width), the matrix of mahalanobis.
    """
    if metric == "mahalanobis":
        return _quadratic(x, points, scale)
    total = np.zeros((len(x), len(points)))
    with np.errstate(over="ignore", invalid="ignore"):
        for c in range(x.shape[1]):
            apart = x[:, c, None] - points[None, :, c]
            if metric == "euclidean":
                total += apart * apart
            elif metric == "seuclidean":
                total += apart * apart / scale[0, c]
            elif metric == "manhattan":
                total += np.abs(apart)
            elif metric == "chebyshev":
                np.maximum(total, np.abs(apart), out=total)
            else:
                total += _powers(np.abs(apart), p)
    return total


def _quadratic(x: Array, points: Array, matrix: Array) -> Array:
    """(x - p).T @ matrix @ (x - p), (n, k), each sum in the order of its terms."""
    total = np.zeros((len(x), len(points)))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = [x[:, c, None] - points[None, :, c] for c in range(x.shape[1])]
        for row, own in zip(matrix, apart, strict=True):
            inner = np.zeros_like(total)
            for weight, other in zip(row, apart, strict=True):
                inner += weight * other
            total += inner * own
    return total


def distances(reduced: Array, metric: str, p: float) -> Array:
    """Distances from what they are compared by."""
    if metric in _SQUARED:
        return np.asarray(np.sqrt(reduced))
    return np.asarray(reduced ** (1.0 / p)) if metric == "minkowski" else reduced


def expanded(x: Array, points: Array) -> Array:
    """Squared distances as |x|**2 - 2 x.p + |p|**2, as brute force has them; 0 where rounding makes them negative."""
    with np.errstate(over="ignore", invalid="ignore"):
        own, other = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", points, points)
        total = own[:, None] + -2.0 * (x @ points.T) + other[None, :]
        return np.asarray(np.where(total > 0.0, total, 0.0))


def expanded_in_order(x: Array, points: Array) -> Array:
    """The same, each sum in the order of its columns, as sparse rows have them: what is not stored adds nothing."""
    own, other, product = np.zeros(len(x)), np.zeros(len(points)), np.zeros((len(x), len(points)))
    with np.errstate(over="ignore", invalid="ignore"):
        for c in range(x.shape[1]):
            own += x[:, c] * x[:, c]
            other += points[:, c] * points[:, c]
            product += x[:, c, None] * points[None, :, c]
        total = -2.0 * product + own[:, None] + other[None, :]
        return np.asarray(np.where(total > 0.0, total, 0.0))


def with_gaps(x: Array, points: Array) -> Array:
    """Distances over the columns that neither lacks, as of all columns; NaN where there are none (nan_euclidean)."""
    gaps_x, gaps_points = np.isnan(x), np.isnan(points)
    x, points = np.where(gaps_x, 0.0, x), np.where(gaps_points, 0.0, points)
    with np.errstate(over="ignore", invalid="ignore"):
        total = expanded(x, points)
        total -= (x * x) @ gaps_points.T
        total -= gaps_x @ (points * points).T
        total = np.clip(total, 0.0, None)
        shared = (1 - gaps_x) @ (~gaps_points).T
        total[shared == 0] = np.nan
        return np.asarray(np.sqrt(total / np.maximum(1, shared) * x.shape[1]))


def cosines(x: Array, points: Array) -> Array:
    """1 - the cosine of the angle, from 0 to 2."""
    return np.asarray(np.clip(_unit(x) @ _unit(points).T * -1.0 + 1.0, 0.0, 2.0))


def _unit(x: Array) -> Array:
    norm = np.sqrt(np.einsum("ij,ij->i", x, x))
    return np.asarray(x / np.where(norm == 0.0, 1.0, norm)[:, None])


def by_partition(values: Array, k: int) -> Array:
    """The positions of the k smallest of each row, nearest first, as numpy partitions and sorts them."""
    rows = np.arange(len(values))[:, None]
    chosen = np.argpartition(values, k - 1, axis=1)[:, :k]
    return np.asarray(chosen[rows, np.argsort(values[rows, chosen])])


def by_heap(values: Array, k: int, empty: float, replay: Callable[[int], Heap]) -> tuple[Array, Array]:
    """The positions and values of the k smallest of each row, nearest first.

    `replay(row)` is asked where values tie; `empty` is what the heap holds before anything is pushed.
    """
    count = values.shape[1]
    top = min(k + 1, count)
    near = np.argpartition(values, top - 1, axis=1)[:, :top]
    own = np.take_along_axis(values, near, axis=1)
    order = np.argsort(own, axis=1, kind="stable")
    near, own = np.take_along_axis(near, order, axis=1), np.take_along_axis(own, order, axis=1)
    with np.errstate(invalid="ignore"):
        gaps = np.diff(own, axis=1)
        tied = ~(gaps > 0).all(axis=1) | ~(own[:, k - 1] < empty)
        if top > k:
            tied |= ~(gaps[:, -1] > _NEAR_TIE * own[:, -1])
    near, own = near[:, :k].copy(), own[:, :k].copy()
    for row in np.flatnonzero(tied).tolist():
        own[row], near[row] = replay(row).sorted()
    return near, own


def pushed(values: Array, k: int, empty: float) -> Heap:
    """A heap after all values have been pushed in their order."""
    heap = Heap([empty] * k, [0] * k)
    for start in range(0, len(values), 256):
        block = values[start : start + 256]
        for at in np.flatnonzero(block < heap.value[0]).tolist():
            heap.push(float(block[at]), start + at)
    return heap


def _powers(x: Array, p: float) -> Array:
    # C's pow; numpy's differs from it in last bits.
    flat = [_power(v, p) for v in x.ravel().tolist()]
    return np.array(flat).reshape(x.shape)


def _power(x: float, p: float) -> float:
    try:
        return math.pow(x, p)
    except OverflowError:
        return math.inf


# ---------------------------------------------------------------------------------------------------------------- trees


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A KD tree (bounds (2, nodes, width)) or a ball tree (centres (1, nodes, width)), to be walked depth first.

    Children of node i are 2 i + 1 and 2 i + 2. `order`: points by leaf; a node holds order[start:end].
    """

    order: Array
    start: Array
    end: Array
    leaf: Array
    radius: Array
    bounds: Array
    metric: str
    p: float

    def heap(self, x: Array, values: Array, k: int) -> Heap:
        """The heap after the walk for one row; `values`: its reduced distances to all points."""
        heap = Heap([math.inf] * k, [0] * k)
        stack = [(self._least(x, 0), 0)]
        while stack:
            bound, node = stack.pop()
            if bound > heap.value[0]:
                continue
            if self.leaf[node]:
                held = self.order[self.start[node] : self.end[node]]
                for value, index in zip(values[held].tolist(), held.tolist(), strict=True):
                    heap.push(value, index)
                continue
            left, right = 2 * node + 1, 2 * node + 2
            one, other = (self._least(x, left), left), (self._least(x, right), right)
            # The nearer child first: it is pushed last.
            stack += [other, one] if one[0] <= other[0] else [one, other]
        return heap

    def _least(self, x: Array, node: int) -> float:
        """The smallest reduced distance that a point of a node may have."""
        if len(self.bounds) == 1:
            reduced = reduced_distances(x[None, :], self.bounds[0, node][None, :], self.metric, self.p, _NO_SCALE)
            apart = float(distances(reduced, self.metric, self.p)[0, 0]) if self.metric != "minkowski" else _power(
                float(reduced[0, 0]), 1.0 / self.p)  # fmt: skip
            return self._reduced(max(0.0, apart - float(self.radius[node])))
        with np.errstate(over="ignore"):
            low, high = self.bounds[0, node] - x, x - self.bounds[1, node]
            outside = (0.5 * ((low + np.abs(low)) + (high + np.abs(high)))).tolist()
        if self.metric == "chebyshev":
            return max(outside, default=0.0)
        total = 0.0
        for value in outside:
            total += _power(value, self.p)
        return total

    def _reduced(self, apart: float) -> float:
        if self.metric == "euclidean":
            return apart * apart
        return _power(apart, self.p) if self.metric == "minkowski" else apart


# ------------------------------------------------------------------------------------------------------------- sorting


def _sort(values: list[float], indices: list[int], first: int, count: int, depth: int) -> None:
    """Introsort of values[first:first + count], moving indices along."""
    while count > _SMALL_SORT:
        if depth <= 0:
            _heapsort(values, indices, first, count)
            return
        depth -= 1
        pivot = _median(values, indices, first, count)
        i, j = first + 1, first + count - 2
        while True:
            while i <= j and values[i] < pivot:
                i += 1
            while i <= j and values[j] > pivot:
                j -= 1
            if i >= j:
                break
            _swap(values, indices, i, j)
            i, j = i + 1, j - 1
        _swap(values, indices, i, first + count - 1)
        _sort(values, indices, first, i - first, depth)
        first, count = i + 1, first + count - i - 1
    order = sorted(range(first, first + count), key=values.__getitem__)  # as stable as an insertion sort
    values[first : first + count], indices[first : first + count] = (
        [values[i] for i in order],
        [indices[i] for i in order],
    )


def _median(values: list[float], indices: list[int], first: int, count: int) -> float:
    """The median of the ends and the middle, moved to the end."""
    last, middle = first + count - 1, first + count // 2
    if values[first] > values[last]:
        _swap(values, indices, first, last)
    if values[last] > values[middle]:
        _swap(values, indices, last, middle)
        if values[first] > values[last]:
            _swap(values, indices, first, last)
    return values[last]


def _heapsort(values: list[float], indices: list[int], first: int, count: int) -> None:
    for start in range((count - 2) // 2, -1, -1):
        _sift(values, indices, first, start, count)
    for end in range(count - 1, 0, -1):
        _swap(values, indices, first, first + end)
        _sift(values, indices, first, 0, end)


def _sift(values: list[float], indices: list[int], first: int, root: int, end: int) -> None:
    while True:
        largest = root
        for child in (2 * root + 1, 2 * root + 2):
            if child < end and values[first + largest] < values[first + child]:
                largest = child
        if largest == root:
            return
        _swap(values, indices, first + root, first + largest)
        root = largest


def _swap(values: list[float], indices: list[int], i: int, j: int) -> None:
    values[i], values[j] = values[j], values[i]
    indices[i], indices[j] = indices[j], indices[i]

"""k nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import dense_matrix, est_array, labels
from slimml.frontends.sklearn.linear import classifier
from slimml.ingest.record import Record, Symbol
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.heads import ArgMax, NormalizeRows
from slimml.ir.ops.neighbors import NeighborMeans, Neighbors, NeighborVotes
from slimml.ir.ops.numeric import Guard
from slimml.schema import REFUSED, ZERO

_METRICS = {
    **dict.fromkeys(("euclidean", "l2"), ("euclidean", 2.0)),
    **dict.fromkeys(("manhattan", "cityblock", "l1"), ("manhattan", 1.0)),
    **dict.fromkeys(("chebyshev", "infinity"), ("chebyshev", np.inf)),
    "cosine": ("cosine", 2.0),
}
# Metrics with an array of their own, and its name.
_SCALES = {"seuclidean": "V", "mahalanobis": "VI"}
_TREES = {"kd_tree": "KDTree", "ball_tree": "BallTree"}


@lowers(
    "sklearn.neighbors._classification.KNeighborsClassifier", "sklearn.neighbors.classification.KNeighborsClassifier"
)
def k_neighbors_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Trees and brute force, ties as the original breaks them; a metric or weights of one's own are refused."""
    several = bool(est.outputs_2d_)
    tables, voted = classes_and_votes(est, ctx)
    near = nearest_rows(est, x, ctx)
    votes = [_votes(est, near, voted[:, j], len(t), False, ctx) for j, t in enumerate(tables)]
    shares = tuple(NormalizeRows(inputs=(v,), origin=ctx.where) for v in votes)
    if est.weights == "distance":
        votes = [_votes(est, near, voted[:, j], len(t), True, ctx) for j, t in enumerate(tables)]
    choices = tuple(ArgMax(inputs=(v,), origin=ctx.where) for v in votes)
    if not several:
        return classifier(tables[0], None, choices[0], shares[0], log=False)
    choice = Concat(inputs=choices, origin=ctx.where)
    return Model((Output("predict", (choice,), "matrix", tables), Output("predict_proba", shares, "list")), tables)


def classes_and_votes(est: Record, ctx: Lowerer) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The classes of each target, and the position of each training row's class among them, integers (m, targets)."""
    tables = tuple(labels(c, ctx) for c in est.classes_) if est.outputs_2d_ else (labels(est.classes_, ctx),)
    voted = est_array(est, "_y", ctx)
    voted = voted.reshape(len(voted), -1)
    if voted.shape[1] != len(tables) or voted.dtype.kind not in "iu":
        raise ctx.unsupported(f"_y of shape {voted.shape} for {len(tables)} targets")
    return tables, voted


@lowers("sklearn.neighbors._regression.KNeighborsRegressor", "sklearn.neighbors.regression.KNeighborsRegressor")
def k_neighbors_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Trees and brute force, ties as the original breaks them; a metric or weights of one's own are refused."""
    targets = est_array(est, "_y", ctx)
    # Equal weights average in the dtype of the targets, distances in float64 (KNeighborsRegressor.predict).
    narrow = targets.dtype == np.float32 and est.get("weights") != "distance"
    if targets.ndim not in (1, 2) or targets.dtype.kind not in "biuf" or narrow:
        raise ctx.unsupported(f"targets of dtype {targets.dtype} and shape {targets.shape}")
    near = nearest_rows(est, x, ctx)
    table = targets.reshape(len(targets), -1).astype(np.float64)
    _check_length(table, near, ctx)
    mean = NeighborMeans(inputs=(near,), targets=table, weights=_weights(est, ctx), origin=ctx.where)
    return Model((Output("predict", (mean,), "vector" if targets.ndim == 1 else "matrix"),))


def _votes(est: Record, near: Neighbors, voted: np.ndarray, classes: int, paired: bool, ctx: Lowerer) -> Node:
    _check_length(voted, near, ctx)
    if len(voted) and not 0 <= voted.min() <= voted.max() < classes:
        raise ctx.unsupported("_y names classes that are not there")
    codes = np.ascontiguousarray(voted, dtype=np.int64)
    weights = _weights(est, ctx)
    return NeighborVotes(
        inputs=(near,), labels=codes, classes=classes, weights=weights, paired=paired, origin=ctx.where
    )


def _check_length(table: np.ndarray, near: Neighbors, ctx: Lowerer) -> None:
    if len(table) != len(near.points):
        raise ctx.unsupported(f"{len(table)} targets for {len(near.points)} training rows")


def _weights(est: Record, ctx: Lowerer) -> str:
    weights = est.get("weights")
    if weights not in ("uniform", "distance", None):
        raise ctx.unsupported("weights that are a function of the user's own")
    return weights or "uniform"


def nearest_rows(est: Record, x: Source, ctx: Lowerer, count: Any = None) -> Neighbors:
    """The nearest training rows, `count` of them; by default as many as it votes among."""
    ctx.check_width(est, x)
    sparse = hasattr(est.get("_fit_X"), "toarray")
    if isinstance(x, Node) and (x.type.layout == "csr") != sparse:
        raise ctx.unsupported("sparse rows beside dense training rows, or the other way round")
    metric, p = metric_of(est, ctx)
    scale = _scale(est, metric, ctx)
    method = est.get("_fit_method")
    points = dense_matrix(est, "_fit_X", ctx)
    block = _block(est, x, ctx)
    if points.shape[1] != block.type.width or not block.type.width or not np.isfinite(points).all():
        raise ctx.unsupported(f"training rows {points.shape} do not fit {block.type.width} columns")
    count = est.n_neighbors if count is None else count
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 0 < count <= len(points):
        raise ctx.unsupported(f"{count!r:.20} neighbours among {len(points)} training rows")
    tree = no_tree()
    if method in _TREES:
        if scale.size:
            raise ctx.unsupported(f"the metric {metric} in a {method}")
        tree = _tree(est, method, points, ctx)
    elif method != "brute":
        raise ctx.unsupported(f"the method {method!r:.40}")
    else:
        method = _brute(metric, est._fit_X.dtype, sparse, ctx)
    if scale.size and scale.shape[1] != block.type.width:
        raise ctx.unsupported(f"a metric {metric} of {scale.shape[1]} columns for {block.type.width}")
    return Neighbors(
        inputs=(block,),
        points=points,
        metric=metric,
        p=p,
        scale=scale,
        method=method,
        count=int(count),
        origin=ctx.where,
        **tree,
    )


def _brute(metric: str, dtype: np.dtype, sparse: bool, ctx: Lowerer) -> str:
    """How brute force adds distances up, and chooses.

    `is_usable_for` of metrics/_pairwise_distances_reduction/_dispatcher.py.
    """
    if not sparse:
        # Up to 1.1, and of rows of floats beside training rows of integers, numpy chooses.
        if metric in ("cosine", "mahalanobis") or dtype.kind != "f" or ctx.version < (1, 1):
            return "partition"
        return "expanded" if metric == "euclidean" else "direct"
    # From 1.2 on the reductions take sparse rows, from 1.4 on not for euclidean distances.
    if metric == "euclidean":
        return "ordered" if (1, 2) <= ctx.version < (1, 4) else "ordered_partition"
    if metric != "manhattan":
        raise ctx.unsupported(f"the metric {metric} of sparse rows")
    return "direct" if ctx.version >= (1, 2) else "partition"


def _block(est: Record, x: Source, ctx: Lowerer) -> Node:
    """The numbers, without what is so far from all rows that every weight is 0: there the classifier raises."""
    empty = ZERO if hasattr(est.get("_fit_X"), "toarray") else REFUSED
    block, (metric, p) = ctx.floats(x, finite="all", sparse=empty), metric_of(est, ctx)
    raises = est.name == "KNeighborsClassifier" and est.get("weights") == "distance" and 1 < p < np.inf
    # A heap that takes nothing keeps finite distances, and cosines are finite.
    if raises and est.get("_fit_method") == "brute":
        sparse = hasattr(est.get("_fit_X"), "toarray")
        method = _brute(metric, est._fit_X.dtype, sparse, ctx)
        raises = "partition" in method and metric in ("euclidean", "minkowski", "seuclidean")
    if not raises or not isinstance(block, Guard):
        return block
    far = np.full(block.type.width, np.finfo(np.float64).max ** (1.0 / p))
    return Guard(inputs=block.inputs, low=-far, high=far, missing=block.missing, names=block.names, origin=ctx.where)


def metric_of(est: Record, ctx: Lowerer) -> tuple[str, float]:
    """The metric of a fitted machine of neighbours, and its power."""
    name, options = est.get("effective_metric_"), est.get("effective_metric_params_") or {}
    if not isinstance(name, str) or not isinstance(options, dict):
        raise ctx.unsupported("a metric that is a function of the user's own")
    given = {k: v for k, v in options.items() if v is not None}
    if name == "minkowski" and set(given) == {"p"}:
        p = float(given["p"])
        if not 0 < p < np.inf:
            raise ctx.unsupported(f"the minkowski metric of power {p}")
        return "minkowski", p
    if name in _SCALES and set(given) - {"p"} == {_SCALES[name]}:
        return name, 2.0
    if name not in _METRICS or set(given) - {"p"}:
        raise ctx.unsupported(f"the metric {name!r:.40}" + (f" with {', '.join(map(str, given))}" if given else ""))
    return _METRICS[name]


def _scale(est: Record, metric: str, ctx: Lowerer) -> np.ndarray:
    """The variances of seuclidean (1, width), the matrix of mahalanobis (width, width); (0, 0) for the others."""
    if metric not in _SCALES:
        return np.zeros((0, 0))
    given = est.effective_metric_params_[_SCALES[metric]]
    given = np.asarray(given, dtype=np.float64) if isinstance(given, list | np.ndarray) else np.zeros(0)
    square = given.ndim == 2 and given.shape[0] == given.shape[1]
    if not given.size or not np.isfinite(given).all() or (not square if metric == "mahalanobis" else given.ndim != 1):
        raise ctx.unsupported(f"{_SCALES[metric]} of shape {given.shape}")
    if metric == "seuclidean" and given.min() <= 0:
        raise ctx.unsupported("variances that are not positive")
    return np.ascontiguousarray(np.atleast_2d(given))


def no_tree() -> dict[str, np.ndarray]:
    """The arrays of a tree, for neighbours that are found without one."""
    whole, number = np.zeros(0, dtype=np.int64), np.zeros(0)
    flat = {"order": whole, "start": whole, "end": whole, "leaf": np.zeros(0, dtype=bool), "radius": number}
    return flat | {"bounds": np.zeros((0, 0))}


def _tree(est: Record, method: str, points: np.ndarray, ctx: Lowerer) -> dict[str, np.ndarray]:
    """The arrays of a pickled KDTree or BallTree: BinaryTree.__getstate__ of neighbors/_binary_tree.pxi.tp."""
    tree: Any = est.get("_tree")
    kind = tree.args[0] if isinstance(tree, Record) and len(tree.args) == 1 else None
    names = {_TREES[method], _TREES[method] + "64"}
    if ctx.version < (0, 20):  # which name the base class, of the same module
        names.add("BinaryTree")
    known = isinstance(kind, Symbol) and kind.name in names and kind.module.endswith(method)
    if not known or not isinstance(tree.state, tuple) or len(tree.state) < 12:
        raise ctx.unsupported(f"its {method} is not what scikit-learn pickles")
    data, order, nodes, bounds = tree.state[:4]
    wanted = {"idx_start", "idx_end", "is_leaf", "radius"}
    arrays = all(isinstance(a, np.ndarray) for a in (data, order, nodes, bounds))
    if not arrays or not wanted <= set(nodes.dtype.names or ()) or nodes.ndim != 1 or bounds.ndim != 3:
        raise ctx.unsupported(f"its {method} does not have the arrays that it should")
    if not np.array_equal(data, points) or order.shape != (len(points),):
        raise ctx.unsupported(f"its {method} holds other rows than it was fitted on")
    sides, count, width = bounds.shape
    if (sides, count, width) != (2 if method == "kd_tree" else 1, len(nodes), points.shape[1]):
        raise ctx.unsupported(f"the bounds of its {method} do not fit its nodes")
    if sorted(order.tolist()) != list(range(len(points))):
        raise ctx.unsupported(f"the leaves of its {method} do not hold every row once")
    start, end = (np.ascontiguousarray(nodes[n], dtype=np.int64) for n in ("idx_start", "idx_end"))
    leaf = nodes["is_leaf"] != 0
    inner = np.flatnonzero(~leaf)
    if ((start < 0) | (start > end) | (end > len(points))).any() or (len(inner) and 2 * inner[-1] + 2 >= len(nodes)):
        raise ctx.unsupported(f"the nodes of its {method} contradict each other")
    radius = np.ascontiguousarray(nodes["radius"], dtype=np.float64)
    flat = np.ascontiguousarray(bounds.reshape(-1, width), dtype=np.float64)
    return {"order": order.astype(np.int64), "start": start, "end": end, "leaf": leaf, "radius": radius, "bounds": flat}

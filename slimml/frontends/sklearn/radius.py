"""Neighbours within a radius."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import dense_matrix, est_array
from slimml.frontends.sklearn.linear import classifier
from slimml.frontends.sklearn.members import beside, columns
from slimml.frontends.sklearn.neighbors import classes_and_votes, metric_of
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, NormalizeRows
from slimml.ir.ops.radius import METRICS, RadiusMeans, RadiusVotes, WithinRadius


@lowers(*moved("sklearn.neighbors._classification", "RadiusNeighborsClassifier"))
def radius_neighbors_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Trees and brute force on dense rows, outliers as the original labels or refuses them."""
    several = bool(est.outputs_2d_)
    tables, voted = classes_and_votes(est, ctx)
    if _class_mode(est, ctx) and tables[0].dtype.kind not in "biuf":
        raise ctx.unsupported("classes that are no numbers, for which the original raises when an array comes in")
    near = _within(est, x, ctx)
    names = _outlier_labels(est, len(tables), ctx)
    votes = [_votes(est, near, voted[:, j], t, names and names[j], ctx) for j, t in enumerate(tables)]
    choices = [ArgMax(inputs=(v,), origin=ctx.where) for v in votes]
    # What a row without neighbours is called stands behind the classes.
    called = tuple(_with_label(t, names and names[j]) for j, t in enumerate(tables))
    shares = tuple(
        NormalizeRows(inputs=(columns(v, range(len(t)), ctx),), empty="kept", origin=ctx.where)
        for v, t in zip(votes, tables, strict=True)
    )
    predict = Output("predict", (beside(choices, ctx),), "matrix" if several else "vector", called)
    if ctx.version < (0, 22):
        return Model((predict,), tables)
    if several:
        return Model((predict, Output("predict_proba", shares, "list")), tables)
    one = classifier(tables[0], None, choices[0], shares[0], log=False)
    return Model((predict, *one.outputs[1:]), tables)


@lowers(*moved("sklearn.neighbors._regression", "RadiusNeighborsRegressor"))
def radius_neighbors_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Trees and brute force on dense rows; rows without neighbours answer what the original does."""
    targets = est_array(est, "_y", ctx)
    if targets.ndim not in (1, 2) or targets.dtype.kind not in "iuf" or targets.dtype == np.float32:
        raise ctx.unsupported(f"targets of dtype {targets.dtype} and shape {targets.shape}")
    near, table = _within(est, x, ctx), targets.reshape(len(targets), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of whole numbers none is NaN
        empty = np.full_like(table[:1], np.nan)[0].astype(np.float64)
    weights = _weights(est, ctx)
    if ctx.version < (0, 20):  # the mean of nothing was taken, which is NaN, and raises where it is weighted
        empty = np.full(table.shape[1], np.nan)
    mean: Node = RadiusMeans(
        inputs=(near,), targets=table.astype(np.float64), weights=weights, empty=empty, origin=ctx.where
    )
    if ctx.version < (0, 20) and weights == "distance":
        mean = ctx.guard(mean, "all")
    return Model((Output("predict", (mean,), "vector" if targets.ndim == 1 else "matrix"),))


def _within(est: Record, x: Source, ctx: Lowerer) -> WithinRadius:
    ctx.check_width(est, x)
    if hasattr(est.get("_fit_X"), "toarray") or (isinstance(x, Node) and x.type.layout == "csr"):
        raise ctx.unsupported("sparse rows")
    points = dense_matrix(est, "_fit_X", ctx)
    # RadiusNeighborsClassMode looks for no missing values, and finds rows that hold them far from all others.
    block = ctx.floats(x, finite="any" if _class_mode(est, ctx) else "all")
    metric, p = metric_of(est, ctx)
    if points.shape[1] != block.type.width or not points.size or not np.isfinite(points).all():
        raise ctx.unsupported(f"training rows {points.shape} do not fit {block.type.width} columns")
    radius = est.radius
    if isinstance(radius, bool) or not isinstance(radius, int | float | np.number) or not radius >= 0:
        raise ctx.unsupported(f"the radius {radius!r:.40}")
    if metric not in METRICS:
        raise ctx.unsupported(f"the metric {metric} within a radius")
    return WithinRadius(
        inputs=(block,),
        points=points,
        metric=metric,
        p=p,
        method=_method(est, metric, ctx),
        radius=float(radius),
        origin=ctx.where,
    )


def _method(est: Record, metric: str, ctx: Lowerer) -> str:
    """How distances are rounded (`is_usable_for` of metrics/_pairwise_distances_reduction, from 1.1 on)."""
    if est.get("_fit_method") in ("kd_tree", "ball_tree"):
        return "tree"
    if est.get("_fit_method") != "brute":
        raise ctx.unsupported(f"the method {est.get('_fit_method')!r:.40}")
    if ctx.version < (1, 1) or est._fit_X.dtype.kind != "f":
        return "partition"
    return "expanded" if metric == "euclidean" else "direct"


def _weights(est: Record, ctx: Lowerer) -> str:
    weights = est.get("weights")
    if weights not in ("uniform", "distance", None):
        raise ctx.unsupported("weights that are a function of the user's own")
    return weights or "uniform"


def _outlier_labels(est: Record, targets: int, ctx: Lowerer) -> list[Any] | None:
    """What rows without neighbours are called, for each target; None where they are refused."""
    if ctx.version < (0, 22):
        label = est.get("outlier_label")
        several = isinstance(label, list | tuple | np.ndarray)
        names = None if label is None else list(label) if several else [label] * targets
        if names is not None and len(names) != targets:
            raise ctx.unsupported(f"{len(names)} labels for the outliers of {targets} targets")
        return names
    if est.outlier_label_ is None:
        return None
    names = list(est.outlier_label_)
    if len(names) != targets:
        raise ctx.unsupported(f"{len(names)} labels for the outliers of {targets} targets")
    return names


def _votes(est: Record, near: Node, voted: np.ndarray, table: np.ndarray, label: Any, ctx: Lowerer) -> Node:
    codes = np.ascontiguousarray(voted, dtype=np.int64)
    if len(codes) != near.type.width or (len(codes) and not 0 <= codes.min() <= codes.max() < len(table)):
        raise ctx.unsupported("_y names classes or rows that are not there")
    column = _outlier_column(est, table, label, ctx) if label is not None else -1
    return RadiusVotes(
        inputs=(near,),
        labels=codes,
        classes=len(table),
        outliers=column,
        weights=_weights(est, ctx),
        origin=ctx.where,
    )


def _outlier_column(est: Record, table: np.ndarray, label: Any, ctx: Lowerer) -> int:
    """The class that a row without neighbours is of for sure; the last column where that is none.

    From 1.4 on RadiusNeighborsClassMode answers for brute force, equal weights and distances that are not euclidean,
    and that compares what was given for the label with positions among the classes.
    """
    known = np.arange(len(table)) if _class_mode(est, ctx) else table
    wanted = est.get("outlier_label") if _class_mode(est, ctx) else label
    same = [i for i, v in enumerate(known.tolist()) if not isinstance(wanted, list | np.ndarray) and v == wanted]
    return same[0] if len(same) == 1 and ctx.version >= (0, 22) else len(table)


def _class_mode(est: Record, ctx: Lowerer) -> bool:
    """Whether RadiusNeighborsClassMode answers, which it does for arrays alone: of frames a model keeps the names."""
    if est.name != "RadiusNeighborsClassifier" or est.has("feature_names_in_"):
        return False
    brute = est.get("_fit_method") == "brute" and not est.outputs_2d_ and est.get("weights") == "uniform"
    euclidean = est.get("effective_metric_") in ("euclidean", "l2")
    return bool(brute and not euclidean and ctx.version >= (1, 4) and est._fit_X.dtype.kind == "f")


def _with_label(table: np.ndarray, label: Any) -> np.ndarray:
    extra = np.empty(1, dtype=table.dtype)
    extra[0] = table[-1] if label is None else label
    return np.concatenate([table, extra])

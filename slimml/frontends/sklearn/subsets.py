"""Members of an ensemble that each read some of its columns: all trees as one forest, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Finite, Lowerer, Source
from slimml.frontends.sklearn.forest_arrays import RawTrees, joined
from slimml.frontends.sklearn.trees import raw_trees
from slimml.ingest.record import Record
from slimml.ir.node import Node

_TREES = {
    f"sklearn.tree.{module}.{name}"
    for module in ("_classes", "tree")
    for name in ("DecisionTreeClassifier", "ExtraTreeClassifier", "DecisionTreeRegressor", "ExtraTreeRegressor")
}

# What a member's leaves, (n, classes or outputs), add to the ensemble's sum.
Values = Callable[[Record, np.ndarray], np.ndarray]


def are_trees(members: Sequence[Any]) -> bool:
    """Whether every member is a single tree."""
    return bool(members) and all(isinstance(m, Record) and m.path in _TREES for m in members)


def tree_counts(member: Record, ctx: Lowerer) -> list[int]:
    """Classes per output of a tree; 1 for each output of a regressor."""
    if not member.name.endswith("Classifier"):
        return [1] * int(member.n_outputs_)
    if int(member.n_outputs_) != 1:
        raise ctx.unsupported("a tree of several outputs in an ensemble of one")
    return [len(np.asarray(member.classes_))]


def trees_of(
    members: Sequence[Record],
    columns: Sequence[np.ndarray],
    values: Values,
    width: int,
    ctx: Lowerer,
    *,
    divide: bool = True,
) -> RawTrees:
    """The trees of all members, each on its own `columns` of `width`, with leaves as `values` makes them.

    `divide`: `values` is handed fractions of classes where the file has counts (see raw_trees).
    """
    parts = []
    for member, own in zip(members, columns, strict=True):
        check_columns(own, width, ctx)
        raw = raw_trees([member], tree_counts(member, ctx), len(own), ctx, divide=divide)
        feature = np.where(raw.feature >= 0, own[raw.feature], -1)
        parts.append(replace(raw, feature=feature, values=values(member, raw.values)))
    return joined(parts)


def largest_sums(raw: RawTrees) -> np.ndarray:
    """What the leaves that a row reaches add up to at most, without their signs; (values of a leaf,)."""
    sizes = np.where(raw.feature[:, None] < 0, np.abs(raw.values), 0.0)
    return np.asarray(np.maximum.reduceat(sizes, raw.roots).sum(axis=0))


def check_columns(own: np.ndarray, width: int, ctx: Lowerer) -> None:
    """Refuse a member's columns that the ensemble does not have."""
    known = own.ndim == 1 and own.dtype.kind in "iu" and len(own)
    if not known or not 0 <= own.min() <= own.max() < width:
        raise ctx.unsupported("a member reads columns that are not there")


def columns_of_members(est: Record, count: int, ctx: Lowerer) -> list[np.ndarray]:
    """`estimators_features_`: the columns that each of the first `count` members reads."""
    given = [np.asarray(c) for c in est.estimators_features_][:count]
    if len(given) != count:
        raise ctx.unsupported(f"{len(given)} estimators_features_ for {count} members")
    return given


def width_of(x: Source) -> int:
    """Number of columns."""
    return x.type.width if isinstance(x, Node) else x.width


def guarded(x: Source, used: np.ndarray, finite: Finite, ctx: Lowerer) -> tuple[Node, np.ndarray]:
    """The columns `used` as trees read them, and the position of every column among them."""
    place = np.zeros(width_of(x), dtype=np.int64)
    place[used] = np.arange(len(used))
    return ctx.float32(select(x, used, ctx), finite=finite), place


def select(x: Source, index: np.ndarray, ctx: Lowerer) -> Source:
    """Some columns, in that order."""
    from slimml.ir.ops.columns import Select

    if np.array_equal(index, np.arange(width_of(x))):
        return x
    if not isinstance(x, Node):
        return x.select(index.tolist())
    return Select(inputs=(x,), index=index.astype(np.int64), origin=ctx.where)

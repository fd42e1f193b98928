"""Decision trees, random forests, extra trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Finite, Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.sklearn.forest_arrays import RawTrees, ranked_forest
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat, Select
from slimml.ir.ops.heads import ArgMax, Log
from slimml.ir.ops.numeric import Divide

# -0.0 is what addition leaves every number as it is with, -0.0 included; 0.0 is what the original's sums start from.
_SINGLE, _SUM = -0.0, 0.0


@lowers("sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree.tree.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier", "sklearn.tree.tree.ExtraTreeClassifier")  # fmt: skip
def tree_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One and several outputs, missing values as they were learned."""
    tables, counts = _classes(est, ctx)
    total = _forest([est], est, x, counts, _SINGLE, ctx)
    return _classifier(tables, counts, total, ctx)


@lowers("sklearn.tree._classes.DecisionTreeRegressor", "sklearn.tree.tree.DecisionTreeRegressor",
        "sklearn.tree._classes.ExtraTreeRegressor", "sklearn.tree.tree.ExtraTreeRegressor")  # fmt: skip
def tree_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One and several outputs, missing values as they were learned."""
    outputs = int(est.n_outputs_)
    total = _forest([est], est, x, [1] * outputs, _SINGLE, ctx)
    return Model((Output("predict", (total,), "vector" if outputs == 1 else "matrix"),))


@lowers("sklearn.ensemble._forest.RandomForestClassifier", "sklearn.ensemble.forest.RandomForestClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier", "sklearn.ensemble.forest.ExtraTreesClassifier")  # fmt: skip
def forest_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One and several outputs; trees are added in their order, as with `n_jobs=1`."""
    tables, counts = _classes(est, ctx)
    return _classifier(tables, counts, _mean(est, x, counts, ctx), ctx)


@lowers("sklearn.ensemble._forest.RandomForestRegressor", "sklearn.ensemble.forest.RandomForestRegressor",
        "sklearn.ensemble._forest.ExtraTreesRegressor", "sklearn.ensemble.forest.ExtraTreesRegressor")  # fmt: skip
def forest_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One and several outputs; trees are added in their order, as with `n_jobs=1`."""
    outputs = int(est.n_outputs_)
    mean = _mean(est, x, [1] * outputs, ctx)
    return Model((Output("predict", (mean,), "vector" if outputs == 1 else "matrix"),))


def _mean(est: Record, x: Source, counts: list[int], ctx: Lowerer) -> Node:
    """The sum over trees, in their order, divided by their number: BaseForest with n_jobs=1."""
    trees = list(est.estimators_)
    total = _forest(trees, est, x, counts, _SUM, ctx)
    number = np.full(total.type.width, float(len(trees)))
    return Divide(inputs=(total,), value=number, origin=ctx.where)


def _forest(trees: list[Any], est: Record, x: Source, counts: list[int], start: float, ctx: Lowerer) -> Node:
    ctx.check_width(est, x)
    block = ctx.float32(x, finite=accepts_missing(trees[0], x, ctx) if trees else "all")
    raw = raw_trees(trees, counts, block.type.width, ctx)
    return ranked_forest(block, raw, base=np.full(sum(counts), start), origin=ctx.where)


def accepts_missing(tree: Record, x: Source, ctx: Lowerer) -> Finite:
    """Whether trees of this release take NaN in dense input (tags.allow_nan of tree/_classes.py).

    From 1.3 best-first decision trees do, from 1.4 forests, from 1.6 extra trees; the criteria that do not, and
    monotonic constraints, stop mattering in 1.9.
    """
    sparse = isinstance(x, Node) and x.type.layout == "csr"
    if sparse or ctx.version < (1, 3):
        return "all"
    if "Extra" in tree.name and (ctx.version < (1, 6) or tree.get("splitter") != "random"):
        return "all"
    if ctx.version < (1, 9):
        known = {"gini", "log_loss", "entropy", "squared_error", "friedman_mse", "poisson"}
        splitters = {"random"} if "Extra" in tree.name else {"best", "random"}
        if tree.get("criterion") not in known or tree.get("splitter") not in splitters:
            return "all"
        if tree.get("monotonic_cst") is not None or (ctx.version < (1, 6) and tree.get("splitter") != "best"):
            return "all"
    return "missing"


def raw_trees(estimators: list[Any], counts: list[int], width: int, ctx: Lowerer) -> RawTrees:
    """The nodes of a list of fitted trees; `counts`: classes per output (1 for a regressor)."""
    trees = [_tree(e, width, ctx) for e in estimators]
    if not trees:
        raise ctx.unsupported("an ensemble without trees")
    nodes = [np.asarray(t.nodes) for t in trees]
    sizes = np.array([len(n) for n in nodes], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes

    def joined(name: str) -> np.ndarray:
        return np.concatenate([n[name] for n in nodes])

    left, right = joined("left_child"), joined("right_child")
    inner, shift = left >= 0, np.repeat(roots, sizes)
    missing = "missing_go_to_left" in (nodes[0].dtype.names or ())  # appears in 1.3
    return RawTrees(
        feature=np.where(inner, joined("feature"), -1),
        threshold=joined("threshold"),
        left=np.where(inner, left + shift, -1),
        right=np.where(inner, right + shift, -1),
        missing_left=joined("missing_go_to_left") != 0 if missing else np.zeros(len(left), dtype=bool),
        values=np.concatenate([_values(t, counts, ctx) for t in trees]),
        roots=roots,
    )


def _tree(est: Any, width: int, ctx: Lowerer) -> Record:
    tree = est.tree_ if isinstance(est, Record) else None
    if not isinstance(tree, Record) or tree.name != "Tree":
        raise ctx.unsupported("a tree of the ensemble is none")
    names = getattr(tree.nodes, "dtype", np.dtype(float)).names or ()
    if not {"left_child", "right_child", "feature", "threshold"} <= set(names) or int(tree.args[0]) != width:
        raise ctx.unsupported("a tree does not have the nodes, or the number of columns, that it should")
    return tree


def _values(tree: Record, counts: list[int], ctx: Lowerer) -> np.ndarray:
    """Leaf values (n, sum of counts): class fractions of each output, or its mean."""
    values = np.asarray(tree.get("values"), dtype=np.float64)
    if values.ndim != 3 or values.shape[1] != len(counts) or values.shape[2] < max(counts):
        raise ctx.unsupported(f"a tree has values of shape {values.shape} for outputs of {counts} classes")
    if len(counts) == 1:
        return values[:, 0, : counts[0]]
    return np.concatenate([values[:, k, :n] for k, n in enumerate(counts)], axis=1)


def _classes(est: Record, ctx: Lowerer) -> tuple[tuple[np.ndarray, ...], list[int]]:
    if int(est.n_outputs_) == 1:
        tables: tuple[np.ndarray, ...] = (labels(est.classes_, ctx),)
    else:
        tables = tuple(labels(c, ctx) for c in est.classes_)
    return tables, [len(t) for t in tables]


def _classifier(tables: tuple[np.ndarray, ...], counts: list[int], probability: Node, ctx: Lowerer) -> Model:
    ends = np.cumsum(counts).tolist()
    parts = [probability]
    if len(counts) > 1:
        ranges = [np.arange(end - n, end) for end, n in zip(ends, counts, strict=True)]
        parts = [Select(inputs=(probability,), index=r.astype(np.int64), origin=ctx.where) for r in ranges]
    choices = [ArgMax(inputs=(p,), origin=ctx.where) for p in parts]
    choice = choices[0] if len(choices) == 1 else Concat(inputs=tuple(choices), origin=ctx.where)
    logs = tuple(Log(inputs=(p,), origin=ctx.where) for p in parts)
    single = len(counts) == 1
    return Model(
        (
            Output("predict", (choice,), "vector" if single else "matrix", tables),
            Output("predict_proba", tuple(parts), "matrix" if single else "list"),
            Output("predict_log_proba", logs, "matrix" if single else "list"),
        ),
        tables,
    )

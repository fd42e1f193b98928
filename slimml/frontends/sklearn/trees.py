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
from slimml.options import COUNTS_RTOL

# -0.0 is what addition leaves every number as it is with, -0.0 included; 0.0 is what the original's sums start from.
_SINGLE, _SUM = -0.0, 0.0
# Those by which trees before 1.9 could learn where missing values go.
CRITERIA_WITH_MISSING = frozenset({"gini", "log_loss", "entropy", "squared_error", "friedman_mse", "poisson"})


@lowers("sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree.tree.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier", "sklearn.tree.tree.ExtraTreeClassifier")  # fmt: skip
def tree_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """One and several outputs, missing values as they were learned."""
    tables, counts = _classes(est, ctx)
    total = _forest([est], est, x, counts, _SINGLE, ctx)
    votes = _forest([est], est, x, counts, _SINGLE, ctx, divide=False) if _division_ties(est, counts, ctx) else total
    return _classifier(tables, counts, total, ctx, votes)


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
    # Trees of 1.3 learn from missing values; their forests look for them, and refuse them, until 1.4.
    if ctx.version < (1, 4):
        x = ctx.float32(x, finite="all")
    total = _forest(trees, est, x, counts, _SUM, ctx)
    number = np.full(total.type.width, float(len(trees)))
    return Divide(inputs=(total,), value=number, origin=ctx.where)


def _forest(
    trees: list[Any], est: Record, x: Source, counts: list[int], start: float, ctx: Lowerer, *, divide: bool = True
) -> Node:
    ctx.check_width(est, x)
    block = ctx.float32(x, finite=accepts_missing(trees[0], x, ctx) if trees else "all")
    raw = raw_trees(trees, counts, block.type.width, ctx, divide=divide)
    return ranked_forest(block, raw, base=np.full(sum(counts), start), origin=ctx.where)


def accepts_missing(tree: Record, x: Source, ctx: Lowerer) -> Finite:
    """Whether trees of this release take NaN in dense input."""
    sparse = isinstance(x, Node) and x.type.layout == "csr"
    return "missing" if not sparse and learns_missing(tree, ctx) else "all"


def learns_missing(tree: Record, ctx: Lowerer) -> bool:
    """The tag of a tree that says so (allow_nan of tree/_classes.py).

    From 1.3 best-first decision trees do, from 1.4 forests, from 1.6 extra trees; the criteria that do not, and
    monotonic constraints, stop mattering in 1.9.
    """
    if ctx.version < (1, 3):
        return False
    if "Extra" in tree.name and (ctx.version < (1, 6) or tree.get("splitter") != "random"):
        return False
    if ctx.version < (1, 9):
        splitters = {"random"} if "Extra" in tree.name else {"best", "random"}
        if tree.get("criterion") not in CRITERIA_WITH_MISSING or tree.get("splitter") not in splitters:
            return False
        if tree.get("monotonic_cst") is not None or (ctx.version < (1, 6) and tree.get("splitter") != "best"):
            return False
    return True


def raw_trees(estimators: list[Any], counts: list[int], width: int, ctx: Lowerer, *, divide: bool = True) -> RawTrees:
    """The nodes of a list of fitted trees; `counts`: classes per output (1 for a regressor).

    Where a release kept weighted counts of classes, their fractions are the values; the counts where not to `divide`.
    """
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
    missing = _learned_missing(nodes, ctx)
    return RawTrees(
        feature=np.where(inner, joined("feature"), -1),
        threshold=joined("threshold"),
        left=np.where(inner, left + shift, -1),
        right=np.where(inner, right + shift, -1),
        missing_left=joined("missing_go_to_left") != 0 if missing else np.zeros(len(left), dtype=bool),
        values=np.concatenate([_values(e, counts, ctx, divide) for e in estimators]),
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


def _learned_missing(nodes: list[np.ndarray], ctx: Lowerer) -> bool:
    """Whether nodes say where missing values go: those of 1.3 and later do."""
    has = {"missing_go_to_left" in (n.dtype.names or ()) for n in nodes}
    for found in has:
        ctx.check_release(not found, (1, 3), f"tree nodes with{'' if found else 'out'} missing_go_to_left")
    if len(has) > 1:
        raise ctx.unsupported("trees of several releases in one ensemble")
    return True in has


def _values(est: Record, counts: list[int], ctx: Lowerer, divide: bool) -> np.ndarray:
    """Leaf values (n, sum of counts): class fractions of each output, or its mean."""
    parts = _stored(est, counts, ctx)
    if divide and est.name.endswith("Classifier") and _are_counts(est.tree_, parts[0], ctx):
        parts = [_fractions(p) for p in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _division_ties(est: Record, counts: list[int], ctx: Lowerer) -> bool:
    """Whether a class is the largest before the counts of a leaf are divided, where a tree's predict looks for it, and
    not after.
    """
    parts = _stored(est, counts, ctx)
    if not _are_counts(est.tree_, parts[0], ctx):
        return False
    return any((p.argmax(axis=1) != _fractions(p).argmax(axis=1)).any() for p in parts)


def _stored(est: Record, counts: list[int], ctx: Lowerer) -> list[np.ndarray]:
    """The values as the file has them, per output (n, classes)."""
    values = np.asarray(est.tree_.get("values"), dtype=np.float64)
    if values.ndim != 3 or values.shape[1] != len(counts) or values.shape[2] < max(counts):
        raise ctx.unsupported(f"a tree has values of shape {values.shape} for outputs of {counts} classes")
    return [values[:, k, :n] for k, n in enumerate(counts)]


def _are_counts(tree: Record, values: np.ndarray, ctx: Lowerer) -> bool:
    """Whether a classifier's values are weighted counts, as before 1.4, and not fractions: the root's add up to its
    weight, or to 1.
    """
    total, weight = float(values[0].sum()), float(np.asarray(tree.nodes)["weighted_n_node_samples"][0])
    to_one, to_weight = abs(total - 1), abs(total - weight)
    before = ctx.version < (1, 4) if ctx.version > (0, 0) else to_weight < to_one
    # (Boosting gives weights of 1 in all, where counts are fractions.)
    if (to_weight if before else to_one) > COUNTS_RTOL * max(1.0, abs(weight)):
        found = "fractions" if before else "counts"
        ctx.check_release(not before, (1, 4), f"trees whose values are {found} of classes")
    return before


def _fractions(counts: np.ndarray) -> np.ndarray:
    """What predict_proba made of the counts of a leaf."""
    total = counts.sum(axis=1)[:, None]
    return counts / np.where(total == 0, 1.0, total)


def _classes(est: Record, ctx: Lowerer) -> tuple[tuple[np.ndarray, ...], list[int]]:
    if int(est.n_outputs_) == 1:
        tables: tuple[np.ndarray, ...] = (labels(est.classes_, ctx),)
    else:
        tables = tuple(labels(c, ctx) for c in est.classes_)
    return tables, [len(t) for t in tables]


def _classifier(
    tables: tuple[np.ndarray, ...], counts: list[int], probability: Node, ctx: Lowerer, votes: Node | None = None
) -> Model:
    """`votes`: where predict looks for the largest, if not among the probabilities."""
    parts = _per_output(probability, counts, ctx)
    choices = [ArgMax(inputs=(p,), origin=ctx.where) for p in _per_output(votes or probability, counts, ctx)]
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


def _per_output(block: Node, counts: list[int], ctx: Lowerer) -> list[Node]:
    if len(counts) == 1:
        return [block]
    ranges = [np.arange(end - n, end) for end, n in zip(np.cumsum(counts).tolist(), counts, strict=True)]
    return [Select(inputs=(block,), index=r.astype(np.int64), origin=ctx.where) for r in ranges]

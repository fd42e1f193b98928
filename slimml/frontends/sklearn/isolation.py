"""IsolationForest: a mean of depths, one for each leaf, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.forest_arrays import RawTrees, ranked_forest
from slimml.frontends.sklearn.subsets import are_trees, columns_of_members, largest_sums, trees_of, width_of
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Constant
from slimml.ir.ops.heads import Exp2, IsPositive
from slimml.ir.ops.numeric import Add, Divide, Inexact, Multiply, Subtract
from slimml.schema import REFUSED, ZERO

_INLIER = np.array([-1, 1])


@lowers(*moved("sklearn.ensemble._iforest", "IsolationForest"))
def isolation_forest(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """All releases from 0.18 on; missing values from 1.6 on, as the original sends them."""
    ctx.check_width(est, x)
    fitted = list(est.estimators_)
    if not are_trees(fitted):
        raise ctx.unsupported("members that are no trees")
    scores = _scores(est, fitted, x, ctx)
    if ctx.version < (0, 20):
        halves = _times(scores, -1.0, ctx)
        decision: Node = Add(inputs=(halves,), value=np.array([0.5]), origin=ctx.where)
        return Model((_inlier(decision, _number(est, "threshold_", ctx), False, ctx), _decision(decision)))
    opposite = _times(scores, -1.0, ctx)
    offset = np.array([_number(est, "offset_", ctx)])
    decision = Subtract(inputs=(opposite,), value=offset, origin=ctx.where)
    # In 0.20 and 0.21 the threshold stays apart from the offset unless behaviour="new".
    apart = ctx.version < (0, 22) and est.get("behaviour") == "old"
    least = _number(est, "_threshold_", ctx) if apart else 0.0
    return Model(
        (
            _inlier(decision, least, True, ctx),
            _decision(decision),
            Output("score_samples", (opposite,), "vector"),
        )
    )


def _inlier(decision: Node, least: float, or_equal: bool, ctx: Lowerer) -> Output:
    """1 where the decision exceeds `least` (or equals it), else -1."""
    if least != 0.0:
        decision = Subtract(inputs=(decision,), value=np.array([least]), origin=ctx.where)
    inlier = IsPositive(inputs=(decision,), or_zero=or_equal, origin=ctx.where)
    return Output("predict", (inlier,), "vector", (_INLIER,))


def _decision(decision: Node) -> Output:
    return Output("decision_function", (decision,), "vector")


def _scores(est: Record, fitted: list[Record], x: Source, ctx: Lowerer) -> Node:
    """2 ** -(mean depth / the depth that so many samples make on average)."""
    depths = _depths(est, fitted, x, ctx)
    count = float(len(fitted))
    if ctx.version >= (0, 21):
        expected = len(fitted) * _average_path_length(np.array([_samples(est, ctx)]), ctx)
        if expected[0] == 0.0 and ctx.version < (1, 1):
            raise ctx.unsupported("trees of one sample, which the original of this release divides by zero for")
        # Of later ones the quotient is 1 there.
        share: Node = Constant(inputs=(depths,), value=np.ones(1), origin=ctx.where)
        if expected[0] != 0.0:
            share = Divide(inputs=(depths,), value=expected, origin=ctx.where)
    else:
        mean = Divide(inputs=(depths,), value=np.array([count]), origin=ctx.where)
        expected = _average_path_length(np.array([_samples(est, ctx)]), ctx)
        share = Divide(inputs=(mean,), value=expected, origin=ctx.where)
    return Exp2(inputs=(_times(share, -1.0, ctx),), origin=ctx.where)


def _depths(est: Record, fitted: list[Record], x: Source, ctx: Lowerer) -> Node:
    """The sum of the depths of a row's leaves, in the order of the trees."""
    width = width_of(x)
    columns = columns_of_members(est, len(fitted), ctx)
    if ctx.version < (0, 19) or est.get("_max_features") == width:
        columns = [np.arange(width)] * len(fitted)
    leaf = {id(tree): _leaf_depths(est, tree, i, ctx) for i, tree in enumerate(fitted)}
    raw = trees_of(fitted, columns, lambda tree, leaves: _as_column(leaf[id(tree)], leaves, ctx), width, ctx)
    block, raw = _block(x, raw, ctx)
    total = ranked_forest(block, raw, base=np.zeros(1), origin=ctx.where)
    # From 1.3 on the file has the depths of leaves; before, each prediction computes them.
    return total if ctx.version >= (1, 3) else Inexact(inputs=(total,), reach=largest_sums(raw), origin=ctx.where)


def _block(x: Source, raw: RawTrees, ctx: Lowerer) -> tuple[Node, RawTrees]:
    """The rows as the trees read them. (From 1.6 on they are handed everything, infinities too.)"""
    if ctx.version < (1, 6):
        return ctx.float32(x, finite="all"), raw
    # Of sparse rows trees ask no questions about NaN, which then goes right.
    if isinstance(x, Node) and x.type.layout == "csr":
        raw = replace(raw, missing_left=np.zeros_like(raw.missing_left))
    sparse = REFUSED if raw.missing_left.any() else ZERO
    return Cast(inputs=(ctx.floats(x, sparse=sparse),), dtype="float32", origin=ctx.where), raw


def _leaf_depths(est: Record, tree: Record, at: int, ctx: Lowerer) -> np.ndarray:
    """What a row gets for each node that it may end at: its depth, and the depth that its samples would have made."""
    nodes = tree.tree_.nodes
    if est.has("_decision_path_lengths"):  # from 1.3 on
        kept = [getattr(est, name) for name in ("_decision_path_lengths", "_average_path_length_per_tree")]
        lengths = [np.asarray(k[at] if at < len(k) else 0) for k in kept]
        if any(a.shape != (len(nodes),) for a in lengths):
            raise ctx.unsupported("depths that do not fit their tree")
        return np.asarray(lengths[0] + lengths[1] - 1.0)
    passed = _path_lengths(nodes["left_child"], nodes["right_child"])
    samples = np.asarray(nodes["n_node_samples"])
    if ctx.version >= (0, 21):
        return np.asarray(passed + _average_path_length(samples, ctx) - 1.0)
    return np.asarray((passed - 1.0) + _average_path_length(samples, ctx))


def _as_column(depths: np.ndarray, leaves: np.ndarray, ctx: Lowerer) -> np.ndarray:
    if len(depths) != len(leaves):
        raise ctx.unsupported("depths that do not fit their tree")
    return depths[:, None]


def _path_lengths(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many nodes lie on the way from the root to each node, both ends included."""
    lengths = np.zeros(len(left), dtype=np.int64)
    level, length = np.zeros(1, dtype=np.int64), 1
    while len(level) and length <= len(left):
        lengths[level] = length
        inner = level[left[level] >= 0]
        level, length = np.concatenate([left[inner], right[inner]]), length + 1
    return lengths


def _average_path_length(samples: np.ndarray, ctx: Lowerer) -> np.ndarray:
    """_average_path_length of ensemble/_iforest.py, as it was before 0.19, before 0.21, and from then on."""
    samples = samples.astype(np.float64)
    few = samples <= 2.0 if ctx.version >= (0, 21) else samples <= 1.0
    many = np.where(few, 3.0, samples)
    logs = np.log(many) + 0.5772156649 if ctx.version < (0, 19) else np.log(many - 1.0) + np.euler_gamma
    average = 2.0 * logs - 2.0 * (many - 1.0) / many
    least = (samples == 2.0).astype(np.float64) if ctx.version >= (0, 21) else np.ones(len(samples))
    return np.where(few, least, average)


def _samples(est: Record, ctx: Lowerer) -> float:
    """How many samples each tree was fitted on."""
    return _number(est, "_max_samples" if ctx.version >= (1, 3) else "max_samples_", ctx)


def _number(est: Record, name: str, ctx: Lowerer) -> float:
    value = getattr(est, name)
    if isinstance(value, bool) or np.ndim(value) or not isinstance(value, int | float | np.generic | np.ndarray):
        raise ctx.unsupported(f"{name} is a {type(value).__name__}, not a number")
    return float(value)


def _times(block: Node, factor: float, ctx: Lowerer) -> Node:
    return Multiply(inputs=(block,), value=np.array([factor]), origin=ctx.where)

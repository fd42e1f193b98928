"""Classifiers made of binary ones: one against the rest, one against one, output codes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.compose import as_block
from slimml.frontends.sklearn.fields import est_array, labels
from slimml.frontends.sklearn.members import (
    answer,
    as_type,
    beside,
    columns,
    encoded,
    has,
    members,
    of_numbers,
    one_number,
)
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Constant
from slimml.ir.ops.heads import ArgMax, Complement, Confidence, IsPositive, NormalizeRows
from slimml.ir.ops.kernels import ExpandedDistances
from slimml.ir.ops.numeric import Add, Multiply, Subtract, Sum

_CONSTANT = "sklearn.multiclass._ConstantPredictor"


@lowers("sklearn.multiclass.OneVsRestClassifier")
def one_vs_rest(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Two classes, several, or several labels a row, of members that are supported; no sparse answers."""
    binarizer = est.label_binarizer_
    classes, kind = labels(binarizer.classes_, ctx), binarizer.y_type_
    if kind not in ("multiclass", "binary", "multilabel-indicator") or binarizer.get("sparse_input_"):
        raise ctx.unsupported(f"labels that are {kind!r:.40}, or sparse")
    inner = members(est, x, ctx)
    scores = [_score(m, ctx) for m in inner]
    if len(inner) != (1 if kind == "binary" else len(classes)):
        raise ctx.unsupported(f"{len(inner)} members for {len(classes)} classes")
    if kind == "multiclass":
        predicted = _largest(scores, classes, ctx)
    else:
        threshold = _threshold(est.estimators_[0], inner[0])
        reached = beside([_exceeds(s, threshold, ctx) for s in scores], ctx)
        two = classes if len(classes) > 1 else np.repeat(classes, 2)
        several = Output("predict", (reached,), "matrix")
        predicted = several if kind != "binary" else Output("predict", (reached,), "vector", (two,))
    outputs = [predicted]
    if all(has(m, "predict_proba") for m in inner):
        outputs.append(Output("predict_proba", (_chances(inner, kind, ctx),), "matrix"))
    if all(has(m, "decision_function") for m in inner):
        block = beside([answer(m, "decision_function", ctx).nodes[0] for m in inner], ctx)
        flat = len(inner) == 1 and ctx.version >= (0, 19)  # a column in 0.18
        outputs.append(Output("decision_function", (block,), "vector" if flat else "matrix"))
    return Model(tuple(outputs), (classes,))


@lowers("sklearn.multiclass.OneVsOneClassifier")
def one_vs_one(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Classifiers that are supported; no kernel matrices."""
    ctx.check_width(est, x)
    if est.get("pairwise_indices_") is not None:
        raise ctx.unsupported("rows of a kernel matrix")
    classes = labels(est.classes_, ctx)
    inner = members(est, of_numbers(x, ctx), ctx)
    count = len(classes)
    if len(inner) != count * (count - 1) // 2 or not all(m.classes for m in inner):
        raise ctx.unsupported(f"{len(inner)} classifiers for the pairs of {count} classes")
    won = beside([as_type("float64", encoded(answer(m, "predict", ctx), ctx), ctx) for m in inner], ctx)
    sure = beside([as_type("float64", _score(m, ctx), ctx) for m in inner], ctx)
    decision = _pair_decision(won, sure, count, ctx)
    # A vector of two classes since 0.19 (multiclass.py, OneVsOneClassifier.decision_function).
    if count == 2 and ctx.version >= (0, 19):
        threshold = _threshold(est.estimators_[0], inner[0])
        if threshold and ctx.version < (1, 1):
            raise ctx.unsupported("two classes told by probabilities alone, which releases before 1.1 get wrong")
        decision = columns(decision, [1], ctx)
        choice = _exceeds(decision, threshold, ctx)
    else:
        choice = ArgMax(inputs=(decision,), origin=ctx.where)
    outputs = [Output("predict", (choice,), "vector", (classes,))]
    if ctx.version >= (0, 21):  # before, an answer was scaled by the largest of its batch
        outputs.append(Output("decision_function", (decision,), "vector" if decision.type.width == 1 else "matrix"))
    return Model(tuple(outputs), (classes,))


@lowers("sklearn.multiclass.OutputCodeClassifier")
def output_code(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Classifiers that are supported."""
    classes = labels(est.classes_, ctx)
    scores = beside([as_type("float64", _score(m, ctx), ctx) for m in members(est, x, ctx)], ctx)
    code = est_array(est, "code_book_", ctx).astype(np.float64)
    if code.shape != (len(classes), scores.type.width):
        raise ctx.unsupported(f"a code book of {code.shape} for {len(classes)} classes and {scores.type.width} members")
    # |s|^2 is the same for every class, but next to a large one the original's sums lose the rest.
    squares = ExpandedDistances(inputs=(ctx.guard(scores, "all"),), points=code, origin=ctx.where)
    nearness = Multiply(inputs=(squares,), value=np.full(len(classes), -1.0), origin=ctx.where)
    choice = ArgMax(inputs=(nearness,), origin=ctx.where)
    return Model((Output("predict", (choice,), "vector", (classes,)),), (classes,))


@lowers(_CONSTANT)
def constant_predictor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """What stands for a class that all training rows have, or none."""
    value = est_array(est, "y_", ctx)
    if value.shape != (1,) or value.dtype.kind not in "biu":
        raise ctx.unsupported(f"a constant {value!r:.60}")
    block = as_block(x.select(range(x.width)), ctx) if not isinstance(x, Node) else x
    same: Node = Constant(inputs=(block,), value=value.astype(np.float64), origin=ctx.where)
    whole = as_type("int64", same, ctx)
    return Model(
        (
            Output("predict", (whole,), "vector"),
            Output("predict_proba", (Complement(inputs=(same,), origin=ctx.where),), "matrix"),
            Output("decision_function", (whole,), "vector"),
        )
    )


# ------------------------------------------------------------------------------------------------------------- members


def _score(model: Model, ctx: Lowerer) -> Node:
    """How sure a member is of the second class (_predict_binary); of a regressor its answer."""
    if has(model, "decision_function"):
        score = answer(model, "decision_function", ctx).nodes[0]
    elif has(model, "predict_proba"):
        score = columns(answer(model, "predict_proba", ctx).nodes[0], [1], ctx)
    else:
        score = one_number(answer(model, "predict", ctx), ctx)
    if score.type.width != 1:
        raise ctx.unsupported(f"a member with {score.type.width} scores a row, where one tells two classes apart")
    return score


def _threshold(est: object, first: Model) -> float:
    """Where a score begins to speak for the second class (_threshold_for_binary_predict)."""
    classifier = bool(first.classes) and isinstance(est, Record) and est.path != _CONSTANT
    return 0.0 if classifier and has(first, "decision_function") else 0.5


def _exceeds(score: Node, threshold: float, ctx: Lowerer) -> Node:
    """1 where score > threshold. A difference has the sign that it should, however it is rounded."""
    if score.type.dtype not in ("float64", "float32"):
        score = as_type("float64", score, ctx)
    if threshold:
        value = np.full(1, threshold, dtype=score.type.dtype)
        score = Subtract(inputs=(score,), value=value, origin=ctx.where)
    return IsPositive(inputs=(score,), origin=ctx.where)


# ------------------------------------------------------------------------------------------------- one against the rest


def _largest(scores: Sequence[Node], classes: np.ndarray, ctx: Lowerer) -> Output:
    """The class of the largest score; of equal ones the first from 1.8 on, before the last."""
    last = ctx.version < (1, 8)
    block = as_type("float64", beside(scores[::-1] if last else scores, ctx), ctx)
    choice = ArgMax(inputs=(block,), origin=ctx.where)
    return Output("predict", (choice,), "vector", (classes[::-1] if last else classes,))


def _chances(inner: Sequence[Model], kind: str, ctx: Lowerer) -> Node:
    block = beside([columns(answer(m, "predict_proba", ctx).nodes[0], [1], ctx) for m in inner], ctx)
    if len(inner) == 1:
        block = Complement(inputs=(block,), origin=ctx.where)
    if kind == "multilabel-indicator":
        return block
    # What no member claims is NaN before 1.7, then 0.
    return NormalizeRows(inputs=(block,), empty="kept" if ctx.version >= (1, 7) else "missing", origin=ctx.where)


# ----------------------------------------------------------------------------------------------------- one against one


def _pair_decision(won: Node, sure: Node, count: int, ctx: Lowerer) -> Node:
    """Votes, and confidences that break their ties (utils/multiclass.py, _ovr_decision_function); (n, count).

    `won` is 1 where a pair's second class wins, else 0. Each class's terms are added in the order of its pairs.
    """
    pair = {p: k for k, p in enumerate(combinations(range(count), 2))}
    votes, confidences = [], []
    for turn in range(count - 1):
        others = [turn if turn < c else turn + 1 for c in range(count)]
        index = [pair[min(c, o), max(c, o)] for c, o in enumerate(others)]
        sign = np.array([1.0 if c > o else -1.0 for c, o in enumerate(others)])
        confidences.append(Multiply(inputs=(columns(sure, index, ctx),), value=sign, origin=ctx.where))
        own = Multiply(inputs=(columns(won, index, ctx),), value=sign, origin=ctx.where)
        votes.append(Add(inputs=(own,), value=(sign < 0).astype(np.float64), origin=ctx.where))
    total = Sum(inputs=tuple(confidences), origin=ctx.where)
    tie = Confidence(inputs=(total,), origin=ctx.where)
    return Sum(inputs=(Sum(inputs=tuple(votes), origin=ctx.where), tie), origin=ctx.where)

"""Voting and stacking: models that read the answers of other models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.compose import as_block
from slimml.frontends.sklearn.fields import labels, steps_of
from slimml.frontends.sklearn.members import answer, as_type, beside, encoded, member, one_number
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot
from slimml.ir.ops.columns import Select
from slimml.ir.ops.heads import ArgMax
from slimml.ir.ops.numeric import Divide, Multiply, Sum
from slimml.ir.types import promoted

_VOTING = ("sklearn.ensemble._voting", "sklearn.ensemble.voting", "sklearn.ensemble.voting_classifier")
_STACKING = "sklearn.ensemble._stacking"


@lowers(*(f"{m}.VotingClassifier" for m in _VOTING))
def voting_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Hard and soft votes, weighted, of members that are supported."""
    classes = labels(est.classes_, ctx)
    members, weights = _members(est, x, ctx), _weights(est, ctx)
    if est.voting == "soft":
        shares = [_shares(m, len(classes), ctx) for m in members]
        mean = _average(shares, weights, ctx)
        choice = ArgMax(inputs=(as_type("float64", mean, ctx),), origin=ctx.where)
        outputs = [_choice(choice, classes), Output("predict_proba", (mean,), "matrix")]
        return Model(
            (*outputs, _side_by_side(shares, flat=bool(est.get("flatten_transform", False)), ctx=ctx)), (classes,)
        )
    if est.voting != "hard":
        raise ctx.unsupported(f"voting={est.voting!r:.60} is not handled")
    chosen = [encoded(answer(m, "predict", ctx), ctx) for m in members]
    choice = ArgMax(inputs=(_votes(chosen, len(classes), weights, ctx),), origin=ctx.where)
    return Model((_choice(choice, classes), _side_by_side(chosen, flat=True, ctx=ctx)), (classes,))


@lowers(*(f"{m}.VotingRegressor" for m in _VOTING[:2]))
def voting_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The mean, weighted, of members that are supported."""
    values = [one_number(answer(m, "predict", ctx), ctx) for m in _members(est, x, ctx)]
    mean = _average(values, _weights(est, ctx), ctx)
    return Model((Output("predict", (mean,), "vector"), _side_by_side(values, flat=True, ctx=ctx)))


@lowers(f"{_STACKING}.StackingClassifier")
def stacking_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every method of stacking, with the row itself or without, of members that are supported."""
    several = isinstance(est.classes_, list)
    tables = tuple(labels(c, ctx) for c in (est.classes_ if several else [est.classes_]))
    block = _stacked(est, x, binary=len(est.classes_) == 2, ctx=ctx)
    final = member(est.final_estimator_, block, "final_estimator", ctx)
    outputs = [_decoded(answer(final, "predict", ctx), tables, ctx)]
    for output in final.outputs:
        if output.name == "predict_proba" and several:
            # One column a target, as the original answers (numpy.array([p[:, 0] for p in answers]).T).
            first = tuple(Select(inputs=(n,), index=np.array([0]), origin=ctx.where) for n in output.nodes)
            outputs.append(Output(output.name, (beside(first, ctx),), "matrix"))
        elif output.name in ("predict_proba", "decision_function"):
            outputs.append(output)
    return Model((*outputs, Output("transform", (block,), "matrix")), tables)


@lowers(f"{_STACKING}.StackingRegressor")
def stacking_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """With the row itself or without, of members that are supported."""
    block = _stacked(est, x, binary=False, ctx=ctx)
    final = member(est.final_estimator_, block, "final_estimator", ctx)
    return Model((answer(final, "predict", ctx), Output("transform", (block,), "matrix")), final.classes)


# ------------------------------------------------------------------------------------------------------------- members


def _members(est: Record, x: Source, ctx: Lowerer) -> list[Model]:
    """The fitted members, each reading what the ensemble reads; those that were dropped are not among `estimators_`."""
    fitted = list(est.estimators_)
    names = [str(s[0]) for s in steps_of(est, "estimators", ctx) if not _dropped(s[1])]
    if not fitted or len(names) != len(fitted):
        raise ctx.unsupported(f"{est.name} has {len(fitted)} fitted members for {len(names)} that are not dropped")
    return [member(e, x, name, ctx) for name, e in zip(names, fitted, strict=True)]


def _dropped(member: Any) -> bool:
    return member is None or (isinstance(member, str) and member == "drop")  # None until 0.24


def _weights(est: Record, ctx: Lowerer) -> np.ndarray | None:
    """The weights of the members that are not dropped."""
    if est.weights is None:
        return None
    given = np.asarray(est.weights, dtype=np.float64).ravel()
    steps = steps_of(est, "estimators", ctx)
    if len(given) != len(steps) or not (np.isfinite(given) & (given >= 0)).all() or not given.any():
        raise ctx.unsupported(f"weights {given.tolist()!r:.80} for {len(steps)} members")
    return given[[not _dropped(s[1]) for s in steps]]


# -------------------------------------------------------------------------------------------------------------- voting


def _average(blocks: Sequence[Node], weights: np.ndarray | None, ctx: Lowerer) -> Node:
    """numpy.average over the members, in their order, in the dtype that numpy promotes them to.

    (One row of eight and more regressors numpy adds pairwise, so the original's own last bits differ between one row
    and many; what is said here is what it says of many.)
    """
    dtype = promoted(tuple(b.type.dtype for b in blocks))
    dtype = "float32" if dtype == "float32" and weights is None else "float64"
    parts = [as_type(dtype, b, ctx) for b in blocks]
    count = float(len(parts))
    if weights is not None:
        parts = [_times(b, float(w), ctx) for b, w in zip(parts, weights, strict=True)]
        count = float(weights.sum())
    total = Sum(inputs=tuple(parts), origin=ctx.where)
    return Divide(inputs=(total,), value=np.full(total.type.width, count, dtype=dtype), origin=ctx.where)


def _votes(chosen: Sequence[Node], classes: int, weights: np.ndarray | None, ctx: Lowerer) -> Node:
    """How much weight each class gets, added member by member as numpy.bincount does; float64 (n, classes)."""
    parts = []
    for choice, weight in zip(chosen, repeat(1.0) if weights is None else weights.tolist(), strict=weights is not None):
        codes = Lookup(inputs=(choice,), tables=(tuple(range(classes)),), refuse=(False,), origin=ctx.where)
        target = np.append(np.arange(classes), -1).astype(np.int32)
        sizes, offsets = np.array([classes]), np.array([0, classes + 1])
        hot = OneHot(inputs=(codes,), targets=target, offsets=offsets, sizes=sizes, layout="dense", origin=ctx.where)
        parts.append(_times(hot, weight, ctx))
    return Sum(inputs=tuple(parts), origin=ctx.where)


def _times(block: Node, weight: float, ctx: Lowerer) -> Node:
    if weight == 1.0:
        return block
    value = np.full(block.type.width, weight, dtype=block.type.dtype)
    return Multiply(inputs=(block,), value=value, origin=ctx.where)


def _shares(member: Model, classes: int, ctx: Lowerer) -> Node:
    block = answer(member, "predict_proba", ctx).nodes[0]
    if block.type.width != classes:
        raise ctx.unsupported(f"a member answers probabilities of {block.type.width} classes, not of {classes}")
    return block


def _choice(choice: Node, classes: np.ndarray) -> Output:
    return Output("predict", (choice,), "vector", (classes,))


def _side_by_side(blocks: Sequence[Node], *, flat: bool, ctx: Lowerer) -> Output:
    if flat:
        return Output("transform", (beside(blocks, ctx),), "matrix")
    dtype = promoted(tuple(b.type.dtype for b in blocks))
    return Output("transform", tuple(as_type(dtype, b, ctx) for b in blocks), "stack")


# ------------------------------------------------------------------------------------------------------------ stacking


def _stacked(est: Record, x: Source, *, binary: bool, ctx: Lowerer) -> Node:
    """What the final estimator reads (_concatenate_predictions): the members' answers, then perhaps x itself."""
    methods = [m for m in est.stack_method_ if m is not None]
    members = _members(est, x, ctx)
    if len(methods) != len(members):
        raise ctx.unsupported(f"{len(methods)} stack_method_ for {len(members)} members")
    blocks: list[Node] = []
    for model, method in zip(members, methods, strict=True):
        output = answer(model, method, ctx)
        if output.form == "list":
            blocks += [_without_first(n, ctx) for n in output.nodes]
        elif output.form == "matrix" and method == "predict_proba" and binary:
            # The first column says nothing that the second does not.
            blocks.append(_without_first(output.nodes[0], ctx))
        else:
            blocks.append(encoded(output, ctx))
    if not est.get("passthrough", False):
        return beside(blocks, ctx)
    blocks.append(as_block(x, ctx))
    return beside(blocks, ctx, layout=blocks[-1].type.layout)


def _without_first(block: Node, ctx: Lowerer) -> Node:
    return Select(inputs=(block,), index=np.arange(1, block.type.width), origin=ctx.where)


def _decoded(output: Output, tables: tuple[np.ndarray, ...], ctx: Lowerer) -> Output:
    """The final estimator's answer in the labels that the ensemble was fitted on: its own are their positions."""
    if len(output.labels) != len(tables):
        raise ctx.unsupported("the final estimator does not answer with one label per target")
    known = []
    for codes, table in zip(output.labels, tables, strict=True):
        if codes.dtype.kind not in "iu" or len(codes) == 0 or codes.min() < 0 or codes.max() >= len(table):
            raise ctx.unsupported("the final estimator was not fitted on the positions of the ensemble's classes_")
        known.append(table[codes])
    return Output("predict", output.nodes, output.form, tuple(known))

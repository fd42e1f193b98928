"""Models of several targets made of models of one: side by side, or in a chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array
from slimml.frontends.sklearn.members import (
    answer,
    as_type,
    beside,
    columns,
    encoded,
    has,
    member,
    members,
    of_numbers,
    one_number,
)
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import Log

_MODULE = "sklearn.multioutput"


@lowers(f"{_MODULE}.MultiOutputClassifier")
def multi_output_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Classifiers of one target each that are supported. (Probabilities of 0.18 are not answered.)"""
    inner = members(est, x, ctx)
    chosen = [answer(m, "predict", ctx) for m in inner]
    if not all(len(o.labels) == len(m.classes) == 1 for o, m in zip(chosen, inner, strict=True)):
        raise ctx.unsupported("a member that does not answer one label a row")
    tables = tuple(o.labels[0] for o in chosen)
    common = np.result_type(*(t.dtype for t in tables))  # numpy.asarray of all answers
    positions = beside([o.nodes[0] for o in chosen], ctx)
    outputs = [Output("predict", (positions,), "matrix", tuple(t.astype(common) for t in tables))]
    # In 0.18 they are one array with the targets last, which no plan answers.
    if ctx.version >= (0, 19) and all(has(m, "predict_proba") for m in inner):
        nodes = tuple(answer(m, "predict_proba", ctx).nodes[0] for m in inner)
        outputs.append(Output("predict_proba", nodes, "list"))
    return Model(tuple(outputs), tuple(m.classes[0] for m in inner))


@lowers(f"{_MODULE}.MultiOutputRegressor")
def multi_output_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Regressors of one target each that are supported."""
    values = [one_number(answer(m, "predict", ctx), ctx) for m in members(est, x, ctx)]
    return Model((Output("predict", (beside(values, ctx),), "matrix"),))


@lowers(f"{_MODULE}.RegressorChain")
def regressor_chain(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Regressors that are supported, in any order."""
    return Model((_output(est, "predict", _chain(est, x, "predict", ctx), ctx),))


@lowers(f"{_MODULE}.ClassifierChain")
def classifier_chain(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Classifiers of two classes that are supported, in any order, with any `chain_method`; no labels but numbers."""
    links = _chain(est, x, est.get("chain_method_", "predict"), ctx)
    outputs = [_output(est, "predict", links, ctx)]
    two = all(len(m.classes) == 1 and len(m.classes[0]) == 2 for m in links)
    for method in ("predict_proba", "decision_function"):
        if two and all(has(m, method) for m in links):
            outputs.append(_output(est, method, links, ctx))
    if any(o.name == "predict_proba" for o in outputs) and ctx.version >= (1, 4):
        (chances,) = outputs[1].nodes
        outputs.append(Output("predict_log_proba", (Log(inputs=(chances,), origin=ctx.where),), "matrix"))
    return Model(tuple(outputs), tuple(t for m in links for t in m.classes))


def _chain(est: Record, x: Source, handed_on: Any, ctx: Lowerer) -> list[Model]:
    """The links, each reading the row and what those before it hand on (_BaseChain._get_predictions)."""
    ctx.check_width(est, x)
    row = ctx.floats(of_numbers(x, ctx), finite="all", csr=True)
    blocks, links = [row], []
    for i, link in enumerate(est.estimators_):
        whole = beside(blocks, ctx, layout=row.type.layout)
        links.append(member(link, whole, f"estimators_[{i}]", ctx))
        blocks.append(_number(links[-1], handed_on, ctx))
    if not links:
        raise ctx.unsupported(f"{est.name} without fitted members")
    return links


def _number(link: Model, method: Any, ctx: Lowerer) -> Node:
    """A link's answer as one number in float64: its label, the chance of its last class, or its score."""
    if method == "predict":
        number = one_number(answer(link, method, ctx), ctx)
    elif method in ("predict_proba", "predict_log_proba", "decision_function") and len(link.classes) == 1:
        number = encoded(answer(link, method, ctx), ctx)
        number = number if method == "decision_function" else columns(number, [number.type.width - 1], ctx)
    else:
        raise ctx.unsupported(f"a chain that hands on {method!r:.40}")
    if number.type.width != 1:
        raise ctx.unsupported(f"a link that hands on {number.type.width} numbers")
    return as_type("float64", number, ctx)


def _output(est: Record, method: str, links: list[Model], ctx: Lowerer) -> Output:
    """The answers of the links, which were fitted in the order `order_`, in the order of the targets."""
    order = est_array(est, "order_", ctx)
    if order.shape != (len(links),) or sorted(order.tolist()) != list(range(len(links))):
        raise ctx.unsupported(f"order_ {order.tolist()!r:.60} of {len(links)} links")
    block = beside([_number(m, method, ctx) for m in links], ctx)
    return Output(method, (columns(block, np.argsort(order).tolist(), ctx),), "matrix")

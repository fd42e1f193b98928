"""The graph of an ONNX file, walked from its inputs to its outputs."""

from __future__ import annotations

import numpy as np

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.onnx import (
    arithmetic,
    categories,
    conditions,
    ensemble,
    gathering,
    matching,
    operators,
    shapes,
    trees,
)
from slimml.frontends.onnx.values import ML, RULES, WAYS_OUT, Step, Tensor, Value, as_dtype
from slimml.frontends.registry import lowers
from slimml.ingest.onnx.model import GRAPH, OnnxGraph, OnnxNode, Port
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.columns import Cast
from slimml.schema import CATEGORY

RULE_MODULES = (
    arithmetic,
    categories,
    conditions,
    ensemble,
    gathering,
    matching,
    operators,
    shapes,
    trees,
)  # whose import fills the table of rules
_NUMBERS = ("float32", "float64", "int64")
_REGRESSORS = ("TreeEnsembleRegressor", "LinearRegressor")
_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")
# ai.onnx.ml 5 brought TreeEnsemble in place of the two before; what comes after 1.20 is not known.
_OPSETS = {"": range(7, 27), ML: range(1, 6)}


@lowers("onnx.ModelProto")
def onnx_model(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Tree ensembles (ai.onnx.ml 1 to 5) and linear models, with scaling, imputing, one-hot and label encoding,
    products, comparisons and arithmetic with constants around them, most of what slimml writes among it; every operator
    that is not handled is named.
    """
    graph = est.get(GRAPH)
    if not isinstance(graph, OnnxGraph) or not isinstance(x, Frame):
        raise ctx.unsupported("an ONNX model inside of another model")
    needed = _needed(graph, ctx)
    _check_known(graph, needed)
    values: dict[str, Value] = {**graph.constants, **_inputs(graph, x, ctx)}
    for node in needed:
        step = Step(node, graph, tuple(values.get(name) if name else None for name in node.inputs), ctx)
        values |= dict(zip(node.outputs, _results(step), strict=False))
    return _answers(graph, needed, values, ctx)


def _results(step: Step) -> tuple[Value, ...]:
    """What an operator makes of its inputs. A file whose numbers contradict each other is refused."""
    try:
        results = RULES[step.onnx.domain, step.onnx.op](step)
    except MalformedGraphError as error:
        raise step.unsupported(str(error)) from None
    step.check_read()
    return results


def _needed(graph: OnnxGraph, ctx: Lowerer) -> list[OnnxNode]:
    """The operators that the outputs need, each after what it reads. Refuses circles and names that nothing makes."""
    made: dict[str, int] = {}
    for i, node in enumerate(graph.nodes):
        for name in filter(None, node.outputs):
            if made.setdefault(name, i) != i:
                raise ctx.unsupported(f"two operators that make {name!r:.80}")
    known = set(graph.constants) | {p.name for p in graph.inputs}
    order: list[OnnxNode] = []
    state = [0] * len(graph.nodes)  # 1: what it reads is on its way; 2: in its place
    stack = [(p.name, False) for p in reversed(graph.outputs)]
    while stack:
        name, back = stack.pop()
        if name in known or not name:
            continue
        if name not in made:
            raise ctx.unsupported(f"nothing makes {name!r:.80}")
        at = made[name]
        if back:
            if state[at] == 1:
                state[at] = 2
                order.append(graph.nodes[at])
        elif state[at] == 1:
            raise ctx.unsupported(f"operators in a circle, by way of {name!r:.80}")
        elif state[at] == 0:
            state[at] = 1
            stack.append((name, True))
            stack += [(n, False) for n in reversed(graph.nodes[at].inputs)]
    return order


def _check_known(graph: OnnxGraph, needed: list[OnnxNode]) -> None:
    """Refuse, all of them at once, operators and releases of their domains that are not handled."""
    unknown = [n for n in needed if (n.domain, n.op) not in RULES]
    if unknown:
        told = [f"{n.domain + '.' if n.domain else ''}{n.op:.60} ({n.name or n.outputs[0]:.60})" for n in unknown[:20]]
        rest = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        raise UnsupportedEstimatorError(
            f"operators that are not handled: {', '.join(told)}{rest}", where="model", hint=WAYS_OUT
        )
    for domain in {n.domain for n in needed}:
        release = graph.opsets.get(domain, 0)
        if release not in _OPSETS[domain]:
            raise UnsupportedEstimatorError(
                f"release {release} of the operators of {domain or 'ai.onnx'} is not handled",
                where="model",
                hint=WAYS_OUT,
            )


def _inputs(graph: OnnxGraph, x: Frame, ctx: Lowerer) -> dict[str, Tensor | np.ndarray]:
    """Each input as a block of its columns, cast to its element type as a caller has to."""
    found: dict[str, Tensor | np.ndarray] = {}
    at = 0
    for port in graph.inputs:
        # An open number of columns is that of the only input.
        count = port.shape[1] if port.shape and port.shape[1] is not None else x.width - at
        found[port.name] = _input(port, x.select(range(at, at + count)), ctx)
        at += count
    if at != x.width:
        raise ctx.unsupported(f"the model takes {at} columns and is handed {x.width}")
    return found


def _input(port: Port, columns: Frame, ctx: Lowerer) -> Tensor:
    if port.dtype == "str":
        return Tensor(columns.objects([CATEGORY] * columns.width, ctx.where))
    if port.dtype not in _NUMBERS:
        raise ctx.unsupported(f"the input {port.name!r:.80} is of {port.dtype or 'no tensor'}")
    block = ctx.floats(columns, finite="all" if port.dtype == "int64" else "any")
    return Tensor(as_dtype(block, port.dtype, ctx))


def _answers(graph: OnnxGraph, needed: list[OnnxNode], values: dict[str, Value], ctx: Lowerer) -> Model:
    """The outputs as the methods of an estimator."""
    found = []
    for port in graph.outputs:
        value = values.get(port.name)
        if not isinstance(value, Tensor):
            raise ctx.unsupported(f"the output {port.name!r:.80} does not depend on the rows")
        found.append((port.name, value))
    names = _method_names(found, {n.op for n in needed})
    if names is None:
        told = ", ".join(repr(name[:60]) for name, _ in found[:20])
        raise ctx.unsupported(f"outputs that are no label, probabilities, value or table: {told}")
    outputs = [_output(name, value, ctx) for name, (_, value) in zip(names, found, strict=True)]
    tables = [v.table for n, (_, v) in zip(names, found, strict=True) if n == "predict" and v.table is not None]
    return Model(tuple(outputs), tuple(tables))


def _method_names(found: list[tuple[str, Tensor]], ops: set[str]) -> list[str] | None:
    """predict, and predict_proba where its width is the number of labels; of a single output what it is."""
    own = [name for name, _ in found]
    if set(own) <= set(_METHODS) and len(set(own)) == len(own):
        return own
    labels = [v for _, v in found if v.table is not None]
    if len(found) == 1:
        single = labels or found[0][1].axes == 1 or ops.intersection(_REGRESSORS)
        return ["predict" if single else "transform"]
    if len(found) == 2 and len(labels) == 1 and labels[0].table is not None:
        other = next(v for _, v in found if v.table is None)
        table = labels[0].table
        if other.keys is not None and other.keys.tolist() != table.tolist():
            return None
        if other.node.type.numeric and other.node.type.width == len(table):
            return ["predict" if v.table is not None else "predict_proba" for _, v in found]
    return None


def _output(name: str, value: Tensor, ctx: Lowerer) -> Output:
    node = value.node
    if not node.type.numeric:
        raise ctx.unsupported(f"{name} would answer strings")
    if value.table is not None:
        return Output(name, (node,), "vector", (value.table,))
    if node.type.dtype == "bool":
        node = Cast(inputs=(node,), dtype="int64", origin=ctx.where)
    form = "vector" if name == "predict" and node.type.width == 1 else "matrix"
    return Output(name, (node,), form)

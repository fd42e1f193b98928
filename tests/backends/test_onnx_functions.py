"""Functions of one variable in ONNX Runtime: numpy's bits where one operation makes them, else within their bounds."""

from __future__ import annotations

import numpy as np
import pytest

from slimml.backends.onnx.export import export_onnx, export_refusals
from slimml.backends.onnx.functions import EMITTED
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.ops.columns import Input
from slimml.ir.ops.curves import PowerCurve
from slimml.ir.ops.functions import FUNCTIONS, Apply
from slimml.parity.bound import bounds
from slimml.schema import Column, Schema

ODD = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 1e-300, -1e-12, 1e-17, 1e300, 88.0, 710.0, -40.0]
REST = [np.inf, -np.inf, np.nan, np.finfo(float).max, -1 + 2**-53, 2.0**-53, -(2.0**-54), 5e-324]


def graph_of(function: str) -> Graph:
    x = Input(kind="number", columns=(0,))
    schema = Schema((Column("x", "number", "float64", True),), True)
    return Graph(schema, (Output("transform", (Apply(inputs=(x,), function=function),), "matrix"),))


@pytest.mark.parametrize("name", sorted(EMITTED))
def test_functions_answer_as_numpy_within_their_bounds(name: str):
    onnxruntime = pytest.importorskip("onnxruntime")
    rng, graph = np.random.default_rng(0), graph_of(name)
    spread = rng.choice([-1, 1], 3000) * 10.0 ** rng.uniform(-18, 3, 3000)
    x = np.concatenate([ODD, REST, rng.normal(0, 2, 3000), spread])[:, None]
    session = onnxruntime.InferenceSession(export_onnx(graph), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": x})
    values = evaluate(graph.outputs[0].nodes, {graph.inputs()[0]: x})
    (expected,) = (values[n] for n in graph.outputs[0].nodes)
    (limit,) = bounds(graph, values)["transform"]
    if limit is None:
        np.testing.assert_array_equal(got, expected)
        return
    assert not FUNCTIONS[name].exact
    with np.errstate(invalid="ignore"):
        far = ~((np.abs(got - expected) <= limit) | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    assert not far.any(), x[far]


@pytest.mark.parametrize("kind", ["box-cox", "yeo-johnson", "yeo-johnson-power"])
@pytest.mark.parametrize("power", [0.0, 2.0, 1.0, 0.37, -1.4, 5.5, 1e-17])
def test_power_curves_answer_within_their_bounds(kind: str, power: float):
    onnxruntime = pytest.importorskip("onnxruntime")
    rng, x = np.random.default_rng(0), Input(kind="number", columns=(0,))
    curve = PowerCurve(inputs=(x,), kind=kind, lambdas=np.array([power]))
    graph = Graph(graph_of("log").schema, (Output("transform", (curve,), "matrix"),))
    spread = rng.choice([-1, 1], 2000) * 10.0 ** rng.uniform(-18, 4, 2000)
    rows = np.concatenate([ODD, REST, rng.normal(0, 2, 2000), spread])[:, None]
    rows = np.where(rows > 0, rows, np.nan) if kind == "box-cox" else rows
    session = onnxruntime.InferenceSession(export_onnx(graph), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": rows})
    values = evaluate([curve], {x: rows})
    (limit,) = bounds(graph, values)["transform"]
    with np.errstate(invalid="ignore"):
        same = (got == values[curve]) | (np.isnan(got) & np.isnan(values[curve]))
        far = ~(same | (np.abs(got - values[curve]) <= limit))
    assert not far.any(), (rows[far], got[far], values[curve][far])


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(EMITTED)))
def test_what_onnx_does_not_have_in_double_precision_is_refused(name: str):
    assert any(name in r.reason for r in export_refusals(graph_of(name)))

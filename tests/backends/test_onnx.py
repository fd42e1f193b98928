"""The OnnxCall answers what the nodes that it took over answer."""

from __future__ import annotations

import pytest
from hypothesis import given

pytest.importorskip("onnxruntime")
from slimml.backends.onnx.backend import OnnxBackend
from slimml.ir.ops.models import Forest
from tests.backends.forests import random_trees, shapes
from tests.backends.graphs import compiled, forest_graph, reference, rows_for


@given(shapes)
def test_forests_are_bitwise(shape):
    graph = forest_graph(random_trees(**shape), shape["width"], seed=shape["seed"])
    engine = compiled(OnnxBackend(), graph)
    assert not any(isinstance(n, Forest) for n in engine.graph.nodes())
    for count in (1, 60):
        rows = rows_for(graph, count, shape["seed"])
        assert engine.run("transform", {"number": rows})[0].tobytes() == reference(graph, {"number": rows}).tobytes()

"""A plain ONNX file answers what `evaluate` answers, in an ONNX Runtime that knows nothing of slimml."""

from __future__ import annotations

import json

import numpy as np
import pytest

from slimml.backends.onnx import rules
from slimml.backends.onnx.export import export_onnx, export_refusals
from slimml.backends.onnx.objects import usages
from slimml.ir.graph import Graph
from slimml.ir.ops.models import Forest
from slimml.options import GOLDEN_RTOL
from tests.backends.test_contract import answers_and_bounds, assert_close, zoo_graph
from tests.zoo import ZOO

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run_file(data: bytes, graph: Graph, blocks) -> dict[str, np.ndarray]:
    """The answers of the file to rows in blocks, by output."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    tokens = json.loads(session.get_modelmeta().custom_metadata_map["slimml.missing"])
    wanted = {i.name: i.type for i in session.get_inputs()}
    feeds = {}
    for node in graph.inputs():
        for at, column in enumerate(node.columns):
            name = graph.schema.columns[column].name
            values = blocks[node.kind][:, at : at + 1]
            if wanted.get(name) == "tensor(string)":
                texts = [tokens[name] if v is None or v != v else str(v) for v in values.ravel().tolist()]
                feeds[name] = np.array(texts, dtype=object)[:, None]
            elif name in wanted:
                feeds[name] = np.array([np.nan if v is None else v for v in values.ravel().tolist()])[:, None]
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, {n: np.asarray(v) for n, v in feeds.items()}), strict=True))


def sayable(graph: Graph, blocks):
    """The rows without the string that stands for a missing value: a file cannot tell the two apart."""
    objects = blocks.get("category")
    if objects is None:
        return blocks
    tokens = {u.token for u in usages(graph).values()}
    keep = [i for i, row in enumerate(objects.tolist()) if not tokens & {v for v in row if isinstance(v, str)}]
    return {k: b[keep] for k, b in blocks.items()}


def expected(graph: Graph, blocks) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """What the outputs of the file should be, and how far rounding may carry them."""
    found = {}
    values, limits = answers_and_bounds(graph, blocks)
    for output in graph.outputs:
        for i, (value, limit) in enumerate(zip(values[output.name], limits[output.name], strict=True)):
            if output.labels:
                value = np.stack([t[value[:, c]] for c, t in enumerate(output.labels)], axis=1)
                value = value.astype(object) if value.dtype.kind in "UO" else value
            value = value.astype(np.int64) if value.dtype.kind in "iu" else value
            name = f"{output.name}_{i}" if output.form in ("list", "stack") else output.name
            limit = limit[:, 0] if output.form == "vector" and limit is not None else limit
            found[name] = value[:, 0] if output.form == "vector" else value, limit
    return found


@pytest.mark.parametrize("model", ZOO, ids=[m.name for m in ZOO])
def test_the_file_agrees_or_says_why_not(model):
    graph, blocks = zoo_graph(model.name, passes=True)
    blocks = sayable(graph, blocks)
    refusals = export_refusals(graph)
    if refusals:
        pytest.skip("; ".join(map(str, refusals)))
    data = export_onnx(graph)
    assert data == export_onnx(graph)
    checked = onnx.load_from_string(data)
    onnx.checker.check_model(checked, full_check=True)
    assert {o.domain for o in checked.opset_import} <= {"", "ai.onnx.ml"}
    rounding = any(isinstance(n, rules.ROUNDING_OPS) for n in graph.nodes())
    got = run_file(data, graph, blocks)
    for name, (want, limit) in expected(graph, blocks).items():
        if want.dtype == object:
            assert ((got[name] == want) | limit).all()
        else:
            one_thread = len(want) == 1 or not any(isinstance(n, Forest) for n in graph.nodes())
            if not one_thread and want.dtype.kind == "f":
                # A plain ONNX Runtime adds up the trees of a forest in the order of its threads.
                near = 1e-5 * (1 + np.abs(want)) if want.dtype == np.float32 else GOLDEN_RTOL * np.abs(want)
                limit = near + (0.0 if limit is None else limit)
            assert_close(got[name], want, None if not rounding and one_thread else limit)

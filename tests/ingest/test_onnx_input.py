"""ONNX files are read as data; damaged and hostile ones end in an error of slimml's own, in bounded time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from slimml.errors import IngestError, SlimmlError, UnsupportedModelError
from slimml.frontends.lowerer import lower
from slimml.ingest.onnx.model import GRAPH, read_graph
from slimml.ingest.onnx.wire import Wire, ints
from slimml.ingest.read import read
from slimml.refusals import scan
from tests.frontends.test_onnx_models import converted, model

REFUSED = (IngestError, UnsupportedModelError)


def outcome(content: bytes) -> SlimmlError | None:
    """What reading and lowering ends in, where that is an error."""
    try:
        lower(read(content).root)
    except REFUSED as error:
        return error
    return None


def test_a_file_says_what_it_holds() -> None:
    source = read(converted("forest of three classes"))
    graph = source.root.fields[GRAPH]
    assert source.format == "ONNX" and source.root.path == "onnx.ModelProto"
    assert source.root.n_features_in_ == 5 and graph.producer.startswith("skl2onnx")
    first = graph.nodes[0].attributes
    assert first["nodes_values"].dtype == np.float32 and first["nodes_treeids"].dtype == np.int64
    assert len(first["nodes_modes"]) == len(first["nodes_values"]) == len(first["nodes_treeids"])


def test_runs_of_numbers_are_read_whatever_their_length() -> None:
    values = [0, 1, -1, 127, 128, 2**40, -(2**63), 2**63 - 1] * 700
    attribute = helper.make_attribute("a", values).SerializeToString()
    assert ints(Wire().message(memoryview(attribute))[8]).tolist() == values


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "bool", "uint8"])
def test_constants_are_read_in_both_of_their_forms(dtype: str) -> None:
    values = np.array([[0, 1, 2], [3, 4, 250]]).astype(dtype)
    typed = helper.make_tensor(
        "k", helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, values.ravel().tolist()
    )
    nodes = [helper.make_node("Exp", ["X"], ["y"])]
    for tensor in (typed, numpy_helper.from_array(values, "k")):
        found = read_graph(memoryview(model(nodes, ["y"], constants=(tensor,)))).constants["k"]
        assert found.dtype == values.dtype and np.array_equal(found, values)


@pytest.mark.parametrize("name", ["boosting of two classes", "pipeline"])
def test_files_that_break_off_are_refused(name: str) -> None:
    content = converted(name)
    step = max(7, len(content) // 400 // 7 * 7)
    for end in range(0, len(content) - 1, step):
        outcome(content[:end])  # raises what is no error of slimml's own


@pytest.mark.parametrize("name", ["tree of named classes", "logistic"])
def test_flipped_bits_are_refused_or_answer(name: str) -> None:
    rng = np.random.default_rng(1)
    content = np.frombuffer(converted(name), dtype=np.uint8)
    for _ in range(300):
        damaged = content.copy()
        at = rng.integers(0, len(damaged), rng.integers(1, 4))
        damaged[at] = rng.integers(0, 256, len(at))
        outcome(damaged.tobytes())


def test_shapes_that_cost_more_than_the_file_are_refused() -> None:
    nodes = [helper.make_node("Exp", ["X"], ["y"])]
    assert isinstance(outcome(model(nodes, ["y"], width=2**40)), IngestError)
    assert isinstance(outcome(model(nodes, ["y"], width=0)), IngestError)
    tensor = helper.make_tensor("k", TensorProto.FLOAT, [2], [1.0, 2.0])
    tensor.dims[0] = 2**50
    assert isinstance(outcome(model(nodes, ["y"], constants=(tensor,))), IngestError)


def test_a_graph_without_outputs_is_refused() -> None:
    assert isinstance(outcome(model([helper.make_node("Exp", ["X"], ["y"])], [])), IngestError)


def test_constants_in_other_files_are_refused() -> None:
    tensor = helper.make_tensor("k", TensorProto.FLOAT, [1], [1.0])
    tensor.data_location = TensorProto.EXTERNAL
    error = outcome(model([helper.make_node("Exp", ["X"], ["y"])], ["y"], constants=(tensor,)))
    assert error is not None and "in a file of its own" in str(error)


def test_fields_that_take_turns_take_time_in_proportion() -> None:
    tensor = (b"\x08\x01" * 12 + b"\x10\x01" * 12) * 4000
    start = time.perf_counter()
    Wire().message(memoryview(tensor))
    assert time.perf_counter() - start < 10


def test_scan_names_what_is_not_handled() -> None:
    report = scan(converted("logistic"))
    assert report.format == "ONNX" and report.complete and not report.refusals and report.verdict == "harmless"
    unknown = scan(model([helper.make_node("Erf", ["X"], ["y"], name="first")], ["y"]))
    assert ["Erf (first)" in r.why for r in unknown.refusals] == [True]
    assert not scan(converted("logistic")[:-9]).complete

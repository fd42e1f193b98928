"""No bytes in an ONNX section reach ONNX Runtime unless they are what slimml writes."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.backends.onnx.backend import OnnxBackend
from slimml.errors import ArtifactCorruptError
from slimml.options import ShrinkOptions
from slimml.runtime.engines.onnx_check import MAX_DEPTH, check_model
from tests.backends.forests import random_trees
from tests.backends.graphs import forest_graph, opened, rows_for

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

GRAPH = forest_graph(random_trees(3, count=6, sets=2, outputs=2, cuts=6))
PAYLOAD = OnnxBackend().compile(GRAPH, ShrinkOptions())
SECTION = PAYLOAD.sections["onnx"]


def open_with(section: bytes):
    return opened(replace(PAYLOAD, sections={"onnx": section}), GRAPH)


def changed(change) -> bytes:
    """The section after a change to its protobuf."""
    model = onnx.load_from_string(SECTION)
    change(model)
    return model.SerializeToString()


def ensemble(model):
    return [n for n in model.graph.node if n.op_type == "TreeEnsemble"][-1]  # the one before it ranks


def test_what_slimml_writes_is_let_through():
    check_model(memoryview(SECTION))
    open_with(SECTION)


@pytest.mark.parametrize("name", ["onnx_deep_if", "onnx_external_absolute", "onnx_external_inside"])
def test_shared_attacks_are_refused(shared, name):
    with pytest.raises(ArtifactCorruptError):
        open_with((shared / "attacks" / "artifact" / f"{name}.onnx").read_bytes())


@pytest.mark.parametrize("cut", range(0, len(SECTION), max(1, len(SECTION) // 60)))
def test_truncated_sections_are_refused(cut):
    with pytest.raises(ArtifactCorruptError):
        open_with(SECTION[:cut])


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 40, b"PK\x03\x04" + bytes(50), b"\x0a" * 1000, b"{}"])
def test_garbage_is_refused(data):
    with pytest.raises(ArtifactCorruptError):
        open_with(data)


@given(st.integers(0, len(SECTION) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_harmless(at, mask):
    flipped = bytearray(SECTION)
    flipped[at] ^= mask
    with contextlib.suppress(ArtifactCorruptError):
        open_with(bytes(flipped)).run("transform", {"number": rows_for(GRAPH, 3)})


def external_data(model) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def unknown_operator(model) -> None:
    model.graph.node[0].op_type = "Loop"


def foreign_domain(model) -> None:
    model.graph.node[0].domain = "com.microsoft"


def subgraph(model) -> None:
    body = onnx.helper.make_graph([], "g", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", body))


def function(model) -> None:
    model.functions.append(onnx.helper.make_function("d", "f", [], [], [], []))


def metadata(model) -> None:
    model.metadata_props.add(key="session.disable_prepacking", value="1")


@pytest.mark.parametrize("change", [external_data, unknown_operator, foreign_domain, subgraph, function, metadata])
def test_what_slimml_never_writes_is_refused(change):
    with pytest.raises(ArtifactCorruptError):
        open_with(changed(change))


def attribute(name: str, at: int, value: int):
    def change(model) -> None:
        node = ensemble(model)
        next(a for a in node.attribute if a.name == name).ints[at] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        attribute("nodes_featureids", 0, 10_000),
        attribute("nodes_featureids", 0, -1),
        attribute("nodes_truenodeids", 0, 10_000),
        attribute("nodes_truenodeids", 0, 0),
        attribute("nodes_falsenodeids", 1, 0),
        attribute("nodes_trueleafs", 0, 2),
        attribute("leaf_targetids", 0, 99),
        attribute("tree_roots", 0, 10_000),
    ],
)
def test_a_forest_that_onnxruntime_would_follow_astray_is_refused(change):
    # Packed, as slimml writes integers: what is refused here is the numbers, not their form.
    with pytest.raises(ArtifactCorruptError):
        open_with(repacked(changed(change)))


def test_repacking_alone_is_let_through():
    open_with(repacked(changed(lambda model: None)))


def repacked(data: bytes) -> bytes:
    """The model written by slimml's own writer."""
    from slimml.backends.onnx.program import Op, Port, Program
    from slimml.backends.onnx.protobuf import ELEMENT, serialize

    names = {number: name for name, number in ELEMENT.items()}
    model = onnx.load_from_string(data)

    def value(a):
        if a.type == onnx.AttributeProto.TENSOR:
            return onnx.numpy_helper.to_array(a.t)
        return list(a.ints) if a.type == onnx.AttributeProto.INTS else a.i

    def port(p):
        tensor = p.type.tensor_type
        return Port(p.name, names[tensor.elem_type], tuple(d.dim_param or d.dim_value for d in tensor.shape.dim))

    program = Program()
    program.inputs, program.outputs = [port(p) for p in model.graph.input], [port(p) for p in model.graph.output]
    program.constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    program.ops = [
        Op(n.op_type, tuple(n.input), n.output[0], {a.name: value(a) for a in n.attribute}, n.domain)
        for n in model.graph.node
    ]
    return serialize(program)


def test_trees_deeper_than_any_that_grows_are_refused_by_the_backend_and_by_the_loader():
    deep = chain(MAX_DEPTH + 1)
    graph = forest_graph(deep, 1)
    assert "deep" in str(OnnxBackend().refuses(graph)[0])
    with pytest.raises(ArtifactCorruptError, match="deeper"):
        opened(OnnxBackend().compile(graph, ShrinkOptions()), graph)


def chain(depth: int):
    """One tree whose every left child is a leaf."""
    inner = np.arange(2 * depth + 1) % 2 == 0
    inner[-1] = False
    trees = random_trees(0, count=1, depth=0)
    right = np.where(inner, np.arange(2 * depth + 1) + 2, 0).astype(np.int32)
    return replace(
        trees,
        feature=np.where(inner, 0, -1).astype(np.int32),
        cut=np.zeros(2 * depth + 1, dtype=np.int32),
        right=right,
        flags=np.zeros(2 * depth + 1, dtype=np.uint8),
        _depth=[],
    )

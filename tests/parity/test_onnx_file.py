"""The original of an ONNX file is ONNX Runtime on these very bytes, in a process of its own."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper

import slimml
from slimml.errors import CorruptInputError
from slimml.frontends.lowerer import lower
from slimml.ingest.onnx.doubts import doubts
from slimml.ingest.onnx.model import GRAPH, _attribute
from slimml.ingest.onnx.wire import Wire
from slimml.ingest.read import read
from slimml.parity import process
from slimml.parity.onnx_file import opened
from tests.frontends.test_onnx_exports import compared
from tests.frontends.test_onnx_models import ML, X, converted, model

STATED = f"run by onnxruntime {onnxruntime.__version__} in a process of its own"


def test_shrink_verify_and_bench_compare_with_onnx_runtime(tmp_path: Path) -> None:
    path, out = tmp_path / "model.onnx.gz", tmp_path / "model.slim"
    path.write_bytes(gzip.compress(converted("boosting of three classes")))
    result = slimml.shrink(path, backend="portable", out=out)
    assert (result.reference.how, result.reference.library_version) == ("process", onnxruntime.__version__)
    assert STATED in result.reference.sentence and not result.warnings and result.source.timing is not None
    seams = {s.seam: s for s in result.candidates[0].parity.seams}
    assert seams["frontend"].verdict == seams["whole"].verdict == "bitwise" and seams["whole"].rows > 1000
    verified = slimml.verify(path, out)
    assert verified.ok and STATED in verified.reference.sentence
    analyzed = slimml.analyze(path)
    assert analyzed.times.of is not None and STATED in analyzed.reference.sentence


def test_without_onnx_runtime_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    said = 'onnxruntime is not installed; run: pip install "slimml[onnx]"'
    monkeypatch.setattr(process, "missing", lambda module, extra: said)
    result = slimml.shrink(converted("ridge"), backend="portable")
    assert result.reference.how == "none" and result.warnings == [f"not compared with the original: {said}"]


def test_what_no_output_needs_is_not_handed_to_onnx_runtime() -> None:
    nodes = [helper.make_node("Exp", ["X"], ["y"]), helper.make_node("Exp", ["X"], ["z"], name="idle")]
    content = model(nodes, ["y"])
    assert doubts(read(content).root.fields[GRAPH]) == ["what no output needs in Exp (idle)"]
    result = slimml.shrink(content, backend="portable")
    assert result.reference.how == "none"
    assert "does not hand to ONNX Runtime (what no output needs in Exp (idle))" in result.reference.sentence
    assert slimml.shrink(content, backend="portable", trust=True).reference.how == "process"


def test_graphs_inside_and_operators_of_others_are_doubts_wherever_they_stand() -> None:
    branch = helper.make_graph([helper.make_node("Exp", ["X"], ["e"])], "inner", [], [])
    nodes = [
        helper.make_node("Exp", ["X"], ["y"]),
        helper.make_node("If", ["X"], ["a"], then_branch=branch, else_branch=branch),
        helper.make_node("Own", ["X"], ["b"], domain="com.example"),
    ]
    said = doubts(read(model(nodes, ["y"])).root.fields[GRAPH])
    assert said == ["a graph inside in If (a)", "an operator of com.example in Own (b)"]


def test_a_tensor_given_twice_is_refused_since_its_parts_would_be_merged() -> None:
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node("Constant", [], ["c"], value=value)
    attribute = node.attribute[0].SerializeToString()
    # Field 5 once more: a tensor that only says that its data is in another file.
    elsewhere = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    elsewhere.ClearField("float_data")
    elsewhere.data_location = TensorProto.EXTERNAL
    extra = elsewhere.SerializeToString()
    doubled = attribute + bytes([5 << 3 | 2, len(extra)]) + extra
    with pytest.raises(CorruptInputError, match="a message twice"):
        _attribute(Wire(), memoryview(doubled))
    assert _attribute(Wire(), memoryview(attribute))[1].tolist() == [1.0]


def column(op: str, element: int, **told: Any) -> bytes:
    """An operator of ai.onnx.ml on a column of strings or integers."""
    graph = helper.make_graph(
        [helper.make_node(op, ["c"], ["e"], **told, **ML), helper.make_node("Flatten", ["e"], ["y"], axis=1)], "g",
        [helper.make_tensor_value_info("c", element, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def test_a_missing_category_is_the_text_that_is_made_of_it() -> None:
    content = column("OneHotEncoder", TensorProto.STRING, cats_strings=["a", "nan", "None"])
    seam = compared(content)
    assert seam.verdict == "bitwise"
    rows = pd.DataFrame({"c": pd.Series(["a", float("nan"), None, "b"], dtype=object)})
    graph = lower(read(content).root)
    answer = opened(content, [o.name for o in graph.outputs], []).transform(rows)
    assert answer.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("zeros", [0, 1])
def test_rows_that_onnx_runtime_refuses_are_refused(zeros: int) -> None:
    seam = compared(column("OneHotEncoder", TensorProto.INT64, cats_int64s=[3, -1], zeros=zeros))
    assert seam.verdict == "bitwise" and not seam.refusal_mismatches and (seam.refused > 0)


def test_a_missing_number_is_refused_by_a_binarizer() -> None:
    declared = onnx.load_from_string(model([helper.make_node("Binarizer", ["X"], ["y"], **ML)], ["y"]))
    declared.graph.output[0].ClearField("type")
    seam = compared(declared.SerializeToString())
    assert seam.verdict == "bitwise" and seam.refused > 0 and not seam.refusal_mismatches


def test_dictionaries_are_read_by_their_keys() -> None:
    content = converted("multinomial")
    names = ["predict", "predict_proba"]
    table = opened(content, names, ["middle", "high", "low"]).predict_proba(X[:5].astype(np.float64))
    straight = opened(content, names, ["high", "low", "middle"]).predict_proba(X[:5].astype(np.float64))
    assert np.array_equal(table, straight[:, [2, 0, 1]]) and table.dtype == np.float32
    assert compared(content).verdict in ("bitwise", "rounding")


def test_labels_of_rows_whose_sums_are_no_numbers_are_those_of_onnx_runtime() -> None:
    declared = onnx.load_from_string(model([helper.make_node("ArgMax", ["X"], ["y"], axis=1)], ["y"], width=3))
    declared.graph.output[0].ClearField("type")
    assert compared(declared.SerializeToString()).verdict == "bitwise"

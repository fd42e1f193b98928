"""ONNX files that slimml writes are read again: the answers are those of ONNX Runtime on the file."""

from __future__ import annotations

import functools
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from slimml.backends.onnx.export import export_onnx
from slimml.errors import IngestError, UnsupportedModelError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.parity.inputs import trial_rows
from slimml.parity.onnx_file import opened
from slimml.parity.reference import LiveReference
from slimml.parity.report import SeamReport
from slimml.parity.seams import Checker
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from tests.hostile import graph_answer
from tests.zoo import zoo_model

# Sums of leaves and what is looked up: the same bits.
BITWISE = [
    "tree/regression-two-outputs", "forest/one-class", "forest/regression-missing", "extra/regression",
    "boosting/regression", "hist/regression", "lightgbm/regression", "xgboost/regression",
]  # fmt: skip
ROUNDING = [
    "tree/strings", "forest/missing-three", "boosting/three", "hist/mask", "hist/category-names",
    "hist/ordinal-pipeline-three",
    "hist/one-hot-pipeline", "lightgbm/categories", "xgboost/sentinel", "logistic/multinomial-strings", "sgd/log-three",
    "voting/soft", "mlp/words-logistic",
]  # fmt: skip


@functools.cache
def exported(name: str) -> bytes:
    """The ONNX file of a zoo model."""
    estimator, _ = zoo_model(name)
    return export_onnx(run_passes(lower(read(pickle.dumps(estimator, 5)).root), PASSES)[0])


def compared(content: bytes, count: int = 1500) -> SeamReport:
    """What a file means against ONNX Runtime, on rows beside its cuts and odd ones."""
    graph = lower(read(content).root)
    classes = [table.tolist() for o in graph.outputs for table in o.labels]
    model = opened(content, [o.name for o in graph.outputs], classes[0] if classes else [])
    seam = Checker(LiveReference(model), graph, graph, trial_rows(graph, None, count=count)).frontend_seam
    assert seam is not None
    return seam


@pytest.mark.parametrize("name", [*BITWISE, *ROUNDING])
def test_exported_models_are_read_again(name: str) -> None:
    seam = compared(exported(name))
    assert seam.verdict == "bitwise" if name in BITWISE else seam.verdict in ("bitwise", "rounding"), seam
    assert seam.rows >= 64 and seam.label_mismatches == seam.fragile and not seam.refusal_mismatches


def test_heads_that_read_categories_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedModelError, match="rows of a table at computed places"):
        lower(read(exported("logistic/pipeline")).root)


def test_what_is_read_again_is_written_again_with_the_same_answers() -> None:
    first = lower(read(exported("forest/regression-missing")).root)
    again = lower(read(export_onnx(run_passes(first, PASSES)[0])).root)
    _, rows = zoo_model("forest/regression-missing")
    one, other = (graph_answer(g, "predict", rows) for g in (first, again))
    assert one is not None and other is not None and np.array_equal(one[0], other[0])


def ensemble(mode: int, tracks: int = 0, dtype: Any = np.float32, **changed: Any) -> bytes:
    """A tree of two splits and three leaves over two columns."""

    def tensor(values: list[float]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, dtype=dtype))

    told: dict[str, Any] = {
        "n_targets": 1, "aggregate_function": 1, "post_transform": 0,
        "nodes_modes": numpy_helper.from_array(np.array([mode] * 2, dtype=np.uint8)),
        "nodes_splits": tensor([0.1, 0.1]), "nodes_featureids": [0, 1],
        "nodes_truenodeids": [1, 1], "nodes_trueleafs": [0, 1],
        "nodes_falsenodeids": [0, 2], "nodes_falseleafs": [1, 1],
        "nodes_missing_value_tracks_true": [tracks] * 2, "tree_roots": [0],
        "leaf_targetids": [0, 0, 0], "leaf_weights": tensor([1.5, -2.25, 3.3]),
    }  # fmt: skip
    if dtype is np.float32:  # ONNX Runtime takes none beside doubles
        told["nodes_hitrates"] = tensor([1.0, 1.0])
    if mode == 6:
        told["membership_values"] = tensor([1.0, -2.0, 0.0, np.nan, 40.0, -1.0, np.nan])
    node = helper.make_node("TreeEnsemble", ["X"], ["y"], domain="ai.onnx.ml", **(told | changed))
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("X", element, [None, 2])],
        [helper.make_tensor_value_info("y", element, None)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("ai.onnx.ml", 5)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return content


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", range(6))
def test_splits_of_every_mode_answer_as_onnx_runtime(mode: int, dtype: Any) -> None:
    middle = dtype(0.1)
    values = [middle, *(np.nextafter(middle, dtype(e)) for e in (-1, 1)), 0, -0.0, 1, np.inf, -np.inf, np.nan]
    rows = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2).astype(dtype)
    several = {"n_targets": 3, "leaf_targetids": [0, 2, 1]}
    for tracks, aggregate, changed in itertools.product((0, 1), (0, 1), ({}, several)):
        content = ensemble(mode, tracks, dtype, aggregate_function=aggregate, **changed)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {"X": rows})
        graph = lower(read(content).root)
        answer = graph_answer(graph, graph.outputs[0].name, rows.astype(np.float64))
        assert answer is not None
        np.testing.assert_array_equal(answer[0].reshape(expected.shape), expected)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "fractions in sets of integers": (lambda: ensemble(6), "may hold fractions"),
    "a mode beyond the last": (lambda: ensemble(7), "mode 7"),
    "functions that runtimes do not agree about": (lambda: ensemble(0, post_transform=1), "post_transform 1"),
    "the least of the trees": (lambda: ensemble(0, aggregate_function=2), "aggregate_function 2"),
    "a column that is not there": (lambda: ensemble(0, nodes_featureids=[0, 2]), "no column"),
    "a negative column": (lambda: ensemble(0, nodes_featureids=[-1, 0]), "no column"),
    "a circle": (lambda: ensemble(0, nodes_truenodeids=[0, 1]), "two parents"),
    "a node of two parents": (lambda: ensemble(0, nodes_falsenodeids=[1, 2], nodes_falseleafs=[0, 1]), "two parents"),
    "a branch to nowhere": (lambda: ensemble(0, nodes_truenodeids=[2, 1]), "not there"),
    "a leaf that is not there": (lambda: ensemble(0, nodes_falsenodeids=[0, 3]), "not there"),
    "a root that is not there": (lambda: ensemble(0, tree_roots=[2]), "root"),
    "one root twice": (lambda: ensemble(0, tree_roots=[0, 0]), "root"),
    "a node that no root leads to": (
        lambda: ensemble(0, nodes_truenodeids=[0, 1], nodes_trueleafs=[1, 1]),
        "in a circle",
    ),
    "a target that is not there": (lambda: ensemble(0, leaf_targetids=[0, 0, 1]), "no target"),
    "more targets than any model has": (lambda: ensemble(0, n_targets=1 << 40), "no target"),
    "lists of several lengths": (lambda: ensemble(0, nodes_falseleafs=[1]), "another length"),
    "floats among doubles": (
        lambda: ensemble(0, leaf_weights=numpy_helper.from_array(np.zeros(3))),
        "not in float32",
    ),
    "sets that do not end": (
        lambda: ensemble(6, membership_values=numpy_helper.from_array(np.ones(2, np.float32))),
        "do not end",
    ),
    "fewer sets than splits": (
        lambda: ensemble(6, membership_values=numpy_helper.from_array(np.array([1, np.nan], np.float32))),
        "1 sets for 2",
    ),
    "a threshold that is no number": (
        lambda: ensemble(0, nodes_splits=numpy_helper.from_array(np.array([0, np.nan], np.float32))),
        "parts no numbers",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_ensembles_that_contradict_themselves_are_refused(what: str) -> None:
    make, said = REFUSED[what]
    with pytest.raises(UnsupportedModelError, match=said):
        lower(read(make()).root)


@pytest.mark.parametrize("name", ["tree/regression-two-outputs", "hist/ordinal-pipeline-three", "hist/category-names"])
def test_damaged_files_of_ours_are_refused_or_answer(name: str) -> None:
    rng = np.random.default_rng(0)
    content = np.frombuffer(exported(name), dtype=np.uint8)
    refused = 0
    for _ in range(150):
        damaged = content.copy()
        at = rng.integers(0, len(damaged), rng.integers(1, 4))
        damaged[at] = rng.integers(0, 256, len(at))
        try:
            lower(read(damaged.tobytes()).root)
        except (IngestError, UnsupportedModelError):
            refused += 1
    assert refused


def test_operators_between_that_are_not_handled_are_named() -> None:
    model = onnx.load_from_string(exported("tree/strings"))
    next(n for n in model.graph.node if n.op_type == "ArgMax").op_type = "Hardmax"
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE
    with pytest.raises(UnsupportedModelError, match="Hardmax"):
        lower(read(model.SerializeToString()).root)

"""ONNX files answer as ONNX Runtime runs them: labels and routing exactly, sums up to their rounding in float32."""

from __future__ import annotations

import functools
import pickle
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from slimml.backends.onnx.export import export_onnx
from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph
from tests.hostile import graph_answer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5)).astype(np.float32)
TWO = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.4, 0.5])
NAMED = np.array(["low", "middle", "high"])[THREE]
VALUE = X[:, 0] * 2 + X[:, 3]
# ONNX Runtime adds, raises and divides in float32, in an order of its own from some number of rows on.
NEAR = 4e-6

MODELS = {
    "forest of two classes": (RandomForestClassifier(5, max_depth=4, random_state=0), TWO),
    "forest of three classes": (RandomForestClassifier(5, max_depth=4, random_state=0), THREE),
    "tree of named classes": (DecisionTreeClassifier(max_depth=4, random_state=0), NAMED),
    "forest of numbers": (RandomForestRegressor(5, max_depth=4, random_state=0), VALUE),
    "boosting of two classes": (GradientBoostingClassifier(n_estimators=4, random_state=0), TWO),
    "boosting of three classes": (GradientBoostingClassifier(n_estimators=4, random_state=0), THREE),
    "logistic": (LogisticRegression(), TWO),
    "multinomial": (LogisticRegression(), NAMED),
    "ridge": (Ridge(), VALUE),
    "pipeline": (make_pipeline(SimpleImputer(), StandardScaler(), MinMaxScaler(), LogisticRegression()), THREE),
}  # fmt: skip


@functools.cache
def converted(name: str) -> bytes:
    """The ONNX file of a fitted model."""
    estimator, y = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content: bytes = to_onnx(estimator.fit(X, y), X[:1]).SerializeToString()
    return content


def answers(content: bytes, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What ONNX Runtime answers, dictionaries of probabilities as rows."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, feed)
    return [np.array([list(d.values()) for d in a], np.float32) if isinstance(a, list) else a for a in found]


def hold(graph: Graph, expected: list[np.ndarray], rows: Any) -> None:
    """The outputs in their order are those of ONNX Runtime."""
    for output, one in zip(graph.outputs, expected, strict=True):
        answer = graph_answer(graph, output.name, rows)
        assert answer is not None
        other = answer[0].reshape(one.shape)
        if one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, rtol=NEAR, atol=NEAR)
        else:
            assert other.dtype.kind == ("U" if one.dtype == object else "i")
            assert other.tolist() == one.tolist()


@pytest.mark.parametrize("name", MODELS)
def test_converted_models_answer_as_onnx_runtime(name: str) -> None:
    graph = lower(read(converted(name)).root)
    rows = RNG.normal(size=(300, 5)).astype(np.float32)
    if "pipeline" in name:
        rows[::7, 1] = np.nan
    hold(graph, answers(converted(name), {"X": rows}), rows.astype(np.float64))
    classifier = len(graph.outputs) == 2
    assert [o.name for o in graph.outputs] == (["predict", "predict_proba"] if classifier else ["predict"])
    assert len(graph.classes) == classifier


def test_a_frame_keeps_its_names_and_categories() -> None:
    frame = pd.DataFrame({"age": X[:, 0], "fare": X[:, 1], "sex": np.where(X[:, 2] > 0, "m", "f"), "port": NAMED})
    numbers = ["age", "fare"]
    encoder = OneHotEncoder(handle_unknown="ignore")
    step = make_column_transformer((StandardScaler(), numbers), (encoder, ["sex", "port"]))
    fitted = make_pipeline(step, LogisticRegression()).fit(frame, TWO)
    types = [(c, FloatTensorType([None, 1]) if c in numbers else StringTensorType([None, 1])) for c in frame]
    content = to_onnx(fitted, initial_types=types).SerializeToString()
    rows = frame.head(60).copy()
    rows.loc[::5, "port"] = "elsewhere"
    feed = {c: rows[[c]].to_numpy(np.float32 if c in numbers else object) for c in frame}
    graph = lower(read(content).root)
    assert [(c.name, c.kind) for c in graph.schema.columns] == [
        *(("age", "number"), ("fare", "number"), ("sex", "category"), ("port", "category")),
    ]
    hold(graph, answers(content, feed), rows)


def model(nodes: list[Any], outputs: list[str], *, width: int = 2, constants: tuple[Any, ...] = ()) -> bytes:
    """A file of these operators over one table of floats."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs], list(constants),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def stump(mode: str, tracks: int, aggregate: str = "SUM") -> bytes:
    """Two trees of one split at 0.1, which float32 holds no exact number for."""
    node = helper.make_node(
        "TreeEnsembleRegressor", ["X"], ["y"], domain="ai.onnx.ml", n_targets=1, aggregate_function=aggregate,
        nodes_treeids=[0, 0, 0, 1, 1, 1], nodes_nodeids=[0, 1, 2] * 2, nodes_featureids=[0, 0, 0, 1, 0, 0],
        nodes_modes=[mode, "LEAF", "LEAF"] * 2, nodes_values=[0.1, 0.0, 0.0] * 2,
        nodes_truenodeids=[2, 0, 0, 1, 0, 0], nodes_falsenodeids=[1, 0, 0, 2, 0, 0],
        nodes_missing_value_tracks_true=[tracks, 0, 0] * 2, base_values=[0.5],
        target_treeids=[0, 0, 1, 1], target_nodeids=[1, 2, 1, 2], target_ids=[0] * 4,
        target_weights=[1.0, 2.0, 10.0, 20.0],
    )  # fmt: skip
    return model([node], ["y"])


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE"])
@pytest.mark.parametrize("tracks", [0, 1])
@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"])
def test_splits_send_every_value_the_way_that_onnx_runtime_does(mode: str, tracks: int, aggregate: str) -> None:
    middle = np.float32(0.1)
    ends = [np.nextafter(middle, np.float32(e)) for e in (-1, 1)]
    values = np.array([middle, *ends, 0, -1, 1, np.inf, -np.inf, np.nan], dtype=np.float32)
    rows = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    content = stump(mode, tracks, aggregate)
    (expected,) = answers(content, {"X": rows})
    answer = graph_answer(lower(read(content).root), "predict", rows.astype(np.float64))
    assert answer is not None
    np.testing.assert_array_equal(answer[0].ravel(), expected.ravel())


def test_all_operators_that_are_not_handled_are_named_at_once() -> None:
    nodes = [
        helper.make_node("Erf", ["X"], ["a"], name="first"),
        helper.make_node("SVMRegressor", ["a"], ["b"], name="second", domain="ai.onnx.ml"),
        helper.make_node("Own", ["b"], ["c"], domain="com.example"),
    ]
    with pytest.raises(UnsupportedEstimatorError) as caught:
        lower(read(model(nodes, ["c"])).root)
    said = str(caught.value)
    assert "Erf (first), ai.onnx.ml.SVMRegressor (second), com.example.Own (c)" in said
    assert "Convert the model that the ONNX file was made of" in said


def test_circles_graphs_inside_and_attributes_that_nothing_reads_are_refused() -> None:
    circle = [helper.make_node("Exp", ["b"], ["a"]), helper.make_node("Exp", ["a"], ["b"])]
    with pytest.raises(UnsupportedEstimatorError, match="circle"):
        lower(read(model(circle, ["b"])).root)
    with pytest.raises(UnsupportedEstimatorError, match="nothing makes"):
        lower(read(model([helper.make_node("Exp", ["z"], ["a"])], ["a"])).root)
    branch = helper.make_graph([helper.make_node("Exp", ["X"], ["e"])], "inner", [], [])
    inside = helper.make_node("If", ["X"], ["a"], then_branch=branch, else_branch=branch)
    with pytest.raises(UnsupportedEstimatorError, match="If"):
        lower(read(model([inside], ["a"])).root)
    with pytest.raises(UnsupportedEstimatorError, match="speed"):
        lower(read(model([helper.make_node("Exp", ["X"], ["a"], speed=3)], ["a"])).root)


def test_constants_products_and_functions_answer_as_onnx_runtime() -> None:
    values = RNG.normal(size=(2, 3)).astype(np.float32)
    constants = (
        onnx.numpy_helper.from_array(values, "w"),
        onnx.numpy_helper.from_array(values[:1], "b"),
        onnx.numpy_helper.from_array(np.array([2, 0], dtype=np.int64), "places"),
    )
    nodes = [
        helper.make_node("Gemm", ["X", "w", "b"], ["g"]),
        helper.make_node("Tanh", ["g"], ["t"]),
        helper.make_node("ArrayFeatureExtractor", ["t", "places"], ["f"], domain="ai.onnx.ml"),
        helper.make_node("Concat", ["f", "X"], ["c"], axis=1),
        helper.make_node("Softmax", ["c"], ["y"], axis=1),
    ]
    content = model(nodes, ["y"], constants=constants)
    graph = lower(read(content).root)
    assert [o.name for o in graph.outputs] == ["transform"]
    hold(graph, answers(content, {"X": X[:40, :2]}), X[:40, :2].astype(np.float64))


def test_lines_that_slimml_writes_answer() -> None:
    estimator, y = MODELS["ridge"]
    own = export_onnx(lower(read(pickle.dumps(estimator.fit(X, y))).root))
    graph = lower(read(own).root)
    assert [o.name for o in graph.outputs] == ["predict"] and graph.schema.columns[0].name == "x0"
    feed = {f"x{i}": X[:20, i : i + 1].astype(np.float64) for i in range(5)}
    hold(graph, answers(own, feed), X[:20].astype(np.float64))


ML = {"domain": "ai.onnx.ml"}
CHAINS = {
    "imputer of a number": [
        helper.make_node("Imputer", ["X"], ["y"], replaced_value_float=0.5, imputed_value_floats=[7.0], **ML)
    ],
    "binarizer": [helper.make_node("Binarizer", ["X"], ["y"], threshold=0.1, **ML)],
    "normalizer": [helper.make_node("Normalizer", ["X"], ["y"], norm="L2", **ML)],
    "scaler of one number": [helper.make_node("Scaler", ["X"], ["y"], offset=[0.5], scale=[3.0], **ML)],
    "regressor of two": [
        helper.make_node(
            "LinearRegressor", ["X"], ["y"], coefficients=[1.0, 2.0, 3.0, 4.0], intercepts=[0.5, 1.0], targets=2, **ML
        )
    ],
    "place of the largest": [helper.make_node("ArgMax", ["X"], ["y"], axis=1, keepdims=0)],
    "doubles": [
        helper.make_node("Cast", ["X"], ["d"], to=TensorProto.DOUBLE),
        helper.make_node("Sigmoid", ["d"], ["y"]),
    ],
}


@pytest.mark.parametrize("name", CHAINS)
def test_operators_answer_as_onnx_runtime(name: str) -> None:
    rows = np.concatenate([X[:40, :2], [[0.5, 0.1], [0.1, 0.5], [1, 1]]]).astype(np.float32)
    content = model(CHAINS[name], ["y"])
    declared = onnx.load_from_string(content)
    declared.graph.output[0].ClearField("type")
    hold(lower(read(content).root), answers(declared.SerializeToString(), {"X": rows}), rows.astype(np.float64))


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("op", ["OneHotEncoder", "LabelEncoder"])
def test_categories_answer_as_onnx_runtime(op: str, strings: bool) -> None:
    known, kind = (["b", "a"], "strings") if strings else ([3, -1], "int64s")
    told: dict[str, Any] = {f"keys_{kind}": known, "values_floats": [0.5, 2.0], "default_float": -7.0}
    if op == "OneHotEncoder":
        told = {f"cats_{kind}": known}
    element = TensorProto.STRING if strings else TensorProto.INT64
    nodes = [helper.make_node(op, ["c"], ["e"], **told, **ML), helper.make_node("Flatten", ["e"], ["y"], axis=1)]
    made = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("c", element, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    content = helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()
    cells = np.array(["a", "b", "z", "a"], dtype=object) if strings else np.array([-1, 3, 8, 3])
    hold(lower(read(content).root), answers(content, {"c": cells[:, None]}), pd.DataFrame({"c": cells}))

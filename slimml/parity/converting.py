"""One estimator of a live model as ONNX, by skl2onnx: what a worker does for `converted.py`.

Loaded by path inside of `worker.py`, next to the unpickled model: the standard library, numpy, and what is imported
where it is used.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

_METHODS = ("predict", "predict_proba", "transform")
_OPSET = 19


class _Refused(Exception):
    """Why an estimator is not converted."""


def convert(estimators: list[Any], path: str) -> tuple[dict[str, Any], bytes]:
    """The only fitted estimator of a class, given everything in the model: what its answers are, and the ONNX model.

    The model reads float64 (n, width) and answers float64: the columns of every output side by side, classes by their
    number. {"refused": why} where there is no such model.
    """
    try:
        estimator = copy.deepcopy(_only(estimators, path))
        rows = np.random.RandomState(0).normal(size=(8, int(estimator.n_features_in_)))
        answers = _answers(estimator, rows)
        no_missing, no_infinite = (_refuses(estimator, rows, value) for value in (np.nan, np.inf))
        finite = "all" if no_missing else "missing" if no_infinite else "any"
        proto = _converted(estimator, rows.shape[1])
        used = _matched([o.name for o in proto.graph.output], answers)
        outputs = [_described(m, answers[m]) for m in used]
        model = _rebuilt(proto, rows.shape[1], [(used[o["name"]], o["columns"]) for o in outputs])
    except _Refused as refused:
        return {"refused": str(refused)}, b""
    return {"finite": finite, "outputs": outputs}, model


def _only(estimators: list[Any], path: str) -> Any:
    named = [e for e in estimators if f"{type(e).__module__}.{type(e).__qualname__}" == path]
    fitted = [e for e in named if hasattr(e, "n_features_in_")]
    if len(fitted) != 1:
        raise _Refused(f"the model holds {len(fitted)} fitted ones, and only a single one is told apart")
    return fitted[0]


def _answers(estimator: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    methods = [m for m in _METHODS if callable(getattr(estimator, m, None))]
    try:
        answers = {m: np.asarray(getattr(estimator, m)(rows)) for m in methods}
    except ValueError as error:
        raise _Refused(f"it refuses ordinary numbers: {error}") from None
    if not answers:
        raise _Refused(f"it has no {', '.join(_METHODS[:-1])} or {_METHODS[-1]}")
    return answers


def _refuses(estimator: Any, rows: np.ndarray, value: float) -> bool:
    odd = rows.copy()
    odd[3, 0] = value
    method = next(m for m in _METHODS if callable(getattr(estimator, m, None)))
    try:
        getattr(estimator, method)(odd)
    except ValueError:
        return True
    return False


def _converted(estimator: Any, width: int) -> Any:
    import skl2onnx
    from skl2onnx.common.data_types import DoubleTensorType

    options = None
    if hasattr(estimator, "classes_"):
        # Numbers for labels: the copy's own, so that no text enters the model.
        estimator.classes_ = np.arange(len(estimator.classes_))
        options = {id(estimator): {"zipmap": False}}
    inputs = [("X", DoubleTensorType([None, width]))]
    try:
        return skl2onnx.to_onnx(estimator, initial_types=inputs, options=options, target_opset=_OPSET)
    except Exception as error:  # noqa: BLE001 - skl2onnx raises anything
        raise _Refused(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from None


def _matched(names: list[str], answers: dict[str, np.ndarray]) -> dict[str, str]:
    """Which output of the ONNX model is which method's answer: the label or value first, then what goes with it."""
    first = next(m for m in ("predict", "transform", "predict_proba") if m in answers)
    matched: dict[str, str] = {first: names[0]}
    if len(names) > 1 and first == "predict":
        second = next((m for m in ("predict_proba", "transform") if m in answers), None)
        if second is not None:
            matched[second] = names[1]
    return matched


def _described(method: str, answer: np.ndarray) -> dict[str, Any]:
    if answer.ndim > 2:
        raise _Refused(f"its {method} answers with {answer.ndim} axes")
    columns, form = (1, "vector") if answer.ndim == 1 else (answer.shape[1], "matrix")
    return {"name": method, "columns": columns, "form": form, "dtype": answer.dtype.name}


def _rebuilt(proto: Any, width: int, used: list[tuple[str, int]]) -> bytes:
    """The model with one output, and without the names and remarks that nobody runs."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for node in proto.graph.node:
        attributes = {a.name: _plain(helper.get_attribute_value(a)) for a in node.attribute}
        nodes.append(helper.make_node(node.op_type, node.input, node.output, domain=node.domain, **attributes))
    shapes, parts = [], []
    for i, (name, columns) in enumerate(used):
        shapes.append(numpy_helper.from_array(np.array([-1, columns], dtype=np.int64), f"slimml_shape_{i}"))
        parts.append(f"slimml_part_{i}")
        nodes.append(helper.make_node("Cast", [name], [f"slimml_cast_{i}"], to=TensorProto.DOUBLE))
        nodes.append(helper.make_node("Reshape", [f"slimml_cast_{i}", shapes[-1].name], [parts[-1]]))
    nodes.append(helper.make_node("Concat", parts, ["slimml_y"], axis=1))
    constants = [numpy_helper.from_array(numpy_helper.to_array(t), t.name) for t in proto.graph.initializer]
    graph = helper.make_graph(
        nodes,
        "converted",
        [helper.make_tensor_value_info(proto.graph.input[0].name, TensorProto.DOUBLE, ["rows", width])],
        [helper.make_tensor_value_info("slimml_y", TensorProto.DOUBLE, ["rows", sum(c for _, c in used)])],
        constants + shapes,
    )
    model = helper.make_model(graph, opset_imports=list(proto.opset_import), ir_version=min(10, proto.ir_version))
    data: bytes = model.SerializeToString()
    return data


def _plain(value: Any) -> Any:
    """An attribute's value; a tensor with its data in one piece."""
    from onnx import TensorProto, numpy_helper

    return numpy_helper.from_array(numpy_helper.to_array(value)) if isinstance(value, TensorProto) else value

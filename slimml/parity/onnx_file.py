"""An ONNX file as an estimator: ONNX Runtime answers the methods that slimml found in it.

Loaded by path inside of `worker.py`, hence as that is: the standard library and numpy alone, in the syntax of Python
3.8; onnxruntime is imported where it is used. The model is handed over as bytes, so that no file beside it is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMBERS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
_STRING = "tensor(string)"
_ONLY_ERRORS = 3  # ONNX Runtime's log: warnings of its optimizer are nobody's business here


def opened(data: bytes, methods: list[str], classes: list[Any]) -> OnnxFile:
    """The model in the bytes; `methods` are what its outputs answer, in their order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ONLY_ERRORS
    # Bytes can be an ONNX file and one of ONNX Runtime's own format at once, and only the former was looked at.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    errors = onnxruntime.capi.onnxruntime_pybind11_state
    return OnnxFile(session, methods, classes, (errors.Fail, errors.InvalidArgument, errors.RuntimeException))


class OnnxFile:
    """Its methods take a frame or an array, as those of an estimator do. `errors`: what a row may raise."""

    def __init__(self, session: Any, methods: list[str], classes: list[Any], errors: Any = ()) -> None:
        self.session, self.classes, self.errors = session, classes, errors
        self.outputs = dict(zip(methods, [o.name for o in session.get_outputs()]))

    def __getattr__(self, name: str) -> Any:
        if name == "outputs" or name not in self.outputs:
            raise AttributeError(name)
        return lambda rows: self._answer(self.outputs[name], rows)

    def _answer(self, output: str, rows: Any) -> np.ndarray:
        fed = self._fed(rows)
        try:
            (found,) = self.session.run([output], fed)
        except self.errors as error:
            raise ValueError(str(error)) from None
        if not isinstance(found, list):
            return np.asarray(found)
        # ZipMap answers a dictionary for each row, sorted by its keys.
        return np.array([[row[c] for c in self.classes] for row in found], dtype=np.float32)

    def _fed(self, rows: Any) -> dict[str, np.ndarray]:
        """The rows as tensors: inputs take their columns from the left, an open number of columns means all."""
        columns = [rows.iloc[:, i] for i in range(rows.shape[1])] if hasattr(rows, "iloc") else list(rows.T)
        fed, at = {}, 0
        for port in self.session.get_inputs():
            width = port.shape[1] if len(port.shape) == 2 and isinstance(port.shape[1], int) else len(columns) - at
            fed[port.name] = _tensor(columns[at : at + width], port.type, len(rows))
            at += width
        if at != len(columns):
            raise ValueError(f"the model takes {at} columns and is handed {len(columns)}")
        return fed


def _tensor(columns: list[Any], kind: str, rows: int) -> np.ndarray:
    dtype = object if kind == _STRING else _NUMBERS[kind]
    block = np.empty((rows, len(columns)), dtype=dtype)
    for i, column in enumerate(columns):
        values = np.asarray(column)
        if dtype is np.int64 and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("a missing or infinite value among integers")
        with np.errstate(over="ignore", invalid="ignore"):
            block[:, i] = values
    return block

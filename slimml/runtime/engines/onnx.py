"""The onnx engine: the plan with its OnnxCall run by ONNX Runtime.

The model is loaded from memory after `onnx_check` has held every byte of it to what slimml writes. One thread adds,
so that sums keep their order; `threads` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slimml._optional import require
from slimml.artifact.read import Artifact
from slimml.errors import ArtifactCorruptError
from slimml.runtime.engines.onnx_check import check_model
from slimml.runtime.engines.portable import PortableEngine

if TYPE_CHECKING:
    import numpy as np

    from slimml.ir.node import Node
    from slimml.ir.ops.delegates import OnnxCall

# Rows a call: trees times outputs doubles a row stand in memory where leaves hold several columns.
_ROWS = 4096


class OnnxEngine(PortableEngine):
    """The portable executor with ONNX Runtime for the calls."""

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        require("onnxruntime", "onnx")
        self._source = artifact
        super().__init__(artifact, threads)

    def kernel(self, node: Node) -> Callable[..., Any]:
        """A session for an OnnxCall, the reference for any other op."""
        from slimml.ir.ops.delegates import OnnxCall

        if not isinstance(node, OnnxCall):
            return super().kernel(node)
        return Session(self._source.section(node.section), node, self.threads or 1)


class Session:
    """One ONNX model of an artifact, checked, loaded and called."""

    def __init__(self, section: memoryview, call: OnnxCall, threads: int) -> None:
        check_model(section)
        self._width = call.width
        self._session = _load(bytes(section), threads)
        self._names = [i.name for i in self._session.get_inputs()]
        given = [(_TYPES[x.type.dtype], x.type.width) for x in call.inputs]
        wanted = [(i.type, i.shape[-1]) for i in self._session.get_inputs()]
        outputs = [(o.type, o.shape[-1]) for o in self._session.get_outputs()]
        if given != wanted or outputs != [("tensor(double)", call.width)]:
            raise ArtifactCorruptError(f"the ONNX model in {call.section!r} does not fit the plan around it")

    def __call__(self, *blocks: np.ndarray) -> np.ndarray:
        """The blocks that the call reads, (n, width) each, to its answer, float64 (n, width)."""
        import numpy as np

        n = len(blocks[0])
        parts = [self._part([b[i : i + _ROWS] for b in blocks]) for i in range(0, max(n, 1), _ROWS)]
        answer = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if answer.shape != (n, self._width):
            raise ArtifactCorruptError("the ONNX model answers in another shape than the plan says")
        return answer

    def _part(self, blocks: list[np.ndarray]) -> np.ndarray:
        try:
            answer: np.ndarray = self._session.run(None, dict(zip(self._names, blocks, strict=True)))[0]
        except _errors() as error:
            raise ArtifactCorruptError(f"ONNX Runtime does not run the model: {error}") from None
        return answer


_TYPES = {
    "float64": "tensor(double)",
    "float32": "tensor(float)",
    "int64": "tensor(int64)",
    "int32": "tensor(int32)",
    "bool": "tensor(bool)",
}


def _load(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    # As it was written: what an optimizer fuses may round otherwise, and takes longer to load.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except _errors() as error:
        raise ArtifactCorruptError(f"ONNX Runtime does not load the model: {error}") from None


def _errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: one class per status, without a base of their own, and what its messages may hold."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "NoSuchFile", "NoModel", "EngineError", "RuntimeException", "InvalidProtobuf",
             "ModelLoaded", "NotImplemented", "InvalidGraph", "EPFail")  # fmt: skip
    return (UnicodeDecodeError, *(getattr(state, n) for n in names if hasattr(state, n)))

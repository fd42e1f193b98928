"""Estimators that no frontend knows, as skl2onnx converts them (`--backend onnx --trust`).

skl2onnx needs the live estimator, so that a child process loads the model, which the user trusts. What comes back is
data: it is held to the operators that slimml runs before any library reads it. The graph holds it as one opaque op; how
far its answers drift from the original's is for parity to find out.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np

from slimml._optional import require
from slimml.errors import ArtifactCorruptError
from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.sklearn.fields import labels
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Select
from slimml.ir.ops.delegates import OnnxCall, Opaque
from slimml.ir.ops.numeric import Clip, FillMissing
from slimml.parity.child import CALL_SECONDS, Child
from slimml.parity.reference import ReferenceFailedError
from slimml.runtime.engines.onnx import Session
from slimml.runtime.engines.onnx_check import check_model


class Converter:
    """The lowering of last resort. `model`: path, bytes, or a live estimator; `select`: where in it the model is."""

    def __init__(self, model: Any, select: str) -> None:
        self._model, self._select = model, select
        self._child: Child | None = None

    def __call__(self, est: Record, x: Source, ctx: Lowerer) -> Lowered:
        """What skl2onnx makes of an estimator. Raises UnsupportedEstimatorError, MissingDependencyError."""
        require("onnxruntime", "onnx")
        require("skl2onnx", "onnx")
        what = f"convert {est.path} with skl2onnx"
        try:
            reply, blobs = self._started().ask(("convert", est.path), CALL_SECONDS, what)
        except ReferenceFailedError as error:
            raise ctx.unsupported(str(error)) from None
        if "refused" in reply:
            raise ctx.unsupported(f"skl2onnx does not take it: {reply['refused']}")
        try:
            check_model(memoryview(blobs[0]))
        except ArtifactCorruptError as error:
            raise ctx.unsupported(f"what skl2onnx makes of it is more than slimml runs: {error.what}") from None
        ctx.check_width(est, x)
        block = ctx.floats(x, finite=reply["finite"])
        return _lowered(
            est, opaque(block, blobs[0], sum(o["columns"] for o in reply["outputs"]), ctx), reply["outputs"], ctx
        )

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()

    def _started(self) -> Child:
        if self._child is None:
            model = self._model
            given = model if isinstance(model, bytes | str | os.PathLike) else pickle.dumps(model)
            self._child = Child.start(given, select=self._select, trust=True, who="the converter")
        return self._child


def opaque(block: Node, model: bytes, width: int, ctx: Lowerer) -> Opaque:
    """The op of a converted model on its input, with what runs it."""
    call = OnnxCall(inputs=(block,), section="onnx", width=width)
    return Opaque(inputs=(block,), model=model, width=width, run=Session(memoryview(model), call, 1), origin=ctx.where)


def _lowered(est: Record, answer: Node, answers: list[dict[str, Any]], ctx: Lowerer) -> Model:
    outputs: list[Output] = []
    classes: tuple[np.ndarray, ...] = ()
    start = 0
    for told in answers:
        index = np.arange(start, start + told["columns"], dtype=np.int64)
        start += told["columns"]
        part: Node = Select(inputs=(answer,), index=index, origin=ctx.where)
        table: tuple[np.ndarray, ...] = ()
        if told["name"] == "predict" and est.get("classes_") is not None:
            classes = table = (labels(est.classes_, ctx),)
            # Whatever the model answers, a label is one of the table.
            known: Node = FillMissing(inputs=(part,), sentinel=np.nan, fill=(0.0,), origin=ctx.where)
            known = Clip(inputs=(known,), low=0.0, high=float(len(table[0]) - 1), origin=ctx.where)
            part = Cast(inputs=(known,), dtype="int64", origin=ctx.where)
        elif told["dtype"] in ("int32", "int64"):
            part = Cast(inputs=(part,), dtype=told["dtype"], origin=ctx.where)
        outputs.append(Output(told["name"], (part,), told["form"], table))
    return Model(tuple(outputs), classes)

"""A plain ONNX file (`-o model.onnx`), and how parity runs on the very file."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np

from slimml._optional import missing, require
from slimml.backends.onnx.export import export_onnx, export_refusals
from slimml.ir.graph import Graph, Output
from slimml.runtime.columns import RowReader
from slimml.schema import NUMBER, Schema


class OnnxWriter:
    """A plain ONNX file for any ONNX Runtime."""

    name = "onnx"

    def refusal(self, graph: Graph) -> str | None:
        """What ONNX cannot express, or the package without which the file cannot be compared."""
        reasons = export_refusals(graph)
        return missing("onnxruntime", "onnx") or "; ".join(dict.fromkeys(str(r) for r in reasons)) or None

    def build(self, graph: Graph) -> OnnxFile:
        """The file, opened by ONNX Runtime as anyone else would open it."""
        return OnnxFile(export_onnx(graph), graph)


class OnnxFile:
    """The bytes of an .onnx file and a session on them, with the methods of a loaded model."""

    compared = True

    def __init__(self, data: bytes, graph: Graph) -> None:
        runtime = require("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums in the original's order
        options.log_severity_level = 3
        self.data = data
        self._session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._reader = RowReader(graph.schema)
        self._schema: Schema = graph.schema
        meta = self._session.get_modelmeta().custom_metadata_map
        self._tokens: dict[str, str] = json.loads(meta.get("slimml.missing", "{}"))
        unchecked = json.loads(meta.get("slimml.unchecked", "[]"))
        self.notes = [f"an .onnx file answers rows that the original refuses at {', '.join(unchecked)}"] * bool(
            unchecked
        )
        self._names = {i.name for i in self._session.get_inputs()}
        self._answers = [o.name for o in self._session.get_outputs()]
        self.outputs = tuple(o.name for o in graph.outputs)
        for output in graph.outputs:
            setattr(self, output.name, partial(self._answer, output))

    @property
    def model(self) -> OnnxFile:
        """What is timed."""
        return self

    def _answer(self, output: Output, X: Any) -> Any:
        rows = self._reader.read(X)
        feeds: dict[str, np.ndarray] = {}
        at = {True: 0, False: 0}
        for column in self._schema.columns:
            if not column.read:
                continue
            number = column.kind == NUMBER
            block = rows.numbers if number else rows.objects
            values = block[:, at[number] : at[number] + 1]
            at[number] += 1
            if column.name in self._names:
                feeds[column.name] = values if number else self._text(values, column.name)
        several = output.form in ("list", "stack")
        wanted = [n for n in self._answers if n == output.name or (several and _part_of(n, output.name))]
        found = self._session.run(wanted, feeds)
        if rows.single:
            found = [f[:1].tolist()[0] for f in found]
        return found if several else found[0]

    def _text(self, values: np.ndarray, name: str) -> np.ndarray:
        token = self._tokens.get(name, "")
        said = [token if v is None or v != v else str(v) for v in values[:, 0].tolist()]
        return np.array(said, dtype=object)[:, None]


def _part_of(name: str, output: str) -> bool:
    return name.startswith(f"{output}_") and name.removeprefix(f"{output}_").isdigit()

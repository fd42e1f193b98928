"""export(): an artifact as a file for another runtime, compared with the artifact before it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from slimml.artifact.files import check_writable, write_whole
from slimml.artifact.read import Artifact, Source, read_artifact
from slimml.errors import NoBackendError, ParityError
from slimml.exported.writers import export_writer, fair
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.delegates import OnnxCall, Opaque
from slimml.parity.inputs import Trials, trial_rows
from slimml.parity.reference import NoReference
from slimml.parity.report import SeamReport
from slimml.parity.rows import concat
from slimml.parity.seams import Checker
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS
from slimml.passes.fold_columns_into_ranks import PASS as FOLD_COLUMNS_INTO_RANKS
from slimml.runtime.engines.onnx import Session
from slimml.runtime.predictor import Model
from slimml.sample import golden_rows

# Rows that are tried, beside the golden ones.
_ROWS = 4000
_NOT_EXACT = ("approximate", "different")


@dataclass(slots=True)
class ExportResult:
    """What was written. `parity`: the file's answers against the artifact's; None where the file could not be run here.
    `notes`: what the file cannot do, in plain words.
    """

    path: str
    kind: str
    bytes: int
    sha256: str
    parity: SeamReport | None
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "file": {"path": self.path, "kind": self.kind, "bytes": self.bytes, "sha256": self.sha256},
            "parity": self.parity.to_json() if self.parity is not None else None,
            "notes": self.notes,
        }


def export(artifact: Source, out: str | os.PathLike[str]) -> ExportResult:
    """Write an artifact as `.onnx` (any ONNX Runtime), `.tl` (a Treelite checkpoint) or `.c` (by TL2cgen).

    The file's own answers to the artifact's golden rows and some thousand others are compared with what the artifact
    means; where they differ by more than rounding nothing is written. Raises UsageError, ArtifactError,
    MissingDependencyError, NoBackendError where the file cannot hold the model, ParityError.
    """
    writer = export_writer(out)
    check_writable(out)
    source = read_artifact(artifact)
    if source.manifest.kept:
        steps = ", ".join(k.path for k in source.manifest.kept)
        hint = "Register them at load instead: slimml.load(path, python=...)."
        raise NoBackendError(f"the artifact keeps {steps} as Python of yours, which no other runtime runs", hint=hint)
    model, kind = Model(source), os.path.splitext(os.fspath(out))[1].lower()
    model.check()
    graph = _with_sets(_with_models(model.graph, source, kind))
    refused = writer.refusal(graph)
    if refused is not None:
        raise NoBackendError(f"{kind} cannot hold this model: {refused}", hint="Another ending may: .onnx, .tl, .c.")
    made = writer.build(graph)
    parity = _compared(graph, model, made.model) if made.compared else None
    if parity is not None and parity.verdict in _NOT_EXACT:
        worst = f"; {parity.worst}" if parity.worst is not None else ""
        raise ParityError(f"the {kind} file answers otherwise than the artifact: {parity.verdict}{worst}")
    write_whole(out, made.data)
    return ExportResult(os.fspath(out), kind[1:], len(made.data), sha256(made.data).hexdigest(), parity, made.notes)


def _with_models(graph: Graph, artifact: Artifact, kind: str) -> Graph:
    """The plan of an artifact with the ONNX models that it calls, which a plain ONNX file takes in. Raises
    NoBackendError for other kinds of files.
    """
    calls = [n for n in graph.nodes() if isinstance(n, OnnxCall)]
    if calls and kind != ".onnx":
        what = f"the model is compiled into ONNX inside of this artifact, and {kind} is not made from that"
        hint = "Run: slimml shrink MODEL -o model.tl, or shrink with --backend portable and export that."
        raise NoBackendError(what, hint=hint)

    def rule(node: Node) -> Node:
        if not isinstance(node, OnnxCall):
            return node
        section = artifact.section(node.section)
        run = Session(section, node, 1)
        return Opaque(inputs=node.inputs, model=bytes(section), width=node.width, run=run, origin=node.origin)

    return graph.map(rule)


def _with_sets(graph: Graph) -> Graph:
    """Sets of categories that our own engines read as columns (backends/spread_sets.py), as sets again."""
    for each in (FOLD_COLUMNS_INTO_RANKS, DROP_DEAD_COLUMNS):
        graph = each.run(graph).graph
    return graph


def _compared(graph: Graph, model: Model, opened: Any) -> SeamReport:
    rows = concat([*golden_rows(model), trial_rows(graph, None, count=_ROWS).good])
    checker = Checker(NoReference("an export is compared with its artifact"), graph, graph, Trials(rows, (), 0))
    return fair(checker).whole(opened)

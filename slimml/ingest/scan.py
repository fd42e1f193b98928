"""`scan`: every import that a pickle would make and what calling it would do, without doing it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from slimml.errors import IngestError, StepRefusal
from slimml.ingest.container import open_source
from slimml.ingest.decode import decode
from slimml.ingest.limits import DEFAULT, Limits
from slimml.ingest.machine import Context
from slimml.ingest.names import DANGEROUS, HARMLESS, UNKNOWN, Import, imports_of
from slimml.ingest.onnx.model import is_onnx, model_of
from slimml.ingest.read import checked, format_name
from slimml.ingest.skops.file import read_skops

_ORDER = (DANGEROUS, UNKNOWN, HARMLESS)


@dataclass(eq=False)
class ScanReport:
    """What unpickling would import.

    `format`    of the file, "" where it is not known
    `bytes`     size of the source
    `imports`   every name, the dangerous ones first
    `complete`  whether the whole stream was read; if not, `stopped` says why and `stopped_at` the byte
    `warnings`  such as bytes after the end of the pickle
    `refusals`  the steps of its models that slimml cannot compile, where they were looked for
    `root`      what the file holds, as inert data; None where it was not read to its end
    """

    format: str = ""
    bytes: int = 0
    imports: list[Import] = field(default_factory=list)
    complete: bool = True
    stopped: str = ""
    stopped_at: int | None = None
    warnings: list[str] = field(default_factory=list)
    refusals: list[StepRefusal] = field(default_factory=list)
    root: Any = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        """The worst verdict; a stream that was not read to its end is at best unknown."""
        verdicts = {i.verdict for i in self.imports} | ({HARMLESS} if self.complete else {UNKNOWN})
        return next(v for v in _ORDER if v in verdicts)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "verdict": self.verdict,
            "format": self.format,
            "bytes": self.bytes,
            "complete": self.complete,
            "stopped": self.stopped,
            "stopped_at": self.stopped_at,
            "imports": [i.to_json() for i in self.imports],
            "warnings": list(self.warnings),
            "refused": [r.to_json() for r in self.refusals],
        }


def scan(source: str | os.PathLike[str] | bytes | memoryview, *, limits: Limits = DEFAULT) -> ScanReport:
    """List what a file would import; also for files that `read` refuses, as far as the stream goes.

    Raises UsageError where there is no such file; whatever is wrong with the content is in the report.
    """
    report = ScanReport()
    try:
        opened = open_source(source, limits)
    except IngestError as e:
        return _stopped(report, e)
    report.bytes = opened.size
    context = Context(limits)
    form = ""
    try:
        if opened.skops:
            file = read_skops(memoryview(opened.data), context, opened.spent)
            root, form = file.root, "+".join([*opened.layers, file.form])
        elif is_onnx(opened.head):
            form = "+".join([*opened.layers, "ONNX"])
            root = model_of(memoryview(opened.data))
        else:
            root, end = decode(opened.data, context)
            if end < len(opened.data):
                report.warnings.append(f"{len(opened.data) - end} bytes after the end of the pickle were not read")
    except IngestError as e:
        _stopped(report, e)
    else:
        report.imports = _judged_whole(report, root, context, limits)
    report.format = form or ("skops" if opened.skops else format_name(opened, context))
    report.imports = sorted(report.imports or imports_of(context), key=lambda i: _ORDER.index(i.verdict))
    return report


def _stopped(report: ScanReport, error: IngestError) -> ScanReport:
    report.complete, report.stopped, report.stopped_at = False, error.what, error.offset
    return report


def _judged_whole(report: ScanReport, root: Any, context: Context, limits: Limits) -> list[Import]:
    """The stream was read whole; say so if `read` refuses it for what it holds."""
    try:
        found = checked(root, context, limits)
        report.root = found.root
        return found.imports
    except IngestError as e:
        report.warnings.append(f"refused by slimml: {e.what}")
        return []

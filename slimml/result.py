"""What shrink() and verify() answer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from slimml.artifact.files import write_whole
from slimml.artifact.kept import BEHIND, FRONT, Kept
from slimml.choice import CandidateReport
from slimml.measure.report import Timing
from slimml.parity.report import ParityReport, SeamReport
from slimml.passes.runner import PassReport
from slimml.report.shrink import shrink_page
from slimml.runtime import load
from slimml.runtime.golden import GoldenReport
from slimml.runtime.predictor import Model
from slimml.schema import Schema


@dataclass(slots=True)
class SourceReport:
    """The model that came in. `path` is None for a live object; `timing` where the original could be timed."""

    path: str | None
    bytes: int
    format: str
    library_versions: dict[str, str]
    timing: Timing | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; latencies are medians in microseconds."""
        timing = self.timing
        return {
            "path": self.path,
            "bytes": self.bytes,
            "format": self.format,
            "library_versions": self.library_versions,
            "latency_us": {
                "frame": timing.frame.p50 if timing is not None and timing.frame is not None else None,
                "dict": timing.dict.p50 if timing is not None and timing.dict is not None else None,
            },
            "rows_per_s": timing.rows_per_s if timing else None,
        }


@dataclass(slots=True)
class ReferenceReport:
    """What "the original" was: `how` is process, in-process, reference-python, expected or none."""

    how: str
    library_version: str | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"how": self.how, "library_version": self.library_version, "sentence": self.sentence}


@dataclass(slots=True)
class KeptReport:
    """The steps that stay Python: what the header says of them, and how the whole compares with the original.

    `python`    what they were imported as
    `parity`    of the rows of --data, from one end to the other; None where they were not compared, `sentence` says why
    """

    steps: tuple[Kept, ...]
    python: dict[str, Any]
    sentence: str
    parity: SeamReport | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        parity = self.parity.to_json() if self.parity is not None else None
        return {"steps": [s.to_json() for s in self.steps], "sentence": self.sentence, "parity": parity}

    def sentences(self) -> list[str]:
        """What the report says, a line for each step."""
        where = {FRONT: "in front of the compiled part", BEHIND: "behind the compiled part"}
        lines = [f"{s.path} stays Python of yours, {where[s.place]}: {s.function}" for s in self.steps]
        return [*lines, f"times and sizes are those of the compiled part; {self.sentence}"]


@dataclass(slots=True, repr=False)
class ShrinkResult:
    """All that shrink() found, and the artifact.

    `artifact`  its bytes, or None where no candidate may ship; `path`: where they were written, or None
    `chosen`    the backend that ships, or None
    `schema`    the columns that it takes
    `kept`      the steps that stay Python of the user's, or None
    """

    source: SourceReport
    reference: ReferenceReport
    candidates: list[CandidateReport]
    passes: list[PassReport]
    warnings: list[str] = field(default_factory=list)
    chosen: str | None = None
    artifact: bytes | None = None
    sha256: str | None = None
    path: str | None = None
    seconds: float = 0.0
    schema: Schema | None = None
    kept: KeptReport | None = None

    def write_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page with charts. Raises UsageError where the file cannot be written."""
        write_whole(path, shrink_page(self.to_json()).encode())

    def load(self, threads: int | None = None, strict: bool = True) -> Model:
        """The artifact, opened by the runtime, with the kept steps. Raises ArtifactError where there is none."""
        return load(self.artifact or b"", threads, strict, python=self.kept.python if self.kept is not None else None)

    def __repr__(self) -> str:
        if self.artifact is None or not self.source.bytes:
            return "<slimml result: nothing shipped>"
        sizes = f"{self.source.bytes:,} -> {len(self.artifact):,} bytes"
        return f"<slimml result: {self.chosen}, {sizes}, {self.reference.sentence}>"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict: the stable surface that `shrink --json` prints."""
        return {
            "model": self.source.to_json(),
            "artifact": {
                "path": self.path,
                "bytes": len(self.artifact) if self.artifact is not None else None,
                "sha256": self.sha256,
            },
            "chosen": self.chosen,
            "candidates": [c.to_json() for c in self.candidates],
            "passes": [p.to_json() for p in self.passes],
            "reference": self.reference.to_json(),
            "schema": self.schema.to_json() if self.schema is not None else None,
            "kept": self.kept.to_json() if self.kept is not None else None,
            "warnings": self.warnings,
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class VerifyResult:
    """What verify() found. `golden` for an artifact alone, `parity` where a model was given."""

    ok: bool
    reference: ReferenceReport
    golden: GoldenReport | None = None
    parity: ParityReport | None = None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        golden = self.golden
        return {
            "ok": self.ok,
            "reference": self.reference.to_json(),
            "golden": None
            if golden is None
            else {
                "rows": golden.rows,
                "max_abs": golden.max_abs,
                "max_scaled": golden.max_scaled,
                "label_mismatches": golden.label_mismatches,
                "equal": golden.equal,
            },
            "parity": self.parity.to_json() if self.parity is not None else None,
            "warnings": self.warnings,
        }

"""What analyze() answers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from slimml.analysis.clock import Times
from slimml.analysis.stream import Accounts, Step
from slimml.artifact.files import write_whole
from slimml.errors import StepRefusal
from slimml.passes.runner import PassReport
from slimml.report.analysis import analysis_page
from slimml.result import ReferenceReport
from slimml.units import duration, size

# Attributes that one step lists, the largest first; what is smaller is summed up.
_LISTED = 60


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the model means as text, op by op, before and after the passes, and what each pass did."""

    before: str
    after: str
    passes: list[PassReport]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"before": self.before, "after": self.after, "passes": [p.to_json() for p in self.passes]}


@dataclass(slots=True, repr=False)
class AnalyzeResult:
    """Where the bytes and the microseconds of a model are.

    `bytes`, `decoded`   of the file, and of what is in it once decompressed; `accounts` add up to `decoded`
    `compiled`           its graph, before and after the passes; None where slimml cannot compile it
    """

    path: str | None
    format: str
    library_versions: dict[str, str]
    bytes: int
    decoded: int
    accounts: Accounts
    times: Times
    reference: ReferenceReport
    compiled: Compiled | None = None
    refused: list[StepRefusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def unread(self) -> int:
        """Bytes of state that no method of the model reads."""
        return sum(s.unread for s in self.accounts.steps)

    @property
    def headline(self) -> str:
        """The whole in a sentence."""
        said = [f"{size(self.bytes)}" + (f" ({size(self.decoded)} decompressed)" if self.compressed else "")]
        if self.decoded:
            said[0] += f", of which {_percent(self.unread, self.decoded)} is never read by prediction"
        slowest = max((s for s in self.times.steps if not s.holds_steps), key=lambda s: s.one_row, default=None)
        if self.times.one_row and slowest is not None:
            whose = "" if self.times.of == "original" else " in slimml's plain evaluation"
            share = _percent(slowest.one_row, self.times.one_row)
            part = f", of which {share} is {slowest.path}" if slowest.path != "model" else ""
            said.append(f"one row takes {duration(self.times.one_row)}{whose}{part}")
        return "; ".join(said)

    @property
    def compressed(self) -> bool:
        """Whether the file is written with a compression."""
        return self.decoded != self.bytes

    def __repr__(self) -> str:
        return f"<slimml analysis: {self.headline}>"

    def write_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page with charts. Raises UsageError where the file cannot be written."""
        write_whole(path, analysis_page(self.to_json()).encode())

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict: what `analyze --json` prints."""
        steps = [_step(s, self.accounts.steps) for s in self.accounts.steps]
        return {
            "headline": self.headline,
            "model": {
                "path": self.path,
                "bytes": self.bytes,
                "decoded_bytes": self.decoded,
                "format": self.format,
                "library_versions": self.library_versions,
            },
            "bytes": {
                "total": self.decoded,
                "fit_only": self.unread,
                "outside": self.accounts.outside,
                "steps": steps,
                "savings": savings(self.accounts.steps),
            },
            "latency": self.times.to_json(),
            "reference": self.reference.to_json(),
            "graph": self.compiled.to_json() if self.compiled is not None else None,
            "refused": [r.to_json() for r in self.refused],
            "warnings": self.warnings,
        }


def _step(step: Step, steps: list[Step]) -> dict[str, Any]:
    below = [s for s in steps if s is step or s.path.startswith(f"{step.path}.")]
    return {
        "path": step.path,
        "class": step.class_path,
        "known": step.judged,
        "bytes": step.bytes,
        "fit_only": step.unread,
        "bytes_with_steps": sum(s.bytes for s in below),
        "forest": step.forest.to_json() if step.forest.trees else None,
        "attributes": attributes(step),
    }


def attributes(step: Step) -> list[dict[str, Any]]:
    """The attributes of a step that hold bytes themselves, the largest first; together they are the step's bytes."""
    found: list[dict[str, Any]] = []
    for path, holding in step.held.walk():
        if holding.own:
            found.append(
                {
                    "path": ".".join(path).replace(".[]", "[]"),
                    "bytes": holding.own,
                    "fit_only": holding.unread,
                    "why": holding.why,
                    "what": holding.what,
                    "count": holding.count,
                }
            )
    found.sort(key=lambda a: (-a["bytes"], a["path"]))
    rest = found[_LISTED:]
    if not rest:
        return found
    summed: dict[str, Any] = {
        "path": f"({len(rest)} smaller ones)",
        "bytes": sum(a["bytes"] for a in rest),
        "fit_only": sum(a["fit_only"] for a in rest),
        "why": "",
        "what": "",
        "count": len(rest),
    }
    return [*found[:_LISTED], summed]


def savings(steps: list[Step]) -> list[dict[str, Any]]:
    """What no method reads, by reason, the largest first, with the steps that hold it."""
    by_reason: dict[str, dict[str, int]] = {}
    for step in steps:
        for _, holding in step.held.walk():
            if holding.unread:
                where = by_reason.setdefault(holding.why, {})
                where[step.path] = where.get(step.path, 0) + holding.unread
    found: list[dict[str, Any]] = [
        {"why": why, "bytes": sum(where.values()), "where": sorted(where, key=lambda p: -where[p])}
        for why, where in by_reason.items()
    ]
    return sorted(found, key=lambda s: s["bytes"], reverse=True)


def _percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 1 or share == 0 else "less than 1 %"

"""What bench() and gate() answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from slimml.judge.baseline import Baseline
from slimml.judge.drift import Drift
from slimml.measure.duel import Duel
from slimml.measure.report import Timing
from slimml.parity.report import SeamReport
from slimml.result import ReferenceReport

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ArtifactReport:
    """The artifact that is judged. `path` is None for bytes."""

    path: str | None
    bytes: int
    sha256: str
    engine: str
    exactness: str

    def to_json(self) -> Json:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One limit: `what` is held to it, the `figure` that was found and the `limit`, in words and as numbers.

    Numbers are bytes, seconds, shares over the baseline, or the largest difference; `value` is None where there is no
    figure, and `note` says why or how it was found.
    """

    what: str
    ok: bool
    figure: str
    limit: str
    value: float | None
    allowed: float
    note: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.figure}, {self.limit}" + f" ({self.note})" * bool(self.note)

    def to_json(self) -> Json:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(slots=True)
class GateResult:
    """What gate() found. `golden`: the rows and answers that the artifact carries, for a later baseline."""

    artifact: ArtifactReport
    baseline: Baseline | None
    checks: list[Check]
    timing: Timing
    machine: Json
    duels: dict[str, Duel] = field(default_factory=dict)
    drift: Drift | None = None
    golden: Any = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(c.ok for c in self.checks)

    @property
    def failed(self) -> list[Check]:
        """The checks that say no."""
        return [c for c in self.checks if not c.ok]

    def to_json(self) -> Json:
        """A JSON-ready dict; a later gate takes it as its baseline."""
        return {
            "ok": self.ok,
            "artifact": self.artifact.to_json(),
            "baseline": self.baseline.to_json() if self.baseline is not None else None,
            "checks": [c.to_json() for c in self.checks],
            **self.timing.to_json(),
            "duels": {name: d.to_json() for name, d in self.duels.items()},
            "drift": self.drift.to_json() if self.drift is not None else None,
            "golden": self.golden,
            "machine": self.machine,
            "notes": self.notes,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Speed:
    """One row, and rows a second of batches by their size."""

    timing: Timing
    rates: dict[int, float]

    def to_json(self) -> Json:
        """A JSON-ready dict."""
        return self.timing.to_json() | {"rows_per_s": {str(n): rate for n, rate in self.rates.items()}}


@dataclass(slots=True)
class BenchResult:
    """What bench() found. `original` and `reference` where a model was given; `parity`: the answers, compared before
    anything was timed; `mine` is None where they differ.
    """

    artifact: ArtifactReport
    method: str
    rows: int
    machine: Json
    mine: Speed | None = None
    original: Speed | None = None
    reference: ReferenceReport | None = None
    parity: SeamReport | None = None
    ok: bool = True
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faster(self) -> Json | None:
        """How many times as fast as the original: one row from a dict and a frame, and batches by size."""
        if self.mine is None or self.original is None:
            return None
        mine, theirs = self.mine, self.original
        ways: Json = {}
        for way in ("dict", "frame"):
            old, new = getattr(theirs.timing, way), getattr(mine.timing, way)
            ways[way] = old.p50 / new.p50 if old is not None and new is not None else None
        return ways | {"batch": {str(n): mine.rates[n] / r for n, r in theirs.rates.items() if n in mine.rates}}

    def to_json(self) -> Json:
        """A JSON-ready dict."""
        return {
            "ok": self.ok,
            "artifact": self.artifact.to_json() | (self.mine.to_json() if self.mine is not None else {}),
            "original": self.original.to_json() if self.original is not None else None,
            "faster": self.faster,
            "reference": self.reference.to_json() if self.reference is not None else None,
            "parity": self.parity.to_json() if self.parity is not None else None,
            "method": self.method,
            "rows": self.rows,
            "machine": self.machine,
            "warnings": self.warnings,
            "seconds": self.seconds,
        }

"""Which candidate to ship, and why not the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from slimml.measure.report import Footprint, Timing
from slimml.options import TIE, Exactness, Goal
from slimml.parity.report import ParityReport


@dataclass(slots=True, kw_only=True)
class CandidateReport:
    """One backend's candidate: what it weighs, whether it is right, how fast it is.

    `refused`    why there is no such candidate, or None
    `timing`     None where it was not timed
    `footprint`  what starting it in a fresh process takes; None where nobody looked
    `lost`       why it was not chosen, in a sentence; "" for the winner
    """

    backend: str
    bytes: int | None = None
    refused: str | None = None
    parity: ParityReport | None = None
    timing: Timing | None = None
    footprint: Footprint | None = None
    chosen: bool = False
    lost: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def exactness(self) -> Exactness | None:
        """How exact it is; None where its answers differ, or nobody looked."""
        return self.parity.exactness if self.parity is not None else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        timing = self.timing.to_json() if self.timing is not None else {"latency_us": None, "rows_per_s": None}
        return {
            "backend": self.backend,
            "bytes": self.bytes,
            "refused": self.refused,
            "parity": self.parity.to_json() if self.parity is not None else None,
            **timing,
            "footprint": self.footprint.to_json() if self.footprint is not None else None,
            "chosen": self.chosen,
            "lost": self.lost,
            "notes": self.notes,
        }


def choose(candidates: Sequence[CandidateReport], goal: Goal, allowed: Exactness) -> CandidateReport | None:
    """Mark the best candidate under the goal, and tell the others why they lost; None where none may be chosen."""
    fit = []
    for candidate in candidates:
        candidate.chosen, candidate.lost = False, objection(candidate, allowed)
        if not candidate.lost:
            fit.append(candidate)
    if not fit:
        return None
    scores = {c.backend: score(c, fit, goal) for c in fit}
    best = min(scores.values())
    # Within the tie the smallest file wins, and of files of one size the better score; then the order of the list.
    tied = [c for c in fit if scores[c.backend] <= best * (1 + TIE)]
    winner = min(tied, key=lambda c: (_bytes(c), scores[c.backend]))
    winner.chosen = True
    for candidate in fit:
        if candidate is not winner:
            candidate.lost = _why_worse(candidate, winner, goal)
    return winner


def objection(candidate: CandidateReport, allowed: Exactness) -> str:
    """Why a candidate may not be chosen at all, or ""."""
    if candidate.refused is not None:
        return f"refused: {candidate.refused}"
    if candidate.parity is None or candidate.bytes is None:
        return "not compared"
    if candidate.exactness is None:
        who = f", {candidate.parity.blame} is to blame" if candidate.parity.blame else ""
        return f"its answers differ{who}"
    if candidate.exactness > allowed:
        return f"not exact enough: {candidate.exactness.label}, {allowed.label} asked"
    return ""


def score(candidate: CandidateReport, among: Sequence[CandidateReport], goal: Goal) -> float:
    """How many times worse than the best under the goal; smaller is better, 1 is best."""
    ratios = {
        "size": _bytes(candidate) / min(_bytes(c) for c in among),
        "latency": _ratio([_latency(c) for c in among], _latency(candidate)),
        "throughput": _ratio([_seconds_per_row(c) for c in among], _seconds_per_row(candidate)),
    }
    if goal != "balanced":
        return ratios[goal]
    return math.prod(ratios.values()) ** (1 / len(ratios))


def _ratio(all_values: Sequence[float], own: float) -> float:
    # Where nothing was timed nothing is slower.
    best = min(all_values)
    return 1.0 if own == best else own / best


def _bytes(candidate: CandidateReport) -> float:
    return float(candidate.bytes) if candidate.bytes else math.inf


def _latency(candidate: CandidateReport) -> float:
    timed = candidate.timing.dict if candidate.timing is not None else None
    return timed.p50 if timed is not None else math.inf


def _seconds_per_row(candidate: CandidateReport) -> float:
    return 1 / candidate.timing.rows_per_s if candidate.timing is not None else math.inf


def _why_worse(loser: CandidateReport, winner: CandidateReport, goal: Goal) -> str:
    """What the winner has over the loser, the goal's own measure first."""
    said = {
        "latency": (_latency(loser) / _latency(winner), "slower at one row"),
        "size": (_bytes(loser) / _bytes(winner), "larger"),
        "throughput": (_seconds_per_row(loser) / _seconds_per_row(winner), "slower in batches"),
    }
    order = [goal, *said] if goal in said else list(said)
    worse = [(ratio, what) for ratio, what in (said[g] for g in dict.fromkeys(order)) if ratio > 1 + TIE]
    if not worse:
        return f"as good, but {winner.backend} is the smaller file" if _bytes(winner) < _bytes(loser) else "as good"
    parts = [f"{ratio:.1f}x {what}" if ratio < math.inf else f"not timed, so {what}" for ratio, what in worse]
    return ", ".join(parts)

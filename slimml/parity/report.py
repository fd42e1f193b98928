"""What parity found: per seam, per net, and in one verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from slimml.options import Exactness

Verdict = Literal["bitwise", "rounding", "approximate", "different"]
VERDICTS: tuple[Verdict, ...] = ("bitwise", "rounding", "approximate", "different")

Seam = Literal["frontend", "passes", "backend", "whole"]
BLAME: dict[Seam, str] = {"frontend": "a frontend", "passes": "a pass", "backend": "a backend", "whole": "slimml"}


@dataclass(frozen=True, slots=True)
class Worst:
    """The cell that is furthest off."""

    output: str
    row: int
    column: int
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.output}, row {self.row}, column {self.column}: expected {self.expected!r}, got {self.got!r}"


@dataclass(frozen=True, slots=True)
class SeamReport:
    """One comparison of answers.

    `output`            the method that is furthest off
    `max_abs, max_rel`  largest errors of cells that are finite on both sides (absolute: of answers up to 2**53)
    `quantiles`         of |error|, over all cells of numbers: keys "0.5", "0.99", "0.999", "1"
    `nan_mismatches`    cells that are NaN or infinite on one side, or differ in which
    `label_mismatches`  labels (and other cells that are no numbers) that changed
    `fragile`           how many of those lie inside of the error bounds
    `refused`           rows that both sides refuse; `refusal_mismatches`: rows that one side alone refuses
    `notes`             what a reader should know: other dtypes, what was not compared
    """

    seam: Seam
    rows: int
    output: str
    max_abs: float
    max_rel: float
    quantiles: dict[str, float]
    nan_mismatches: int
    label_mismatches: int
    verdict: Verdict
    fragile: int = 0
    refused: int = 0
    refusal_mismatches: int = 0
    worst: Worst | None = None
    notes: tuple[str, ...] = ()

    @property
    def blame(self) -> str | None:
        """Who is guilty, where the two sides do not agree within rounding."""
        return BLAME[self.seam] if self.verdict in ("approximate", "different") else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        value = asdict(self) | {"blame": self.blame, "notes": list(self.notes)}
        if self.worst is not None:
            value["worst"]["expected"], value["worst"]["got"] = repr(self.worst.expected), repr(self.worst.got)
        return value


@dataclass(frozen=True, slots=True)
class NetReport:
    """One net: every cut, or every node.

    `checked`   cuts or nodes that were tried on both sides; `total`: how many there are
    `skipped`   why not all of them were, or ""
    `faults`    how many differ; `worst` describes one
    """

    net: Literal["cuts", "witnesses"]
    seam: Seam
    checked: int
    total: int
    faults: int = 0
    skipped: str = ""
    worst: str = ""

    @property
    def blame(self) -> str | None:
        """Who is guilty, where something differs."""
        return BLAME[self.seam] if self.faults else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self) | {"blame": self.blame}


@dataclass(frozen=True, slots=True)
class ParityReport:
    """All seams and nets of one candidate.

    `how`        what "the original" was: process, in-process, reference-python, expected or none
    `sentence`   the same in plain words
    """

    seams: tuple[SeamReport, ...]
    nets: tuple[NetReport, ...]
    how: str
    sentence: str
    library_version: str | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The loosest of all; a fault in a net is a difference."""
        found = [s.verdict for s in self.seams] + ["different" for n in self.nets if n.faults]
        return max(found, key=VERDICTS.index, default="bitwise")

    @property
    def exactness(self) -> Exactness | None:
        """The verdict as an Exactness; None where answers differ."""
        return None if self.verdict == "different" else Exactness[self.verdict.upper()]

    @property
    def blame(self) -> str | None:
        """The first stage that is guilty, in the order in which a model passes through them."""
        parts: list[SeamReport | NetReport] = [*self.seams, *self.nets]
        order: tuple[Seam, ...] = ("frontend", "passes", "backend", "whole")
        guilty = [p for seam in order for p in parts if p.seam == seam and p.blame]
        return guilty[0].blame if guilty else None

    @property
    def leading(self) -> SeamReport:
        """The seam that a summary shows: the worst, and of equals the one that sees the whole way."""
        order: tuple[Seam, ...] = ("whole", "backend", "passes", "frontend")
        return max(sorted(self.seams, key=lambda s: order.index(s.seam)), key=lambda s: VERDICTS.index(s.verdict))

    def sentences(self) -> list[str]:
        """What went wrong and what was not checked, a sentence each."""
        said = [] if self.how != "none" else [self.sentence]
        for seam in self.seams:
            if seam.blame:
                said.append(f"{seam.blame} is wrong ({seam.seam} seam): {_finding(seam)}{_doubt(seam, self.how)}")
            said += [f"{seam.seam}: {note}" for note in seam.notes]
        for net in self.nets:
            if net.faults:
                said.append(f"{net.blame} is wrong ({net.faults} {net.net}): {net.worst}")
            # Another engine's forests are not walked, ever; a pass that changed their number is news.
            if net.skipped and (net.total or net.seam != "backend"):
                said.append(f"{net.seam}: {net.net} checked for {net.checked:,} of {net.total:,}: {net.skipped}")
        return [*said, *self.notes]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict: the leading seam's numbers at the top, all seams and nets below."""
        summary = self.leading.to_json()
        chosen = ("seam", "rows", "max_abs", "max_rel", "label_mismatches")
        return {k: summary[k] for k in chosen} | {
            "verdict": self.verdict,
            "blame": self.blame,
            "reference": {"how": self.how, "library_version": self.library_version, "sentence": self.sentence},
            "seams": [s.to_json() for s in self.seams],
            "nets": [n.to_json() for n in self.nets],
            "seconds": self.seconds,
            "sentences": self.sentences(),
        }


def _doubt(seam: SeamReport, how: str) -> str:
    """Answers that the user gave may be of another model, or of other rows."""
    return " (or the expected answers are not those of this model and these rows)" * (
        how == "expected" and seam.seam == "frontend"
    )


def _finding(seam: SeamReport) -> str:
    found = []
    if seam.refusal_mismatches:
        found.append(f"{seam.refusal_mismatches} rows are refused by one side alone")
    if seam.label_mismatches:
        found.append(f"{seam.label_mismatches} labels of {seam.rows} rows changed")
    if seam.nan_mismatches:
        found.append(f"{seam.nan_mismatches} cells are NaN or infinite on one side alone")
    found.append(f"largest error {seam.max_abs:.3g}")
    return ", ".join(found) + (f"; {seam.worst}" if seam.worst is not None else "")

"""A model of which steps stay Python, from one end to the other: the original against the artifact, of --data."""

from __future__ import annotations

from typing import Any

from slimml.choice import CandidateReport
from slimml.errors import ParityError, UserCodeError
from slimml.ingest.read import Ingested
from slimml.intake import original
from slimml.keeping import Keeping
from slimml.options import Exactness
from slimml.parity.answers import Answers, model_answers
from slimml.parity.asking import ask
from slimml.parity.reference import NoReference, Reference, ReferenceFailedError, RowsRefusedError
from slimml.parity.report import SeamReport
from slimml.parity.rows import RawRows
from slimml.parity.seams import Checker
from slimml.result import KeptReport
from slimml.runtime import load


def asked_whole(keeping: Keeping, model: Any, source: Ingested, trust: bool, python: str | None) -> Reference:
    """The whole original, kept steps included, where there are rows to ask it."""
    if keeping.raw is None or not len(keeping.raw):
        return NoReference("end to end only the rows of --data can be compared, and none are given")
    return original(model, source, trust, python)


def ends(
    keeping: Keeping, checker: Checker, whole: Reference, data: bytes, winner: CandidateReport, rows: RawRows | None
) -> KeptReport:
    """What the artifact and the original answer to --data; `rows`: what the steps in front make of it.

    Raises ParityError where the two differ although the compiled part does not.
    """
    opened = load(data, python=keeping.python)
    report = KeptReport(opened.manifest.kept, keeping.python, whole.sentence)
    raw, names = keeping.raw, opened.outputs

    def mine(part: RawRows) -> Answers:
        try:
            return model_answers(opened, part, names)
        except UserCodeError as error:
            raise RowsRefusedError(str(error)) from error

    if raw is None or whole.how == "none":
        return report
    try:
        theirs = ask(lambda part: whole.answers(part, names), raw)
    except ReferenceFailedError as error:
        report.sentence = f"not compared with the original: {error}"
        return report
    report.parity = checker.end_to_end(theirs, ask(mine, raw), None if keeping.behind else rows)
    _check(report.parity, winner.exactness, bounded=not keeping.behind)
    said = f"end to end, {report.parity.rows} rows of --data are {report.parity.verdict}"
    report.sentence = f"{said} (largest difference {report.parity.max_abs:.3g}), {whole.sentence}"
    return report


def _check(parity: SeamReport, compiled: Exactness | None, *, bounded: bool) -> None:
    """Raise ParityError where the whole is further from the original than its compiled part explains."""
    exact = compiled is Exactness.BITWISE and not bounded
    # What Python makes of a last bit that differs, nothing bounds: drift is told, not refused.
    drifts = compiled is Exactness.APPROXIMATE or (compiled is Exactness.ROUNDING and not bounded)
    allowed = ("bitwise",) if exact else ("bitwise", "rounding", "approximate") if drifts else ("bitwise", "rounding")
    if parity.verdict not in allowed:
        worst = f": {parity.worst}" if parity.worst is not None else ""
        raise ParityError(
            f"with the steps that stay Python, answers to --data differ from the original's ({parity.verdict}){worst}",
            hint="The compiled part agrees with the original: the function that is kept does not do what its step did.",
        )

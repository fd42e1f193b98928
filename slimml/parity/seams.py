"""The three seams, and who is guilty.

    original --frontend--> fresh graph --passes--> final graph --backend--> reopened artifact

Answers are compared across each arrow, and once across all of them (`whole`: original, or fresh graph where there is no
original, against artifact). Both graphs and the original are asked once for all candidates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from slimml.errors import InputError, InternalError
from slimml.ir.graph import Graph, evaluate
from slimml.parity.answers import Answers, answers_of_values, graph_answers, model_answers, one_row_answers
from slimml.parity.asking import Asked, ask
from slimml.parity.bound import added, bounds
from slimml.parity.compare import Bounds, compare_outputs, merged
from slimml.parity.inputs import Trials
from slimml.parity.nets import Pair, check_cuts, check_witnesses, paired
from slimml.parity.reference import Reference, ReferenceFailedError
from slimml.parity.report import NetReport, ParityReport, Seam, SeamReport, Worst
from slimml.parity.rows import RawRows

# Rows that the artifact is asked one by one, from dicts; and rows that timing uses.
ONE_BY_ONE, TIMED = 64, 2048


class Checker:
    """Holds candidates against one original. `final` is `fresh` after the passes, `trials` the rows to try."""

    def __init__(self, original: Reference, fresh: Graph, final: Graph, trials: Trials) -> None:
        self.original, self.fresh, self.final, self.trials = original, fresh, final, trials
        self.outputs = [o.name for o in fresh.outputs]
        self.failed = ""

    @property
    def timing_rows(self) -> RawRows:
        """Rows to time candidates on: the user's where there are any."""
        sample = self.trials.sample
        return (sample if sample is not None else self.trials.good).take(slice(0, TIMED))

    def check(self, opened: Any, reopened: Graph | None = None) -> ParityReport:
        """The verdict on a candidate: `opened`, the loaded artifact, and its graph where it runs one itself."""
        start = time.perf_counter()
        good = self.trials.good
        artifact = ask(lambda rows: model_answers(opened, rows, self.outputs), good)
        refuses = _refuses(lambda rows: model_answers(opened, rows, self.outputs), self.trials.refused)
        backend, whole = self._backend_seam(opened, artifact, refuses), self._whole_seam(opened, artifact, refuses)
        seams = [self.passes_seam, backend, whole]
        if self.frontend_seam is not None:
            seams.insert(0, self.frontend_seam)
        if reopened is not None and self._same_float32(reopened):
            extra = {s.seam: s for s in self._float32_seams(opened)}
            seams = [merged([s, extra[s.seam]]) if s.seam in extra else s for s in seams]
        nets = [*self.pass_nets, *self._backend_nets(reopened)]
        sentence = self.original.sentence if not self.failed else f"not compared with the original: {self.failed}"
        return ParityReport(
            tuple(seams),
            tuple(nets),
            "none" if self.failed else self.original.how,
            sentence,
            self.original.library_version,
            time.perf_counter() - start,
        )

    def whole(self, opened: Any) -> SeamReport:
        """The way from one end to the other alone: original (or fresh graph) against artifact, in one batch."""
        artifact = ask(lambda rows: model_answers(opened, rows, self.outputs), self.trials.good)
        refuses = _refuses(lambda rows: model_answers(opened, rows, self.outputs), self.trials.refused)
        return self._whole_seam(opened, artifact, refuses)

    def end_to_end(self, expected: Asked, got: Asked, rows: RawRows | None) -> SeamReport:
        """The original with steps that stay Python against the artifact with them, of the user's rows.

        `rows`: what the kept steps make of them, where the compiled part answers last: then its bounds hold.
        """
        limits = added(_evaluated(self.fresh, rows)[1], _evaluated(self.final, rows)[1]) if rows is not None else {}
        return self._seam("whole", expected, got, limits, "original", None)

    def _same_float32(self, reopened: Graph) -> bool:
        """Whether both have a plan for float32 rows, and take the same rows for such.

        What a frame of float32 is depends on which columns are numbers: an artifact made without data may take an
        unread column for one that the data show to be none.
        """
        kinds = [[c.kind for c in graph.schema.columns] for graph in (reopened, self.final)]
        return reopened.float32 is not None and self.final.float32 is not None and kinds[0] == kinds[1]

    def settle_float32(self) -> SeamReport | None:
        """Give up the plan for float32 rows where the original answers those otherwise; the report that says so."""
        report = self._float32_frontend
        if report is None or report.verdict in ("bitwise", "rounding"):
            return None
        self.final = replace(self.final, float32=None)
        return report

    # ------------------------------------------------------------------------------------- each side, asked once

    @cached_property
    def _fresh(self) -> tuple[Asked, Bounds]:
        return _evaluated(self.fresh, self.trials.good)

    @cached_property
    def _final(self) -> tuple[Asked, Bounds]:
        if self.final is self.fresh:
            return self._fresh
        return _evaluated(self.final, self.trials.good)

    @cached_property
    def _original(self) -> tuple[RawRows, Asked] | None:
        """The rows on which the original is asked, and what it said; None where there is none."""
        rows = self.original.only if self.original.only is not None else self.trials.good
        if self.original.how == "none":
            return None
        try:
            return rows, ask(lambda part: self.original.answers(part, self.outputs), rows)
        except ReferenceFailedError as error:
            self.failed = str(error)
            return None

    @cached_property
    def _refusals(self) -> dict[str, np.ndarray]:
        """Which of the rows that should be refused are refused, by the original and by both graphs."""
        found = {
            "fresh": _refuses(lambda r: graph_answers(self.fresh, r, self.outputs), self.trials.refused),
            "final": _refuses(lambda r: graph_answers(self.final, r, self.outputs), self.trials.refused),
        }
        if self._original is not None and self.original.only is None:
            try:
                found["original"] = _refuses(lambda r: self.original.answers(r, self.outputs), self.trials.refused)
            except ReferenceFailedError as error:
                self.failed = str(error)
        return found

    @cached_property
    def _float32(self) -> tuple[RawRows, Asked, Bounds]:
        """The rows in float32, and what the graph of such rows says."""
        rows = self.trials.good.as_float32()
        return rows, *_evaluated(_float32_graph(self.final), rows)

    @cached_property
    def _float32_original(self) -> Asked | None:
        if self._original is None or self.original.only is not None:
            return None
        try:
            return ask(lambda part: self.original.answers(part, self.outputs), self._float32[0])
        except ReferenceFailedError as error:
            self.failed = str(error)
            return None

    # ---------------------------------------------------------------------------------------------------- seams

    @cached_property
    def _float32_frontend(self) -> SeamReport | None:
        """The original against the graph, of float32 rows; None where there is nothing to compare."""
        if self.final.float32 is None or not len(self._float32[0]) or self._float32_original is None:
            return None
        _, mine, limits = self._float32
        return self._seam("frontend", self._float32_original, mine, limits, "original", None)

    def _float32_seams(self, opened: Any) -> list[SeamReport]:
        rows, mine, limits = self._float32
        if not len(rows) or not rows.typed:
            return []
        artifact = ask(lambda part: model_answers(opened, part, self.outputs), rows)
        backend = self._seam("backend", mine, artifact, limits, "final", None)
        if self._float32_frontend is None or self._float32_original is None:
            return [backend, self._seam("whole", mine, artifact, limits, "fresh", None)]
        whole = self._seam("whole", self._float32_original, artifact, limits, "original", None)
        return [self._float32_frontend, backend, whole]

    @cached_property
    def frontend_seam(self) -> SeamReport | None:
        """The original against the fresh graph."""
        if self._original is None:
            return None
        rows, said = self._original
        mine, limits = self._fresh if rows is self.trials.good else _evaluated(self.fresh, rows)
        return self._seam("frontend", said, mine, limits, "original", self._refusals.get("fresh"))

    @cached_property
    def passes_seam(self) -> SeamReport:
        """The fresh graph against the final one."""
        (old, wide), (new, narrow) = self._fresh, self._final
        return self._seam("passes", old, new, added(wide, narrow), "fresh", self._refusals["final"])

    @cached_property
    def pass_nets(self) -> list[NetReport]:
        """Both nets between the fresh and the final graph."""
        return _nets(self.fresh, self.final, "passes", paired(self.fresh, self.final, self.trials.boundaries))

    def _backend_seam(self, opened: Any, artifact: Asked, refuses: np.ndarray) -> SeamReport:
        final, limits = self._final
        report = self._seam("backend", final, artifact, limits, "final", refuses)
        return _with_single_rows(report, opened, self.trials.good, final, limits, self.outputs)

    def _whole_seam(self, opened: Any, artifact: Asked, refuses: np.ndarray) -> SeamReport:
        wide = added(self._fresh[1], self._final[1])
        if self._original is None:
            return self._seam("whole", self._fresh[0], artifact, wide, "fresh", refuses)
        rows, said = self._original
        if rows is self.trials.good:
            return self._seam("whole", said, artifact, wide, "original", refuses)
        wide = added(_evaluated(self.fresh, rows)[1], _evaluated(self.final, rows)[1])
        mine = ask(lambda part: model_answers(opened, part, self.outputs), rows)
        return self._seam("whole", said, mine, wide, "original", None)

    def _seam(
        self, seam: Seam, expected: Asked, got: Asked, limits: Bounds, side: str, refuses: np.ndarray | None
    ) -> SeamReport:
        """Answers of rows that both accept; rows that one side alone refuses are mismatches."""
        both = expected.accepted & got.accepted
        # Bounds are those of `evaluate`, which may have refused rows of its own: they are as long as `both` or shorter.
        report = compare_outputs(seam, expected.at(both), got.at(both), _limits_at(limits, both))
        apart = (expected.refused & got.accepted) | (expected.accepted & got.refused)
        notes, worst = list(report.notes), report.worst
        if apart.any():
            row = int(np.argmax(apart))
            raised, said = ("expected", expected.said) if expected.refused[row] else ("got", got.said)
            worst = worst or Worst("", row, -1, *((said, "an answer") if raised == "expected" else ("an answer", said)))
        unknown = int((~(expected.accepted | expected.refused) | ~(got.accepted | got.refused)).sum())
        if unknown:
            notes.append(f"{unknown} rows stand beside rows that raise and were not compared")
        mismatches, refused = int(apart.sum()), int((expected.refused & got.refused).sum())
        theirs = self._refusals.get(side)
        if refuses is not None and theirs is not None:
            mismatches += int((refuses != theirs).sum())
            refused += int((refuses & theirs).sum())
            notes += self._refusal_note(theirs, refuses)
        verdict = "different" if mismatches else report.verdict
        return replace(
            report,
            verdict=verdict,
            refused=refused,
            refusal_mismatches=mismatches,
            worst=worst,
            notes=tuple(notes),
        )

    def _refusal_note(self, expected: np.ndarray, got: np.ndarray) -> list[str]:
        if (expected == got).all():
            return []
        i = int(np.argmax(expected != got))
        row = self.trials.refused[i].records()[0]
        return [f"a row is {'refused' if expected[i] else 'answered'} before and not after: {str(row)[:400]}"]

    def _backend_nets(self, reopened: Graph | None) -> list[NetReport]:
        if reopened is None:
            return []
        return _nets(self.final, reopened, "backend", paired(self.final, reopened, self.trials.boundaries))


def check(
    original: Reference,
    fresh: Graph,
    final: Graph,
    opened: Any,
    trials: Trials,
    reopened: Graph | None = None,
) -> ParityReport:
    """The verdict on one candidate; several of one model share a Checker."""
    return Checker(original, fresh, final, trials).check(opened, reopened)


def _evaluated(graph: Graph, rows: RawRows) -> tuple[Asked, Bounds]:
    limits: list[Bounds] = []

    def call(part: RawRows) -> Answers:
        with np.errstate(all="ignore"):
            values = evaluate([n for o in graph.outputs for n in o.nodes], part.blocks(graph))
        limits.append(bounds(graph, values))
        return answers_of_values(graph, values)

    asked = ask(call, rows)
    if len(limits) == 1:
        return asked, limits[0]
    # Some rows were refused: evaluate once more, all accepted rows together, so that bounds stand in order.
    limits.clear()
    call(rows.take(asked.accepted))
    return asked, _spread(limits[0], asked.accepted)


def _float32_graph(graph: Graph) -> Graph:
    if graph.float32 is None:
        raise InternalError("there is no plan for float32 rows")
    return graph.float32


def _spread(limits: Bounds, accepted: np.ndarray) -> Bounds:
    """Bounds of the accepted rows as bounds of all rows."""

    def wide(block: np.ndarray | None) -> np.ndarray | None:
        if block is None:
            return None
        whole = np.zeros((len(accepted), block.shape[1]), dtype=block.dtype)
        whole[accepted] = block
        return whole

    return {name: tuple(wide(b) for b in blocks) for name, blocks in limits.items()}


def _limits_at(limits: Bounds, rows: np.ndarray) -> Bounds:
    if rows.all():
        return limits
    return {name: tuple(b if b is None else b[rows] for b in blocks) for name, blocks in limits.items()}


def _refuses(call: Callable[[RawRows], Answers], rows: Sequence[RawRows]) -> np.ndarray:
    """For each single row, whether it is refused."""
    return np.array([bool(ask(call, row, calls=1).refused.any()) for row in rows], dtype=bool)


def _with_single_rows(
    report: SeamReport, opened: Any, rows: RawRows, final: Asked, limits: Bounds, outputs: Sequence[str]
) -> SeamReport:
    """The report, made worse by what the artifact answers to the same rows one by one, as dicts."""
    if not hasattr(opened, "predict") and not hasattr(opened, "transform"):
        return report
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[np.unique(np.linspace(0, len(rows) - 1, ONE_BY_ONE).astype(int))] = True
    chosen &= final.accepted
    if not chosen.any():
        return report
    try:
        singles = one_row_answers(opened, rows.take(chosen), outputs)
    except InputError as error:
        return replace(report, verdict="different", notes=(*report.notes, f"one row from a dict is refused: {error}"))
    alone = compare_outputs("backend", final.at(chosen), singles, _limits_at(limits, chosen))
    if alone.blame and not report.blame:
        note = "one row from a dict is answered otherwise than in a batch"
        return replace(alone, rows=report.rows, notes=(*report.notes, note), refused=report.refused)
    return report


def _nets(before: Graph, after: Graph, seam: Seam, found: tuple[list[Pair], str]) -> list[NetReport]:
    pairs, skipped = found
    if not pairs and not skipped:
        return []
    return [check_cuts(before, after, seam, found), check_witnesses(before, after, seam, found)]

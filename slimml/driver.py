"""shrink(): the whole flow, one line per stage. verify(): parity again, any time later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from slimml.artifact.files import check_writable, write_whole
from slimml.artifact.kept import Kept
from slimml.backends import BACKENDS
from slimml.backends.base import Backend
from slimml.candidates import Candidate, build, refusal
from slimml.choice import CandidateReport, choose
from slimml.ends import asked_whole, ends
from slimml.errors import MissingDependencyError, NoBackendError, ParityError, UsageError
from slimml.exported.writers import FileWriter, fair, writer_for
from slimml.ingest.read import Ingested
from slimml.intake import (
    WIDEN,
    apart,
    check_python,
    content_of,
    described,
    given_up,
    graphs,
    ingest,
    reference,
    summary,
)
from slimml.ir.graph import Graph
from slimml.ir.text import fingerprint
from slimml.keeping import keep_steps
from slimml.measure.footprint import footprint
from slimml.measure.latency import measure_all
from slimml.measure.report import Timing
from slimml.options import GOLDEN_ROWS, MEASURE_SECONDS, Exactness, Goal, ShrinkOptions
from slimml.parity.inputs import trial_rows
from slimml.parity.reference import Reference
from slimml.parity.report import ParityReport
from slimml.parity.rows import RawRows
from slimml.parity.seams import Checker
from slimml.passes.runner import PassReport
from slimml.result import ReferenceReport, ShrinkResult, VerifyResult
from slimml.runtime import golden, load_compiled
from slimml.sample import read_sample

Progress = Callable[[str, float | None], None]


def shrink(
    model: Any,
    *,
    data: Any = None,
    target: str | None = None,
    schema: Any = None,
    out: str | os.PathLike[str] | None = None,
    select: str | None = None,
    backend: str = "auto",
    exactness: str = "rounding",
    goal: Goal = "balanced",
    max_loss: float | None = None,
    metric: str | None = None,
    expected: Any = None,
    reference_python: str | None = None,
    trust: bool = False,
    keep: Mapping[str, str] | None = None,
    report: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ShrinkResult:
    """Compile a fitted pipeline, prove that it answers the same, and write the best candidate.

    `model`     a path, the bytes of a file, an open file, or a live estimator
    `data`      rows: a path, a frame, an array, a list of dicts; `target`: the column of it that is no input
    `schema`    a path or dict of what is declared of the columns
    `out`       where to write: .slim, or .onnx for any ONNX Runtime
    `select`    path of the model in a file that holds several
    `expected`  a path or frame of the original's answers to `data`; `reference_python`: the Python that can run it
    `trust`     run the original although the file names what slimml does not know
    `keep`      path of a step -> "module:function": it stays Python, named in the artifact and registered at load
    `report`    where to write a page with charts, .html; also of a run in which no candidate may ship
    `progress`  called with what is being done and the share of the work that is behind

    The other options are those of the command line. Raises IngestError, UnsupportedModelError, MissingDependencyError,
    UsageError; ParityError where no candidate answers like the original and NoBackendError where every backend refuses
    (both carry the ShrinkResult as `result`).
    """
    started, say = time.perf_counter(), progress or _silent
    options = ShrinkOptions(
        backend=backend, exactness=exactness, goal=goal, select=select, trust=trust, max_loss=max_loss, metric=metric
    )
    if max_loss is not None:
        raise UsageError("there are no approximate passes yet", hint="Leave --max-loss and --metric out.")
    writer = writer_for(out, options)
    if keep and writer is not None:
        hint = "Write a .slim, which names the steps that stay Python: slimml.load(path, python=...) takes them."
        raise UsageError(f"{writer.name} files hold no Python, so no step can be kept", hint=hint)
    wanted = _backends(options.backend)
    check_python(reference_python)
    for path in (out, report):
        if path is not None:
            check_writable(path)
    say("reading the model", 0.0)
    model = content_of(model)
    whole = source = ingest(model, select)
    keeping = keep_steps(source.root, keep) if keep else None
    span = None
    if keeping is not None:
        source, span = keeping.compiled_part(whole), keeping.span
        data, target = keeping.handed_on(data, target), None
    sample = read_sample(source.root, data, target, schema)
    say("lowering", 0.1)
    fresh, final, passes = graphs(source, sample, options, model)
    with closing(reference(model, source, sample, fresh, options.trust, expected, reference_python, span)) as original:
        say("trying rows on the original", 0.2)
        checker = Checker(original, fresh, final, trial_rows(fresh, sample.rows(fresh.schema)))
        result = ShrinkResult(
            described(model, source), summary(original), [], passes, list(source.warnings), schema=final.schema
        )
        apart32 = checker.settle_float32()
        if apart32 is not None:
            difference = "; ".join([str(apart32.worst or ""), *apart32.notes]).strip("; ")
            result.warnings.append(
                f"float32 rows are answered as the same values in float64, which the original does not do: {difference}"
            )
            reason = f"the original answers otherwise: {difference}"
            passes[:] = [given_up(reason, p.before) if p.name == WIDEN else p for p in passes]
        job = _Job(checker.final, options, checker, result, say, keeping.sealed(fresh) if keeping is not None else ())
        made = job.candidates(source, wanted) if writer is None else job.exported(writer)
        say("measuring", 0.8)
        _measure(made, result, checker.timing_rows, original)
    result.reference = summary(original, checker)
    if result.reference.how == "none":
        result.warnings.append(result.reference.sentence)
    winner = choose(result.candidates, options.goal, _allowed(options))
    if winner is not None and keeping is not None:
        say("comparing end to end", 0.93)
        with closing(asked_whole(keeping, model, whole, trust, reference_python)) as original:
            result.kept = ends(keeping, checker, original, made[winner.backend].data, winner, sample.rows(fresh.schema))
        result.warnings += result.kept.sentences()
    if winner is not None:
        say("writing", 0.95)
        _ship(result, winner, made[winner.backend], out)
    result.seconds = time.perf_counter() - started
    if report is not None:
        result.write_html(report)
    if winner is None:
        raise _nothing(result, options)
    return result


def verify(
    model: Any,
    artifact: Any = None,
    *,
    data: Any = None,
    expected: Any = None,
    select: str | None = None,
    trust: bool = False,
    reference_python: str | None = None,
    python: Mapping[str, Any] | None = None,
) -> VerifyResult:
    """Compare an artifact with the model that it was made from; without a model replay its golden rows.

    As on the command line, the only argument is the artifact: `verify("model.slim")`; so is `verify(None, artifact)`.

    Where the original cannot run, the model is read again and its meaning is compared: `reference.how` is "none".
    Of a model that keeps steps as Python the compiled part is compared; `python`: those steps, through which `data` go.
    Raises what reading either raises. A difference is no error: `ok` is False.
    """
    if artifact is None:
        model, artifact = None, model
    opened = load_compiled(artifact)
    opened.check()
    check_python(reference_python)
    if model is None:
        replayed = golden.replay(opened)
        said = ReferenceReport("golden", None, f"compared with the artifact's own {replayed.rows} golden rows")
        return VerifyResult(replayed.within(opened.manifest.exactness), said, golden=replayed)
    model = content_of(model)
    source, span = ingest(model, select), None
    if opened.manifest.kept:
        keeping = keep_steps(source.root, {k.path: k.function for k in opened.manifest.kept}, python or {})
        source, span, data = keeping.compiled_part(source), keeping.span, keeping.handed_on(data, None)
        source.warnings.append(f"not compared, as they stay Python: {', '.join(k.path for k in keeping.steps)}")
    sample = read_sample(source.root, data, None, None, like=opened.schema)
    declared = [c.name for c in opened.schema.columns if c.declared is not None]
    if declared:
        # The artifact says so of itself; who verifies has to know which rows were not asked.
        source.warnings.append(f"compared on rows as a schema declared them when it was made: {', '.join(declared)}")
    exactness = "bitwise" if opened.manifest.exactness == "bitwise" else "rounding"
    backend = "onnx" if opened.manifest.engine == "onnx" else "auto"
    options = ShrinkOptions(trust=trust, exactness=exactness, backend=backend)
    fresh, final, _ = graphs(source, sample, options, model)
    other = apart(fresh, opened)
    if other:
        said = ReferenceReport("none", None, f"not compared: the artifact is of another model, {other}")
        return VerifyResult(False, said, warnings=[*source.warnings, said.sentence])
    with closing(reference(model, source, sample, fresh, trust, expected, reference_python, span)) as original:
        checker = Checker(original, fresh, final, trial_rows(fresh, sample.rows(fresh.schema)))
        parity = checker.check(opened, opened.graph)
        said = summary(original, checker)
    warnings = [*source.warnings, *([said.sentence] if said.how == "none" else [])]
    # What was chosen as approximate is held to no more than that.
    allowed = max(Exactness.ROUNDING, Exactness[opened.manifest.exactness.upper()])
    ok = parity.exactness is not None and parity.exactness <= allowed
    return VerifyResult(ok, said, parity=parity, warnings=warnings)


class Made(Protocol):
    """What may ship: its bytes, and the model that they open to."""

    @property
    def data(self) -> bytes: ...
    @property
    def model(self) -> Any: ...


@dataclass(slots=True)
class _Job:
    """What every candidate of one run shares."""

    graph: Graph
    options: ShrinkOptions
    checker: Checker
    result: ShrinkResult
    say: Progress
    kept: tuple[Kept, ...] = ()

    def exported(self, writer: FileWriter) -> dict[str, Made]:
        """The file for another runtime, compared; its report goes to the result."""
        self.say(f"{writer.name}: compiling and comparing", 0.3)
        report = CandidateReport(backend=writer.name, refused=writer.refusal(self.graph))
        self.result.candidates.append(report)
        if report.refused is not None:
            return {}
        made = writer.build(self.graph)
        report.bytes, report.notes = len(made.data), list(made.notes)
        report.parity = fair(self.checker).check(made.model)
        return {writer.name: made}

    def candidates(self, source: Ingested, wanted: Sequence[Backend]) -> dict[str, Made]:
        """An artifact of every wanted backend that does not refuse, compared; the reports go to the result."""
        made: dict[str, Made] = {}
        provenance = _provenance(source, self.result.passes, self.graph)
        rows = trial_rows(self.checker.fresh, None, count=64).good.records(GOLDEN_ROWS)
        for i, each in enumerate(wanted):
            self.say(f"{each.name}: compiling and comparing", 0.3 + 0.5 * i / len(wanted))
            refused = refusal(each, self.graph, asked=self.options.backend == each.name)
            report = CandidateReport(backend=each.name, refused=refused)
            self.result.candidates.append(report)
            if refused is None:
                made[each.name] = self._compared(
                    build(each, self.graph, self.options, provenance, rows, self.kept), report
                )
        return made

    def _compared(self, candidate: Candidate, report: CandidateReport) -> Candidate:
        report.parity = self.checker.check(candidate.model, candidate.model.graph)
        if report.exactness is not None:
            candidate = candidate.sealed(report.exactness.label, _evidence(report.parity))
        report.bytes = len(candidate.data)
        return candidate


def _backends(asked: str) -> list[Backend]:
    if asked == "auto":
        return list(BACKENDS)
    wanted = [b for b in BACKENDS if b.name == asked]
    if not wanted:
        has = ", ".join(b.name for b in BACKENDS)
        raise UsageError(f"this release has no {asked} backend yet", hint=f"It has: {has}.")
    missing = wanted[0].missing()
    if missing:
        raise MissingDependencyError(f"the {asked} backend cannot run: {missing}")
    return wanted


def _measure(made: Mapping[str, Made], result: ShrinkResult, rows: RawRows, original: Reference) -> None:
    """Time what may be chosen, in turns, on rows whose answers were checked before; and the original."""
    reports = {r.backend: r for r in result.candidates if r.backend in made and r.exactness is not None}
    if not reports or not len(rows):
        return
    method = next((o for o in ("predict", "transform") if o in _outputs(made)), _outputs(made)[0])
    models = {name: made[name].model for name in reports if hasattr(made[name].model, method)}
    timed = measure_all(models, rows.records(), rows.batch(), method=method, seconds=MEASURE_SECONDS)
    for name, timing in timed.items():
        reports[name].timing = timing
    for name, report in reports.items():
        if isinstance(made[name], Candidate):
            report.footprint = footprint(made[name].data, rows.records(1)[0], method=method, runs=2)
    theirs = original.timing(rows, method, MEASURE_SECONDS)
    if theirs is not None:
        result.source.timing = Timing.from_json(theirs)


def _outputs(made: Mapping[str, Made]) -> tuple[str, ...]:
    outputs: tuple[str, ...] = next(iter(made.values())).model.outputs
    return outputs


def _allowed(options: ShrinkOptions) -> Exactness:
    """A backend that the user names may drift (it is measured and said); unless they ask for bits."""
    if options.backend != "auto" and options.exactness == "rounding":
        return Exactness.APPROXIMATE
    return options.allowed


def _ship(result: ShrinkResult, winner: CandidateReport, made: Made, out: str | os.PathLike[str] | None) -> None:
    if out is not None:
        write_whole(out, made.data)
        result.path = os.fspath(out)
    result.chosen, result.artifact, result.sha256 = winner.backend, made.data, sha256(made.data).hexdigest()


def _nothing(result: ShrinkResult, options: ShrinkOptions) -> ParityError | NoBackendError:
    """Why no candidate may ship: wrong answers, not exact enough, or refusals alone."""
    compared = [c for c in result.candidates if c.parity is not None]
    if not compared:
        said = "; ".join(f"{c.backend}: {c.refused}" for c in result.candidates)
        refused = NoBackendError(f"every backend refuses this model: {said}", hint="See `slimml shrink --help`.")
        refused.result = result
        return refused
    sentences = [s for c in compared[:1] if c.parity is not None for s in c.parity.sentences()]
    error = ParityError(
        "; ".join(f"{c.backend}: {c.lost}" for c in compared),
        hint="\n  ".join(sentences) or f"--exactness {options.exactness} allows no more.",
    )
    error.result = result
    return error


def _provenance(source: Ingested, passes: list[PassReport], graph: Graph) -> dict[str, Any]:
    """Where the artifact came from. No path and no clock: the same input gives the same bytes."""
    return {
        "source": {"sha256": source.sha256, "bytes": source.bytes, "format": source.format, "select": source.path},
        "library_versions": dict(sorted(source.versions.items())),
        "passes": [{"name": p.name, "exactness": p.exactness.label, "fired": p.fired} for p in passes],
        "graph": fingerprint(graph),
    }


def _evidence(parity: ParityReport) -> dict[str, Any]:
    """What parity found, without clock readings (they are not of the model) and without any row (they may be the
    user's).
    """
    value = parity.to_json()
    return {k: value[k] for k in ("seam", "rows", "max_abs", "max_rel", "label_mismatches", "verdict", "reference")}


def _silent(what: str, share: float | None) -> None:
    """No one listens."""

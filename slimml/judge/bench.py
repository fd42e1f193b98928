"""bench(): how fast an artifact is, beside the original in the same run."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from slimml.intake import apart, check_python, content_of, graphs, ingest, reference, summary
from slimml.judge.gate import opened
from slimml.judge.machine import machine
from slimml.judge.result import BenchResult, Speed
from slimml.judge.rows import method_of, repeated, rows_for_timing
from slimml.measure.latency import measure, quiet, rows_per_second
from slimml.measure.report import Percentiles, Timing
from slimml.options import MEASURE_SECONDS, ShrinkOptions
from slimml.parity.inputs import Trials, trial_rows
from slimml.parity.reference import NoReference, Reference
from slimml.parity.rows import RawRows, concat
from slimml.parity.seams import Checker
from slimml.result import ReferenceReport
from slimml.runtime.predictor import Model
from slimml.sample import read_sample

Progress = Callable[[str, float | None], None]

SIZES = (10, 100, 1000, 10_000)
# Turns that artifact and original take; rows made to compare on, beside those that are timed.
_TURNS, _MADE = 4, 128
# Rows of one turn: the original tries each one before it is timed, and may take long.
_SINGLE = 32


def bench(
    artifact: str | os.PathLike[str] | bytes,
    model: Any = None,
    *,
    data: Any = None,
    select: str | None = None,
    trust: bool = False,
    reference_python: str | None = None,
    progress: Progress | None = None,
) -> BenchResult:
    """Time an artifact, and in turns with it the model that it was made from, once their answers were compared.

    `model`   a path, the bytes of a file, an open file, or a live estimator; the other options are those of verify().
    `data`    rows to time on; without them rows are made from the artifact

    Where the answers differ nothing is timed and `ok` is False. Where the original cannot run, `original` is None and
    `reference` says why. Raises what reading either raises.
    """
    started, say = time.perf_counter(), progress or _silent
    check_python(reference_python)
    _, report, loaded = opened(artifact)
    rows = rows_for_timing(loaded, data)
    result = BenchResult(report, method_of(loaded), len(rows), machine())
    say("reading the model", 0.0)
    with closing(_original(result, loaded, model, rows, data, select, trust, reference_python)) as original:
        if result.ok:
            _time(result, loaded, original, rows, say)
    result.seconds = time.perf_counter() - started
    return result


def _original(
    result: BenchResult,
    loaded: Model,
    model: Any,
    rows: RawRows,
    data: Any,
    select: str | None,
    trust: bool,
    python: str | None,
) -> Reference:
    """The original, its answers compared with the artifact's; the result is told what was found."""
    if model is None:
        return NoReference("no model was given")
    model = content_of(model)
    source = ingest(model, select)
    sample = read_sample(source.root, data, None, None, like=loaded.schema)
    options = ShrinkOptions(trust=trust, exactness="bitwise" if loaded.manifest.exactness == "bitwise" else "rounding")
    fresh, final, _ = graphs(source, sample, options)
    result.warnings += source.warnings
    other = apart(fresh, loaded)
    if other:
        result.ok = False
        result.reference = ReferenceReport("none", None, f"not compared: the artifact is of another model, {other}")
        return NoReference(result.reference.sentence)
    original = reference(model, source, sample, fresh, trust, None, python)
    timed = RawRows.make(fresh.schema, rows.columns)
    trials = Trials(concat([timed, trial_rows(fresh, None, count=_MADE).good]), (), len(timed))
    checker = Checker(original, fresh, final, trials)
    result.parity = checker.whole(loaded)
    result.ok = result.parity.verdict != "different"
    result.reference = summary(original, checker)
    if result.reference.how == "none":
        result.warnings.append(result.reference.sentence)
    return original


def _time(result: BenchResult, loaded: Model, original: Reference, rows: RawRows, say: Progress) -> None:
    """In turns, so that a busy moment of the machine hits both."""
    method = result.method
    mine: list[Timing] = []
    theirs: list[Timing] = []
    for turn in range(_TURNS):
        say("measuring", 0.2 + 0.4 * turn / _TURNS)
        some = repeated(rows, _TURNS * _SINGLE).take(slice(turn * _SINGLE, (turn + 1) * _SINGLE))
        mine.append(measure(loaded, some.records(), some.batch(), method=method, seconds=MEASURE_SECONDS / _TURNS))
        found = original.timing(some, method, MEASURE_SECONDS / _TURNS)
        theirs += [Timing.from_json(found)] if found is not None else []
    rates: dict[int, float] = {}
    slow: dict[int, float] = {}
    for count in SIZES:
        say(f"batches of {count:,} rows", 0.6 + 0.4 * SIZES.index(count) / len(SIZES))
        many = repeated(rows, count)
        with quiet():
            rates[count] = rows_per_second(getattr(loaded, method), many.batch(), MEASURE_SECONDS / len(SIZES))
        rate = original.rate(many, method, MEASURE_SECONDS / len(SIZES)) if theirs else None
        slow |= {count: rate} if rate is not None else {}
    result.mine = Speed(_median(mine), rates)
    result.original = Speed(_median(theirs), slow) if theirs else None


def _median(turns: Sequence[Timing]) -> Timing:
    """Of each figure the median over the turns."""

    def of(way: str) -> Percentiles | None:
        found = [p for t in turns if (p := getattr(t, way)) is not None]
        if not found:
            return None
        return Percentiles(statistics.median(p.p50 for p in found), statistics.median(p.p99 for p in found))

    return Timing(of("frame"), of("dict"), statistics.median(t.rows_per_s for t in turns))


def _silent(what: str, share: float | None) -> None:
    """No one listens."""

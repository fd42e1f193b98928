"""How fast an artifact is: by itself, and in turns with another one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slimml.judge.limits import Limits
from slimml.judge.rows import answered, method_of, repeated, rows_for_timing
from slimml.measure.duel import Duel, duel
from slimml.measure.latency import FRESH_ROWS, measure, percentiles
from slimml.measure.report import Percentiles, Timing
from slimml.options import MEASURE_SECONDS
from slimml.parity.rows import RawRows
from slimml.runtime import load_compiled
from slimml.runtime.predictor import Model

# A 99th percentile is of this many calls at least, unless they take too long; and where a limit is not kept it is
# measured again: a busy moment of the machine makes every figure worse and none better.
_LEAST_CALLS, _MOST_SECONDS, _RUNS = 1000, 20.0, 3
# Batches in a duel take about this long: a longer call would be interrupted on a busy machine.
_BATCH_SECONDS, _BATCHES, _SMALLEST, _LARGEST = 1e-3, 8, 16, 4096


def measured(model: Model, rows: RawRows, limits: Limits) -> Timing:
    """One row from a dict and a frame, and rows a second; the best of three runs where p50 or p99 is over its limit."""
    method = method_of(model)
    timing = measure(model, rows.records(), rows.batch(), method=method, seconds=MEASURE_SECONDS)
    found, records = _of_dict(timing), rows.records(FRESH_ROWS)
    for _ in range(_RUNS - 1):
        if _kept(found, limits):
            break
        seconds = min(_MOST_SECONDS, max(MEASURE_SECONDS / 3, _LEAST_CALLS * found.p50 / 1e6))
        again = percentiles({"": getattr(model, method)}, records, seconds)[""]
        found = Percentiles(min(found.p50, again.p50), min(found.p99, again.p99))
    return Timing(timing.frame, found, timing.rows_per_s)


def _of_dict(timing: Timing) -> Percentiles:
    assert timing.dict is not None  # an artifact answers dicts
    return timing.dict


def _kept(found: Percentiles, limits: Limits) -> bool:
    wanted = ((limits.max_p50, found.p50), (limits.max_p99, found.p99))
    return all(limit is None or value / 1e6 <= limit for limit, value in wanted)


@dataclass(frozen=True, slots=True)
class Fought:
    """Two artifacts in turns: at one row from a dict, and at batches of `count` rows."""

    one: Duel
    batch: Duel
    count: int
    note: str = ""


def fight(mine: bytes, theirs: bytes, rows: RawRows, data: Any, slower: float) -> Fought:
    """`rows` are those that the first answers; the second gets the same where it takes the same columns."""
    model, other = load_compiled(mine), load_compiled(theirs)
    note = ""
    if model.schema.names == other.schema.names:
        shared = answered(other, RawRows.make(other.schema, rows.columns))
        rows = given = shared if len(shared) else rows
    else:
        given = rows_for_timing(other, data)
        note = "the two take other columns, so each answered rows of its own"
    methods = method_of(model), method_of(other)
    count = _batch_rows(getattr(other, methods[1]), given)

    def loaded() -> tuple[Callable[..., Any], Callable[..., Any]]:
        return getattr(load_compiled(mine), methods[0]), getattr(load_compiled(theirs), methods[1])

    limit = 1 + slower
    one = duel(loaded, rows.records(FRESH_ROWS), given.records(FRESH_ROWS), limit=limit)
    return Fought(one, duel(loaded, _batches(rows, count), _batches(given, count), limit=limit), count, note)


def _batches(rows: RawRows, count: int) -> list[Any]:
    many = repeated(rows, count * _BATCHES)
    return [many.take(slice(i * count, (i + 1) * count)).batch() for i in range(_BATCHES)]


def _batch_rows(call: Callable[[Any], Any], rows: RawRows) -> int:
    """How many rows take about a millisecond, a power of two."""
    count = _SMALLEST
    while count < _LARGEST:
        batch = repeated(rows, count).batch()
        call(batch)
        begin = time.perf_counter()
        call(batch)
        if time.perf_counter() - begin > _BATCH_SECONDS:
            break
        count *= 2
    return count

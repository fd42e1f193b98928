"""How long a loaded model takes: one row from a dict and from a frame, and batches; candidates take turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from slimml.measure.report import Percentiles, Timing

# How many different one-row arguments are kept; a service never sees the same row twice in a row.
FRESH_ROWS = 256
_WARM_UP, _TURN = 5, 16


def measure(
    model: Any, records: Sequence[Mapping[str, Any]], batch: Any, *, method: str = "predict", seconds: float = 2.5
) -> Timing:
    """`measure_all` for one model."""
    return measure_all({"": model}, records, batch, method=method, seconds=seconds)[""]


def measure_all(
    models: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    batch: Any,
    *,
    method: str = "predict",
    seconds: float = 2.5,
    seed: int = 0,
) -> dict[str, Timing]:
    """Time every model on the same rows, in turns, so that a busy moment of the machine hits all of them.

    `records`: rows as dicts; `batch`: the same rows as a frame or array; `seconds`: for each model, all in all. What a
    model raises is raised.
    """
    calls = {name: getattr(model, method) for name, model in models.items()}
    order = np.random.default_rng(seed).permutation(len(records))[:FRESH_ROWS].tolist()
    from_dict = percentiles(calls, [records[i] for i in order], seconds * len(calls) / 3)
    from_frame = percentiles(calls, [one_row(batch, i) for i in order], seconds * len(calls) / 3)
    rates = {name: rows_per_second(call, batch, seconds / 3) for name, call in calls.items()}
    return {name: Timing(from_frame[name], from_dict[name], rates[name]) for name in models}


def one_row(batch: Any, position: int) -> Any:
    """A table of the row at a position: a frame stays a frame, an array an array."""
    if hasattr(batch, "iloc"):
        return batch.iloc[[position]]
    return batch[position : position + 1]


def percentiles(
    calls: Mapping[str, Callable[[Any], Any]], arguments: Sequence[Any], seconds: float
) -> dict[str, Percentiles]:
    """p50 and p99 of each call, a few calls of one after a few of the other until the time is over."""
    spent: dict[str, list[int]] = {name: [] for name in calls}
    for call in calls.values():
        for argument in arguments[:_WARM_UP]:
            call(argument)
    with quiet():
        end = time.perf_counter_ns() + int(seconds * 1e9)
        start = 0
        while True:
            turn = [arguments[(start + i) % len(arguments)] for i in range(_TURN)]
            start += _TURN
            for name, call in calls.items():
                _timed(call, turn, spent[name], end)
            if time.perf_counter_ns() > end:
                break
    return {name: _percentiles(times) for name, times in spent.items()}


def _timed(call: Callable[[Any], Any], arguments: Sequence[Any], spent: list[int], end: int) -> None:
    clock = time.perf_counter_ns
    for argument in arguments:
        begin = clock()
        call(argument)
        now = clock()
        spent.append(now - begin)
        if now > end:
            return


def _percentiles(times: Sequence[int]) -> Percentiles:
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return Percentiles(p50 / 1e3, p99 / 1e3)


def rows_per_second(call: Callable[[Any], Any], batch: Any, seconds: float) -> float:
    """Rows of a batch answered in a second: of all runs that fit into the time, at least one, the best."""
    best, start = float("inf"), time.perf_counter()
    with quiet():
        while True:
            begin = time.perf_counter()
            call(batch)
            best = min(best, time.perf_counter() - begin)
            if time.perf_counter() - start + best > seconds:
                return len(batch) / best


@contextmanager
def quiet() -> Iterator[None]:
    """No collections of garbage while the clock runs."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

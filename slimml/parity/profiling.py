"""Which steps a fitted model is made of, and how long each takes.

Loaded by worker.py by its path, hence as worker.py is: standard library and numpy alone, in the syntax of Python 3.8.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

METHODS = ("transform", "predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples")
MAIN = ("predict", "transform", "score_samples", "decision_function")
# Attributes that hold steps: lists of (name, step, ...); members whose names stand in another list; single models.
_NAMED = ("steps", "transformer_list", "transformers_")
_MEMBERS = ("estimators_", "estimators")
_SINGLE = ("best_estimator_", "estimator_", "regressor_", "transformer_", "final_estimator_")
# Calls of one row that are timed at most; a batch is called at least once.
_MOST_CALLS = 2000


def steps_inside(get: Callable[[str], Any], is_model: Callable[[Any], bool]) -> list[tuple[str, Any]]:
    """The steps right inside of a model with their names, in order. `get` answers an attribute, or None."""
    found = []
    for attribute in _NAMED:
        found += [(str(s[0]), s[1]) for s in _tuples(get(attribute))]
    fitted, given = get(_MEMBERS[0]), _tuples(get(_MEMBERS[1]))
    if isinstance(fitted, list) and given:
        names = [str(s[0]) for s in given if not (s[1] is None or isinstance(s[1], str))]
        if len(names) == len(fitted):
            found += list(zip(names, fitted))
    for attribute in _SINGLE:
        found.append(("final_estimator" if attribute == "final_estimator_" else attribute, get(attribute)))
    return [(name, step) for name, step in found if is_model(step)]


def _tuples(value: Any) -> list[Any]:
    return [v for v in value if isinstance(v, (tuple, list)) and len(v) >= 2] if isinstance(value, list) else []


def all_steps(root: Any, inside: Callable[[Any], list[tuple[str, Any]]]) -> list[tuple[str, Any]]:
    """(path, step) of the root, "model", and of all steps below it, each once, before what it holds."""
    found = []
    seen = set()
    stack = [("model", root)]
    while stack:
        path, step = stack.pop()
        if id(step) in seen:
            continue
        seen.add(id(step))
        found.append((path, step))
        stack += [(path + "." + name, part) for name, part in reversed(inside(step))]
    return found


def live_steps(model: Any) -> list[tuple[str, Any]]:
    """`all_steps` of a live estimator."""

    def is_model(item: Any) -> bool:
        return not isinstance(item, type) and any(hasattr(type(item), m) for m in METHODS)

    def inside(item: Any) -> list[tuple[str, Any]]:
        state = vars(item) if hasattr(item, "__dict__") else {}
        return steps_inside(state.get, is_model)

    return all_steps(model, inside)


class Clock:
    """Nanoseconds by step while calls run: each step's own time, that of the steps which it calls taken off."""

    def __init__(self) -> None:
        self.own: dict[str, int] = {}
        self.inner = [0]
        self.running = False

    def timed(self, path: str, method: Any) -> Any:
        """`method`, with its time on the account of `path` while the clock runs."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.running:
                return method(*args, **kwargs)
            self.inner.append(0)
            start = time.perf_counter_ns()
            try:
                return method(*args, **kwargs)
            finally:
                spent = time.perf_counter_ns() - start
                self.own[path] = self.own.get(path, 0) + spent - self.inner.pop()
                self.inner[-1] += spent

        return call


def profile(model: Any, singles: list[Any], batches: list[Any], seconds: float) -> dict[str, Any] | None:
    """Microseconds of one call of predict (else transform, ...), whole and by step; of one row and of a batch.

    Calls with and without the clock take turns: `whole` is the median of those without. The model is left as it was.
    None where no row is taken, or no method there.
    """
    method = main_method(lambda name: callable(getattr(model, name, None)))
    if not singles or method is None:
        return None
    steps, clock = live_steps(model), Clock()
    wrapped = [w for path, step in steps for w in _wrap(clock, path, step)]
    call = getattr(model, method)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = _timed(clock, call, singles, seconds * 0.7, _MOST_CALLS)
            many = _timed(clock, call, batches, seconds * 0.3, _MOST_CALLS) if batches else None
    finally:
        for step, name in wrapped:
            step.__dict__.pop(name, None)
    paths = [path for path, _ in steps]
    kinds = [type(step).__name__ for _, step in steps]
    return {"method": method, "paths": paths, "classes": kinds, "one_row": one, "batch": many}


def main_method(has: Callable[[str], bool]) -> str | None:
    """What a model is mostly asked for."""
    return next((m for m in MAIN if has(m)), None)


def _wrap(clock: Clock, path: str, step: Any) -> list[tuple[Any, str]]:
    """Put clocked methods in front of the step's own; the attributes to take away again."""
    done: list[tuple[Any, str]] = []
    if not hasattr(step, "__dict__"):
        return done
    for name in METHODS:
        if name not in step.__dict__ and callable(getattr(step, name, None)):
            step.__dict__[name] = clock.timed(path, getattr(step, name))
            done.append((step, name))
    return done


def _timed(clock: Clock, call: Any, arguments: list[Any], seconds: float, most: int) -> dict[str, Any]:
    whole: list[int] = []
    own: list[dict[str, int]] = []
    call(arguments[0])
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter_ns() + int(seconds * 1e9)
        for i in range(most):
            argument = arguments[i % len(arguments)]
            whole.append(_nanoseconds(call, argument))
            clock.own, clock.running = {}, True
            call(argument)
            clock.running = False
            own.append(clock.own)
            if time.perf_counter_ns() > end:
                break
    finally:
        clock.running = False
        gc.enable()
    middle = float(np.median(whole)) / 1e3
    # The clock itself takes time; what it told is brought to the scale of the calls without it.
    clocked = float(np.median([sum(taken.values()) for taken in own])) / 1e3
    scale = middle / clocked if clocked else 0.0
    paths = {path for taken in own for path in taken}
    medians = {path: float(np.median([taken.get(path, 0) for taken in own])) / 1e3 * scale for path in paths}
    return {"calls": len(whole), "whole": middle, "own": medians}


def _nanoseconds(call: Any, argument: Any) -> int:
    start = time.perf_counter_ns()
    call(argument)
    return time.perf_counter_ns() - start

"""Which of two models is slower, and by how much: a ratio that a busy machine does not sway.

Both answer the same arguments in turns, A B B A, so that a slow moment hits both. An argument's two turns of a round
count with the lesser one, which few interruptions reach; the ratio of the two sides is taken round by round, where the
machine was equally busy for both, and the median of the rounds is what counts: the least of all rounds would be that of
the one side that met a quiet moment. Where a model happens to lie in memory is worth some per cent for as long as it
stays loaded: so every stage loads both anew, and the median of the stages is the answer. A ratio near the limit gets
more stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.measure.latency import quiet

Call = Callable[[Any], Any]

# Stages at the least and at the most, seconds and rounds of each, and how far from the limit (as a share of it) a ratio
# has to be for the least to be enough.
LEAST, MOST, STAGE_SECONDS, LEAST_ROUNDS, CLEAR = 3, 12, 0.5, 6, 0.06
# How many different arguments are used.
_ARGUMENTS = 8


@dataclass(frozen=True, slots=True)
class Duel:
    """`ratio`: how many times as long A takes as B. `mine_us`, `theirs_us`: microseconds of a call, at best. `rounds`:
    how often both had their turns; `stages`: ratios of the stages, each with both loaded anew.
    """

    ratio: float
    mine_us: float
    theirs_us: float
    rounds: int
    stages: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "ratio": self.ratio,
            "microseconds": self.mine_us,
            "baseline_microseconds": self.theirs_us,
            "rounds": self.rounds,
            "stages": list(self.stages),
        }


@dataclass(frozen=True, slots=True)
class _Stage:
    """`best`: (2, arguments), the least nanoseconds of every argument on both sides."""

    ratio: float
    best: np.ndarray
    rounds: int


def duel(
    loaded: Callable[[], tuple[Call, Call]],
    mine: Sequence[Any],
    theirs: Sequence[Any],
    *,
    limit: float,
    seconds: float = STAGE_SECONDS,
) -> Duel:
    """The ratio of two calls that `loaded` makes anew, on arguments that mean the same rows to both.

    `limit`: the ratio that the answer will be held to; `seconds`: of a stage. What a call raises is raised.
    """
    count = min(len(mine), len(theirs), _ARGUMENTS)
    stages: list[_Stage] = []
    while len(stages) < MOST:
        stages.append(_stage(loaded(), (mine[:count], theirs[:count]), seconds))
        if len(stages) >= LEAST and _clear(stages, limit):
            break
    ratios = tuple(s.ratio for s in stages)
    mine_us, theirs_us = (np.min([s.best for s in stages], axis=0).mean(axis=1) / 1e3).tolist()
    return Duel(float(np.median(ratios)), mine_us, theirs_us, sum(s.rounds for s in stages), ratios)


def _clear(stages: Sequence[_Stage], limit: float) -> bool:
    """Whether the median of the stages, and the best times of all of them, say the same, some way from the limit."""
    best = np.min([s.best for s in stages], axis=0).sum(axis=1)
    apart = [r / limit - 1 for r in (best[0] / best[1], np.median([s.ratio for s in stages]))]
    return all(a > CLEAR for a in apart) or all(a < -CLEAR for a in apart)


def _stage(calls: tuple[Call, Call], arguments: tuple[Sequence[Any], Sequence[Any]], seconds: float) -> _Stage:
    for call, given in zip(calls, arguments, strict=True):
        for argument in given:
            call(argument)
    rounds: list[tuple[list[list[int]], list[list[int]]]] = []
    with quiet():
        end = time.perf_counter() + seconds
        while len(rounds) < LEAST_ROUNDS or time.perf_counter() < end:
            turns: tuple[list[list[int]], list[list[int]]] = ([], [])
            for side in (0, 1, 1, 0) if len(rounds) % 2 else (1, 0, 0, 1):
                turns[side].append(_turn(calls[side], arguments[side]))
            rounds.append(turns)
    spent = np.array(rounds).min(axis=2)  # (rounds, sides, arguments)
    best = spent.min(axis=0)
    ratios = np.median(spent[:, 0] / spent[:, 1], axis=0)
    return _Stage(float(ratios @ best[1] / best[1].sum()), best, len(rounds))


def _turn(call: Call, arguments: Sequence[Any]) -> list[int]:
    """Nanoseconds of every argument."""
    clock, spent = time.perf_counter_ns, []
    for argument in arguments:
        begin = clock()
        call(argument)
        spent.append(max(1, clock() - begin))
    return spent

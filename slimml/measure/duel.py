"""Which of two models is slower, and by how much: a ratio that a busy machine does not sway.

Both answer the same arguments in turns, A B B A, so that a slow moment hits both. Whatever a busy machine does to a
call makes it longer, never shorter; so each argument counts with the least time that it took on each side, and the
ratio is that of the two sums. Where a model happens to lie in memory is worth some per cent for as long as it stays
loaded: so every stage loads both anew. A ratio near the limit gets more stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    """`ratio`: how many times as long A takes as B. `mine_us`, `theirs_us`: microseconds of a call. `rounds`: how
    often each argument was tried on each side; `stages`: ratios of the stages, each with both loaded anew.
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


@dataclass(slots=True)
class _Score:
    """The least time of every argument on both sides, in nanoseconds."""

    count: int
    best: tuple[list[int], list[int]] = field(init=False)
    rounds: int = 0

    def __post_init__(self) -> None:
        self.best = ([1 << 62] * self.count, [1 << 62] * self.count)

    @property
    def ratio(self) -> float:
        return sum(self.best[0]) / max(1, sum(self.best[1]))

    def take(self, other: _Score) -> None:
        for mine, theirs in zip(self.best, other.best, strict=True):
            mine[:] = map(min, mine, theirs)
        self.rounds += other.rounds


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
    total, stages = _Score(count), list[float]()
    while len(stages) < MOST:
        score = _stage(loaded(), (mine[:count], theirs[:count]), seconds)
        total.take(score)
        stages.append(score.ratio)
        if len(stages) >= LEAST and _clear(total.ratio, stages, limit):
            break
    spent = [sum(best) / count / 1e3 for best in total.best]
    return Duel(total.ratio, spent[0], spent[1], total.rounds, tuple(stages))


def _clear(ratio: float, stages: Sequence[float], limit: float) -> bool:
    """Whether all stages together and their median say the same, some way from the limit."""
    apart = [r / limit - 1 for r in (ratio, float(np.median(stages)))]
    return all(a > CLEAR for a in apart) or all(a < -CLEAR for a in apart)


def _stage(calls: tuple[Call, Call], arguments: tuple[Sequence[Any], Sequence[Any]], seconds: float) -> _Score:
    score = _Score(len(arguments[0]))
    for call, given in zip(calls, arguments, strict=True):
        for argument in given:
            call(argument)
    with quiet():
        end = time.perf_counter() + seconds
        while score.rounds < LEAST_ROUNDS or time.perf_counter() < end:
            for side in (0, 1, 1, 0) if score.rounds % 2 else (1, 0, 0, 1):
                _turn(calls[side], arguments[side], score.best[side])
            score.rounds += 1
    return score


def _turn(call: Call, arguments: Sequence[Any], best: list[int]) -> None:
    clock = time.perf_counter_ns
    for i, argument in enumerate(arguments):
        begin = clock()
        call(argument)
        spent = clock() - begin
        if spent < best[i]:
            best[i] = spent

"""What a user may ask for, and the tolerances that answers are held to. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from slimml.errors import UsageError

Goal = Literal["balanced", "size", "latency", "throughput"]
GOALS: tuple[Goal, ...] = ("balanced", "size", "latency", "throughput")
BACKENDS = ("portable", "native", "onnx", "treelite", "hummingbird")

# `Exactness.ROUNDING`: |error| <= ROUNDING_EPS * eps * the sum of the |terms| that were added, carried through the
# steps that follow. DESIGN §7; Higham, Accuracy and Stability of Numerical Algorithms, §3.1.
ROUNDING_EPS = 4.0
# An error within this share of the largest answer, with no label changed beyond its margin, is drift (APPROXIMATE), as
# of a float32 backend; a larger one is a difference.
APPROXIMATE_DRIFT = 1e-3
# Two candidates closer than this are a tie, and the smaller one wins.
TIE = 0.05
# Seconds for which each candidate is timed.
MEASURE_SECONDS = 2.0
# How far golden answers of a model that is not bitwise may drift from one machine's BLAS and libm to another's.
GOLDEN_RTOL = 1e-9
# How far rounding may carry a sum of class counts, or of fractions, in a file from what it should be.
COUNTS_RTOL = 1e-6
# Whole rows that parity compares, golden rows that an artifact carries.
PARITY_ROWS = 20_000
GOLDEN_ROWS = 8


class Exactness(IntEnum):
    """How far an answer may be from the original's; larger is looser."""

    BITWISE = 0
    ROUNDING = 1
    APPROXIMATE = 2

    @property
    def label(self) -> str:
        """The word that reports and artifacts use."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkOptions:
    """The options of `shrink`. Raises UsageError where one has no such value.

    `backend`      auto (all that are installed), or the one to use
    `exactness`    rounding, or bitwise: nothing that trades a last bit
    `goal`         what the chosen candidate is best at
    `select`       path of the model in a file that holds several
    `trust`        run the original although the file names what slimml does not know
    `max_loss` and `metric`   budget of approximate passes
    """

    backend: str = "auto"
    exactness: str = "rounding"
    goal: Goal = "balanced"
    select: str | None = None
    trust: bool = False
    max_loss: float | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        _one_of("backend", self.backend, ("auto", *BACKENDS))
        _one_of("exactness", self.exactness, ("rounding", "bitwise"))
        _one_of("goal", self.goal, GOALS)
        if (self.max_loss is None) != (self.metric is None):
            raise UsageError("--max-loss and --metric go together", hint="Give both, or neither.")

    @property
    def allowed(self) -> Exactness:
        """The loosest exactness that a chosen candidate may have."""
        return Exactness[self.exactness.upper()]


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name} {value!r} is not known", hint=f"Choose one of: {', '.join(allowed)}.")

"""duel: on a machine whose load is made up, a ratio is what it is."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from slimml.measure import duel as module
from slimml.measure.duel import LEAST, MOST, duel


class BusyMachine:
    """A clock that calls move on: by what they cost, more where the neighbour of the core is busy, a lot more where
    another process has its turn, and by some per cent as long as a model lies where it does.
    """

    def __init__(self, seed: int, interrupted: float = 0.15, quiet: float = 0.3) -> None:
        self.random, self.interrupted, self.quiet = np.random.default_rng(seed), interrupted, quiet
        self.now, self.changes, self.slow = 0.0, 0.0, 1.0

    def call(self, seconds: float) -> Callable[[float], None]:
        placed = seconds * float(self.random.uniform(0.97, 1.03))

        def run(argument: float) -> None:
            if self.now >= self.changes:
                self.slow = 1.0 if self.random.random() < self.quiet else float(self.random.choice([1.3, 1.6]))
                self.changes = self.now + self.random.exponential(0.02 * self.quiet)
            self.now += placed * argument * self.slow * self.random.uniform(1.0, 1.05)
            if self.random.random() < self.interrupted:
                self.now += self.random.uniform(1e-3, 6e-3)

        return run

    def duel(self, ratio: float, monkeypatch: pytest.MonkeyPatch, seconds: float = 5e-4) -> module.Duel:
        clock = SimpleNamespace(perf_counter=lambda: self.now, perf_counter_ns=lambda: int(self.now * 1e9))
        monkeypatch.setattr(module, "time", clock)
        arguments = [1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 0.8, 1.0]
        return duel(lambda: (self.call(seconds * ratio), self.call(seconds)), arguments, arguments, limit=1.1)


# How often a call is interrupted, and what share of the moments are quiet ones: in the last case so few and so short
# that the least time of all would be that of the side which met one.
BUSY = pytest.mark.parametrize(("interrupted", "quiet"), [(0.0, 0.3), (0.4, 0.3), (0.2, 0.01)])


@BUSY
def test_equal_models_are_equal_on_a_busy_machine(interrupted: float, quiet: float, monkeypatch: pytest.MonkeyPatch):
    found = [BusyMachine(seed, interrupted, quiet).duel(1.0, monkeypatch).ratio for seed in range(6)]
    assert max(found) < 1.1, found


@BUSY
def test_a_model_slower_by_a_quarter_is_slower_on_a_busy_machine(
    interrupted: float, quiet: float, monkeypatch: pytest.MonkeyPatch
):
    found = [BusyMachine(seed, interrupted, quiet).duel(1.25, monkeypatch).ratio for seed in range(6)]
    assert min(found) > 1.1, found


def test_a_clear_ratio_takes_few_stages_and_one_at_the_limit_all(monkeypatch: pytest.MonkeyPatch):
    assert len(BusyMachine(0, 0.0).duel(2.0, monkeypatch).stages) == LEAST
    assert len(BusyMachine(0, 0.0).duel(1.1, monkeypatch).stages) == MOST


def test_times_are_those_at_best(monkeypatch: pytest.MonkeyPatch):
    found = BusyMachine(0).duel(2.0, monkeypatch)
    assert 950 <= found.mine_us <= 1060 and 480 <= found.theirs_us <= 530

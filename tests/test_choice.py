"""The best candidate under each goal, and why the others lost."""

from __future__ import annotations

import pytest

from slimml.choice import CandidateReport, choose
from slimml.measure.report import Percentiles, Timing
from slimml.options import Exactness
from slimml.parity.report import ParityReport, SeamReport, Verdict

ROUNDING = Exactness.ROUNDING


def parity(verdict: Verdict = "bitwise") -> ParityReport:
    seam = SeamReport("backend", 10, "predict", 0.0, 0.0, {}, 0, 0, verdict)
    return ParityReport((seam,), (), "process", "compared")


def candidate(name: str, size: int, p50: float, rate: float, verdict: Verdict = "bitwise") -> CandidateReport:
    timing = Timing(Percentiles(p50 * 2, p50 * 4), Percentiles(p50, p50 * 3), rate)
    return CandidateReport(backend=name, bytes=size, parity=parity(verdict), timing=timing)


def three() -> list[CandidateReport]:
    return [
        candidate("small", 100, 400.0, 1e5),
        candidate("quick", 1000, 50.0, 2e5),
        candidate("bulk", 900, 200.0, 4e6),
    ]


@pytest.mark.parametrize(("goal", "best"), [("size", "small"), ("latency", "quick"), ("throughput", "bulk")])
def test_each_goal_has_its_winner(goal, best: str):
    candidates = three()
    winner = choose(candidates, goal, ROUNDING)
    assert winner is not None
    assert winner.backend == best
    assert [c.chosen for c in candidates].count(True) == 1
    assert winner.lost == ""
    assert all(c.lost for c in candidates if c is not winner)


def test_balanced_is_the_geometric_mean_of_the_ratios():
    # small: (1 * 8 * 40) ** (1/3) = 6.8; quick: (10 * 1 * 20) ** (1/3) = 5.8; bulk: (9 * 4 * 1) ** (1/3) = 3.3
    winner = choose(three(), "balanced", ROUNDING)
    assert winner is not None
    assert winner.backend == "bulk"


def test_a_loser_is_told_by_how_much():
    candidates = three()
    choose(candidates, "latency", ROUNDING)
    assert candidates[0].lost == "8.0x slower at one row, 2.0x slower in batches"
    assert candidates[2].lost == "4.0x slower at one row"


def test_ties_go_to_fewer_bytes():
    close = [candidate("a", 1000, 100.0, 1e5), candidate("b", 900, 104.0, 1e5), candidate("c", 10, 106.0, 1e5)]
    winner = choose(close, "latency", ROUNDING)
    assert winner is not None
    assert winner.backend == "b"
    assert close[0].lost == "1.1x larger"


def test_a_candidate_as_good_is_told_so():
    twins = [candidate("a", 100, 10.0, 1e5), candidate("b", 100, 10.0, 1e5)]
    winner = choose(twins, "balanced", ROUNDING)
    assert winner is not None
    assert winner.backend == "a"
    assert twins[1].lost == "as good"


@pytest.mark.parametrize(
    ("verdict", "allowed", "lost"),
    [
        ("rounding", Exactness.BITWISE, "not exact enough: rounding, bitwise asked"),
        ("approximate", Exactness.ROUNDING, "not exact enough: approximate, rounding asked"),
        ("different", Exactness.APPROXIMATE, "its answers differ, a backend is to blame"),
    ],
)
def test_what_is_not_exact_enough_is_not_chosen(verdict: Verdict, allowed: Exactness, lost: str):
    candidates = [candidate("fast", 1, 1.0, 1e9, verdict), candidate("exact", 100, 100.0, 1e3)]
    winner = choose(candidates, "balanced", allowed)
    assert winner is candidates[1]
    assert candidates[0].lost == lost


def test_refused_candidates_lose_with_their_reason():
    candidates = [CandidateReport(backend="treelite", refused="strings"), candidate("portable", 10, 1.0, 1.0)]
    assert choose(candidates, "size", ROUNDING) is candidates[1]
    assert candidates[0].lost == "refused: strings"
    assert candidates[0].to_json()["refused"] == "strings"


def test_nobody_wins_where_nobody_may():
    assert choose([CandidateReport(backend="a", refused="no"), CandidateReport(backend="b")], "size", ROUNDING) is None


def test_candidates_that_were_not_timed_are_ranked_by_size():
    untimed = [candidate("a", 10, 1, 1), candidate("b", 5, 1, 1)]
    for each in untimed:
        each.timing = None
    winner = choose(untimed, "balanced", ROUNDING)
    assert winner is untimed[1]


def test_the_json_has_the_promised_keys():
    value = three()[0].to_json()
    assert value["backend"] == "small"
    assert value["latency_us"] == {"frame": {"p50": 800.0, "p99": 1600.0}, "dict": {"p50": 400.0, "p99": 1200.0}}
    assert value["rows_per_s"] == 1e5
    assert {"seam", "rows", "max_abs", "max_rel", "label_mismatches", "verdict"} <= set(value["parity"])

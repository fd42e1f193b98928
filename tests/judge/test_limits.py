"""What people write means what they mean, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slimml.errors import UsageError
from slimml.judge.limits import Limits, difference, in_bytes, in_time, seconds, share, size


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (size, "5MB", 5_000_000),
        (size, "5 MB", 5_000_000),
        (size, "1.5kB", 1500),
        (size, "2MiB", 2 << 20),
        (size, "1KiB", 1024),
        (size, "0.5GiB", 1 << 29),
        (size, "3GB", 3_000_000_000),
        (size, "5mb", 5_000_000),
        (size, "1234", 1234),
        (size, "100B", 100),
        (size, 5_000_000, 5_000_000),
        (seconds, "500us", 5e-4),
        (seconds, "500µs", 5e-4),
        (seconds, "2ms", 2e-3),
        (seconds, "1s", 1.0),
        (seconds, "1e3 ns", 1e-6),
        (seconds, 0.25, 0.25),
        (share, "10%", 0.1),
        (share, "0.1", 0.1),
        (share, "0", 0.0),
        (share, "250%", 2.5),
        (share, 0.05, 0.05),
        (difference, "0", 0.0),
        (difference, "1e-9", 1e-9),
    ],
)
def test_a_limit_is_read(parse: Callable[[Any, str], float], text: Any, value: float):
    assert parse(text, "--max") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (size, "5 apples"),
        (size, "much"),
        (size, "-5MB"),
        (size, ""),
        (size, "5MB10"),
        (size, -1),
        (size, float("nan")),
        (size, True),
        (seconds, "500"),
        (seconds, "5 min"),
        (seconds, "us"),
        (share, "10"),
        (share, "10us"),
        (difference, "1us"),
        (difference, "nan"),
    ],
)
def test_what_is_no_limit_is_wrong_usage(parse: Callable[[Any, str], float], text: Any):
    with pytest.raises(UsageError, match="--max-x"):
        parse(text, "--max-x")


NONE = dict.fromkeys(("max_size", "max_p50", "max_p99", "max_diff", "max_slower", "max_larger"))


def test_without_limits_those_against_a_baseline_are_taken():
    found = Limits.read(NONE, baseline=True)
    assert (found.max_diff, found.max_slower, found.max_larger, found.by_default) == (0.0, 0.1, 0.05, True)
    assert Limits.read(NONE | {"max_size": "1MB"}, baseline=True).max_slower is None


def test_a_relative_limit_needs_a_baseline():
    with pytest.raises(UsageError, match="relative to a baseline"):
        Limits.read(NONE | {"max_slower": "10%"}, baseline=False)


def test_figures_in_words():
    assert [in_bytes(n) for n in (12, 1500, 5_000_000, 5_001_000)] == ["12 B", "1.5 kB", "5 MB", "5.001 MB"]
    assert [in_time(t) for t in (2e-7, 1.2e-5, 3e-3, 2.0)] == ["200 ns", "12 us", "3 ms", "2 s"]

"""Patterns of tokens: the usual ones run, those that a text can keep busy are refused at once."""

from __future__ import annotations

import time

import pytest

from slimml.ir.patterns import refusal_of_pattern

USUAL = [
    r"(?u)\b\w\w+\b", r"\b[a-zA-Z]+\b", r"[a-z]+(?:'[a-z]+)?", r"\w+(?:[-']\w+)*", r"(?:[A-Za-z]\.)+|\w+", r"\S+",
    r"[\w.]+@\w+\.\w+", r"(?u)\b\w+\b|[^\w\s]", r"\w{2,8}", r"(?<!\S)\w+", r"(\w+)ing\b", r"(?i)[a-z]{3,}",
    r"\s*(\w+)\s*",
    r"#\w+|@\w+|\w+", r"[a-zA-Z]+|\$[\d\.]+|\S+", r"(?u)\b\w[\w'-]*\w\b", r"[^\W\d_]+", r"(?:\d{1,3}\.){3}\d{1,3}|\w+",
]  # fmt: skip
HOSTILE = [
    r"(a+)+b", r"(a|a)*b", r"(a|ab|b)+c", r"(?:\w|\d\d)+;", r"(\w)\1", r"(?=a+)b", r"\w*\w*\w*;", r"(a{0,999}){0,999}b",
    r"(?:\w+\s?)+;", r".*foo.*bar", "(" * 60 + ")" * 60, r"a{1,30}a{1,30}a{1,30}b", r"(?:a?){30}a{30}", "x" * 2000,
    r"(?:(?:a+)+)+", r"(?>a+)+", "(?:a|b|ab)" * 8, r"(\w+\s*)+$", r"(?:a*)*", r"([a-z]+)*=", r"^(([a-z])+.)+[A-Z]",
]  # fmt: skip
BROKEN = ["(", "[a", "a{,99999999999}", r"(?(1)a|b)", r"(\w)(\w)", "*", "(?P<a", "\\"]


@pytest.mark.parametrize("pattern", USUAL)
def test_usual_patterns_run(pattern: str):
    assert refusal_of_pattern(pattern) is None


@pytest.mark.parametrize("pattern", [*HOSTILE, *BROKEN])
def test_hostile_and_broken_patterns_are_refused_in_bounded_time(pattern: str):
    start = time.process_time()
    assert refusal_of_pattern(pattern)
    assert time.process_time() - start < 5

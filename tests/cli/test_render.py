"""Numbers and lines for people; documents for machines; progress."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from slimml.cli.documents import deliver, document, plain
from slimml.cli.progress import progress
from slimml.cli.render import Screen, duration, rate, ratio, safe, size
from tests.cli.test_shrink import Terminal


def test_units():
    assert [size(n) for n in (None, 0, 999, 1000, 72_400_000, 3e9)] == ["-", "0 B", "999 B", "1 kB", "72.4 MB", "3 GB"]
    assert [duration(t) for t in (None, 0.85, 12.4, 6100, 2.5e6)] == ["-", "850 ns", "12.4 us", "6.1 ms", "2.5 s"]
    assert [rate(r) for r in (None, 120, 61_200, 1.2e6)] == ["-", "120", "61.2 k", "1.2 M"]
    assert size(999_600) == "1 MB" and duration(999.7) == "1 ms"


def test_ratios_say_which_way():
    assert ratio(100, 10, "smaller", "larger") == "10x smaller"
    assert ratio(10, 15, "smaller", "larger") == "1.5x larger"
    assert ratio(None, 15, "smaller", "larger") == ratio(10, 0, "smaller", "larger") == ""


def test_only_what_is_printable_is_printed():
    assert safe("a\x1b[31m\r\x07é\ud800\n") == "a\\x1b[31m\\r\\x07é\\ud800\n"
    assert safe("a\nb", "") == "a\\nb"


def test_plain_tables_are_aligned(capsys: pytest.CaptureFixture[str]):
    Screen(sys.stdout).table(("name", "n"), [("a", "1"), ("long", "100")], numbers=(1,))
    assert capsys.readouterr().out == "name    n\na       1\nlong  100\n"


def test_quiet_prints_what_was_asked_for_alone(capsys: pytest.CaptureFixture[str]):
    screen = Screen(sys.stdout, quiet=True)
    screen.line("no")
    screen.table(("a",), [("no",)])
    screen.raw("yes")
    assert capsys.readouterr().out == "yes"


def test_documents_are_strict_json(capsys: pytest.CaptureFixture[str]):
    content: Any = {"a": np.float64("inf"), "b": [float("nan"), np.int64(3)], 1: (None, True), "n": np.arange(2)}
    deliver("-", document("scan", True, content))
    read = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert read == {
        "schema_version": 1,
        "command": "scan",
        "ok": True,
        "a": "inf",
        "b": ["nan", 3],
        "1": [None, True],
        "n": [0, 1],
    }
    assert plain({"p": slice(1)}) == {"p": "slice(None, 1, None)"}


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch):
    with progress(quiet=False) as say:
        assert say is None
    terminal: Any = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(quiet=True) as say:
        assert say is None
    with progress(quiet=False) as say:
        assert say is not None
        say("compiling \x1b[2J", 0.25)
        say("measuring", None)
    assert "measuring" in terminal.text and "\x1b[2J" not in terminal.text

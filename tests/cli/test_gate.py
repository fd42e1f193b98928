"""slimml gate and slimml bench: exit codes, one line a failed check, documents, files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Ran, Shrunk
from tests.zoo import zoo_model

Run = Callable[..., Ran]


def test_a_gate_that_says_yes_is_0(run: Run, shrunk: Shrunk):
    done = run("gate", shrunk.artifact, "--max-size", "1MB", "--max-p99", "10s", "--max-diff", "0")
    assert (done.code, done.err) == (0, "")
    assert "pass" in done.out and "size" in done.out and "at most 1 MB" in done.out


def test_a_gate_that_says_no_is_1_with_a_line_a_check(run: Run, shrunk: Shrunk):
    done = run("gate", shrunk.artifact, "--max-size", "10B", "--max-p50", "1ns", "--max-p99", "10s")
    assert done.code == 1
    lines = done.err.splitlines()
    assert lines[0].startswith("slimml: ") and lines[0].endswith("2 of 3 checks say no")
    assert lines[1].startswith("  size: ") and lines[1].endswith(", at most 10 B")
    assert lines[2].startswith("  p50: ") and "at most 1 ns" in lines[2]
    assert len(lines) == 3 and "FAIL" in done.out


def test_a_document_is_the_next_baseline(run: Run, shrunk: Shrunk, tmp_path: Path):
    target = tmp_path / "gate.json"
    assert run("gate", shrunk.artifact, "--max-size", "10B", "--json", target).code == 1
    document = json.loads(target.read_text())
    assert (document["schema_version"], document["command"], document["ok"]) == (1, "gate", False)
    assert document["error"]["type"] == "BudgetError" and document["checks"][0]["what"] == "size"
    done = run("gate", shrunk.artifact, "--baseline", target, "--max-diff", "0", "--max-larger", "0%", "--json", "-")
    assert (done.code, done.json["ok"], done.json["baseline"]["kind"]) == (0, True, "gate")
    assert done.err == ""


def test_reports_are_written(run: Run, shrunk: Shrunk, tmp_path: Path):
    done = run(
        "gate", shrunk.artifact, "--max-size", "10B", "--junit", tmp_path / "g.xml", "--markdown", tmp_path / "g.md"
    )
    assert done.code == 1
    assert ElementTree.parse(tmp_path / "g.xml").getroot().tag == "testsuites"
    assert "| check |" in (tmp_path / "g.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-size", "big"], "--max-size big"),
        (["--max-p99", "500"], "needs its unit"),
        (["--max-slower", "10%"], "relative to a baseline"),
        (["--baseline", "no-such.slim"], "the baseline no-such.slim cannot be read"),
        (["--junit", "no/such/folder.xml"], "cannot write"),
        (["--data", "no-such.csv"], "cannot read no-such.csv"),
    ],
)
def test_wrong_usage_is_2(options: list[str], message: str, run: Run, shrunk: Shrunk):
    done = run("gate", shrunk.artifact, *options)
    assert done.code == 2 and message in done.err


def test_what_is_no_artifact_is_3(run: Run, shrunk: Shrunk):
    done = run("gate", shrunk.model)
    assert done.code == 3 and "not a slimml artifact" in done.err
    assert run("gate", "no-such.slim").code == 2


def test_bench_shows_both_sides(run: Run, shrunk: Shrunk):
    done = run("bench", shrunk.artifact, shrunk.model, "--data", shrunk.rows)
    assert done.code == 0, done.err
    words = ["artifact", "original", "one row from a dict, p50", "one row from a frame, p99", "rows/s, 1,000 at once"]
    assert [w for w in words if w not in done.out] == []


def test_bench_alone_is_a_document(run: Run, shrunk: Shrunk):
    done = run("bench", shrunk.artifact, "--json", "-")
    assert (done.code, done.json["command"], done.json["ok"], done.json["original"]) == (0, "bench", True, None)
    assert {"p50", "p99"} == set(done.json["artifact"]["latency_us"]["dict"])


def test_bench_of_another_model_is_1(run: Run, shrunk: Shrunk, tmp_path: Path):
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(zoo_model("scale/standard")[0]))
    done = run("bench", shrunk.artifact, tmp_path / "other.pkl")
    assert done.code == 1 and "nothing was timed" in done.out
    assert run("bench", shrunk.artifact, "--trust").code == 2

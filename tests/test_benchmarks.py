"""The benchmarks run; what they measure is not looked at here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.gate import Case
from benchmarks.run import RESULTS
from tests.shared import ROOT


def test_the_speed_benchmarks_run():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks/test_speed.py", "-q", "-p", "no:xdist", "-p", "no:cacheprovider",
         "--benchmark-disable"],
        cwd=ROOT, env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "15 passed" in done.stdout


def test_a_right_answer_for_a_wrong_reason_is_wrong():
    case = Case({"larger"})
    duel = {"ratio": 1.02, "stages": [1.0, 1.02, 1.03]}
    checks = [{"what": "larger", "ok": False}, {"what": "slower at one row", "ok": True}]
    assert case.take(1, {"checks": checks, "duels": {"one": duel}})
    checks[1]["ok"] = False
    assert not case.take(1, {"checks": checks, "duels": {}})
    assert not Case({"larger"}).take(0, {"checks": [{"what": "larger", "ok": True}], "duels": {}})
    assert (case.runs, case.right, case.ratios) == (2, 1, {"one": [1.02]})


def test_the_gate_was_right_ten_times_out_of_ten():
    cases = json.loads((RESULTS / "gate.json").read_text(encoding="utf-8"))["cases"]
    assert set(cases) == {"twin", "grown", "slowed", "drifted"}
    assert all(case["right"] == case["runs"] >= 10 for case in cases.values())

"""The benchmarks run; what they measure is not looked at here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks import folding
from benchmarks.gate import Case
from benchmarks.run import RESULTS
from slimml.passes import PASSES
from tests.shared import ROOT
from tests.zoo import zoo_model


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


def test_a_folded_forest_is_told_beside_the_one_that_is_not():
    found = folding.entry(*zoo_model("forest/pipeline-three"), seconds=0.05)
    assert found is not None
    before, after = found["held"]["before"], found["held"]["after"]
    assert before["nodes"] == after["nodes"] and after["ops"] < before["ops"] and after["columns"] < before["columns"]
    assert found["fold"]["seconds"] > 0 and found["fold"]["grown_bytes"] > 0
    portable = found["backends"]["portable"]
    assert portable["faster"] > 0 and portable["smaller"] == portable["before"]["bytes"] / portable["after"]["bytes"]
    lines = folding.table({"a": found}).splitlines()
    assert len(lines) == 3 and len({line.count("|") for line in lines}) == 1


def test_pipelines_without_trees_are_folded_into_their_heads():
    found = folding.entry(*zoo_model("logistic/pipeline"), seconds=0.05)
    assert found["held"]["after"]["ops"] < found["held"]["before"]["ops"]


def test_a_large_forest_is_folded_and_not_run():
    found = folding.large(rows=60, trees=3)
    assert found["held"]["after"]["nodes"] > 300 and "backends" not in found
    assert found["held"]["after"]["ops"] < found["held"]["before"]["ops"]
    folding.table({folding.LARGE: found})


def test_before_goes_without_the_passes_that_are_named():
    assert folding.FOLD in PASSES and folding.FOLD.name in folding.FOLDING

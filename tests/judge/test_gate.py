"""gate: an equal artifact passes, a grown, a slowed and a drifted one do not, whatever the baseline is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import slimml
from slimml.errors import ArtifactError, InputError, UsageError
from slimml.judge.reports import junit, markdown
from slimml.judge.result import GateResult
from tests.judge.conftest import Family


def said(result: GateResult) -> dict[str, bool]:
    return {c.what.partition(" at ")[0]: c.ok for c in result.checks}


def test_limits_of_its_own_are_kept_or_not(family: Family):
    kept = slimml.gate(family.base, max_size="1MB", max_p50="1s", max_p99="10s", max_diff=0)
    assert kept.ok and said(kept) == {"size": True, "p50": True, "p99": True, "difference": True}
    broken = slimml.gate(family.base, max_size="1kB", max_p50="1ns", max_p99="1ns")
    assert not broken.ok and said(broken) == {"size": False, "p50": False, "p99": False}
    found = broken.timing.dict
    assert found is not None and 0 < found.p50 <= found.p99


def test_a_size_is_held_to_the_byte(family: Family):
    size = family.base.stat().st_size
    assert slimml.gate(family.base, max_size=size).ok
    assert not slimml.gate(family.base, max_size=size - 1).ok


def test_the_same_bytes_pass_without_a_race(family: Family):
    found = slimml.gate(family.base, baseline=family.base)
    assert found.ok and said(found) == {"difference": True, "larger": True, "slower": True}
    assert found.duels == {}


def test_a_twin_passes(family: Family):
    assert family.twin.read_bytes() != family.base.read_bytes()
    found = slimml.gate(family.twin, baseline=family.base)
    assert found.ok, [str(c) for c in found.failed]
    assert set(found.duels) == {"one", "batch"}


def test_a_grown_and_slowed_one_fails(family: Family):
    found = slimml.gate(family.slowed, baseline=family.base)
    assert said(found) == {"difference": False, "larger": False, "slower": False}
    assert found.duels["batch"].ratio > 1.1


def test_a_faster_one_passes(family: Family):
    found = slimml.gate(family.base, baseline=family.slowed, max_slower="10%", max_larger="5%")
    assert found.ok


def test_one_leaf_that_moved_is_drift(family: Family):
    found = slimml.gate(family.drifted, baseline=family.base, max_diff=0)
    assert not found.ok and found.drift is not None and found.drift.max_abs > 0
    assert slimml.gate(family.drifted, baseline=family.base, max_diff=1e9).drift.max_abs < 1


def test_the_user_s_rows_are_compared(family: Family):
    rows = np.random.default_rng(0).normal(size=(40, 8))
    found = slimml.gate(family.slowed, baseline=family.base, max_diff=0, data=rows)
    assert found.drift is not None and found.drift.rows == 40
    with pytest.raises(InputError):
        slimml.gate(family.base, data=rows[:, :3])


def test_a_model_of_other_columns_is_not_compared(family: Family):
    found = slimml.gate(family.other, baseline=family.base, max_diff=1, max_slower="1000%")
    assert found.drift is not None and "other model" in found.drift.why.replace("another", "other")
    assert said(found) == {"difference": False, "slower": True}
    assert any("rows of its own" in n for n in found.notes)


def written(folder: Path, name: str, content: Any) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_an_earlier_gate_is_a_baseline(family: Family, tmp_path: Path):
    earlier = {"schema_version": 1, "command": "gate"} | slimml.gate(family.base, max_size="1MB").to_json()
    baseline = written(tmp_path, "gate.json", earlier)
    assert said(slimml.gate(family.base, baseline=baseline, max_diff=0, max_larger=0)) == {
        "difference": True,
        "larger": True,
    }
    assert said(slimml.gate(family.slowed, baseline=baseline, max_diff=0, max_larger=0)) == {
        "difference": False,
        "larger": False,
    }
    slow = earlier | {"latency_us": {"dict": {"p50": 1e6, "p99": 1e6}}}
    assert slimml.gate(family.base, baseline=written(tmp_path, "slow.json", slow), max_slower="10%").ok
    fast = earlier | {"latency_us": {"dict": {"p50": 0.1, "p99": 1.0}}, "machine": {"processor": "another"}}
    found = slimml.gate(family.base, baseline=written(tmp_path, "fast.json", fast), max_slower="10%")
    assert not found.ok and "another machine" in found.notes[0]


def benchmark(name: str, median: float) -> dict[str, Any]:
    return {"fullname": f"tests/test_speed.py::{name}", "stats": {"median": median}}


def test_a_pytest_benchmark_file_is_a_baseline(family: Family, tmp_path: Path):
    file = written(tmp_path, "b.json", {"machine_info": {}, "benchmarks": [benchmark("test_one", 10.0)]})
    assert said(slimml.gate(family.base, baseline=file)) == {"difference": True, "slower": True}
    both = [benchmark("test_one", 10.0), benchmark("test_two", 1e-9)]
    file = written(tmp_path, "b.json", {"machine_info": {"cpu": {"brand_raw": "x"}}, "benchmarks": both})
    assert not slimml.gate(family.base, baseline=f"{file}::test_two").ok
    with pytest.raises(UsageError, match=r"2 benchmarks.*\n.*test_one, test_two"):
        slimml.gate(family.base, baseline=file)
    with pytest.raises(UsageError, match="tells no size"):
        slimml.gate(family.base, baseline=f"{file}::test_one", max_larger="5%")


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"command": "shrink"}', '{"benchmarks": [{}]}'])
def test_what_is_no_baseline_is_wrong_usage(content: str, family: Family, tmp_path: Path):
    (tmp_path / "baseline").write_text(content)
    with pytest.raises(UsageError, match="the baseline"):
        slimml.gate(family.base, baseline=tmp_path / "baseline")


def test_a_gate_that_failed_to_run_is_no_baseline(family: Family, tmp_path: Path):
    document = {"schema_version": 1, "command": "gate", "ok": False, "error": {"what": "no such file"}}
    with pytest.raises(UsageError, match="holds no figures"):
        slimml.gate(family.base, baseline=written(tmp_path, "gate.json", document))


def test_a_damaged_baseline_is_named(family: Family, tmp_path: Path):
    damaged = bytearray(family.base.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "damaged.slim").write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"the baseline .*damaged\.slim"):
        slimml.gate(family.base, baseline=tmp_path / "damaged.slim")


def test_junit_is_a_test_suite(family: Family):
    result = slimml.gate(family.base, max_size="1kB", max_p50="1s")
    result.artifact = type(result.artifact)("odd \x00 <name>.slim", 1, "", "portable", "bitwise")
    top = ElementTree.fromstring(junit(result))
    (suite,) = top.findall("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    cases = {c.get("name"): c.find("failure") for c in suite.findall("testcase")}
    assert cases["p50"] is None and "at most 1 kB" in (cases["size"].get("message") or "")


def test_markdown_is_a_table(family: Family):
    result = slimml.gate(family.base, max_size="1kB", max_p50="1s")
    result.artifact = type(result.artifact)("a|b`c.slim", 1, "", "portable", "bitwise")
    lines = markdown(result).splitlines()
    assert lines[0] == "### ❌ `a\\|b'c.slim` fails 1 of 2 checks"
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 4 and all(row.replace("\\|", "").count("|") == 5 for row in rows)

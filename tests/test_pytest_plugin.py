"""The fixture `slimml` in somebody's test suite."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tests.judge.conftest import write
from tests.shared import ROOT
from tests.zoo import zoo_model

pytest_plugins = "pytester"

SUITE = """
def test_all_is_well(slimml):
    slimml.assert_size("model.slim", "1MB")
    slimml.assert_fast("model.slim", p50="1s", p99="10s")
    slimml.assert_golden("model.slim")
    slimml.assert_same("model.slim", "model.slim")
    slimml.assert_not_slower("model.slim", "model.slim", by="10%")
    slimml.assert_not_larger("model.slim", "model.slim", by="5%")

def test_too_large(slimml):
    slimml.assert_size("model.slim", "10B")

def test_too_slow(slimml):
    slimml.assert_fast("model.slim", p50="1ns")

def test_another_model(slimml):
    slimml.assert_same("model.slim", "other.slim")

def test_the_model_itself(slimml):
    import pickle
    slimml.assert_same("model.slim", pickle.load(open("model.pkl", "rb")))

def test_another_original(slimml):
    slimml.assert_same("model.slim", "other.pkl")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    import pickle

    monkeypatch.setattr("slimml.judge.speed.MEASURE_SECONDS", 0.1)
    for name, model in (("model", "tree/binary"), ("other", "tree/three")):
        write(zoo_model(model)[0], pytester.path / f"{name}.slim")
        (pytester.path / f"{name}.pkl").write_bytes(pickle.dumps(zoo_model(model)[0]))
    registered = any(e.name == "slimml" for e in importlib.metadata.entry_points(group="pytest11"))
    if not registered:
        pytester.makeconftest("pytest_plugins = 'slimml.pytest_plugin'")
    pytester.makepyfile(SUITE)
    return pytester


def test_each_assertion_passes_or_says_why_not(suite: pytest.Pytester):
    done = suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:benchmark")
    done.assert_outcomes(passed=2, failed=4)
    text = done.stdout.str()
    assert "size: " in text and "at most 10 B" in text and "p50: " in text and "at most 1 ns" in text
    assert "answers otherwise" in text and "Traceback" not in text


def test_the_plugin_is_registered_under_its_name():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"slimml": "slimml.pytest_plugin"}


def test_the_plugin_wakes_nothing(tmp_path: Path):
    code = (
        "import sys, pytest; before = set(sys.modules); import slimml.pytest_plugin\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"slimml", "slimml.pytest_plugin"}

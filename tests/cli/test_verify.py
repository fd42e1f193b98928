"""slimml verify: with the model, and alone."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Shrunk
from tests.zoo import zoo_model

Run = Callable[..., Ran]


def test_an_artifact_alone_answers_its_golden_rows(run: Run, shrunk: Shrunk):
    done = run("verify", shrunk.artifact, "--json", "-")
    assert done.code == 0
    assert (done.json["command"], done.json["ok"], done.json["parity"]) == ("verify", True, None)
    assert done.json["golden"]["equal"] and done.json["golden"]["rows"] > 0
    assert "golden rows" in run("verify", shrunk.artifact).out


@pytest.mark.parametrize("data_at", [0, 1, 2])
def test_a_model_and_its_artifact_agree_wherever_the_options_stand(run: Run, shrunk: Shrunk, data_at: int):
    argv: list[object] = [shrunk.model, shrunk.artifact]
    argv[data_at:data_at] = ["--data", shrunk.rows]
    done = run("verify", *argv)
    assert done.code == 0, done.err
    assert "the answers agree" in done.out and "labels changed" in done.out


def test_another_model_s_artifact_is_a_no(run: Run, shrunk: Shrunk, tmp_path: Path):
    estimator, _ = zoo_model("logistic/pipeline-multinomial")
    other = pickle.loads(pickle.dumps(estimator))
    other.steps[-1][1].coef_ = other.steps[-1][1].coef_ * 1.001
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(other))
    done = run("verify", tmp_path / "other.pkl", shrunk.artifact)
    assert done.code == 1
    assert "THE ANSWERS DIFFER" in done.out
    assert run("verify", tmp_path / "other.pkl", shrunk.artifact, "--json", "-").json["ok"] is False


def test_options_of_a_comparison_need_a_model(run: Run, shrunk: Shrunk):
    done = run("verify", shrunk.artifact, "--trust")
    assert done.code == 2 and "no MODEL" in done.err


def test_an_artifact_of_another_model_is_a_no_with_its_reason(run: Run, shrunk: Shrunk, tmp_path: Path):
    for name, word in (("logistic/binary", "columns"), ("scale/standard", "columns")):
        (tmp_path / "other.pkl").write_bytes(pickle.dumps(zoo_model(name)[0]))
        done = run("verify", tmp_path / "other.pkl", shrunk.artifact, "--json", "-")
        assert (done.code, done.json["ok"], done.json["parity"]) == (1, False, None), done.err
        assert "another model" in done.json["reference"]["sentence"] and word in done.json["reference"]["sentence"]


def test_an_artifact_that_answers_other_methods_is_a_no(run: Run, shrunk: Shrunk, tmp_path: Path):
    estimator, _ = zoo_model("logistic/pipeline-multinomial")
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(estimator[:-1]))
    done = run("verify", tmp_path / "other.pkl", shrunk.artifact)
    assert done.code == 1 and "which answers predict" in done.out and "transform" in done.out
    assert "THE ANSWERS DIFFER" not in done.out

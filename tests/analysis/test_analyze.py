"""slimml.analyze: bytes and microseconds side by side, whatever the model is."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import slimml
from slimml.errors import IngestError, UntrustedError
from slimml.intake import WIDEN
from slimml.passes import PASSES
from tests.cli.conftest import Ran, run  # noqa: F401
from tests.zoo import people, zoo_model


@pytest.fixture(autouse=True, scope="module")
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slimml.analysis.run.MEASURE_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analyze") / "model.pkl"
    path.write_bytes(pickle.dumps(zoo_model("forest/pipeline")[0]))
    return path


class Doubled(TransformerMixin, BaseEstimator):
    """A step that no frontend knows."""

    def fit(self, x: Any, y: Any = None) -> Any:
        self.n_features_in_ = np.shape(x)[1]
        return self

    def transform(self, x: Any) -> Any:
        return 2 * x


def test_the_original_is_timed_step_by_step(model: Path):
    found = slimml.analyze(model).to_json()
    latency = found["latency"]
    assert (latency["of"], latency["method"]) == ("original", "predict")
    steps = {s["path"]: s for s in latency["steps"]}
    leaf = {p for p, s in steps.items() if not s["holds_steps"]}
    assert leaf == {
        "model.columntransformer.num.simpleimputer",
        "model.columntransformer.num.standardscaler",
        "model.columntransformer.cat.simpleimputer",
        "model.columntransformer.cat.onehotencoder",
        "model.randomforestclassifier",
    }
    assert leaf <= {s["path"] for s in found["bytes"]["steps"]}
    own = sum(steps[p]["one_row_us"] for p in leaf)
    assert all(s["one_row_us"] > 0 and s["batch_us"] > 0 for s in steps.values())
    assert own + latency["one_row"]["overhead_us"] == pytest.approx(latency["one_row"]["us"])


def test_the_graph_is_shown_before_and_after_the_passes_that_say_what_they_did(model: Path, run):  # noqa: F811
    graph = slimml.analyze(model).to_json()["graph"]
    assert "StandardScaler" not in graph["before"] and "Divide(" in graph["before"]
    assert "Divide(%2" not in graph["after"] and "Rank(" in graph["after"]
    named = {p["name"]: p for p in graph["passes"]}
    assert list(named) == [*(p.name for p in PASSES), WIDEN]
    assert named["fold-columns-into-ranks"]["fired"] == 1
    assert named["fold-columns-into-ranks"]["exactness"] == "bitwise"
    printed = run("analyze", model).out
    assert "what the model means, op by op:" in printed and "what is compiled:" in printed
    for name in named:
        assert f"pass {name} (" in printed


def test_totals_add_up(model: Path):
    found = slimml.analyze(model).to_json()["bytes"]
    assert found["total"] == model.stat().st_size
    assert sum(s["bytes"] for s in found["steps"]) + found["outside"] == found["total"]
    assert sum(s["fit_only"] for s in found["steps"]) == found["fit_only"] == sum(s["bytes"] for s in found["savings"])
    top = found["steps"][0]
    assert top["bytes_with_steps"] == found["total"] - found["outside"]


def test_user_rows_are_timed(model: Path):
    result = slimml.analyze(model, data=people(40, seed=3))
    assert result.times.rows == 40


def test_a_live_model_is_left_as_it_was():
    estimator, _ = zoo_model("forest/pipeline")
    before = {id(s): set(vars(s)) for _, s in estimator.steps}
    result = slimml.analyze(estimator)
    assert result.times.of == "original"
    assert {id(s): set(vars(s)) for _, s in estimator.steps} == before
    assert result.reference.how == "in-process"


def test_where_the_original_may_not_run_the_graph_is_timed_and_said(model: Path):
    data = model.read_bytes().replace(b"1.9.1", b"1.4.1")
    result = slimml.analyze(data)
    assert result.times.of == "graph"
    assert "1.4.1" in result.times.sentence and "not the original" in result.times.sentence
    assert "plain evaluation" in result.headline
    assert "model.randomforestclassifier" in {s.path for s in result.times.steps}


def test_a_refused_step_is_named_and_the_rest_told():
    x = np.random.default_rng(0).normal(size=(60, 3))
    estimator = make_pipeline(StandardScaler(), Doubled(), RandomForestClassifier(3)).fit(x, x[:, 0] > 0)
    data = pickle.dumps(estimator)
    result = slimml.analyze(data)
    assert [r.path for r in result.refused] == ["model.doubled"]
    assert result.times.of is None and result.times.sentence
    steps = {s["path"]: s for s in result.to_json()["bytes"]["steps"]}
    assert steps["model.doubled"]["known"] is False
    assert steps["model.randomforestclassifier"]["forest"]["trees"] == 3
    trusted = slimml.analyze(data, data=x, trust=True)
    assert trusted.times.of == "original"
    assert "model.doubled" in {s.path for s in trusted.times.steps}


def test_nothing_of_the_file_is_loaded_for_its_bytes(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    with pytest.raises(UntrustedError):
        slimml.analyze(pickle.dumps(Evil()))
    with pytest.raises(IngestError):
        slimml.analyze(b"not a model at all")
    assert not (tmp_path / "opened").exists()


def test_a_file_that_holds_no_estimator_is_told_too():
    result = slimml.analyze(pickle.dumps([1, 2, 3]))
    assert result.refused and result.times.of is None
    assert result.to_json()["bytes"]["total"] == result.bytes


def test_the_command_prints_a_table_and_writes_json(model: Path, tmp_path: Path, run: Any):  # noqa: F811
    shown = run("analyze", model)
    assert shown.code == 0
    for word in ("never read", "model.columntransformer.num.standardscaler", "impurity", "between the steps", "trees"):
        assert word in shown.out
    found = run("analyze", model, "--json", "-", "--select", "steps.1.1")
    assert found.code == 0
    assert (found.json["schema_version"], found.json["command"], found.json["ok"]) == (1, "analyze", True)
    assert found.json["bytes"]["steps"][0]["class"].endswith("RandomForestClassifier")
    assert run("analyze", tmp_path / "nothing.pkl").code == 2
    (tmp_path / "text.pkl").write_text("hello")
    assert run("analyze", tmp_path / "text.pkl").code == 3


def test_data_that_lack_a_column_are_refused(model: Path, tmp_path: Path, run: Any):  # noqa: F811
    rows = tmp_path / "rows.csv"
    pd.DataFrame({"age": [1.0]}).to_csv(rows, index=False)
    ran: Ran = run("analyze", model, "--data", rows)
    assert ran.code == 3 and "lack" in ran.err
    assert json.loads(run("analyze", model, "--data", rows, "--json", "-").out)["ok"] is False


def test_the_bytes_need_no_scikit_learn(model: Path):
    code = (
        "import sys, slimml.analysis.stream as s, slimml.ingest.read as r;"
        f"i = r.read({str(model)!r}); a = s.account(i.root, i.stream);"
        "assert a.steps and 'sklearn' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

"""Where the bytes are: accounts that add up to the stream, state that only fit uses named."""

from __future__ import annotations

import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from slimml.analysis.result import attributes
from slimml.analysis.stream import Accounts, account
from slimml.ingest.read import read
from tests.zoo import ZOO, zoo_model


def accounts_of(data: bytes, select: str | None = None) -> tuple[Accounts, int]:
    ingested = read(data, select=select)
    assert ingested.stream is not None
    return account(ingested.root, ingested.stream), len(ingested.stream.data)


@pytest.fixture(scope="module")
def forest() -> Any:
    x = np.random.default_rng(0).normal(size=(400, 5))
    return make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(x, x[:, 0] + x[:, 1] > 0)


@pytest.mark.parametrize("name", [m.name for m in ZOO][::4])
def test_accounts_of_the_zoo_add_up(name: str):
    estimator, _ = zoo_model(name)
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    for data in (pickle.dumps(estimator, 2), pickle.dumps(estimator, 5), buffer.getvalue()):
        accounts, size = accounts_of(data)
        assert sum(s.bytes for s in accounts.steps) + accounts.outside == size
        assert all(0 <= h.unread <= h.own for s in accounts.steps for _, h in s.held.walk())
        for step in accounts.steps:
            assert sum(a["bytes"] for a in attributes(step)) == step.bytes


def test_fields_of_tree_nodes_are_told_apart(forest: Any):
    accounts, _ = accounts_of(pickle.dumps(forest))
    step = {s.path: s for s in accounts.steps}["model.randomforestclassifier"]
    nodes = sum(t.tree_.node_count for t in forest[-1].estimators_)
    leaves = sum(t.tree_.n_leaves for t in forest[-1].estimators_)
    depth = max(t.tree_.max_depth for t in forest[-1].estimators_)
    assert step.forest.to_json() == {"trees": 20, "nodes": nodes, "leaves": leaves, "depth": depth}
    held = {a["path"]: a for a in attributes(step)}
    prefix = "estimators_[].tree_"
    assert held[f"{prefix}.nodes.threshold"]["bytes"] == 8 * nodes
    assert held[f"{prefix}.nodes.impurity"]["fit_only"] == 8 * nodes
    assert held[f"{prefix}.nodes.missing_go_to_left"] | {"count": 0} == {
        "path": f"{prefix}.nodes.missing_go_to_left",
        "bytes": nodes,
        "fit_only": 0,
        "why": "",
        "what": "",
        "count": 0,
    }
    assert held[f"{prefix}.values.inner nodes"]["fit_only"] == 2 * 8 * (nodes - leaves)
    assert held[f"{prefix}.values.leaves"]["fit_only"] == 0


def test_a_model_in_a_dictionary_has_the_rest_outside(forest: Any):
    other = np.zeros(50_000)
    data = pickle.dumps({"notes": "x" * 1000, "model": forest, "table": other})
    size = accounts_of(pickle.dumps(forest))[1]
    accounts, _ = accounts_of(data, "model")
    assert accounts.outside > other.nbytes + 1000
    assert abs(sum(s.bytes for s in accounts.steps) - size) < 2000
    step, _ = accounts_of(data, "model.steps.1.1")
    assert [s.path for s in step.steps] == ["model"]


def test_what_is_also_read_is_not_called_unread():
    scaler = StandardScaler().fit(np.random.default_rng(0).normal(size=(30, 2000)))
    before = accounts_of(pickle.dumps(scaler))[0].steps[0].unread
    scaler.var_ = scaler.scale_
    scaler.__dict__ = {"var_": scaler.var_, **scaler.__dict__}
    after = accounts_of(pickle.dumps(scaler))[0].steps[0].unread
    assert before > 8 * 2000 > 1000 > after


def test_classes_that_are_not_known_are_not_judged():
    data = pickle.dumps(StandardScaler().fit(np.zeros((3, 2))), 2).replace(b"csklearn.preproc", b"cmylearn.preproc")
    accounts, size = accounts_of(data)
    (step,) = accounts.steps
    assert (step.judged, step.unread, step.bytes + accounts.outside) == (False, 0, size)


def test_a_file_with_no_end_of_names_is_summed_up():
    estimator = StandardScaler().fit(np.zeros((3, 2)))
    for i in range(5000):
        setattr(estimator, f"<b>{i}", [[i]])
    accounts, size = accounts_of(pickle.dumps(estimator))
    listed = attributes(accounts.steps[0])
    assert len(listed) < 100
    assert sum(a["bytes"] for a in listed) + accounts.outside == size


def test_boosters_are_told_by_what_their_own_format_holds():
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    x = np.random.default_rng(0).normal(size=(200, 4))
    for model in (lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1), xgboost.XGBClassifier(n_estimators=5)):
        accounts, size = accounts_of(pickle.dumps(model.fit(x, x[:, 0] > 0)))
        held = {a["path"].rpartition(".")[2]: a for a in attributes(accounts.steps[0])}
        assert {"split_gain", "leaf_value"} <= set(held) or {"loss_changes", "split_conditions"} <= set(held)
        assert accounts.steps[0].unread > size / 50
        assert accounts.steps[0].bytes + accounts.outside == size


def test_a_selector_reads_the_impurities_of_its_trees():
    rows = np.random.default_rng(0).normal(size=(80, 4))
    model = SelectFromModel(RandomForestClassifier(n_estimators=2, random_state=0)).fit(rows, rows[:, 0] > 0)
    whole, alone = (accounts_of(pickle.dumps(m))[0] for m in (model, model.estimator_))
    weighed = [s for s in whole.steps if "Forest" in s.class_path]
    assert sum(s.unread for s in weighed) < 200 < sum(s.unread for s in alone.steps)

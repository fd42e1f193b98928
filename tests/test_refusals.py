"""What cannot be compiled is named whole: every step, where it stands, why, and what to do."""

from __future__ import annotations

import json
import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import DBSCAN
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer, StandardScaler

import slimml
from slimml.cli import main
from slimml.errors import UnfittedModelError, UnsupportedModelError

X = np.random.default_rng(0).normal(size=(60, 4))
Y = X[:, 0] > 0


class _Step(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.asarray(X)

    def predict(self, X):
        return np.zeros(len(X))


@contextmanager
def _classes(*paths: str) -> Iterator[list[type]]:
    """Classes of packages that are not installed, as long as a model is saved."""
    made = []
    for path in paths:
        module, _, name = path.rpartition(".")
        sys.modules.setdefault(module, types.ModuleType(module))
        made.append(type(name, (_Step,), {"__module__": module}))
        setattr(sys.modules[module], name, made[-1])
    try:
        yield made
    finally:
        for path in paths:
            sys.modules.pop(path.rpartition(".")[0], None)


def _hopeless() -> bytes:
    """Two classes that nobody knows, a library that is not read, and an option that is not handled."""
    with _classes("shop.Prices", "shop.Names", "catboost.CatBoostClassifier") as (prices, names, cat):
        union = FeatureUnion([("prices", prices()), ("names", names())])
        columns = ColumnTransformer([("scale", StandardScaler(), [0]), ("all", union, [1, 2]), ("log", _log(), [3])])
        return pickle.dumps(Pipeline([("prep", columns), ("clf", cat())]).fit(X, Y))


def _log() -> Any:
    return FunctionTransformer(np.atleast_2d, validate=True)


WHERE = ["model.prep.all.prices", "model.prep.all.names", "model.prep.log", "model.clf"]


def test_every_step_in_the_way_is_named_at_once():
    with pytest.raises(UnsupportedModelError) as caught:
        slimml.shrink(_hopeless())
    assert [r.path for r in caught.value.refusals] == WHERE
    said = str(caught.value)
    assert "4 steps cannot be lowered" in said and all(w in said for w in WHERE)
    assert "no frontend knows shop.Prices" in said and "no frontend knows shop.Names" in said
    assert "models of CatBoost are not read" in said
    assert "Write a lowering" in caught.value.hint and "skl2onnx" in caught.value.hint


def test_every_command_lists_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "model.pkl"
    path.write_bytes(_hopeless())
    assert main(["shrink", str(path), "-o", str(tmp_path / "out.slim"), "--json", "-"]) == 3
    shrunk = json.loads(capsys.readouterr().out)
    assert main(["analyze", str(path), "--json", "-"]) == 0
    analyzed = json.loads(capsys.readouterr().out)
    assert main(["scan", str(path), "--json", "-"]) == 0
    scanned = json.loads(capsys.readouterr().out)
    assert shrunk["error"]["refused"] == analyzed["refused"] == scanned["refused"]
    assert [r["path"] for r in scanned["refused"]] == WHERE
    assert scanned["refused"][-1]["class"] == "catboost.CatBoostClassifier"
    assert main(["scan", str(path)]) == 0
    assert "not compiled: model.prep.all.names" in capsys.readouterr().out


def test_scan_names_the_models_of_a_container():
    with _classes("shop.Prices") as (prices,):
        data = pickle.dumps({"encoder": prices().fit(X), "model": LogisticRegression().fit(X, Y)})
    assert [(r.path, r.class_path) for r in slimml.scan(data).refusals] == [("encoder", "shop.Prices")]


def test_a_model_of_unknown_steps_is_not_called_unfitted():
    with _classes("keras.Model") as (net,):
        data = pickle.dumps(net())
    with pytest.raises(UnsupportedModelError, match="models of Keras are not read") as caught:
        slimml.shrink(data)
    assert not isinstance(caught.value, UnfittedModelError)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (DBSCAN().fit(X), "no method for new ones"),
        (TSNE(perplexity=5, max_iter=250).fit(X), "no method for new ones"),
        (MultiLabelBinarizer().fit([{"a"}, {"b", "c"}]), "takes sets of labels, not rows"),
    ],
    ids=lambda v: type(v).__name__ if not isinstance(v, str) else "",
)
def test_a_class_without_an_answer_for_new_rows_says_so(model: Any, said: str):
    with pytest.raises(UnsupportedModelError, match=said) as caught:
        slimml.shrink(model)
    assert "skl2onnx" not in caught.value.hint  # no way out leads anywhere


def test_the_message_of_a_single_step_stays_short():
    documents = ["red wine", "white wine", "red beer", "pale beer"]
    model = make_pipeline(TfidfVectorizer(tokenizer=str.split, token_pattern=None), LogisticRegression())
    with pytest.raises(UnsupportedModelError, match="its own tokenizer") as caught:
        slimml.shrink(pickle.dumps(model.fit(documents, [1, 0, 1, 0])))
    assert caught.value.where == "model.tfidfvectorizer" and len(caught.value.refusals) == 1

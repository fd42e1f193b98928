"""XGBoost's corners: scores at the edge of what a link takes, classes that are not there."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, OneHotEncoder

from slimml.errors import InputError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.boosters import complete
from slimml.ingest.read import read
from slimml.ingest.xgboost.model import LIBRARY, PARSED
from slimml.ir.graph import evaluate
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from tests.hostile import graph_answer, input_blocks, same_cells

xgboost = pytest.importorskip("xgboost")

RNG = np.random.default_rng(4)
X = RNG.normal(size=(120, 3)).round(2)
Y = (X[:, 0] > 0).astype(float)


def graph_of(model: Any) -> Any:
    return lower(read(pickle.dumps(model, 5)).root)


def agrees(model: Any, rows: Any, method: str = "predict") -> None:
    answer = np.asarray(getattr(model, method)(rows))
    [got] = graph_answer(graph_of(model), method, rows)
    assert same_cells(answer.reshape(got.shape), got).all()


@pytest.mark.parametrize("score", [0.0, 1e-20, 9.9e-7, 1e-6, 1.1e-6, 0.3, 0.9999985, 0.9999995, 1.0])
def test_a_base_score_next_to_0_or_1_is_taken_to_the_nearest_that_has_a_logit(score):
    model = xgboost.XGBRegressor(n_estimators=2, objective="reg:logistic", base_score=score, random_state=0)
    agrees(model.fit(X, Y), X)


def test_labels_that_no_or_every_row_has():
    several = np.stack([np.ones(len(X)), Y, np.zeros(len(X))], axis=1).astype(int)
    model = xgboost.XGBClassifier(n_estimators=2, random_state=0).fit(X, several)
    agrees(model, X)
    agrees(model, X, "predict_proba")


def test_one_class_alone():
    for objective in ("binary:logistic", "binary:logitraw", "binary:hinge"):
        model = xgboost.XGBClassifier(n_estimators=2, objective=objective).fit(X, np.zeros(len(X), dtype=int))
        agrees(model, X)
        agrees(model, X, "predict_proba")
        assert graph_of(model).classes[0].tolist() == model.classes_.tolist() == [0]


def test_names_of_columns_that_the_booster_object_alone_keeps_are_read():
    """As releases before 1.4 pickled them; columns without names were f0, f1, ... there."""
    booster = xgboost.XGBRegressor(n_estimators=1).fit(X, Y).get_booster()
    booster.feature_names = booster.feature_types = None
    root = read(pickle.dumps(booster, 5)).root
    for given, names in ((["b", "c", "a"], ("b", "c", "a")), (["f0", "f1", "f2"], ("x0", "x1", "x2"))):
        root.fields["feature_names"] = given
        root.fields.pop("feature_names_in_", None)
        complete([root], LIBRARY)
        schema = lower(root).schema
        assert (schema.named, schema.names) == (names[0] == "b", names)


def test_binary_logitraw_took_its_base_score_for_a_chance_before_1_3_1():
    root = read(pickle.dumps(xgboost.XGBRegressor(objective="binary:logitraw", n_estimators=1).fit(X, Y), 5)).root
    model = root._Booster.fields[PARSED]
    start = {}
    for version in ((1, 2, 1), (1, 3, 0), (1, 3, 1)):
        root._Booster.fields[PARSED] = replace(model, version=version, base_score=np.full(1, 0.3, np.float32))
        start[version] = float(graph_answer(lower(root), "predict", X[:1])[0][0, 0])
    assert start[1, 2, 1] == pytest.approx(start[1, 3, 0])
    assert start[1, 3, 1] - 0.3 == pytest.approx(start[1, 3, 0] - np.log(0.3 / 0.7))


def test_a_base_score_of_0_before_xgboost_took_it_is_refused():
    model = xgboost.XGBClassifier(n_estimators=2).fit(X, np.zeros(len(X), dtype=int))
    root = read(pickle.dumps(model, 5)).root
    fields = root._Booster.fields
    fields[PARSED] = replace(fields[PARSED], version=(3, 1, 0))
    with pytest.raises(UnsupportedEstimatorError, match="base score of 0"):
        lower(root)


@pytest.mark.parametrize("known", [["b", "Z", "a~", "ab"], [30, -5, 3, 100]], ids=["names", "integers"])
def test_an_unseen_category_is_the_next_one_in_order_or_refused(known):
    """Categories are searched among the sorted ones of training: names by their bytes as signed chars."""
    count = 200
    rows = pd.DataFrame({"size": RNG.normal(size=count), "kind": pd.Categorical(RNG.choice(known, count), known)})
    model = xgboost.XGBRegressor(n_estimators=4, enable_categorical=True, missing=-1.0, n_jobs=1)
    model.fit(rows, rows["size"] + rows["kind"].cat.codes * 7 % 5)
    graph, refused = graph_of(model), []
    others = [-90, -4, 2, 99, 101] if known[0] == 30 else ["", "B", "a", "aa", "a~~", "c", "Köln", "é", "☃"]
    for value in [*known, *others]:
        asked = pd.DataFrame({"size": X[:40, 0], "kind": pd.Categorical([value] * 40)})
        try:
            answer = model.predict(asked)
        except (ValueError, xgboost.core.XGBoostError):
            refused.append(value)
            with pytest.raises(InputError, match="beyond those of training"):
                evaluate(graph.output("predict").nodes, input_blocks(graph, asked))
        else:
            [got] = graph_answer(graph, "predict", asked)
            assert same_cells(answer.reshape(got.shape), got).all(), value
    assert refused == ([101] if known[0] == 30 else ["c"])


@pytest.mark.parametrize("value", [7.0, -1.0, 2.999, 1e9])
def test_a_number_of_an_array_that_is_no_code_is_in_no_set(value):
    known = ["b", "Z", "a"]
    rows = pd.DataFrame({"size": X[:, 0], "kind": pd.Categorical(RNG.choice(known, len(X)), known)})
    model = xgboost.XGBRegressor(n_estimators=4, enable_categorical=True, n_jobs=1)
    agrees(model.fit(rows, rows["kind"].cat.codes * 2.0), np.column_stack([X[:20, 0], np.full(20, value)]))


def test_whole_numbers_of_a_vectorizer_are_missing_where_none_is_stored():
    documents, y = ["red wine dry", "white wine", "red beer dry", "pale beer"] * 9, [1, 1, 0, 0] * 9
    model = make_pipeline(CountVectorizer(), xgboost.XGBClassifier(n_estimators=3, max_depth=2)).fit(documents, y)
    graph = lower(read(pickle.dumps(model)).root)
    block = np.array(documents, dtype=object)[:, None]
    (node,) = graph.output("predict_proba").nodes
    answer = evaluate([node], {graph.inputs()[0]: block})[node]
    np.testing.assert_array_equal(answer, model.predict_proba(documents))


def _sparse_and_numbers() -> Any:
    encode = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("codes", encode, [1])], remainder="passthrough", sparse_threshold=1.0)


def _mixed() -> tuple[np.ndarray, np.ndarray]:
    rows = np.column_stack([X[:, 0], RNG.integers(0, 4, len(X))])
    return rows, ((rows[:, 0] > 0) ^ (rows[:, 1] == 2)).astype(int)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_what_a_binarizer_drops_of_sparse_rows_is_missing(threshold):
    rows, target = _mixed()
    model = make_pipeline(_sparse_and_numbers(), Binarizer(threshold=threshold), xgboost.XGBClassifier(n_estimators=4))
    model.fit(rows, target)
    fresh = graph_of(model)
    final, _ = run_passes(fresh, PASSES)
    for graph in (fresh, final):
        [got] = graph_answer(graph, "predict_proba", rows)
        np.testing.assert_array_equal(got, model.predict_proba(rows))


@pytest.mark.parametrize("imputer", [SimpleImputer(), SimpleImputer(add_indicator=True), MissingIndicator()])
def test_an_imputer_of_sparse_rows_is_refused(imputer):
    """Its rows stay sparse, and what they do not store is missing; slimml's are dense behind it."""
    rows, target = _mixed()
    holed = rows.copy()
    holed[::7, 0] = np.nan
    model = make_pipeline(_sparse_and_numbers(), imputer, xgboost.XGBClassifier(n_estimators=4))
    model[:-1].fit(holed)
    model[-1].fit(np.zeros((len(rows), model[:-1].transform(holed).shape[1])) + target[:, None], target)
    with pytest.raises(UnsupportedEstimatorError, match="imputer of sparse rows"):
        graph_of(model)

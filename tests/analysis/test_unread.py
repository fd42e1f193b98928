"""What the table of unread state claims holds for live models: without it they answer the same."""

from __future__ import annotations

import pickle
import re
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import (
    ElasticNetCV,
    LassoCV,
    LassoLarsCV,
    LogisticRegressionCV,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler
from sklearn.tree import DecisionTreeClassifier

from slimml.analysis.boosters import booster_shares
from slimml.analysis.unread import BY_CLASS, FIELDS, unread
from slimml.ingest.record import Record
from tests.zoo import ZOO, zoo_model

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")
# Listed, and not in this test: classes of other libraries, of other releases of scikit-learn, or without effect alone.
ELSEWHERE = {"XGBModel", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor", "LGBMModel", "LGBMRanker"}
ELSEWHERE |= {"HalvingGridSearchCV", "HalvingRandomSearchCV", "TfidfVectorizer"}
IN_THE_ZOO = {"ColumnTransformer", "StandardScaler", "LinearRegression", "TreePredictor"}
IN_THE_ZOO |= {f"{name}{kind}" for kind in ("Classifier", "Regressor") for name in (
    "RandomForest", "ExtraTrees", "GradientBoosting", "HistGradientBoosting")}  # fmt: skip
ELSEWHERE |= {"XGBClassifier", "XGBRegressor", "LGBMClassifier", "LGBMRegressor"}

rng = np.random.default_rng(0)
X, COUNTS = rng.normal(size=(120, 5)), rng.integers(0, 6, size=(120, 5))
LABELS, AMOUNTS = (X[:, 0] + rng.normal(size=120) > 0).astype(int), X[:, 0] + rng.normal(size=120)
SMALL = {"max_iter": 20, "random_state": 0}
MORE = [
    *((c(3, random_state=0), X, LABELS) for c in (KMeans, MiniBatchKMeans, GaussianMixture)),
    *((c(2, random_state=0), X, None) for c in (PCA, TruncatedSVD)),
    (PCA(2, whiten=True), X, None),
    (AdaBoostClassifier(n_estimators=4, random_state=0), X, LABELS),
    (AdaBoostRegressor(n_estimators=4, random_state=0), X, AMOUNTS),
    (BaggingClassifier(n_estimators=4, oob_score=True, random_state=0), X, LABELS),
    (BaggingRegressor(n_estimators=4, random_state=0), X, AMOUNTS),
    (ElasticNetCV(cv=3), X, AMOUNTS),
    (LassoCV(cv=3), X, AMOUNTS),
    (LassoLarsCV(cv=3), X, AMOUNTS),
    (LogisticRegressionCV(cv=3, Cs=3), X, LABELS),
    (RidgeClassifierCV(store_cv_results=True), X, LABELS),
    (RidgeCV(store_cv_results=True), X, AMOUNTS),
    (SGDClassifier(loss="log_loss", **SMALL), X, LABELS),
    (SGDRegressor(**SMALL), X, AMOUNTS),
    (GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 3]}, cv=2), X, LABELS),
    (RandomizedSearchCV(DecisionTreeClassifier(), {"max_depth": [2, 3]}, n_iter=2, cv=2), X, LABELS),
    (GaussianNB(), X, LABELS),
    *((c(), COUNTS, LABELS) for c in (MultinomialNB, BernoulliNB, ComplementNB, CategoricalNB)),
    (MLPClassifier((6,), early_stopping=True, **SMALL), X, LABELS),
    (MLPRegressor(hidden_layer_sizes=(6,), early_stopping=True, **SMALL), X, AMOUNTS),
    (MinMaxScaler(), X, None),
    (MaxAbsScaler(), X, None),
    (CountVectorizer(max_features=3), ["a few words", "some more words", "a word"] * 40, None),
]


def refused(model: Any, method: str) -> bool:
    """A PCA in a pipeline has a score_samples even where the rows that reach it are sparse, which it refuses."""
    return method == "score_samples" and isinstance(model, Pipeline) and isinstance(model[-1], PCA)


def answers(model: Any, rows: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [getattr(model, m)(rows) for m in METHODS if hasattr(model, m) and not refused(model, m)]
    return [x.toarray() if sparse.issparse(x) else x for x in found]


def strip(model: Any) -> int:
    """Take away, all the way down, what the table calls unread; spoil the fields of node arrays."""
    done, stack, met = 0, [model], {id(model)}
    while stack:
        item = stack.pop()
        inner: list[Any] = []
        if isinstance(item, dict):
            inner = list(item.values())
        elif isinstance(item, list | tuple):
            inner = list(item)
        elif isinstance(item, np.ndarray) and item.dtype.hasobject:
            inner = item.ravel().tolist()
        elif type(item).__name__ == "SelectFromModel":
            continue  # it computes importances from what is in it
        elif hasattr(item, "__dict__") and not isinstance(item, type):
            done += spoil(item)
            inner = list(vars(item).values())
        for x in inner:
            if id(x) not in met and not isinstance(x, str | int | float | type(None)):
                met.add(id(x))
                stack.append(x)
    return done


def spoil(item: Any) -> int:
    record = Record(type(item).__module__, type(item).__name__)
    names = [name for name in vars(item) if unread(record, name)]
    for name in names:
        del item.__dict__[name]
    tree = vars(item).get("tree_")
    if tree is not None and type(tree).__name__ == "Tree":
        item.tree_ = spoiled_tree(tree)
    if type(item).__name__ == "TreePredictor":
        item.nodes = spoiled(item.nodes, "TreePredictor")
        item.nodes["value"][item.nodes["is_leaf"] == 0] = np.nan
    return len(names)


def spoiled(nodes: np.ndarray, owner: str) -> np.ndarray:
    nodes = nodes.copy()
    for field in FIELDS[owner, "nodes"]:
        nodes[field] = 77
    return nodes


def spoiled_tree(tree: Any) -> Any:
    made = type(tree)(*tree.__reduce__()[1])
    state = tree.__getstate__()
    values = state["values"].copy()
    values[state["nodes"]["left_child"] != -1] = np.nan
    made.__setstate__({**state, "nodes": spoiled(state["nodes"], "Tree"), "values": values})
    return made


def check(model: Any, rows: Any) -> None:
    before = answers(model, rows)
    copy = pickle.loads(pickle.dumps(model))
    strip(copy)
    for old, new in zip(before, answers(copy, rows), strict=True):
        for a, b in zip(old if isinstance(old, list) else [old], new if isinstance(new, list) else [new]):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("name", [m.name for m in ZOO][::3])
def test_zoo_models_answer_the_same_without_it(name: str):
    check(*zoo_model(name))


@pytest.mark.parametrize("model, rows, target", MORE, ids=[type(m).__name__ for m, *_ in MORE])
def test_other_models_answer_the_same_without_it(model: Any, rows: Any, target: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(model.fit(rows, target), rows)


@pytest.mark.parametrize("name", ["XGBClassifier", "XGBRegressor", "LGBMClassifier", "LGBMRegressor"])
def test_models_of_other_libraries_answer_the_same_without_it(name: str):
    library = pytest.importorskip("xgboost" if name[0] == "X" else "lightgbm")
    options = {"eval_set": [(X, LABELS)], **({"verbose": False} if name[0] == "X" else {})}
    more = {"verbosity": 0 if name[0] == "X" else -1}
    check(getattr(library, name)(n_estimators=4, **more).fit(X, LABELS, **options), X)


def test_lightgbm_answers_the_same_without_what_its_text_holds_unread():
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbosity=-1).fit(X, LABELS)
    text = model.booster_.model_to_string()
    shares = {s.name: s for s in booster_shares(text)}
    assert sum(s.bytes for s in shares.values()) == len(text)
    names = [name for name, s in shares.items() if s.unread and name != "feature_importances"]
    assert len(names) == 6
    changed = re.sub(rf"(?m)^({'|'.join(names)})=(.*)$", lambda m: f"{m[1]}={re.sub('[^ ]+', '7', m[2])}", text)
    changed = re.sub(r"tree_sizes=.*\n", "", changed)  # where each tree starts, which is no longer so
    assert changed != text
    np.testing.assert_array_equal(lightgbm.Booster(model_str=changed).predict(X), model.booster_.predict(X))


def test_xgboost_answers_the_same_without_what_its_trees_hold_unread():
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=5).fit(X, LABELS)
    data = bytes(model.get_booster().save_raw("ubj"))
    changed, at = bytearray(data), 0
    shares = {s.name: s for s in booster_shares(data)}
    assert {name for name, s in shares.items() if s.unread} == {"loss_changes", "sum_hessian"}
    assert sum(s.bytes for s in shares.values()) == len(data)
    while (found := re.compile(rb"(?s)(loss_changes|sum_hessian)\[\$d#L(.{8})").search(data, at)) is not None:
        at = found.end() + 4 * int.from_bytes(found[2], "big")
        changed[found.end() : at] = bytes(at - found.end())
    booster = xgboost.Booster(model_file=changed)
    np.testing.assert_array_equal(booster.predict(xgboost.DMatrix(X)), model.predict_proba(X)[:, 1])
    document = bytes(model.get_booster().save_raw("json"))
    assert sum(s.bytes for s in booster_shares(document)) == len(document)
    assert {s.name for s in booster_shares(document)} == set(shares)


def test_every_class_of_the_table_was_tried():
    tried = {type(m).__name__ for m, *_ in MORE} | IN_THE_ZOO | ELSEWHERE
    assert set(BY_CLASS) - tried == set()

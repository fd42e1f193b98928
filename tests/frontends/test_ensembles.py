"""AdaBoost, bagging and isolation forests, option by option, against the installed scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.lib.recfunctions import drop_fields
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.ops.models import Forest
from tests.frontends.answers import fitted, graph_of, hold
from tests.hostile import graph_answer

RNG = np.random.default_rng(0)
X, ROWS = RNG.normal(size=(120, 5)), RNG.normal(size=(80, 5))
THREE = np.digitize(X[:, 0] + 0.5 * X[:, 1] * X[:, 2], [-0.5, 0.5])
WORDS = np.array(["gold", "iron", "tin"])[THREE]
AMOUNT = 3 * X[:, 0] + X[:, 1] ** 2
TREES = ("predict", "predict_proba", "decision_function")


@pytest.mark.parametrize(
    ("member", "target"),
    [
        (None, THREE > 0),
        (DecisionTreeClassifier(max_depth=3), WORDS),
        (RandomForestClassifier(3), WORDS),
        (LogisticRegression(), THREE),
        (SVC(), THREE > 0),
        (GaussianNB(), WORDS),
    ],
)
def test_ada_boost_votes(member, target):
    bitwise = ("decision_function",) if member is None or isinstance(member, DecisionTreeClassifier) else ()
    hold(fitted(AdaBoostClassifier(member, n_estimators=5, random_state=0), X, target), ROWS, bitwise=bitwise)


@pytest.mark.parametrize(
    "member", [None, DecisionTreeRegressor(max_depth=6), LinearRegression(), KNeighborsRegressor()]
)
@pytest.mark.parametrize("loss", ["linear", "exponential"])
def test_ada_boost_takes_a_median(member, loss):
    bitwise = ("predict",) if member is None or isinstance(member, DecisionTreeRegressor) else ()
    hold(fitted(AdaBoostRegressor(member, n_estimators=8, loss=loss, random_state=0), X, AMOUNT), ROWS, bitwise=bitwise)


@pytest.mark.parametrize("target", [THREE > 0, THREE, WORDS], ids=["two", "three", "words"])
@pytest.mark.parametrize(
    ("member", "options"),
    [
        (DecisionTreeClassifier(max_depth=4), {}),
        (DecisionTreeClassifier(max_depth=4), {"max_features": 0.5, "bootstrap_features": True, "max_samples": 0.06}),
        (RandomForestClassifier(2), {"max_features": 2}),
        (LogisticRegression(), {"max_features": 3, "max_samples": 0.06}),
        (SVC(), {"bootstrap": False, "max_features": 2}),
        (make_pipeline(StandardScaler(), LinearSVC()), {}),
    ],
)
def test_bagging_adds_its_members_up(member, options, target):
    bagging = BaggingClassifier(member, n_estimators=4, random_state=0, **options)
    exact = isinstance(member, DecisionTreeClassifier | RandomForestClassifier)
    hold(fitted(bagging, X, target), ROWS, bitwise=TREES if exact else ("predict",))


@pytest.mark.parametrize("target", [THREE, np.where(np.arange(120) < 2, 3, THREE)], ids=["all", "rare"])
def test_logarithms_that_bagging_adds_up_are_those_of_shares_too_small_for_a_double(target):
    """Some members do not know the fourth class; far from all rows, a share is 0 and its logarithm is not infinite."""
    member = make_pipeline(GaussianNB())  # which knows of no weights, and so is fitted on some of the rows
    bagging = fitted(BaggingClassifier(member, 4, max_samples=0.3, random_state=0), X, target)
    rows = np.concatenate([ROWS, ROWS * 100, ROWS * 1e4])
    (got,) = graph_answer(graph_of(bagging), "predict_log_proba", rows)
    with np.errstate(divide="ignore"):
        far = np.isinf(np.log(bagging.predict_proba(rows))) & np.isfinite(got)
    assert far.any() and len({len(m.classes_) for m in bagging.estimators_}) == target.max() - 1
    hold(bagging, rows, bitwise=("predict", "predict_log_proba"))


@pytest.mark.parametrize("options", [{}, {"max_features": 2}, {"bootstrap_features": True}])
@pytest.mark.parametrize("target", [AMOUNT, np.column_stack([AMOUNT, THREE])], ids=["one", "two"])
def test_bagging_of_regressors(options, target):
    for member, bitwise in ((None, ("predict",)), (LinearRegression(), ())):
        hold(fitted(BaggingRegressor(member, 4, random_state=0, **options), X, target), ROWS, bitwise=bitwise)


def test_bagged_trees_are_one_forest():
    graph = graph_of(BaggingClassifier(n_estimators=6, max_features=3).fit(X, THREE))
    (forest,) = [n for n in graph.nodes() if isinstance(n, Forest)]
    assert forest.trees.count == 6


def test_what_no_member_of_a_bag_reads_may_hold_anything():
    bagging = BaggingClassifier(n_estimators=2, max_features=1, random_state=0).fit(X, THREE)
    unread = sorted(set(range(5)) - {int(c) for own in bagging.estimators_features_ for c in own})
    rows = ROWS.copy()
    rows[:, unread[0]], rows[:, unread[1]] = np.nan, np.inf
    hold(bagging, rows, bitwise=TREES)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"contamination": 0.1},
        {"max_features": 0.5},
        {"max_samples": 1},
        {"max_samples": 2, "n_estimators": 1},
        {"bootstrap": True, "max_features": 3},
    ],
)
def test_isolation_forests_take_what_is_missing_and_infinite(options):
    rows, gaps = ROWS.copy(), X.copy()
    rows[::7, 2], rows[3], rows[5], gaps[::5, 1] = np.nan, np.inf, 1e300, np.nan
    for train in (X, gaps):
        # The same libm and numpy here as there, so that even powers agree.
        hold(fitted(IsolationForest(random_state=0, **{"n_estimators": 9, **options}), train), rows, bitwise=TREES)


@pytest.mark.parametrize(
    ("estimator", "change", "named"),
    [
        (AdaBoostClassifier(n_estimators=3), {"estimator_weights_": np.ones(2)}, "weights"),
        (AdaBoostClassifier(n_estimators=3), {"algorithm": "SAMME.R"}, "SAMME.R"),
        (BaggingClassifier(n_estimators=3), {"estimators_features_": [np.array([0, 5])] * 3}, "columns"),
        (BaggingClassifier(n_estimators=3), {"estimators_features_": [np.arange(5)]}, "estimators_features_"),
        (BaggingClassifier(n_estimators=3), {"n_estimators": 9}, "n_estimators"),
        (IsolationForest(n_estimators=2), {"_decision_path_lengths": (np.ones(3), np.ones(3))}, "depths"),
        (IsolationForest(n_estimators=2), {"offset_": "auto"}, "offset_"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(estimator, change, named):
    record = read(pickle.dumps(estimator.fit(X, THREE))).root
    record.fields.update(change)
    with pytest.raises(UnsupportedEstimatorError, match=named):
        lower(record)


def _of_release(estimator, version, **changed):
    """The record of an estimator as if a release had written it."""
    record = read(pickle.dumps(estimator)).root
    record.fields.update(_sklearn_version=version, **changed)
    for one in record.fields["estimators_"]:
        one.fields["_sklearn_version"] = version
    return lower(record)


def _decision(estimator, version, algorithm):
    """decision_function of ensemble/_weight_boosting.py, before it is divided and signs are turned."""
    count, total = len(estimator.classes_), 0
    for one, weight in zip(estimator.estimators_, estimator.estimator_weights_, strict=True):
        if algorithm == "SAMME.R":
            logs = np.log(np.clip(one.predict_proba(ROWS), np.finfo(float).eps, None))
            total = total + (count - 1) * (logs - (1.0 / count) * logs.sum(axis=1)[:, None])
        else:
            said = (one.predict(ROWS) == estimator.classes_[:, None]).T
            other = -1 / (count - 1) * weight if version >= "1.3.1" else 0.0
            total = total + np.where(said, weight, other)
    return total / estimator.estimator_weights_.sum()


@pytest.mark.parametrize("algorithm", ["SAMME", "SAMME.R"])
@pytest.mark.parametrize("version", ["0.21.3", "1.3.0", "1.3.2"])
@pytest.mark.parametrize("target", [THREE > 0, WORDS], ids=["two", "three"])
def test_ada_boost_of_older_releases(version, algorithm, target):
    estimator = AdaBoostClassifier(GaussianNB(), n_estimators=3).fit(X, target)
    graph = _of_release(estimator, version, algorithm=algorithm)
    total, count = _decision(estimator, version, algorithm), len(estimator.classes_)
    decision = total[:, 1:] - total[:, :1] if count == 2 else total
    (got,) = graph_answer(graph, "decision_function", ROWS)
    np.testing.assert_allclose(got, decision, rtol=1e-12, atol=1e-14)
    scores = np.column_stack([-decision, decision]) / 2 if count == 2 else decision / (count - 1)
    if version == "0.21.3" and algorithm == "SAMME":
        pairs = zip(estimator.estimators_, estimator.estimator_weights_, strict=True)
        shares = sum(one.predict_proba(ROWS) * weight for one, weight in pairs)
        scores = shares / estimator.estimator_weights_.sum() / (count - 1)
    raised = np.exp(scores)
    (got,) = graph_answer(graph, "predict_proba", ROWS)
    np.testing.assert_allclose(got, raised / raised.sum(axis=1)[:, None], rtol=1e-12, atol=1e-14)


def _old_isolation(estimator, version, **changed):
    record = read(pickle.dumps(estimator)).root
    for one in record.fields["estimators_"]:
        one.tree_.fields["nodes"] = drop_fields(one.tree_.nodes, "missing_go_to_left")
        one.fields["_sklearn_version"] = version
    del record.fields["_decision_path_lengths"], record.fields["_average_path_length_per_tree"]
    record.fields.update(_sklearn_version=version, **changed)
    return lower(record)


def test_depths_of_older_isolation_forests_are_those_of_newer_ones():
    estimator = IsolationForest(n_estimators=5, max_samples=50, random_state=0).fit(X)
    (got,) = graph_answer(_old_isolation(estimator, "1.2.2"), "score_samples", ROWS)
    np.testing.assert_array_equal(got[:, 0], estimator.score_samples(ROWS))


@pytest.mark.parametrize("version", ["0.18.2", "0.19.0", "0.20.3"])
def test_depths_of_isolation_forests_before_0_21(version):
    """_average_path_length of ensemble/iforest.py: of one sample 1, else with log(n), from 0.19 on log(n - 1)."""
    estimator = IsolationForest(n_estimators=5, max_samples=50, random_state=0).fit(X)

    def expected(n):
        n = np.asarray(n, dtype=float)
        logs = np.log(n) + 0.5772156649 if version == "0.18.2" else np.log(np.where(n > 1, n - 1, 1)) + np.euler_gamma
        return np.where(n <= 1, 1.0, 2 * logs - 2 * (n - 1) / n)

    depths = []
    for tree in estimator.estimators_:
        passed = np.asarray(tree.decision_path(ROWS).sum(axis=1)).ravel() - 1
        depths.append(passed + expected(tree.tree_.n_node_samples[tree.apply(ROWS)]))
    scores = 2 ** (-np.mean(depths, axis=0) / expected(50))
    given = {"threshold_": -0.02} if version < "0.20" else {"offset_": -0.5, "behaviour": "old", "_threshold_": -0.02}
    graph = _old_isolation(estimator, version, **given)
    (got,) = graph_answer(graph, "decision_function", ROWS)
    np.testing.assert_allclose(got[:, 0], 0.5 - scores, rtol=1e-12)
    (said,) = graph_answer(graph, "predict", ROWS)
    np.testing.assert_array_equal(said[:, 0], np.where(0.5 - scores < -0.02, -1, 1))
    assert ("score_samples" in {o.name for o in graph.outputs}) == (version >= "0.20")


def test_bags_before_0_20_refuse_gaps_in_columns_that_no_member_reads():
    bagging = BaggingRegressor(n_estimators=1, max_features=1, random_state=0).fit(X, AMOUNT)
    rows = ROWS.copy()
    rows[0, (int(bagging.estimators_features_[0][0]) + 1) % 5] = np.nan
    assert graph_answer(graph_of(bagging), "predict", rows) is not None
    record = read(pickle.dumps(bagging)).root
    for one in (record, *record.fields["estimators_"]):
        one.fields["_sklearn_version"] = "0.19.2"
    (tree,) = record.fields["estimators_"]
    tree.tree_.fields["nodes"] = drop_fields(tree.tree_.nodes, "missing_go_to_left")
    assert graph_answer(lower(record), "predict", rows) is None


def test_sparse_rows_of_an_isolation_forest_are_walked_as_the_original_walks_them():
    words = np.array(["a", "b", "c", "d"])[np.random.default_rng(1).integers(0, 4, (60, 2))]
    hold(fitted(make_pipeline(OneHotEncoder(), IsolationForest(n_estimators=5, random_state=0)), words), words)

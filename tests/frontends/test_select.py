"""Feature selectors under every option: the same columns, to the bit, as the installed scikit-learn selects."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.linear_model import ElasticNet, ElasticNetCV, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph
from tests.hostile import accepted, graph_answer, original_answer, same_cells, take

RNG = np.random.default_rng(3)
X = RNG.normal(size=(160, 12)) * RNG.lognormal(size=12)
SIGNAL = X[:, 0] / 2 + X[:, 3] - X[:, 7] * (X[:, 1] > 0) + RNG.normal(0, 0.3, 160)
THREE, TWO = np.digitize(SIGNAL, [-0.7, 0.5]), SIGNAL > 0


def half(rows):
    """A most that is a function."""
    return rows.shape[1] // 2


FORESTS = [
    DecisionTreeClassifier(max_depth=4, random_state=0), DecisionTreeRegressor(random_state=0),
    ExtraTreeRegressor(max_depth=5, random_state=0), RandomForestClassifier(7, random_state=0),
    RandomForestRegressor(6, max_depth=3, random_state=0), ExtraTreesClassifier(5, max_depth=4, random_state=0),
    RandomForestRegressor(9, min_samples_leaf=70, max_features=1, random_state=2),
    GradientBoostingClassifier(n_estimators=6, random_state=0),
    GradientBoostingRegressor(n_estimators=40, min_samples_leaf=60, max_features=1, subsample=0.8, random_state=0),
    AdaBoostClassifier(n_estimators=5, random_state=0), AdaBoostRegressor(n_estimators=5, random_state=0),
    LGBMClassifier(n_estimators=4, num_leaves=6, verbose=-1),
    LGBMRegressor(n_estimators=4, num_leaves=6, verbose=-1, importance_type="gain"),
]  # fmt: skip
THRESHOLDS = [None, "mean", "median", "1.25*median", " 0.6 * mean", 0.05, -np.inf]
BY_MODEL = [
    *(SelectFromModel(e, threshold=t) for e in FORESTS for t in (None, "median", 0.08)),
    *(SelectFromModel(Ridge(), threshold=t) for t in THRESHOLDS),
    *(SelectFromModel(LogisticRegression(max_iter=500), norm_order=n) for n in (1, 2, np.inf, -1)),
    *(SelectFromModel(e) for e in (
        Lasso(0.1), ElasticNet(0.1, l1_ratio=1.0), ElasticNet(0.1), ElasticNetCV(l1_ratio=[1.0], cv=3),
        LinearSVC(penalty="l1", C=0.05, random_state=0), LogisticRegression(l1_ratio=1.0, C=0.1, solver="saga"),
        SVR(kernel="linear"))),
    *(SelectFromModel(Ridge(), max_features=m, threshold=t) for m in (3, 0, 12, half) for t in (-np.inf, "mean")),
    SelectFromModel(RandomForestRegressor(4, max_depth=2, random_state=0), max_features=5, threshold=-np.inf),
    SelectFromModel(make_pipeline(StandardScaler(), Ridge()), importance_getter="named_steps.ridge.coef_"),
    SelectFromModel(make_pipeline(StandardScaler(), FORESTS[1]),
                    importance_getter="named_steps.decisiontreeregressor.feature_importances_"),
]  # fmt: skip


def fitted(estimator, rows=X, target=None):
    """The fitted estimator as its users load it, and its graph."""
    if target is None:
        inner = getattr(estimator, "estimator", estimator)
        target = THREE if "Classifier" in type(inner).__name__ or "Logistic" in type(inner).__name__ else SIGNAL
        target = TWO.astype(int) if "SVC" in type(inner).__name__ else target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pickle.dumps(estimator.fit(rows, target))
    return pickle.loads(data), lower(read(data).root)


def hold(estimator, graph: Graph, rows=X) -> None:
    """The same methods, the same rows refused, the same bits."""
    methods = [m for m in ("predict", "predict_proba", "decision_function", "transform") if hasattr(estimator, m)]
    assert methods == [m for m in methods if m in {o.name for o in graph.outputs}]
    for method in methods:
        taken = accepted(lambda part, m=method: graph_answer(graph, m, part), rows)
        expected = accepted(lambda part, m=method: original_answer(estimator, m, part), rows)
        assert taken.tolist() == expected.tolist()
        kept = take(rows, np.flatnonzero(taken))
        for one, other in zip(original_answer(estimator, method, kept), graph_answer(graph, method, kept), strict=True):
            assert one.shape == other.shape
            assert same_cells(one, other).all() or (method != "transform" and np.allclose(one, other, rtol=1e-12))


@pytest.mark.parametrize("selector", BY_MODEL, ids=lambda s: f"{type(s.estimator).__name__}-{s.threshold}")
def test_select_from_model_selects_the_same_columns(selector):
    estimator, graph = fitted(selector)
    expected, got = original_answer(estimator, "transform", X[:5]), graph_answer(graph, "transform", X[:5])
    assert expected[0].shape == got[0].shape and same_cells(expected[0], got[0]).all()


HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
ODD_ROWS = np.concatenate([X[:4], np.where(np.arange(12) == np.arange(8)[:, None], np.nan, X[4:12])])
ODD_ROWS[-1, 2], ODD_ROWS[-2, 5] = np.inf, -np.inf
HISTOGRAM = HistGradientBoostingClassifier(max_iter=3)
BY_STEPS = [
    RFE(LogisticRegression(max_iter=500), n_features_to_select=4), RFE(SVR(kernel="linear"), step=0.3),
    RFE(DecisionTreeClassifier(random_state=0), n_features_to_select=5), RFECV(Ridge(), cv=3, min_features_to_select=3),
    RFE(RandomForestClassifier(4, max_depth=3, random_state=0)), RFE(LGBMClassifier(n_estimators=3, verbose=-1)),
    RFE(make_pipeline(StandardScaler(), Ridge()), importance_getter="named_steps.ridge.coef_"),
    SequentialFeatureSelector(LinearRegression(), n_features_to_select=3, cv=2),
    SequentialFeatureSelector(KNeighborsClassifier(3), n_features_to_select=2, direction="backward", cv=2),
    SequentialFeatureSelector(HISTOGRAM, n_features_to_select=2, cv=2),
    SelectFromModel(RandomForestClassifier(4, max_depth=3, random_state=0)), SelectFromModel(Ridge()),
    SelectFromModel(LGBMClassifier(n_estimators=3, verbose=-1)),
    SelectFromModel(ExtraTreesClassifier(4, criterion="log_loss", random_state=0)),
]  # fmt: skip


@pytest.mark.parametrize("selector", BY_STEPS, ids=lambda s: f"{type(s).__name__}-{type(s.estimator).__name__}")
def test_selectors_answer_and_refuse_rows_as_the_original(selector):
    missing = type(selector.estimator).__name__.startswith(("LGBM", "Hist"))
    estimator, graph = fitted(selector, HOLES if missing else X)
    hold(estimator, graph, ODD_ROWS)


def test_a_prefit_estimator_needs_no_fit_of_the_selector():
    prefit = SelectFromModel(Ridge().fit(X, SIGNAL), prefit=True)
    graph = lower(read(pickle.dumps(prefit)).root)
    hold(prefit, graph, ODD_ROWS)


@pytest.mark.parametrize(
    "options", [{"importance_getter": half}, {"importance_getter": "missing_"}], ids=["own", "missing"]
)
def test_importances_that_are_not_known_are_refused(options):
    selector = SelectFromModel(Ridge()).fit(X, SIGNAL).set_params(**options)
    with pytest.raises(UnsupportedEstimatorError, match="importance_getter|missing_"):
        lower(read(pickle.dumps(selector)).root)


def test_the_shape_of_importances_of_older_releases():
    # Before 0.21 forests with trees of one node, and gradient boosting, counted otherwise.
    stumps = RandomForestRegressor(9, min_samples_leaf=70, max_features=1, random_state=2)
    for model in (stumps, GradientBoostingRegressor(n_estimators=3)):
        record = read(pickle.dumps(SelectFromModel(model).fit(X, SIGNAL))).root
        record.fields["_sklearn_version"] = record.fields["estimator_"].fields["_sklearn_version"] = "0.20.3"
        with pytest.raises(UnsupportedEstimatorError, match="before 0.21"):
            lower(record)

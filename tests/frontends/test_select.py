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
from slimml.ir.ops.columns import Select
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
        LogisticRegression(l1_ratio=1.0, C=0.1, solver="liblinear"))),
    *(SelectFromModel(Ridge(), max_features=m, threshold=t) for m in (3, 0, 12, half) for t in (-np.inf, "mean")),
    SelectFromModel(RandomForestRegressor(4, max_depth=2, random_state=0), max_features=5, threshold=-np.inf),
    SelectFromModel(make_pipeline(StandardScaler(), Ridge()), importance_getter="named_steps.ridge.coef_"),
    SelectFromModel(make_pipeline(StandardScaler(), FORESTS[0]),
                    importance_getter="named_steps.decisiontreeclassifier.feature_importances_"),
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
    (node,) = (n for n in graph.nodes() if isinstance(n, Select))
    assert node.index.tolist() == np.flatnonzero(estimator.get_support()).tolist()
    hold(estimator, graph)

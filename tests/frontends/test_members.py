"""Models that hold models: options in numbers, each lowered and compared with the live original to the last bit."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV, _TemperatureScaling
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (makes the next import possible)
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from slimml.backends.portable import PortableBackend
from slimml.candidates import build
from slimml.errors import InputError, UnsupportedEstimatorError
from slimml.frontends.lowerer import Lowerer, lower
from slimml.frontends.sklearn.calibrate import _cooled
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.ir.ops.columns import Input
from slimml.options import ShrinkOptions
from slimml.parity.bound import bounds
from tests.hostile import input_blocks
from tests.zoo import TARGETS, numbers

ROWS, MORE = numbers(160, 3), numbers(60, 4)
SIGNAL = ROWS[:, 0] + 0.4 * ROWS[:, 1] * ROWS[:, 4] - ROWS[:, 3]
PORTABLE = PortableBackend()
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


def agree(estimator: Any, target: Any, rows: np.ndarray = ROWS, more: np.ndarray = MORE) -> None:
    """Every method of the fitted estimator, in shape, dtype and value; numbers within the bounds of rounding."""
    y = TARGETS[target](SIGNAL) if isinstance(target, str) else target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = pickle.loads(pickle.dumps(estimator.fit(rows, y)))
        expected = {m: getattr(fitted, m)(more) for m in METHODS if hasattr(fitted, m)}
    graph = lower(read(pickle.dumps(fitted)).root)
    assert {o.name for o in graph.outputs} == set(expected)
    model = build(PORTABLE, graph, ShrinkOptions(), {}, []).model
    for method, said in expected.items():
        limits = bounds(graph, evaluate(graph.output(method).nodes, input_blocks(graph, more)))[method]
        answers = getattr(model, method)(more)
        assert isinstance(answers, list) == isinstance(said, list)
        pairs = zip(said, answers, strict=True) if isinstance(said, list) else [(said, answers)]
        for (one, other), limit in zip(pairs, limits, strict=True):
            assert one.shape == other.shape and one.dtype == other.dtype, method
            hold(method, one, other, limit)


def hold(method: str, expected: np.ndarray, got: np.ndarray, limit: Any) -> None:
    same = np.asarray((expected == got) | ((expected != expected) & (got != got)))
    if limit is not None and limit.dtype != bool:
        with np.errstate(invalid="ignore"):
            same |= np.abs(expected - got) <= limit.reshape(same.shape)
    assert same.all(), f"{method}: {int((~same).sum())} of {same.size} cells differ"


# ---------------------------------------------------------------------------------------------------------- calibration

INNER = {
    "linear": LinearSVC(random_state=0),
    "bayes": GaussianNB(),
    "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "forest": RandomForestClassifier(4, max_depth=3, random_state=0),
}


@pytest.mark.parametrize("target", ["binary", "bool", "words"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("inner", INNER.values(), ids=list(INNER))
def test_calibrated_classifiers(inner, method, target):
    agree(CalibratedClassifierCV(inner, method=method, cv=3), target)
    agree(CalibratedClassifierCV(inner, method=method, cv=3, ensemble=False), target)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_frozen_classifiers(method):
    frozen = FrozenEstimator(LogisticRegression().fit(ROWS, TARGETS["words"](SIGNAL)))
    agree(CalibratedClassifierCV(frozen, method=method), "words")


def test_classes_that_a_fold_lacks_have_no_probability():
    target = np.r_[np.repeat([0, 1, 2], 50), [3, 3], np.repeat([1], 8)]
    agree(CalibratedClassifierCV(GaussianNB(), cv=[(np.arange(150), np.arange(150)), (np.arange(160),) * 2]), target)


@pytest.mark.parametrize("beyond", ["nan", "clip", "raise"])
@pytest.mark.parametrize("options", [{}, {"increasing": False}, {"y_min": 0.5, "y_max": 1.0}], ids=str)
def test_isotonic_regression(beyond, options):
    rows = ROWS[:, :1]
    more = np.concatenate([rows, rows + 1e-3, [[5.0], [-5.0]]])
    more = np.clip(more, rows.min(), rows.max()) if beyond == "raise" else more
    for dtype in (np.float64, np.float32):
        estimator = IsotonicRegression(out_of_bounds=beyond, **options)
        agree(estimator, SIGNAL, rows.astype(dtype), more.astype(dtype))
    agree(IsotonicRegression(out_of_bounds=beyond), np.ones(160), rows, more)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_isotonic_regression_takes_one_column_flat(dtype):
    line = ROWS[:, 0].astype(dtype)
    estimator = IsotonicRegression(out_of_bounds="clip").fit(line, SIGNAL)
    model = build(PORTABLE, lower(read(pickle.dumps(estimator)).root), ShrinkOptions(), {}, []).model
    for rows in (
        MORE[:, 0],
        MORE[:, 0].astype(np.float32),
        MORE[:, :1],
        MORE[:, 0].tolist(),
        pd.Series(MORE[:, 0]),
        [3],
    ):
        expected, got = estimator.predict(rows), model.predict(rows)
        assert got.shape == expected.shape and got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(model.transform(rows), estimator.transform(rows))
    assert model.predict({"x0": 0.5}) == estimator.predict([0.5])[0]
    for bad in (MORE[:, :2], [0.5, np.nan]):
        with pytest.raises(ValueError):
            estimator.predict(bad)
        with pytest.raises(InputError):
            model.predict(bad)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_rows_by_which_temperature_scaling_would_choose_otherwise_are_refused(method):
    shares = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [1 / 3] * 3, [0.2, 0.3, 0.500004]])
    others = np.array([[0.2, 0.3, 0.51], [-1e-17, 0.0, 1.0], [2.0, 0.5, -1.5], [0.2, 0.3, 0.49998], [0.0, 0.0, 0.0]])
    own, odd = (shares, others) if method == "predict_proba" else (others, shares)
    scaling = _TemperatureScaling()
    scaling.beta_ = np.float64(0.7)
    record = read(pickle.dumps(scaling)).root
    x = Input(kind="number", columns=(0, 1, 2))
    node = _cooled(x, method, [record], 3, Lowerer())
    np.testing.assert_array_equal(evaluate([node], {x: own})[node], scaling.predict(own))
    for row in odd:
        if method == "predict_proba":  # one that does not fit turns all others into logits
            assert not np.allclose(scaling.predict(np.vstack([own, row]))[: len(own)], scaling.predict(own))
        with pytest.raises(InputError, match="rows beside it"):
            evaluate([node], {x: row[None]})


# ------------------------------------------------------------------------------------------------ searches and the like

GRID: dict[str, Any] = {"max_depth": [2, 4]}
SEARCHES = {
    "grid": GridSearchCV(DecisionTreeClassifier(random_state=0), GRID, cv=2),
    "random": RandomizedSearchCV(DecisionTreeClassifier(random_state=0), GRID, n_iter=2, cv=2, random_state=0),
    "halving grid": HalvingGridSearchCV(DecisionTreeClassifier(random_state=0), GRID, cv=2, random_state=0),
    "halving random": HalvingRandomSearchCV(DecisionTreeClassifier(random_state=0), GRID, cv=2, random_state=0),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=list(SEARCHES))
def test_searches_answer_as_their_best_model(search):
    agree(search, "words")


def test_search_of_transformers_and_of_neighbours_hands_on_what_the_best_has():
    agree(GridSearchCV(make_pipeline(StandardScaler(), PCA(2)), {"pca__n_components": [2, 3]}, cv=2), None)
    agree(GridSearchCV(LinearSVC(random_state=0), {"C": [0.1, 1.0]}, cv=2), "binary")


def test_search_without_refit_is_refused_by_name():
    fitted = GridSearchCV(DecisionTreeClassifier(), GRID, cv=2, refit=False).fit(ROWS, TARGETS["binary"](SIGNAL))
    with pytest.raises(UnsupportedEstimatorError, match="refit=False"):
        lower(read(pickle.dumps(fitted)).root)


@pytest.mark.parametrize("target", ["binary", "signs", "bool"])
def test_thresholds(target):
    for inner in (GaussianNB(), LinearSVC(random_state=0), DecisionTreeClassifier(max_depth=3, random_state=0)):
        agree(TunedThresholdClassifierCV(inner, cv=2), target)
        agree(TunedThresholdClassifierCV(inner, cv=2, scoring="f1"), target)
        agree(FixedThresholdClassifier(inner), target)
        agree(FixedThresholdClassifier(inner, threshold=0.25, pos_label=TARGETS[target](SIGNAL).min()), target)


def test_self_training():
    known = np.where(np.arange(160) % 3 == 0, -1, TARGETS["binary"](SIGNAL))
    agree(SelfTrainingClassifier(GaussianNB()), known)


# ----------------------------------------------------------------------------------------------------------- multiclass


def test_output_codes_of_scores_that_swallow_the_code():
    """The original adds |score|**2, next to which the code of a class is nothing; infinite scores it refuses."""
    estimator = OutputCodeClassifier(LogisticRegression(), random_state=0).fit(ROWS, TARGETS["words"](SIGNAL))
    rows = np.concatenate([MORE, MORE * 1e20, MORE * 1e12, MORE * 1e155])
    agree(estimator, "words", more=rows)
    graph = lower(read(pickle.dumps(estimator)).root)
    huge = np.full((1, ROWS.shape[1]), 1.7e308)
    with pytest.raises(ValueError, match="infinity|NaN"):  # as BLAS adds infinities of both signs up
        estimator.predict(huge)
    with pytest.raises(InputError):
        evaluate(graph.output("predict").nodes, input_blocks(graph, huge))


def test_one_class_is_all_that_ridge_answers():
    agree(RidgeClassifier(), np.full(160, 7))
    estimator = LinearDiscriminantAnalysis().fit(ROWS, np.full(160, 7))
    with pytest.raises(UnsupportedEstimatorError, match="one class"):
        lower(read(pickle.dumps(estimator)).root)


def test_binary_gaussian_processes_answer_in_the_dtype_of_where():
    target = np.where(SIGNAL > 0, "yes", "no")
    for labels in (target, target.astype(object), (SIGNAL > 0).astype(object), (SIGNAL > 0).astype(np.int8)):
        agree(GaussianProcessClassifier(), labels)


BINARY = {**INNER, "svc": SVC(), "ridge": RidgeClassifier(), "regressor": LinearRegression()}


@pytest.mark.parametrize("target", ["binary", "words", "odd", "one class"])
@pytest.mark.parametrize("inner", BINARY.values(), ids=list(BINARY))
def test_one_against_the_rest(inner, target):
    agree(OneVsRestClassifier(inner), target)


def test_several_labels_against_the_rest():
    labels = np.column_stack([SIGNAL > 0, np.abs(SIGNAL) < 0.7, np.ones(160), SIGNAL > 99]).astype(int)
    for inner in (GaussianNB(), LinearSVC(random_state=0)):
        agree(OneVsRestClassifier(inner), labels)
        agree(OneVsRestClassifier(inner), labels[:, :1])


@pytest.mark.parametrize("target", ["binary", "words", "odd"])
@pytest.mark.parametrize("inner", INNER.values(), ids=list(INNER))
def test_one_against_one(inner, target):
    agree(OneVsOneClassifier(inner), target)


def test_one_against_one_of_five_classes_and_output_codes():
    five = np.digitize(SIGNAL, [-1.5, -0.5, 0.3, 1.2]) * 3
    agree(OneVsOneClassifier(LinearSVC(random_state=0)), five)
    agree(OneVsOneClassifier(DecisionTreeClassifier(max_depth=2, random_state=0)), five)
    for inner in (LinearSVC(random_state=0), RandomForestClassifier(4, random_state=0)):
        agree(OutputCodeClassifier(inner, code_size=2, random_state=0), five)


# ------------------------------------------------------------------------------------------------------ several targets


@pytest.mark.parametrize("target", ["two labels", "two words", "two bits"])
def test_several_classifiers(target):
    agree(MultiOutputClassifier(GaussianNB()), target)
    agree(MultiOutputClassifier(LinearSVC(random_state=0)), target)


def test_labels_of_several_classifiers_have_one_dtype():
    words = np.column_stack([np.where(SIGNAL > 0, "a", "bcd"), np.where(SIGNAL > 1, "x", "y")])
    agree(MultiOutputClassifier(DecisionTreeClassifier(max_depth=2)), words)


def test_several_regressors():
    agree(MultiOutputRegressor(Ridge()), "two amounts")
    agree(MultiOutputRegressor(DecisionTreeRegressor(max_depth=3)), "two amounts")


@pytest.mark.parametrize("order", [None, [2, 0, 1]])
def test_chains(order):
    amounts = np.column_stack([SIGNAL, SIGNAL**2, np.sin(SIGNAL)])
    agree(RegressorChain(Ridge(), order=order), amounts)
    agree(RegressorChain(DecisionTreeRegressor(max_depth=3), order=order), amounts)
    bits = np.column_stack([SIGNAL > 0, np.abs(SIGNAL) < 0.7, SIGNAL > 1]).astype(int)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        agree(ClassifierChain(LogisticRegression(), order=order, chain_method=method), bits)
    agree(ClassifierChain(DecisionTreeClassifier(max_depth=3), order=order), bits * 2 + 5)


# -------------------------------------------------------------------------------------------------------------- dummies


@pytest.mark.parametrize("target", ["binary", "words", "bool", "yes/no", "two labels", "two words"])
def test_dummy_classifiers(target):
    y = TARGETS[target](SIGNAL)
    for strategy in ("most_frequent", "prior"):
        agree(DummyClassifier(strategy=strategy), y)
    agree(DummyClassifier(strategy="constant", constant=y[:1].tolist()[0]), y)


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_dummies_that_draw_lots_are_refused(strategy):
    fitted = DummyClassifier(strategy=strategy).fit(ROWS, TARGETS["binary"](SIGNAL))
    with pytest.raises(UnsupportedEstimatorError, match=strategy):
        lower(read(pickle.dumps(fitted)).root)


def test_dummy_regressors():
    for options in ({}, {"strategy": "median"}, {"strategy": "quantile", "quantile": 0.3}):
        agree(DummyRegressor(**options), "amount")
        agree(DummyRegressor(**options), "two amounts")
    agree(DummyRegressor(strategy="constant", constant=3), "amount")


# -------------------------------------------------------------------------------------------------- transformed targets

TRANSFORMERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "log1p": {"func": np.log1p, "inverse_func": np.expm1},
    "standard": {"transformer": StandardScaler()},
    "min max": {"transformer": MinMaxScaler()},
    "max abs": {"transformer": MaxAbsScaler()},
    "robust": {"transformer": RobustScaler()},
    "pipeline": {
        "transformer": make_pipeline(FunctionTransformer(np.log, np.exp), StandardScaler(with_mean=False)),
    },
}


@pytest.mark.parametrize("options", TRANSFORMERS.values(), ids=list(TRANSFORMERS))
def test_transformed_targets(options):
    positive = np.exp(SIGNAL)
    agree(TransformedTargetRegressor(LinearRegression(), **options), positive)
    agree(TransformedTargetRegressor(DecisionTreeRegressor(max_depth=3), **options), positive[:, None])
    agree(TransformedTargetRegressor(Ridge(), **options), np.column_stack([positive, positive**2]))


def test_transformed_target_of_a_function_of_the_users_is_refused():
    fitted = TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=own_inverse, check_inverse=False)
    with pytest.raises(UnsupportedEstimatorError, match="own_inverse"):
        lower(read(pickle.dumps(fitted.fit(ROWS, np.exp(SIGNAL)))).root)


def own_inverse(y: np.ndarray) -> np.ndarray:
    return y * 2

"""Where converters go wrong, on every backend: it answers as the original does, or says why it does not take the case.

`LINES` lists each line of the collection of traps, by how it begins, with the tests that hold it.
"""

from __future__ import annotations

import pickle
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (makes an import below possible)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from slimml.backends import BACKENDS
from slimml.backends.base import Backend
from slimml.candidates import build, refusal
from slimml.errors import InputError
from slimml.intake import graphs, ingest
from slimml.ir.graph import Graph
from slimml.options import ShrinkOptions
from slimml.parity.bound import added
from slimml.runtime.predictor import Model
from slimml.sample import read_sample
from tests.hostile import limits, same_cells
from tests.shared import shared_dir, why_no_shared

HERE, FRONTENDS = "tests.test_traps", "tests.frontends.test_traps"

# How a line of the collection begins: the tests that hold it ("module:test", or a test of this module).
LINES: dict[str, tuple[str, ...]] = {
    "RandomForest / ExtraTrees / DecisionTree trained with NaN": ("test_missing_values_go_where_training_sent_them",),
    "HistGradientBoosting with `categorical_features`": ("test_histogram_boosting_splits_on_sets_of_categories",),
    "HistGradientBoosting with NaN": ("test_histogram_boosting_sends_missing_values_where_training_sent_them",),
    "HistGradientBoosting loss poisson / gamma": ("test_histogram_boosting_answers_through_its_log_link",),
    "HistGradientBoosting on float64 rows": ("test_histogram_boosting_compares_doubles",),
    "sklearn forests on float64 rows": ("test_forests_compare_in_float32",),
    "scaler in front of a forest": ("test_scalers_in_front_of_a_forest_are_doubles",),
    "`threshold * scale + mean`": ("test_scaled_integers_keep_their_leaves",),
    "`SimpleImputer(add_indicator=True)`": ("test_indicators_stand_behind_what_was_imputed",),
    "`SimpleImputer(most_frequent)` on strings": ("test_the_most_frequent_string_fills_what_is_missing",),
    "`FunctionTransformer(np.log1p)`": ("test_a_function_is_computed_and_not_skipped",),
    "calibration": ("test_scores_are_calibrated", "test_frozen_models_are_calibrated"),
    "TF-IDF": ("test_words_are_cut_and_weighed_as_the_original_does",),
    "`KBinsDiscretizer` (default one-hot)": (
        "test_bins_are_one_hot",
        "test_votes_are_counted",
        "test_targets_of_several_classes_are_encoded",
    ),
    "bool and string labels": ("test_labels_keep_their_dtype",),
    "forests with `n_jobs` not 1": ("test_forests_add_up_as_with_one_job",),
    "Hummingbird 0.4.12": ("test_frames_string_labels_and_several_classes_are_taken",),
    "XGBoost with early stopping": ("test_xgboost_stops_at_its_best_iteration",),
    "XGBoost native categories": (
        "test_xgboost_of_every_kind",
        "test_xgboost_sends_each_category_where_training_sent_it",
    ),
    "LightGBM `boosting_type": ("test_lightgbm_of_every_kind",),
    "RandomizedSearchCV": (
        "test_searches_answer_as_their_best_model",
        "test_targets_are_transformed_back",
        "test_links_of_a_chain_read_those_before",
        "test_isotonic_lines_bend_at_their_points",
        "test_kernels_of_a_ridge_are_summed",
    ),
    "XGBoost `missing=`": ("test_xgboost_takes_its_own_missing_value",),
    "sentinel imputers": ("test_a_sentinel_is_one_value",),
    "scalers on csr input": ("test_sparse_columns_are_scaled_by_reciprocals",),
    "float32 frames, mixed frames": ("test_float32_and_mixed_frames_and_pandas_output_in_front_of_trees",),
    "ties in votes and averages": ("test_the_first_of_tied_classes_wins",),
    "a subclass of a supported class": (f"{FRONTENDS}:test_subclass_with_own_predict_is_refused",),
    "a pipeline step that the tool does not know": (f"{FRONTENDS}:test_unknown_step_is_refused_by_name_and_path",),
    "NaN or inf in a row": ("test_a_row_that_the_original_refuses_is_refused",),
    "unseen category with `handle_unknown": ("test_an_unseen_category_is_refused_where_the_encoder_does",),
    "columns in another order": ("test_columns_are_known_by_their_names",),
    "int column with missing values": ("test_nullable_integers_keep_what_is_missing",),
}

RNG = np.random.default_rng(11)
ROWS = 240
X = np.column_stack([RNG.normal(size=ROWS), RNG.poisson(2, ROWS), RNG.lognormal(size=ROWS)])
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
SIGNAL = X[:, 0] + X[:, 1] / 2 - 1 + 0.5 * np.isnan(HOLES[:, 2])
LABEL = (SIGNAL > 0).astype(int)
THREE = np.digitize(SIGNAL, [-0.6, 0.6])
JOBS = pd.Series(RNG.choice(["clerk", "nurse", "cook"], ROWS), dtype="str").mask(RNG.random(ROWS) < 0.2)
FRAME = pd.DataFrame({"job": JOBS, "age": X[:, 1], "pay": HOLES[:, 2]})


@pytest.fixture(params=BACKENDS, ids=lambda b: b.name)
def backend(request) -> Backend:
    """Each backend that is installed."""
    reason = request.param.missing()
    if reason:
        pytest.skip(reason)
    return request.param


def fit(estimator: Any, rows: Any = X, target: Any = LABEL) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, target)


def compiled(backend: Backend, estimator: Any, data: Any = None) -> tuple[Model, Graph, Graph] | None:
    """The reopened artifact, the fresh graph and the final one; None where the backend refuses, with a reason."""
    source = ingest(pickle.dumps(estimator), None)
    fresh, final, _ = graphs(source, read_sample(source.root, data, None, None), ShrinkOptions())
    reason = refusal(backend, final, asked=True)
    if reason is not None:
        assert reason.strip() and backend.name != "portable"
        return None
    return build(backend, final, ShrinkOptions(), {}, []).model, fresh, final


def agree(backend: Backend, estimator: Any, rows: Any, *, data: Any = None) -> None:
    """Every method has the bits of the original's answer; where exponentials or sums round, their bounds hold."""
    made = compiled(backend, estimator, data)
    if made is None:
        return
    model, fresh, final = made
    for method in model.outputs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, got = _blocks(getattr(estimator, method)(rows)), _blocks(getattr(model, method)(rows))
        allowed = [limits(g, method, rows) for g in (fresh, final)]
        total = added({method: tuple(allowed[0])}, {method: tuple(allowed[1])})[method]
        for one, other, limit in zip(expected, got, total, strict=True):
            _hold(method, one, other, limit)


def _hold(method: str, expected: np.ndarray, got: np.ndarray, limit: np.ndarray | None) -> None:
    assert expected.shape == got.shape and expected.dtype == got.dtype
    same = same_cells(expected, got)
    if limit is not None:
        limit = limit.reshape(same.shape)
        with np.errstate(invalid="ignore"):
            same |= limit if limit.dtype == bool else np.abs(expected - got) <= limit
    assert same.all(), f"{method}: {int((~same).sum())} of {same.size} cells differ"


def _blocks(answer: Any) -> list[np.ndarray]:
    parts = answer if isinstance(answer, list) or getattr(answer, "ndim", 0) == 3 else [answer]
    return [p.toarray() if sparse.issparse(p) else np.asarray(p) for p in parts]


def beside(values: Any) -> np.ndarray:
    """Each value and both of its float neighbours."""
    values = np.asarray(values, dtype=float)
    return np.unique(np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)]))


def with_cells(rows: np.ndarray, cells: dict[int, np.ndarray]) -> np.ndarray:
    """A row for each value, which stands in its column of one of the rows."""
    made = []
    for column, values in cells.items():
        block = rows[np.arange(len(values)) % len(rows)].copy()
        block[:, column] = values
        made.append(block)
    return np.concatenate(made)


def cuts_of(estimators: Any) -> dict[int, np.ndarray]:
    """The thresholds of scikit-learn's trees by column, and where float32 rounds to them."""
    found: dict[int, list[float]] = {}
    for e in estimators:
        inner = e.tree_.feature >= 0
        for column, cut in zip(e.tree_.feature[inner].tolist(), e.tree_.threshold[inner].tolist(), strict=True):
            found.setdefault(column, []).extend([cut, float(np.float32(cut)), cut * (1 + 2e-8)])
    return {c: beside(v) for c, v in found.items()}


# ------------------------------------------------------------------------------------------------------------- trees


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier])
def test_missing_values_go_where_training_sent_them(backend, kind):
    agree(backend, fit(kind(max_depth=7, random_state=0), HOLES), np.concatenate([HOLES, np.full((1, 3), np.nan)]))


@cache
def _codes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 12, (400, 2)).astype(float)
    codes[rng.random(codes.shape) < 0.1] = np.nan
    return codes, np.isin(codes[:, 0], [1, 5, 6, 11]).astype(int)


@pytest.mark.parametrize("strings", [False, True])
def test_histogram_boosting_splits_on_sets_of_categories(backend, strings):
    codes, target = _codes()
    boost = HistGradientBoostingClassifier(max_iter=6, categorical_features=[0], min_samples_leaf=5)
    if not strings:
        rows = np.array([[v, 3.0] for v in [*range(-2, 15), 0.5, np.nan, 255.0, 256.0]])
        agree(backend, fit(boost, codes, target), np.concatenate([codes, rows]))
        return
    words = pd.Series(codes[:, 0], dtype=object).map(lambda v: f"w{v:.0f}").mask(np.isnan(codes[:, 0]))
    frame = pd.DataFrame({"w": words.astype("str"), "n": codes[:, 1]})
    odd = pd.DataFrame({"w": pd.Series(["", "unseen", None], dtype="str"), "n": [1.0, np.nan, 3.0]})
    agree(backend, fit(boost, frame, target), pd.concat([frame, odd], ignore_index=True))


def test_histogram_boosting_sends_missing_values_where_training_sent_them(backend):
    agree(backend, fit(HistGradientBoostingClassifier(max_iter=8), HOLES, THREE), HOLES)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_histogram_boosting_answers_through_its_log_link(backend, loss):
    estimator = fit(HistGradientBoostingRegressor(loss=loss, max_iter=5), HOLES, np.exp(SIGNAL))
    agree(backend, estimator, HOLES)
    assert (estimator.predict(HOLES) > 0).all()


def test_histogram_boosting_compares_doubles(backend):
    estimator = fit(HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5), X, SIGNAL)
    nodes = np.concatenate([p.nodes for stage in estimator._predictors for p in stage])
    inner = nodes[nodes["is_leaf"] == 0]
    cells = {c: beside(inner["num_threshold"][inner["feature_idx"] == c]) for c in range(3)}
    agree(backend, estimator, with_cells(X, cells))


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_forests_compare_in_float32(backend, kind):
    estimator = fit(kind(6, random_state=0))
    agree(backend, estimator, with_cells(X, cuts_of(estimator.estimators_)))


def test_scalers_in_front_of_a_forest_are_doubles(backend):
    shifted = X + 1e6
    estimator = fit(
        make_pipeline(StandardScaler(), MinMaxScaler(), RandomForestRegressor(5, random_state=0)), shifted, SIGNAL
    )
    agree(backend, estimator, with_cells(shifted, {c: beside(shifted[:60, c]) for c in range(3)}))


def test_scaled_integers_keep_their_leaves(backend):
    whole = np.random.default_rng(5).integers(0, 1000, (600, 4)).astype(float)
    target = whole @ [1.0, -2.0, 0.5, 3.0]
    estimator = fit(make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=0)), whole, target)
    agree(backend, estimator, with_cells(whole, {c: np.arange(1000.0) for c in range(4)}))


def test_forests_add_up_as_with_one_job(backend):
    alone, many = (fit(RandomForestClassifier(8, random_state=0, n_jobs=n)) for n in (1, 4))
    made = compiled(backend, many)
    assert made is not None
    np.testing.assert_array_equal(made[0].predict_proba(X), alone.predict_proba(X))


def test_the_first_of_tied_classes_wins(backend):
    rows = np.repeat([[0.0], [1.0], [2.0]], 4, axis=0)
    target = np.array(["b", "a", "b", "a", "c", "c", "a", "a", "c", "b", "c", "b"])
    forest = fit(RandomForestClassifier(2, bootstrap=False, random_state=0), rows, target)
    assert forest.predict([[0.0]]) == ["a"] and forest.predict_proba([[0.0]]).tolist() == [[0.5, 0.5, 0.0]]
    agree(backend, forest, rows)
    flipped = np.where(target == "a", "b", np.where(target == "b", "a", "c"))
    members = [("one", DecisionTreeClassifier(random_state=0)), ("two", LogisticRegression(C=0.01))]
    for voting in ("hard", "soft"):
        agree(backend, fit(VotingClassifier(members, voting=voting), rows, flipped), rows)


# ------------------------------------------------------------------------------------------ imputers, scalers, encoders


def test_indicators_stand_behind_what_was_imputed(backend):
    estimator = make_pipeline(SimpleImputer(add_indicator=True), RandomForestClassifier(5, random_state=0))
    agree(backend, fit(estimator, HOLES), HOLES)


def test_a_function_is_computed_and_not_skipped(backend):
    positive = np.abs(X)
    for function in (np.log1p, np.sqrt):
        agree(
            backend, fit(make_pipeline(FunctionTransformer(function), LinearRegression()), positive, SIGNAL), positive
        )


def test_the_most_frequent_string_fills_what_is_missing(backend):
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("word", words, ["job"]), ("number", SimpleImputer(), ["age", "pay"])])
    for model in (RandomForestClassifier(5, random_state=0), LogisticRegression()):
        agree(backend, fit(make_pipeline(columns, model), FRAME), FRAME)


def test_a_sentinel_is_one_value(backend):
    filled = np.where(np.isnan(HOLES), -1.0, HOLES)
    estimator = make_pipeline(SimpleImputer(missing_values=-1, strategy="median"), DecisionTreeClassifier())
    agree(backend, fit(estimator, filled), with_cells(filled, {c: beside([-1.0, -2.0, 0.0]) for c in range(3)}))


def test_sparse_columns_are_scaled_by_reciprocals(backend):
    words = pd.DataFrame({"job": JOBS, "age": pd.Series(X[:, 1]).astype("str")})
    scaled = make_pipeline(OneHotEncoder(handle_unknown="ignore"), StandardScaler(with_mean=False))
    agree(backend, fit(scaled, words, None), words)
    agree(backend, fit(make_pipeline(scaled, DecisionTreeClassifier(random_state=0)), words), words)


def test_bins_are_one_hot(backend):
    estimator = make_pipeline(KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), LogisticRegression())
    agree(backend, fit(estimator), X)


def test_targets_of_several_classes_are_encoded(backend):
    encoder = ColumnTransformer([("job", TargetEncoder(random_state=0), ["job"])], remainder="passthrough")
    estimator = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=4))
    agree(backend, fit(estimator, FRAME, THREE), FRAME)


def test_an_unseen_category_is_refused_where_the_encoder_does(backend):
    for encoder in (OneHotEncoder(), OrdinalEncoder()):
        estimator = fit(make_pipeline(encoder, DecisionTreeClassifier(random_state=0)), FRAME[["job"]])
        agree(backend, estimator, FRAME[["job"]])
        made = compiled(backend, estimator)
        for job in ("pilot", "Nurse", ""):
            row = pd.DataFrame({"job": pd.Series([job], dtype="str")})
            with pytest.raises(ValueError, match="unknown"):
                estimator.predict(row)
            if made is not None:
                with pytest.raises(InputError, match="unknown"):
                    made[0].predict(row)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_a_row_that_the_original_refuses_is_refused(backend, value):
    models = (LogisticRegression(), RandomForestClassifier(3), HistGradientBoostingClassifier(max_iter=2))
    for estimator in (*models, make_pipeline(StandardScaler(), RandomForestClassifier(3))):
        model, row = fit(estimator), X[:3].copy()
        row[1, 2] = value
        made = compiled(backend, model)
        if made is None:
            continue
        try:
            expected = model.predict(row)
        except ValueError:
            with pytest.raises(InputError):
                made[0].predict(row)
        else:
            assert made[0].predict(row).tolist() == expected.tolist()


# ------------------------------------------------------------------------------------------------------ labels, votes


STRINGS = np.where(LABEL, "yes", "no")


@pytest.mark.parametrize(
    "target",
    [*(LABEL.astype(t) for t in (bool, np.int8, np.uint16, float)), STRINGS, STRINGS.astype(object)],
    ids=lambda t: str(t.dtype),
)
def test_labels_keep_their_dtype(backend, target):
    for estimator in (LogisticRegression(), DecisionTreeClassifier(), HistGradientBoostingClassifier(max_iter=2)):
        agree(backend, fit(estimator, target=target), X)


def test_votes_are_counted(backend):
    members = [
        ("line", LogisticRegression()),
        ("forest", RandomForestClassifier(4, max_depth=4, random_state=0)),
        ("tree", DecisionTreeClassifier(max_depth=2, random_state=0)),
    ]
    for options in ({}, {"weights": [0.1, 0.2, 0.3]}, {"voting": "soft"}, {"voting": "soft", "weights": [1, 2, 3]}):
        agree(backend, fit(VotingClassifier(members, **options), X, np.array(["x", "y", "z"])[THREE]), X)


# -------------------------------------------------------------------------------------------- models that hold models


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_scores_are_calibrated(backend, method):
    words = np.array(["x", "y", "z"])[THREE]
    for inner in (LinearSVC(random_state=0), RandomForestClassifier(3, max_depth=4, random_state=0)):
        agree(backend, fit(CalibratedClassifierCV(inner, method=method, cv=2), X, words), X)
        agree(backend, fit(CalibratedClassifierCV(inner, method=method, cv=2, ensemble=False), X, LABEL > 0), X)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_frozen_models_are_calibrated(backend, method):
    columns = ColumnTransformer(
        [("word", OneHotEncoder(handle_unknown="ignore"), ["job"]), ("number", StandardScaler(), ["age"])]
    )
    model = fit(make_pipeline(columns, DecisionTreeClassifier(max_depth=4, random_state=0)), FRAME)
    agree(backend, fit(CalibratedClassifierCV(FrozenEstimator(model), method=method), FRAME), FRAME)


def test_searches_answer_as_their_best_model(backend):
    forest, grid = RandomForestClassifier(3, random_state=0), {"max_depth": [2, 4]}
    agree(backend, fit(RandomizedSearchCV(forest, grid, n_iter=1, cv=2, random_state=0)), X)
    agree(backend, fit(HalvingGridSearchCV(forest, grid, cv=2, random_state=0)), X)
    agree(backend, fit(HalvingRandomSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, random_state=0)), X)


def test_targets_are_transformed_back(backend):
    for options in ({"func": np.log1p, "inverse_func": np.expm1}, {"transformer": StandardScaler()}):
        for inner in (LinearRegression(), DecisionTreeRegressor(max_depth=4, random_state=0)):
            agree(backend, fit(TransformedTargetRegressor(inner, **options), X, np.exp(SIGNAL)), X)


def test_links_of_a_chain_read_those_before(backend):
    amounts, bits = np.column_stack([SIGNAL, SIGNAL**2]), np.column_stack([SIGNAL > 0, SIGNAL > 1]).astype(int)
    agree(backend, fit(RegressorChain(DecisionTreeRegressor(max_depth=4, random_state=0), order=[1, 0]), X, amounts), X)
    agree(backend, fit(RegressorChain(LinearRegression()), X, amounts), X)
    agree(backend, fit(ClassifierChain(LogisticRegression(), chain_method="predict_proba"), X, bits), X)


@pytest.mark.parametrize("beyond", ["nan", "clip"])
def test_isotonic_lines_bend_at_their_points(backend, beyond):
    estimator = fit(IsotonicRegression(out_of_bounds=beyond), X[:, :1], SIGNAL)
    rows = beside([*estimator.X_thresholds_, *X[:, 0] + 1e-3, -1e300, 1e300])
    agree(backend, estimator, rows[:, None])


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_kernels_of_a_ridge_are_summed(backend, kernel):
    agree(backend, fit(KernelRidge(kernel=kernel, gamma=0.2), X[:60], SIGNAL[:60]), X)


# ------------------------------------------------------------------------------------------------------ tables, frames


def test_frames_string_labels_and_several_classes_are_taken(backend):
    columns = ColumnTransformer(
        [("word", OneHotEncoder(handle_unknown="ignore"), ["job"]), ("number", StandardScaler(), ["age"])]
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=500))
    agree(backend, fit(model, FRAME, np.array(["x", "y", "z"])[THREE]), FRAME)


def test_float32_and_mixed_frames_and_pandas_output_in_front_of_trees(backend):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    forest = fit(RandomForestRegressor(5, random_state=0), frame, SIGNAL)
    agree(backend, forest, frame.astype(np.float32))
    agree(backend, forest, frame.astype({"a": np.float32, "b": int}))
    scaled = ColumnTransformer([("s", StandardScaler(), ["a", "c"])], remainder="passthrough")
    pandas = make_pipeline(scaled.set_output(transform="pandas"), RandomForestRegressor(5, random_state=0))
    agree(backend, fit(pandas, frame, SIGNAL), frame)
    agree(backend, pandas, frame.astype({"b": int}))


def test_columns_are_known_by_their_names(backend):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    estimator = fit(RandomForestRegressor(5, random_state=0), frame, SIGNAL)
    made = compiled(backend, estimator)
    assert made is not None
    expected = estimator.predict(frame)
    for rows in (frame[["c", "a", "b"]], frame.assign(more="text")[["more", "b", "c", "a"]]):
        assert made[0].predict(rows).tolist() == expected.tolist()
    with pytest.raises(InputError, match="'b'"):
        made[0].predict(frame[["a", "c"]])


def test_nullable_integers_keep_what_is_missing(backend):
    column = pd.array(np.where(np.isnan(HOLES[:, 1]), 0, X[:, 1]).astype(int), dtype="Int64")
    column[np.isnan(HOLES[:, 1])] = pd.NA
    frame = pd.DataFrame({"n": column, "x": X[:, 0]})
    for model in (LinearRegression(), RandomForestRegressor(4, random_state=0)):
        agree(backend, fit(make_pipeline(SimpleImputer(), model), frame, SIGNAL), frame)


# --------------------------------------------------------------------------------------------------------------- text

TEXTS = [
    "Crème brûlée, s'il vous plaît!", "creme brulee please", "it's 5 o'clock -- somewhere", "a b c", "", "  ",
    "Straße STRASSE straße", "naïve naive; NAÏVE", "one,two;three.four", "ﬁne fine", "x\u0301 é e\u0301", "你好 世界",
    "one two one two one", "tab\tand\nnewline\u00a0space", "İstanbul ISTANBUL ıstanbul", "e-mail: a@b.co, c_d 10.5%",
]  # fmt: skip
WORDINGS: dict[str, dict[str, Any]] = {
    "bigrams across punctuation": {"ngram_range": (1, 2)},
    "char_wb": {"analyzer": "char_wb", "ngram_range": (2, 4)},
    "char": {"analyzer": "char", "ngram_range": (1, 3), "lowercase": False},
    "strip unicode": {"strip_accents": "unicode"},
    "strip ascii": {"strip_accents": "ascii", "sublinear_tf": True},
    "token_pattern": {"token_pattern": r"(?u)\b\w+\b", "norm": "l1", "sublinear_tf": True},
    "stop words": {"stop_words": "english", "norm": None, "smooth_idf": False},
}


@pytest.mark.parametrize("options", WORDINGS.values(), ids=list(WORDINGS))
def test_words_are_cut_and_weighed_as_the_original_does(backend, options):
    target = np.arange(len(TEXTS)) % 2
    words = fit(TfidfVectorizer(**options), TEXTS, None)
    made = compiled(backend, words)
    if made is not None:
        got, expected = made[0].transform(TEXTS), words.transform(TEXTS)
        assert got.dtype == expected.dtype and same_cells(got.toarray(), expected.toarray()).all()
    estimator = fit(make_pipeline(TfidfVectorizer(**options), LogisticRegression()), TEXTS, target)
    made = compiled(backend, estimator)
    if made is not None:
        assert made[0].predict(TEXTS).tolist() == estimator.predict(TEXTS).tolist()
        np.testing.assert_allclose(made[0].predict_proba(TEXTS), estimator.predict_proba(TEXTS), rtol=1e-12)


# --------------------------------------------------------------------------------------------------- boosting libraries


@pytest.mark.parametrize("kind", ["rf", "linear_tree", "categories"])
def test_lightgbm_of_every_kind(backend, kind):
    lightgbm = pytest.importorskip("lightgbm")
    options = {
        "rf": {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        "linear_tree": {"linear_tree": True},
        "categories": {"categorical_feature": [1]},
    }[kind]
    estimator = lightgbm.LGBMRegressor(n_estimators=8, min_child_samples=5, verbose=-1, random_state=0, **options)
    agree(backend, fit(estimator, HOLES, SIGNAL), HOLES)


def test_xgboost_stops_at_its_best_iteration(backend):
    xgboost = pytest.importorskip("xgboost")
    estimator = xgboost.XGBRegressor(n_estimators=60, max_depth=4, learning_rate=0.9, early_stopping_rounds=2)
    estimator.fit(X[:120], SIGNAL[:120], eval_set=[(X[120:], SIGNAL[120:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    agree(backend, estimator, X)


XGBOOST: dict[str, dict[str, Any]] = {
    "base_score": {"base_score": 2.5},
    "gblinear": {"booster": "gblinear"},
    "dart": {"booster": "dart", "rate_drop": 0.3},
    "forest": {"num_parallel_tree": 3, "subsample": 0.6},
}


@pytest.mark.parametrize("options", XGBOOST.values(), ids=list(XGBOOST))
def test_xgboost_of_every_kind(backend, options):
    xgboost = pytest.importorskip("xgboost")
    rows = X if "booster" in options else HOLES
    estimator = xgboost.XGBRegressor(n_estimators=5, max_depth=3, random_state=0, **options)
    agree(backend, fit(estimator, pd.DataFrame(rows, columns=["a", "b", "c"]), SIGNAL), pd.DataFrame(
        rows, columns=["a", "b", "c"]))  # fmt: skip
    classifier = xgboost.XGBClassifier(n_estimators=5, max_depth=3, random_state=0)
    agree(backend, fit(classifier, HOLES, THREE), HOLES)


def test_xgboost_sends_each_category_where_training_sent_it(backend):
    xgboost = pytest.importorskip("xgboost")
    frame = FRAME.assign(job=FRAME["job"].astype("category"))
    estimator = xgboost.XGBRegressor(n_estimators=5, max_depth=3, enable_categorical=True, max_cat_to_onehot=2)
    agree(backend, fit(estimator, frame, SIGNAL), frame)
    # A category that training did not have is the next one in the order of names.
    unseen = FRAME.assign(job=FRAME["job"].map({"clerk": "a", "nurse": "cook2", "cook": "clerk"}).astype("category"))
    agree(backend, estimator, unseen)


def test_xgboost_takes_its_own_missing_value(backend):
    xgboost = pytest.importorskip("xgboost")
    filled = np.where(np.isnan(HOLES), -999.0, HOLES)
    estimator = fit(xgboost.XGBRegressor(n_estimators=5, max_depth=3, missing=-999.0), filled, SIGNAL)
    agree(backend, estimator, filled)


# ---------------------------------------------------------------------------------------------------------- the lines


def test_every_line_has_a_test_that_exists():
    import importlib

    for names in LINES.values():
        for name in names:
            module, _, test = name.rpartition(":")
            assert callable(getattr(importlib.import_module(module or HERE), test, None)), name


def test_every_line_of_the_collection_is_listed():
    folder = shared_dir()
    if folder is None:
        pytest.skip(why_no_shared())
    rows = [r for r in (folder / "TRAPS.md").read_text().splitlines() if r.startswith("| ")][1:]
    begins = [r.removeprefix("| ") for r in rows]
    assert len(begins) == len(LINES)
    assert all(any(b.startswith(key) for key in LINES) for b in begins)

"""Where converters go wrong: a named test for each case that the estimators of this release can meet."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from slimml.artifact.manifest import Manifest
from slimml.artifact.write import encode_artifact
from slimml.errors import InputError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.numeric import Multiply
from slimml.plan.encode import encode, label_tables
from slimml.runtime import load
from slimml.runtime.labels import write_labels
from slimml.runtime.predictor import Model
from slimml.schema import CATEGORY, PANDAS_NA
from tests.hostile import accepted, graph_answer, input_blocks, limits, original_answer, same_cells

RNG = np.random.default_rng(7)
X = np.column_stack([RNG.normal(size=200), RNG.poisson(2, 200), RNG.lognormal(size=200)])
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
SIGNAL = X[:, 0] + X[:, 1] / 2 - 1 + 0.5 * np.isnan(HOLES[:, 2])
LABEL = (SIGNAL > 0).astype(int)
WORDS = pd.DataFrame({"job": pd.Series(RNG.choice(["clerk", "nurse", "cook"], 200), dtype="str"), "age": X[:, 1]})
WORDS["job"] = WORDS["job"].mask(RNG.random(200) < 0.2)


def graph_of(estimator) -> Graph:
    return lower(read(pickle.dumps(estimator, 5)).root)


def model_of(graph: Graph) -> Model:
    outputs = [{"name": o.name, "form": o.form} for o in graph.outputs]
    tables = write_labels(label_tables(graph))
    manifest = Manifest(schema=graph.schema, engine="portable", exactness="bitwise", outputs=outputs, classes=tables)
    return load(encode_artifact(manifest, encode(graph)))


def fit(estimator, rows=X, target=LABEL):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, target)


def agree(estimator, rows) -> Graph:
    """Answers have the same bits (linear ones within their bounds), and the same rows are refused."""
    graph = graph_of(estimator)
    for output in graph.outputs:
        taken = accepted(lambda part, o=output: graph_answer(graph, o.name, part), rows)
        original = accepted(lambda part, o=output: original_answer(estimator, o.name, part), rows)
        np.testing.assert_array_equal(taken, original)
        kept = rows[taken]
        if not len(kept):
            continue
        answers = original_answer(estimator, output.name, kept), graph_answer(graph, output.name, kept)
        for one, other, limit in zip(*answers, limits(graph, output.name, kept), strict=True):
            same = same_cells(one, other)
            if limit is not None:
                same |= (
                    limit
                    if limit.dtype == bool
                    else np.abs(np.subtract(one, other, where=np.isfinite(one), out=np.zeros(one.shape))) <= limit
                )
            assert same.all()
    return graph


def around(values) -> np.ndarray:
    """Each value and both of its float neighbours."""
    values = np.asarray(values, dtype=float)
    return np.unique(np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)]))


def at_thresholds(trees, thresholds: str = "threshold") -> np.ndarray:
    """Rows that hold, in one column each, every threshold of the trees and its neighbours."""
    rows: list[Any] = []
    for tree in trees:
        inner = tree["feature"] >= 0
        for feature, threshold in zip(tree["feature"][inner], tree[thresholds][inner], strict=True):
            near = around([threshold, np.float32(threshold), np.nextafter(np.float32(threshold), np.float32(np.inf))])
            for value in near:
                row = X[len(rows) % len(X)].copy()
                row[feature] = value
                rows.append(row)
    return np.array(rows)


def sklearn_trees(estimators):
    return [{"feature": e.tree_.feature, "threshold": e.tree_.threshold} for e in estimators]


def hist_trees(estimator):
    nodes = [p.nodes for stage in estimator._predictors for p in stage]
    return [
        {"feature": np.where(n["is_leaf"] == 1, -1, n["feature_idx"].astype(int)), "threshold": n["num_threshold"]}
        for n in nodes
    ]


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_forest_casts_float64_rows_to_float32_before_it_compares(kind):
    estimator = fit(kind(5, random_state=0))
    agree(estimator, at_thresholds(sklearn_trees(estimator.estimators_)))


def test_one_class_is_the_answer_of_histogram_boosting():
    estimator = fit(HistGradientBoostingClassifier(max_iter=3), target=np.full(len(X), 4))
    assert agree(estimator, X).classes[0].tolist() == [4]


def test_value_equal_to_a_threshold_goes_left():
    estimator = fit(DecisionTreeRegressor(random_state=0), target=SIGNAL)
    agree(estimator, at_thresholds(sklearn_trees([estimator])))


def test_histogram_boosting_compares_in_float64():
    estimator = fit(HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5))
    agree(estimator, at_thresholds(hist_trees(estimator)))


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier])
def test_missing_values_go_where_training_sent_them(kind):
    graph = agree(fit(kind(random_state=0, max_depth=6), HOLES), HOLES)
    assert len({v for n in graph.nodes() if hasattr(n, "trees") for v in n.trees.flags.tolist()}) > 1


@pytest.mark.parametrize("criterion", ["squared_error", "friedman_mse", "absolute_error", "poisson"])
@pytest.mark.parametrize("monotonic", [None, [1, 0, 0]])
def test_trees_without_missing_values_take_them_or_refuse_them_as_the_original(criterion, monotonic):
    options = {"criterion": criterion, "monotonic_cst": None if criterion == "absolute_error" else monotonic}
    agree(fit(DecisionTreeRegressor(max_depth=4, **options), target=np.exp(SIGNAL)), HOLES)


def test_infinity_and_what_overflows_float32_are_refused_by_forests_alone():
    odd = np.array([[np.inf, 1, 1], [-np.inf, 1, 1], [3.5e38, 1, 1], [3.4e38, 1, 1], [1e308, 1, 1]])
    agree(fit(RandomForestClassifier(3)), odd)
    agree(fit(HistGradientBoostingClassifier(max_iter=3)), odd)


def test_histogram_boosting_splits_on_category_sets():
    codes = RNG.integers(0, 12, (300, 2)).astype(float)
    codes[RNG.random(codes.shape) < 0.1] = np.nan
    target = np.isin(codes[:, 0], [1, 5, 6, 11]).astype(int)
    estimator = fit(
        HistGradientBoostingClassifier(max_iter=5, categorical_features=[0], min_samples_leaf=5), codes, target
    )
    graph = agree(estimator, np.array([[v, 3.0] for v in [*range(-2, 15), 0.5, 1.5, np.nan, 255.0, 256.0, np.inf]]))
    assert any(len(n.trees.sets) for n in graph.nodes() if hasattr(n, "trees"))


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_histogram_boosting_applies_the_log_link(loss):
    estimator = fit(HistGradientBoostingRegressor(loss=loss, max_iter=4), HOLES, np.exp(SIGNAL))
    agree(estimator, HOLES)
    assert (estimator.predict(HOLES) > 0).all()


def test_scaler_in_front_of_a_forest_is_computed_in_float64():
    shifted = X + 1e6
    estimator = fit(make_pipeline(StandardScaler(), MinMaxScaler(), RandomForestRegressor(5, random_state=0)), shifted)
    rows = np.concatenate([around(shifted[:40, c]) for c in range(3)])
    grid = np.repeat(shifted[:1], len(rows), axis=0)
    grid[:, 0] = rows
    agree(estimator, grid)


def test_indicator_columns_stand_behind_the_imputed_ones():
    agree(
        fit(make_pipeline(SimpleImputer(add_indicator=True), RandomForestClassifier(4, random_state=0)), HOLES), HOLES
    )


def test_most_frequent_fills_strings_that_are_nan():
    imputer = SimpleImputer(strategy="most_frequent")
    estimator = fit(make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore")), WORDS[["job"]])
    agree(estimator, WORDS[["job"]])


def test_sentinel_is_missing_and_its_neighbours_are_not():
    estimator = fit(make_pipeline(SimpleImputer(missing_values=-1), RandomForestClassifier(4, random_state=0)),
                    np.where(np.isnan(HOLES), -1, HOLES))  # fmt: skip
    rows = np.repeat(X[:1], 4, axis=0)
    rows[:, 0] = [-1.0, np.nextafter(-1.0, 0), np.nextafter(-1.0, -2), np.nan]
    agree(estimator, rows)


def test_statistics_are_rounded_to_the_dtype_that_fit_was_shown():
    agree(SimpleImputer().fit(HOLES.astype(np.float32)), HOLES)


def test_scalers_multiply_by_reciprocals_on_sparse_input():
    encoder = OneHotEncoder(handle_unknown="ignore")
    graph = agree(fit(make_pipeline(encoder, StandardScaler(with_mean=False)), WORDS[["job"]]), WORDS[["job"]])
    assert any(isinstance(n, Multiply) and n.type.layout == "csr" for n in graph.nodes())


def test_scaler_fitted_on_an_empty_column_keeps_it_missing():
    empty = HOLES.copy()
    empty[:, 1] = np.nan
    agree(fit(StandardScaler(), empty), np.concatenate([X, empty]))


def test_first_of_two_tied_classes_wins():
    rows = np.array([[0.0], [0.0], [1.0], [1.0]])
    estimator = fit(RandomForestClassifier(2, bootstrap=False), rows, np.array(["b", "a", "c", "c"]))
    agree(estimator, rows)
    assert estimator.predict(rows)[0] == "a"


STRINGS = np.where(LABEL, "yes", "no")
TARGETS = [LABEL.astype(t) for t in (bool, np.int8, np.uint16, float)] + [STRINGS, STRINGS.astype(object)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: str(t.dtype))
def test_labels_keep_their_dtype(target):
    for estimator in (LogisticRegression(), RandomForestClassifier(3), HistGradientBoostingClassifier(max_iter=2)):
        agree(fit(estimator, target=target), X)
        got = graph_answer(graph_of(estimator), "predict", X)[0]
        assert got.dtype == estimator.predict(X).dtype


def test_number_of_jobs_changes_nothing():
    alone, many = (fit(RandomForestClassifier(6, random_state=0, n_jobs=n)) for n in (1, 4))
    np.testing.assert_array_equal(graph_answer(graph_of(many), "predict_proba", X)[0], alone.predict_proba(X))


class Shifted(LinearRegression):  # type: ignore[misc]
    """A subclass with a predict of its own."""

    def predict(self, X):
        return super().predict(X) + 1


Shifted.__module__ = "mine"


def test_subclass_with_own_predict_is_refused(monkeypatch):
    import sys
    import types

    module: Any = types.ModuleType("mine")
    module.Shifted = Shifted
    monkeypatch.setitem(sys.modules, "mine", module)
    with pytest.raises(UnsupportedEstimatorError, match=r"mine\.Shifted"):
        graph_of(fit(make_pipeline(StandardScaler(), Shifted())))


def test_unknown_step_is_refused_by_name_and_path():
    columns = ColumnTransformer([("num", make_pipeline(RBFSampler()), ["age"])])
    estimator = fit(make_pipeline(columns, LogisticRegression()), WORDS)
    with pytest.raises(UnsupportedEstimatorError) as caught:
        graph_of(estimator)
    assert "RBFSampler" in caught.value.what
    assert caught.value.where == "model.columntransformer.num.rbfsampler"
    assert "a lowering" in caught.value.hint and "leave the step outside" in caught.value.hint


def test_validating_function_transformer_refuses_what_its_original_refuses():
    estimator = make_pipeline(FunctionTransformer(validate=True), HistGradientBoostingClassifier(max_iter=2))
    agree(fit(estimator), np.concatenate([X, HOLES, [[np.inf, 1, 1]]]))


def test_unseen_category_is_refused_where_the_encoder_refuses_it():
    rows = pd.DataFrame({"job": pd.Series(["pilot", "nurse", "", None, "Nurse"], dtype="str")})
    for encoder in (OneHotEncoder(), OrdinalEncoder()):
        agree(fit(encoder, WORDS[["job"]]), rows)


def test_none_and_nan_are_two_categories():
    column = pd.DataFrame({"x": pd.Series(["a", None, np.nan, "b"], dtype=object)})
    for encoder in (OneHotEncoder(), OrdinalEncoder(), OneHotEncoder(drop="first")):
        agree(fit(encoder, column, None), column)
    agree(fit(OneHotEncoder(handle_unknown="ignore"), column.dropna(), None), column)


def test_none_that_was_a_category_stays_one_behind_an_imputer_of_nan():
    column = pd.DataFrame({"x": pd.Series(["a", None, "b", "b"], dtype=object)})
    imputer = SimpleImputer(strategy="most_frequent")  # of NaN: None is a value of its own to it
    graph = agree(fit(make_pipeline(imputer, OrdinalEncoder()), column, None), column)
    assert graph.schema.columns[0].dtype == "object"  # so that None in a dict stays None, as in a frame of objects
    other = graph_of(fit(make_pipeline(imputer, OrdinalEncoder()), column.dropna(), None))
    assert other.schema.columns[0].dtype == "str"


def test_integer_column_with_missing_values_keeps_them():
    column = pd.DataFrame({"n": pd.array([1, 2, None, 4, 2, 2], dtype="Int64"), "y": [1.0, 2, 3, 4, 5, 6]})
    estimator = fit(make_pipeline(SimpleImputer(), LinearRegression()), column, np.arange(6.0))
    agree(estimator, column)


def test_integer_categories_that_no_double_tells_apart_are_refused():
    for encoder in (OneHotEncoder(), OrdinalEncoder()):
        agree(
            fit(encoder, pd.DataFrame({"id": 2**53 - np.arange(5)}), None), pd.DataFrame({"id": 2**53 - np.arange(5)})
        )
        with pytest.raises(UnsupportedEstimatorError, match="beyond 2"):
            graph_of(fit(encoder, pd.DataFrame({"id": 2**53 + np.arange(5)}), None))


def test_boosters_that_were_fitted_on_categories_take_an_array_for_codes():
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    values = RNG.choice([3, 5, 9, 20], 200)
    frame = pd.DataFrame({"c": pd.Categorical(values), "n": X[:, 0]})
    booster = xgboost.XGBRegressor(n_estimators=5, max_depth=3, enable_categorical=True, max_cat_to_onehot=1)
    booster.fit(frame, values * 7 % 5 + X[:, 0])
    codes = np.column_stack([np.arange(-2, 7, 0.25), np.zeros(36)])
    codes[0] = np.nan
    model = model_of(graph_of(booster))
    stored = sparse.csr_matrix((codes.ravel(), np.tile([0, 1], 36), np.arange(0, 73, 2)), shape=codes.shape)
    stored.data[[5, 9]] = 0
    holes = sparse.csr_matrix(codes)
    for rows in (frame, codes, stored, holes, codes.tolist()):
        assert (model.predict(rows) == booster.predict(rows)).all()
    boosted = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(frame, values)
    with pytest.raises(InputError, match="rows without names"):
        model_of(graph_of(boosted)).predict(codes)


def test_columns_that_steps_read_in_two_ways_are_refused_as_arrays():
    xgboost = pytest.importorskip("xgboost")
    frame = pd.DataFrame({"c": pd.Categorical(RNG.choice(["x", "y", "z"], 200)), "n": X[:, 0]})
    hot = ColumnTransformer([("hot", OneHotEncoder(), ["c"])], remainder="passthrough")
    booster = xgboost.XGBClassifier(n_estimators=2, enable_categorical=True)
    both = fit(VotingClassifier([("l", make_pipeline(hot, LogisticRegression())), ("x", booster)]), frame)
    model = model_of(graph_of(both))
    assert (model.predict(frame) == both.predict(frame)).all()
    with pytest.raises(InputError, match="rows without names"):
        model.predict([[0, 1.0]])


def test_table_of_booleans_is_read_as_numbers():
    frame = pd.DataFrame({"b": LABEL.astype(bool)})
    graph = agree(fit(OneHotEncoder(handle_unknown="ignore"), frame, None), frame)
    assert graph.schema.columns[0].kind == "number"


@pytest.mark.parametrize("imputer", [SimpleImputer(strategy="most_frequent"),
                                     SimpleImputer(strategy="constant", fill_value="?")])  # fmt: skip
def test_pandas_na_is_refused_by_imputers_and_unknown_to_encoders(imputer):
    column = pd.DataFrame({"x": pd.Series(["a", "b", pd.NA], dtype=object)})
    train = pd.DataFrame({"x": pd.Series(["a", "b", np.nan, "a"], dtype=object)})
    agree(fit(imputer, train, None), column)
    graph = agree(fit(OneHotEncoder(handle_unknown="ignore"), train, None), column)
    (lookup,) = (n for n in graph.nodes() if isinstance(n, Lookup))
    blocks = input_blocks(graph, column)
    assert next(iter(blocks.values()))[2, 0] is PANDAS_NA
    found: Any = evaluate([lookup], blocks)[lookup]
    assert found.ravel().tolist() == [0, 1, 3]


def test_strings_in_a_column_that_becomes_numbers_are_refused():
    mixed = pd.DataFrame({"n": pd.Series([1, 2, "3", np.nan, 2], dtype=object)})
    imputer = SimpleImputer(strategy="most_frequent")
    estimator = fit(make_pipeline(imputer, LinearRegression()), mixed, np.arange(5.0))
    graph = lower(read(pickle.dumps(estimator, 5)).root, kinds={"n": CATEGORY})
    (node,) = graph.inputs()
    good = np.array([[1], ["2.5"], [np.nan]], dtype=object)
    (end,) = graph.output("predict").nodes
    found: Any = evaluate([end], {node: good})[end]
    np.testing.assert_allclose(found[:, 0], estimator.predict(pd.DataFrame({"n": good[:, 0]})))
    with pytest.raises(InputError, match="could not convert"):
        evaluate(graph.output("predict").nodes, {node: np.array([["x"]], dtype=object)})


@pytest.mark.parametrize("count", [-1, 2**31, 10**12])
def test_more_columns_than_memory_could_name_are_refused_at_once(count):
    estimator = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    estimator.n_features_in_ = count
    with pytest.raises(UnsupportedEstimatorError, match=f"takes {count} columns"):
        lower(read(pickle.dumps(estimator)).root)

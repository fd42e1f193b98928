"""LightGBM's answers bit for bit, on the values at which its own reading of a row has edges."""

from __future__ import annotations

import pickle
import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from slimml.backends import BACKENDS
from slimml.candidates import build, refusal
from slimml.driver import shrink
from slimml.errors import InputError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.frontends.sklearn.forest_arrays import preorder
from slimml.ingest.read import read
from slimml.intake import graphs, ingest
from slimml.ir.ops.models import LinearForest
from slimml.options import ShrinkOptions
from slimml.sample import read_sample
from tests.zoo import gbm

_ZERO = float(np.float32(1e-35))  # LightGBM takes for 0 what is as near to it
_EDGES = [
    *(0.0, -0.0, 1e-36, -1e-36, _ZERO, -_ZERO, np.nextafter(_ZERO, 1), np.nextafter(-_ZERO, -1), np.nan, np.inf),
    *(-np.inf, 1e300, -1e300, -0.5, 0.5, -1.0, 1.0, 5.999, 39.5, 2.0**31, 3e9, -1e10, 1e10),
]


def _rows(count: int, seed: int) -> np.ndarray:
    """A normal column, counts, one with holes, codes of 40 categories, and one that is mostly 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5))
    x[:, 1], x[:, 3] = rng.poisson(1, count), rng.integers(0, 40, count)
    x[:, 2][rng.random(count) < 0.2] = np.nan
    x[:, 4][rng.random(count) < 0.5] = 0
    return x


_X = _rows(400, 0)
_SIGNAL = _X[:, 0] + np.nan_to_num(_X[:, 2]) + 0.4 * (_X[:, 3] % 3) + 0.5 * (_X[:, 4] > 0)


def _edges() -> np.ndarray:
    rows, rng = _rows(800, 1), np.random.default_rng(2)
    for c in range(rows.shape[1]):
        rows[rng.integers(0, len(rows), 200), c] = rng.choice(_EDGES, 200)
    return rows


def _agrees(model, rows) -> set[str]:
    """Every method of the artifact of every backend has the original's bits; the backends that did not refuse."""
    data = rows if isinstance(rows, pd.DataFrame) else None
    source = ingest(pickle.dumps(model), None)
    _, final, _ = graphs(source, read_sample(source.root, data, None, None), ShrinkOptions())
    ran = set()
    for backend in BACKENDS:
        if backend.missing() or refusal(backend, final, asked=False):
            continue
        opened = build(backend, final, ShrinkOptions(), {}, []).model
        for method in opened.outputs:
            expected, got = getattr(model, method)(rows), getattr(opened, method)(rows)
            assert expected.dtype == got.dtype and expected.shape == got.shape
            same = (expected == got) | ((expected != expected) & (got != got))
            assert same.all(), f"{backend.name}.{method} differs in {(~same).sum()} cells"
        ran.add(backend.name)
    return ran


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"categorical_feature": [1, 3]},
        {"categorical_feature": [1, 3], "zero_as_missing": True, "max_cat_to_onehot": 64},
        {"boosting_type": "rf", "subsample": 0.6, "subsample_freq": 1},
        {"boosting_type": "dart", "categorical_feature": [3]},
    ],
)
def test_edges_of_numbers_zero_and_categories_go_the_original_s_way(options):
    model = gbm(n_estimators=12, num_leaves=15, cat_smooth=1.0, min_data_per_group=5, **options)
    assert {"portable"} < _agrees(model.fit(_X, np.digitize(_SIGNAL, [0.0, 1.0])), _edges())


def test_linear_leaves_read_values_near_zero_and_missing_ones_as_the_original():
    model = gbm(False, n_estimators=12, num_leaves=15, linear_tree=True, categorical_feature=[3]).fit(_X, _SIGNAL)
    assert _agrees(model, _edges()) == {"portable"}
    graph = lower(read(pickle.dumps(model)).root)
    assert any(isinstance(n, LinearForest) for n in graph.nodes())


def test_a_booster_that_continues_another_may_read_one_column_in_several_ways():
    options = {"objective": "regression", "verbose": -1, "num_leaves": 7, "min_data_in_leaf": 5, "num_threads": 1}
    first = lightgbm.train({**options, "zero_as_missing": True}, lightgbm.Dataset(_X, _SIGNAL), 3)
    second = lightgbm.train({**options, "categorical_feature": [1, 3]}, lightgbm.Dataset(_X, _SIGNAL, params={
        "categorical_feature": [1, 3], "verbose": -1}), 3, init_model=first)  # fmt: skip
    _agrees(second, _edges())


def _frame(x: np.ndarray) -> pd.DataFrame:
    words = np.array([f"w{i:02}" for i in range(40)])
    rest = {"a": x[:, 0], "c": x[:, 2], "e": x[:, 4]}
    return pd.DataFrame({**rest, "d": pd.Categorical(words[x[:, 3].astype(int)]), "b": pd.Categorical(x[:, 1])})


@pytest.mark.parametrize("ordered", [False, True])
def test_pandas_categories_are_told_by_value(ordered):
    train, rows = _frame(_X), _frame(_rows(200, 5))
    train["b"] = train["b"].cat.as_ordered() if ordered else train["b"]
    model = gbm(n_estimators=12, cat_smooth=1.0, min_data_per_group=5).fit(train, _SIGNAL > 0)
    rows.loc[0:9, "d"] = np.nan
    rows["d"] = rows["d"].cat.add_categories(["never seen"])
    rows.loc[10:19, "d"] = "never seen"
    _agrees(model, rows)


def test_pandas_categories_that_the_file_does_not_place_need_data():
    train = _frame(_X)
    train["b"] = train["b"].cat.as_ordered()
    model = gbm().fit(train, _SIGNAL > 0)
    with pytest.raises(UnsupportedEstimatorError, match="--data"):
        lower(read(pickle.dumps(model)).root)


def test_a_text_file_is_compared_with_the_release_that_is_installed(tmp_path):
    path = tmp_path / "model.txt"
    gbm(False).fit(_X, _SIGNAL).booster_.save_model(path)
    result = shrink(path, exactness="bitwise")
    assert result.reference.how == "process"
    assert "LightGBM text v4 does not say which release of lightgbm wrote it" in result.reference.sentence
    assert all(c.parity.verdict == "bitwise" for c in result.candidates if c.parity)


def test_columns_are_found_by_names_with_the_spaces_that_lightgbm_replaces():
    frame = pd.DataFrame(_X[:, :3], columns=["plain", "with a space", "never read"])
    frame["never read"] = 0.0
    model = gbm(False).fit(frame, _SIGNAL)
    expected = model.predict(frame)
    for data in (None, frame):
        opened = _opened(model, data)
        assert opened.schema.names == ("plain", "with_a_space", "never_read")
        assert np.array_equal(opened.predict(frame), expected)
        assert np.array_equal(opened.predict(frame.rename(columns=lambda n: n.replace(" ", "_"))), expected)
        assert np.array_equal(opened.predict(frame.to_dict("records")), expected)
        assert opened.predict(frame.iloc[7].to_dict()) == expected[7]
    with pytest.raises(InputError, match="with_a_space"):
        opened.predict(frame.drop(columns="with a space"))


def _opened(model, data=None):
    """The artifact of the portable backend."""
    source = ingest(pickle.dumps(model), None)
    _, final, _ = graphs(source, read_sample(source.root, data, None, None), ShrinkOptions())
    return build(next(b for b in BACKENDS if b.name == "portable"), final, ShrinkOptions(), {}, []).model


def test_integers_of_an_array_are_rounded_to_float32_as_lightgbm_does():
    rng = np.random.default_rng(3)
    rows = rng.integers(2**30, 2**30 + 2000, (300, 2))
    model = gbm(False, n_estimators=5, min_child_samples=2).fit(rows.astype(float), np.sin(rows[:, 0] / 30))
    opened = _opened(model)
    assert (model.predict(rows) != model.predict(rows.astype(float))).any()
    for block in (rows, rows.astype(float), rows.tolist(), pd.DataFrame(rows), rows.astype("uint64")):
        assert np.array_equal(opened.predict(block), model.predict(block))
    small = rows - 2**30
    assert np.array_equal(opened.predict(small), model.predict(small))
    both = VotingRegressor([("boosted", gbm(False, n_estimators=2)), ("linear", Ridge())]).fit(rows, rows[:, 0])
    with pytest.raises(InputError, match="2\\*\\*24"):
        _opened(both).predict(rows)


def test_decision_function_is_there_from_4_7_on():
    root = read(pickle.dumps(gbm().fit(_X, _SIGNAL > 0))).root
    assert "decision_function" in {o.name for o in lower(root).outputs}
    del root.fields["_fitted_with_feature_names"]
    assert "decision_function" not in {o.name for o in lower(root).outputs}


def test_early_stopping_of_predictions_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = gbm(pred_early_stop=True).fit(_X, _SIGNAL > 0)
    with pytest.raises(UnsupportedEstimatorError, match="pred_early_stop"):
        lower(read(pickle.dumps(model)).root)


def test_nodes_whose_left_children_alone_are_in_order_are_put_in_preorder():
    # 0 -> (1, 4), 1 -> (2, 3): as it should be; and 0 -> (1, 3), 1 -> (2, 4), whose left children look the same.
    left = np.array([1, 2, -1, -1, -1])
    order, right = preorder(left, np.array([3, 4, -1, -1, -1]), np.array([0]))
    assert order.tolist() == [0, 1, 2, 4, 3] and right.tolist() == [4, 3, 0, 0, 0]


@pytest.mark.parametrize("options", [{}, {"zero_as_missing": True}, {"linear_tree": True}], ids=str)
def test_values_next_to_zero_of_sparse_rows_are_what_they_are(options):
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.choice([*_EDGES[:8], 1.0, -1.0], (600, 2)), rng.integers(0, 9, 600)])
    spread = ColumnTransformer([("as is", "passthrough", [0, 1]), ("one", OneHotEncoder(), [2])], sparse_threshold=1.0)
    model = make_pipeline(spread, lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=2, verbose=-1, **options))
    _agrees(model.fit(rows, np.sign(rows[:, 0]) + 0.5 * (rows[:, 1] > 0)), rows)

"""IterativeImputer: every option, within the bounds of its sums."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from tests.hostile import accepted, graph_answer, limits, original_answer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)) @ RNG.normal(size=(4, 4)) + [0, 5, 0, 1]
HOLES = np.where(RNG.random(X.shape) < [0.3, 0.2, 0.0, 0.4], np.nan, X)
ODD = [[np.nan, 1.0, 1e300, np.nan], [1e300, np.nan, np.nan, 1.0], [np.inf, np.nan, 1.0, 2.0], [np.nan] * 4]
ROWS = np.concatenate([HOLES, X[:5], ODD, [[1e308, -1e308, 1e308, 1e308], [np.nan, np.nan, 0.0, np.nan]]])


def graph_of(estimator, **changes):
    root = read(pickle.dumps(estimator)).root
    root.fields |= changes
    return lower(root)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"estimator": Ridge(), "imputation_order": "roman", "skip_complete": True, "add_indicator": True},
        {"estimator": DecisionTreeRegressor(max_depth=3), "max_iter": 2, "min_value": [-1, 4, -9, -9], "max_value": 6},
        {"max_iter": 0, "initial_strategy": "median"},
        {"max_iter": 2, "keep_empty_features": True, "add_indicator": True},
        {"n_nearest_features": 2, "random_state": 0, "initial_strategy": "constant", "fill_value": 1.0},
    ],
)
@pytest.mark.parametrize("sentinel", [np.nan, -1])
def test_rounds_fill_what_is_missing(options, sentinel):
    train, rows = (np.where(np.isnan(v), sentinel, v) for v in (HOLES, ROWS))
    empty = np.insert(train, 1, sentinel, axis=1), np.insert(rows, 1, 7.0, axis=1)
    for fitted_on, asked in ((train, rows), empty) if "min_value" not in options else ((train, rows),):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = IterativeImputer(missing_values=sentinel, **options).fit(fitted_on)
        graph = graph_of(estimator)
        taken = accepted(lambda part, g=graph: graph_answer(g, "transform", part), asked)
        np.testing.assert_array_equal(
            taken, accepted(lambda part, e=estimator: original_answer(e, "transform", part), asked)
        )
        kept = asked[taken]
        (got,), (expected,) = graph_answer(graph, "transform", kept), original_answer(estimator, "transform", kept)
        (limit,) = limits(graph, "transform", kept)
        with np.errstate(invalid="ignore"):
            same = (got == expected) | (np.abs(got - expected) <= (0.0 if limit is None else limit))
        assert got.shape == expected.shape and same.all(), (kept[~same.all(axis=1)], got[~same], expected[~same])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample_posterior": True}, "sample_posterior"),
        ({"imputation_sequence_": [(0, [9], None)]}, "outside"),
        ({"imputation_sequence_": [1]}, "imputation_sequence_"),
        ({"_is_empty_feature": np.zeros(3, dtype=bool)}, "_is_empty_feature"),
        ({"_min_value": np.zeros(2)}, "_min_value"),
    ],
)
def test_what_contradicts_itself_is_refused(change, said):
    with pytest.raises(UnsupportedEstimatorError, match=said):
        graph_of(IterativeImputer(max_iter=2).fit(HOLES), **change)

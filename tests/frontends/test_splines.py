"""SplineTransformer: every degree, extrapolation and answer, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import SplineTransformer

from slimml.errors import UnsupportedEstimatorError
from tests.frontends.test_polynomial import agree, graph_of

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(size=60), RNG.lognormal(0, 2, 60), RNG.integers(0, 3, 60), RNG.uniform(size=60)])
ODD = np.array([0.0, -0.0, 1e-300, 1e200, -1e200, 3.0, -3.0, np.nan, np.inf, -np.inf, 50.0, 1.0, 0.1, -1e9])
ENDS = np.stack([X.min(axis=0), X.max(axis=0), np.median(X, axis=0)])
ROWS = np.concatenate([X, np.column_stack([np.roll(ODD, 3 * k) for k in range(4)]), ENDS, np.nextafter(ENDS, np.inf)])


@pytest.mark.parametrize("outside", ["constant", "linear", "continue", "periodic", "error"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("sparse", [False, True])
def test_splines(outside, degree, sparse):
    options = {"degree": degree, "extrapolation": outside, "sparse_output": sparse}
    if degree == 0 and (outside in ("constant", "linear") or (sparse and outside == "periodic")):
        with pytest.raises(UnsupportedEstimatorError, match="degree 0"):
            graph_of(SplineTransformer(**options).fit(X))
        return
    # Sparse rows of float32 are answered in float64, and refused where an edge rounds beyond itself.
    agree(SplineTransformer(n_knots=7, **options), ROWS, X, narrows=not sparse)
    agree(SplineTransformer(n_knots=6, knots="quantile", include_bias=False, **options), ROWS, X, narrows=not sparse)


@pytest.mark.parametrize("outside", ["constant", "linear", "continue", "periodic", "error"])
def test_a_missing_value_has_no_splines(outside):
    holes = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    agree(SplineTransformer(extrapolation=outside, handle_missing="zeros"), ROWS, holes)
    constant = np.column_stack([X[:, 0], np.full(60, 2.0), np.where(np.arange(60) == 3, 1.5, np.nan), X[:, 3]])
    agree(SplineTransformer(extrapolation=outside, handle_missing="zeros", degree=2), ROWS, constant)


def test_splines_that_contradict_themselves_are_refused():
    for change in ({"degree": 2}, {"extrapolation": "mirror"}, {"bsplines_": []}, {"n_features_in_": 3}):
        estimator = SplineTransformer().fit(X)
        vars(estimator).update(change)
        with pytest.raises(UnsupportedEstimatorError):
            graph_of(estimator)

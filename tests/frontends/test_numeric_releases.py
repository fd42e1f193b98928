"""Where a release changed what a numeric step means: the file's release decides, beside what the steps kept of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import ndtri
from sklearn.preprocessing import FunctionTransformer, Normalizer, PolynomialFeatures, PowerTransformer
from sklearn.preprocessing import QuantileTransformer as Quantiles

from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph
from tests.hostile import accepted, graph_answer

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.lognormal(0, 1, 80), RNG.normal(0, 2, 80), RNG.poisson(1, 80), RNG.uniform(-3, 3, 80)])


def graph_of(estimator, release: str, **changes) -> Graph:
    """The graph of a model as that release would have written it."""
    root = read(pickle.dumps(estimator)).root
    root.fields |= {"_sklearn_version": release, **changes}
    return lower(root)


def answer(estimator, release: str, rows=X, **changes) -> np.ndarray:
    return graph_answer(graph_of(estimator, release, **changes), "transform", rows)[0]


def test_yeo_johnson_is_a_power_before_1_7():
    estimator = PowerTransformer(standardize=False).fit(X)
    expected = X.copy()
    for c, power in enumerate(estimator.lambdas_):
        right = X[:, c] >= 0
        expected[right, c] = (np.power(X[right, c] + 1, power) - 1) / power
        expected[~right, c] = -(np.power(1 - X[~right, c], 2 - power) - 1) / (2 - power)
    for release in ("0.20.3", "1.6.1"):
        np.testing.assert_array_equal(answer(estimator, release), expected)
    assert (answer(estimator, "1.7.0") != expected).any()
    np.testing.assert_array_equal(answer(estimator, "1.7.0"), estimator.transform(X))


@pytest.mark.parametrize("output", ["uniform", "normal"])
def test_ends_of_uniform_quantiles_are_clipped_before_0_21(output):
    estimator = Quantiles(n_quantiles=9, output_distribution=output).fit(X)
    rows = np.concatenate([X, X.min(axis=0)[None] - 9, X.max(axis=0)[None] + 9])
    low = 1e-7 - np.spacing(1)
    ends = [low, 1 - low] if output == "uniform" else ndtri([low, 1 - low])
    old, new = answer(estimator, "0.20.3", rows), answer(estimator, "0.21.1", rows)
    np.testing.assert_array_equal(old, np.clip(estimator.transform(rows), *ends))
    np.testing.assert_array_equal(new, estimator.transform(rows))
    assert old.min() == ends[0] and (new.min() == 0 if output == "uniform" else new.min() == ends[0])


def test_missing_values_are_refused_by_quantiles_before_0_20():
    estimator = Quantiles(n_quantiles=9).fit(X)
    holes = np.where(np.arange(4) == 1, np.nan, X[:3])
    for release, taken in (("0.19.2", False), ("0.20.3", True)):
        graph = graph_of(estimator, release)
        assert accepted(lambda part, g=graph: graph_answer(g, "transform", part), holes).tolist() == [taken] * 3


def test_products_are_taken_from_the_left_before_0_22():
    estimator = PolynomialFeatures(3, include_bias=False).fit(X)
    powers = [np.repeat(np.arange(4), p) for p in estimator.powers_]
    from_left = np.stack([np.prod(X[:, columns], axis=1) for columns in powers], axis=1)
    np.testing.assert_array_equal(answer(estimator, "0.21.3"), from_left)
    np.testing.assert_array_equal(answer(estimator, "0.22"), estimator.transform(X))
    assert (from_left != estimator.transform(X)).any()


def test_rows_that_are_nearly_nothing_are_scaled_before_1_0():
    rows = np.array([[3e-16, 4e-16], [0.0, 0.0], [3.0, 4.0]])
    estimator = Normalizer().fit(rows)
    np.testing.assert_allclose(answer(estimator, "0.24.2", rows)[0], [0.6, 0.8])
    np.testing.assert_array_equal(answer(estimator, "1.0", rows), estimator.transform(rows))


def test_functions_validate_by_default_before_0_22():
    estimator, rows = FunctionTransformer(np.log1p).fit(X), np.array([[1.0, np.inf, 1.0, 1.0], [1.0, 2.0, 0.0, 3.0]])
    for release, validate, taken in (("0.21.3", None, False), ("0.20.3", False, True), ("0.22", None, True)):
        graph = graph_of(estimator, release, validate=validate)
        got = accepted(lambda part, g=graph: graph_answer(g, "transform", part), rows)
        assert got.tolist() == [taken, True]

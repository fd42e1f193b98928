"""PolynomialFeatures, Normalizer, Binarizer and MissingIndicator: every option, bit for bit."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.impute import MissingIndicator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MaxAbsScaler, Normalizer, OneHotEncoder, PolynomialFeatures

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.csr import Csr
from slimml.ir.graph import evaluate
from tests.hostile import accepted, graph_answer, limits, original_answer, same_cells

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(size=40), RNG.normal(0, 30, 40), RNG.integers(-1, 3, 40), RNG.lognormal(0, 3, 40)])
ODD = np.array([0.0, -0.0, 1e-300, 1e200, -1e200, 1e-15, np.nan, np.inf, -np.inf, 5e-324, 1.0, 0.1, np.float32(0.1)])
ROWS = np.concatenate(
    [X, np.column_stack([np.roll(ODD, k) for k in range(4)]), np.zeros((1, 4)), np.full((1, 4), 1e-16)]
)
CODES = pd.DataFrame({"a": RNG.integers(0, 4, 50), "b": RNG.integers(-3, 3, 50) / 3})


def graph_of(estimator, **options):
    return lower(read(pickle.dumps(estimator)).root, **options)


def agree(estimator, rows=ROWS, train=X, *, summed=False, narrows=True) -> None:
    """The same rows are refused, the others have the same bits (sums: within their bounds), in both dtypes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(train)
    graph = graph_of(estimator)
    taken = accepted(lambda part: graph_answer(graph, "transform", part), rows)
    np.testing.assert_array_equal(taken, accepted(lambda part: original_answer(estimator, "transform", part), rows))
    if not taken.any():
        return
    kept = rows[taken]
    (got,), (expected,) = graph_answer(graph, "transform", kept), original_answer(estimator, "transform", kept)
    same = same_cells(got, expected)
    if summed:
        same |= np.abs(got - expected) <= limits(graph, "transform", kept)[0]
    assert got.dtype == expected.dtype and same.all(), kept[~same.all(axis=1)]
    if not narrows:
        return
    narrow = graph_of(estimator, float32=True)
    with np.errstate(all="ignore"):
        kept = kept.astype(np.float32)
    kept = kept[accepted(lambda part: original_answer(estimator, "transform", part), kept)]
    (expected,) = original_answer(estimator, "transform", kept)
    (end,) = narrow.outputs[0].nodes
    got = evaluate([end], {narrow.inputs()[0]: kept})[end]
    got = got.toarray() if isinstance(got, Csr) else got
    assert got.dtype == expected.dtype
    if summed:
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    else:
        assert same_cells(got, expected).all(), kept[~same_cells(got, expected).all(axis=1)]


@pytest.mark.parametrize("degree", [0, 1, 3, 5, (2, 2), (3, 4)])
@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_products(degree, distinct, bias):
    if degree == 0 and not bias:
        return  # the original refuses
    if degree == (3, 4) and distinct and not bias:
        agree(PolynomialFeatures(degree, interaction_only=distinct, include_bias=bias, order="F"))
    agree(PolynomialFeatures(degree, interaction_only=distinct, include_bias=bias))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, (2, 3)])
@pytest.mark.parametrize("distinct", [True, False])
def test_products_of_sparse_blocks(degree, distinct):
    for bias in (True, False):
        step = PolynomialFeatures(degree, interaction_only=distinct, include_bias=bias)
        estimator = make_pipeline(OneHotEncoder(), MaxAbsScaler(), step).fit(CODES)
        (got,), expected = graph_answer(graph_of(estimator), "transform", CODES), estimator.transform(CODES)
        assert sparse.issparse(expected)
        np.testing.assert_array_equal(got, expected.toarray())


def test_terms_beyond_counting_are_refused():
    estimator = PolynomialFeatures(3).fit(X)
    for change in ({"degree": 10**9}, {"degree": (1, 2, 3)}, {"n_output_features_": 5}):
        changed = PolynomialFeatures(3).fit(X)
        vars(changed).update(change)
        with pytest.raises(UnsupportedEstimatorError, match=r"degree|terms"):
            graph_of(changed)
    assert graph_of(estimator).outputs


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_norms(norm):
    agree(Normalizer(norm), summed=norm != "max")
    estimator = make_pipeline(OneHotEncoder(), MaxAbsScaler(), Normalizer(norm)).fit(CODES)
    (got,) = graph_answer(graph_of(estimator), "transform", CODES)
    np.testing.assert_array_equal(got, estimator.transform(CODES).toarray())


@pytest.mark.parametrize("threshold", [0, 0.1, -0.5, np.float64(0.1)])
def test_thresholds(threshold):
    agree(Binarizer(threshold=threshold))
    if threshold >= 0:
        estimator = make_pipeline(OneHotEncoder(), MaxAbsScaler(), Binarizer(threshold=threshold)).fit(CODES)
        (got,) = graph_answer(graph_of(estimator), "transform", CODES)
        np.testing.assert_array_equal(got, estimator.transform(CODES).toarray())


HOLES = np.where(RNG.random(X.shape) < np.array([0.3, 0.0, 0.2, 0.0]), np.nan, X)


@pytest.mark.parametrize("answer", ["auto", True, False])
@pytest.mark.parametrize("options", [{}, {"features": "all"}, {"error_on_new": False}])
def test_indicators(answer, options):
    agree(MissingIndicator(sparse=answer, **options), train=HOLES)


def test_indicators_of_sentinels():
    for sentinel in (-1, 0.1, 2):
        filled = np.where(np.isnan(HOLES), sentinel, X)
        for new in (True, False):
            agree(MissingIndicator(missing_values=sentinel, error_on_new=new), train=filled)


def test_indicators_of_strings():
    words = pd.DataFrame({"a": ["x", None, "y"], "b": [1.5, np.nan, 2.0], "c": ["", "z", "x"]}, dtype=object)
    for sentinel in (np.nan, None, "x"):
        estimator = MissingIndicator(missing_values=sentinel, features="all")
        rows = words if sentinel is np.nan else words.fillna("w") if sentinel else words.fillna({"b": 2.5})
        graph = graph_of(estimator.fit(rows), kinds={"a": "category", "b": "category", "c": "category"})
        np.testing.assert_array_equal(graph_answer(graph, "transform", rows)[0], estimator.transform(rows))
    kinds, rows = dict.fromkeys("abc", "category"), words.assign(c=["x", None, "z"])
    graph = graph_of(MissingIndicator(missing_values=None).fit(words[["a", "c"]]), kinds=kinds)
    taken = accepted(lambda part: graph_answer(graph, "transform", part), rows[["a", "c"]])
    np.testing.assert_array_equal(taken, [True, False, True])

"""What a step makes in float32 of rows in float64 stays so in the steps behind it, bit for bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, Normalizer, PolynomialFeatures, StandardScaler

from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from tests.hostile import graph_answer
from tests.zoo import messages

TEXTS = messages(80, 1)
LABEL = np.array([("prize" in t) + 2 * ("meeting" in t) for t in TEXTS])
STEPS = [
    MaxAbsScaler(),
    StandardScaler(with_mean=False),
    Normalizer("l1"),
    FunctionTransformer(np.log1p),
    PolynomialFeatures(2),
    Ridge(),
    TruncatedSVD(3),
    MLPRegressor(max_iter=2),
    LogisticRegression(),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", STEPS, ids=lambda s: type(s).__name__)
def test_steps_behind_float32_compute_in_float32(step):
    vectorizer = TfidfVectorizer(dtype=np.float32, max_features=10)
    estimator = make_pipeline(vectorizer, step).fit(TEXTS, LABEL)
    graph = lower(read(pickle.dumps(estimator)).root)
    method = "decision_function" if hasattr(step, "decision_function") else graph.outputs[0].name
    expected = getattr(estimator, method)(TEXTS)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    (got,) = graph_answer(graph, method, TEXTS)
    assert got.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(got, expected.reshape(got.shape))

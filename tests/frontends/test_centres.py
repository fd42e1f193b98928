"""Discriminant analysis and clusters, option by option, against the installed scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from tests.frontends.answers import fitted, graph_of, hold
from tests.hostile import graph_answer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
ROWS = np.concatenate([RNG.normal(size=(60, 5)), 1e3 * RNG.normal(size=(20, 5)), X[:9]])
THREE = np.digitize(X[:, 0] + 0.5 * X[:, 1] * X[:, 2], [-0.5, 0.5])
WORDS = np.array(["gold", "iron", "tin"])[THREE]


@pytest.mark.parametrize("target", [THREE > 0, WORDS], ids=["two", "three"])
@pytest.mark.parametrize(
    "options",
    [{}, {"n_components": 1}, {"solver": "eigen", "shrinkage": "auto"}, {"solver": "lsqr", "priors": None}],
)
def test_linear_discriminant_analysis(options, target):
    # That of least squares has a transform that raises.
    missing = {"transform"} if options.get("solver") == "lsqr" else set()
    hold(fitted(LinearDiscriminantAnalysis(**options), X, target), ROWS, missing=missing)


@pytest.mark.parametrize("target", [THREE > 0, WORDS], ids=["two", "three"])
@pytest.mark.parametrize("options", [{}, {"reg_param": 0.3}, {"priors": None, "store_covariance": True}])
def test_quadratic_discriminant_analysis(options, target):
    hold(fitted(QuadraticDiscriminantAnalysis(**options), X, target), ROWS)


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_clusters(kind, count):
    hold(fitted(kind(count, n_init=1, random_state=0), X), ROWS)


def test_a_row_between_two_centres_goes_to_the_first_but_within_rounding():
    grid = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    estimator = fitted(KMeans(4, init=grid, n_init=1), grid)
    hold(estimator, np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 5.0]]), bitwise=("predict", "transform"))


def test_probabilities_of_three_classes_before_0_21_are_normalized_sigmoids():
    estimator = LinearDiscriminantAnalysis().fit(X, THREE)
    record = read(pickle.dumps(estimator)).root
    record.fields["_sklearn_version"] = "0.20.3"
    (got,) = graph_answer(lower(record), "predict_proba", ROWS)
    chance = 1 / (1 + np.exp(-estimator.decision_function(ROWS)))
    np.testing.assert_allclose(got, chance / chance.sum(axis=1)[:, None], rtol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (LinearDiscriminantAnalysis(), "scalings_"),
        (LinearDiscriminantAnalysis(), "xbar_"),
        (QuadraticDiscriminantAnalysis(), "means_"),
        (QuadraticDiscriminantAnalysis(), "rotations_"),
        (KMeans(3, n_init=1), "cluster_centers_"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(estimator, name):
    record = read(pickle.dumps(fitted(estimator, X, THREE))).root
    record.fields[name] = record.fields[name][:-1] if name != "cluster_centers_" else record.fields[name][:, 1:]
    with pytest.raises(UnsupportedEstimatorError):
        lower(record)


def test_labels_of_clusters_are_int32():
    graph = graph_of(fitted(KMeans(3, n_init=1), X))
    assert graph.output("predict").labels[0].dtype == np.int32 and graph.classes == ()

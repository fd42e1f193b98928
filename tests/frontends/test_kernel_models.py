"""Nearest centroids, kernel ridge and Gaussian processes, option by option, against the installed scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.neighbors import NearestCentroid

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from tests.frontends.answers import fitted, graph_of, hold
from tests.hostile import graph_answer, limits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
ROWS = np.concatenate([RNG.normal(size=(40, 3)), X[:5], [[50.0, 9.0, -90.0]]])
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
AMOUNT = 3 * X[:, 0] + np.sin(X[:, 1])
BOTH = np.column_stack([AMOUNT, THREE])
NOISE = WhiteKernel(0.1)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("options", [{}, {"priors": "empirical"}, {"shrink_threshold": 0.3}])
@pytest.mark.parametrize("target", [THREE > 0, np.array(["gold", "iron", "tin"])[THREE]], ids=["two", "three"])
def test_nearest_centroids(metric, options, target):
    hold(fitted(NearestCentroid(metric=metric, **options), X, target), ROWS)


def test_chances_far_away_from_every_centroid_are_those_of_the_original():
    hold(fitted(NearestCentroid(), X, THREE > 0), np.array([[1e17, 1.0, 0.0], [-1e200, 3.0, 3.0]]))


def test_nearest_centroids_have_no_probabilities_before_1_6():
    record = read(pickle.dumps(NearestCentroid().fit(X, THREE))).root
    record.fields["_sklearn_version"] = "1.3.2"
    assert [o.name for o in lower(record).outputs] == ["predict"]


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid", "laplacian", "cosine"])
@pytest.mark.parametrize("target", [AMOUNT, BOTH], ids=["one", "two"])
def test_kernel_ridge(kernel, target):
    gamma = None if kernel in ("linear", "cosine") else 0.3
    hold(fitted(KernelRidge(kernel=kernel, gamma=gamma, alpha=0.1, degree=2), X, target), ROWS)


def test_kernel_ridge_of_a_kernel_that_the_user_computes():
    hold(fitted(KernelRidge(kernel="precomputed"), X @ X.T, AMOUNT), ROWS @ X.T)


@pytest.mark.parametrize(
    "kernel",
    [
        None,
        1.5 * RBF(0.7) + NOISE,
        RBF([1.0, 2.0, 3.0]),
        Matern(1.0, nu=0.5),
        Matern(1.0, nu=1.5),
        Matern(2.0, nu=2.5),
        Matern(2.0, nu=np.inf),
        RationalQuadratic(1, 2),
        ExpSineSquared(1, 3) + WhiteKernel(30),
        DotProduct(1) + NOISE,
        RBF(1) * DotProduct(1) + NOISE,
        RBF(2) ** 2 + NOISE,
        ConstantKernel(2) * ConstantKernel(0.5) + ConstantKernel(1) * RBF(1),
        PairwiseKernel(metric="cosine") + WhiteKernel(1),
        ConstantKernel(3) + NOISE,
    ],
    ids=str,
)
def test_gaussian_processes(kernel):
    for target, normalize in ((AMOUNT, True), (BOTH, False)):
        process = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=normalize, alpha=1e-3)
        hold(fitted(process, X, target), ROWS)


@pytest.mark.parametrize("kernel", [None, 1.5 * RBF(0.7) + NOISE, Matern(nu=1.5) * ConstantKernel(3)], ids=str)
@pytest.mark.parametrize("target", [THREE > 0, np.array(["gold", "iron", "tin"])[THREE]], ids=["two", "three"])
def test_gaussian_processes_that_classify(kernel, target):
    hold(fitted(GaussianProcessClassifier(kernel, optimizer=None), X, target), ROWS)


def test_gaussian_processes_against_one_another_have_no_probabilities():
    process = GaussianProcessClassifier(optimizer=None, multi_class="one_vs_one").fit(X, THREE)
    hold(process, ROWS, missing={"predict_proba"})  # the original has the method, which raises


def test_a_row_that_is_a_training_row_has_a_bound_too():
    graph = graph_of(GaussianProcessRegressor(Matern(nu=0.5), optimizer=None, alpha=0.1).fit(X, AMOUNT))
    (limit,) = limits(graph, "predict", X)
    (got,) = graph_answer(graph, "predict", X)
    assert (limit < 1e-9 * (1 + np.abs(got))).all()


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (GaussianProcessRegressor(Matern(nu=0.7), optimizer=None, alpha=1.0), "nu=0.7"),
        (GaussianProcessRegressor(RBF() ** 0.5, optimizer=None, alpha=1.0), "power"),
        (GaussianProcessRegressor(PairwiseKernel(metric="chi2"), optimizer=None, alpha=1.0), "chi2"),
        (KernelRidge(kernel="chi2", gamma=1.0), "chi2"),
        (GaussianProcessClassifier(DotProduct() + NOISE, optimizer=None), "DotProduct"),
    ],
)
def test_what_is_not_handled_is_refused_by_name(estimator, named):
    with pytest.raises(UnsupportedEstimatorError, match=named):
        graph_of(estimator.fit(np.abs(X), THREE))


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (KernelRidge(), "dual_coef_"),
        (GaussianProcessRegressor(alpha=1.0), "X_train_"),
        (NearestCentroid(), "centroids_"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(estimator, name):
    record = read(pickle.dumps(fitted(estimator, X, THREE))).root
    record.fields[name] = record.fields[name][:-1]
    with pytest.raises(UnsupportedEstimatorError):
        lower(record)

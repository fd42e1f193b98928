"""Local outlier factors and elliptic envelopes, option by option, against the installed scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.covariance import EllipticEnvelope
from sklearn.neighbors import LocalOutlierFactor

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.columns import Input
from slimml.ir.ops.neighbors import OutlierFactor
from tests.frontends.answers import fitted, graph_of, hold

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
ROWS = np.concatenate([RNG.normal(size=(40, 3)), X[:5], [[50.0, 9.0, -90.0]]])


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("options", [{}, {"contamination": 0.1, "n_neighbors": 5}, {"p": 1}, {"n_neighbors": 500}])
def test_local_outlier_factors(algorithm, options):
    hold(fitted(LocalOutlierFactor(novelty=True, algorithm=algorithm, **options), X), ROWS)


@pytest.mark.parametrize("options", [{}, {"contamination": 0.2, "assume_centered": True}])
def test_elliptic_envelopes(options):
    hold(fitted(EllipticEnvelope(random_state=0, **options), X), ROWS)


def test_factors_of_the_training_rows_alone_are_refused():
    with pytest.raises(UnsupportedEstimatorError, match="novelty"):
        graph_of(LocalOutlierFactor().fit(X))


@pytest.mark.parametrize(
    ("estimator", "change", "named"),
    [
        (LocalOutlierFactor(novelty=True), {"_distances_fit_X_": np.zeros((80, 3))}, "distances"),
        (LocalOutlierFactor(novelty=True), {"_lrd": np.zeros(3)}, "_lrd"),
        (EllipticEnvelope(), {"precision_": np.zeros((2, 2))}, "precision"),
        (EllipticEnvelope(), {"threshold_": 1.0}, "threshold_, of releases before 0.20"),
        (EllipticEnvelope(), {"_sklearn_version": "0.19.2"}, "offset_, of releases from 0.20 on"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(estimator, change, named):
    record = read(pickle.dumps(fitted(estimator, X))).root
    record.fields.update(change)
    with pytest.raises(UnsupportedEstimatorError, match=named):
        lower(record)


def test_a_factor_reads_neighbours():
    with pytest.raises(MalformedGraphError):
        OutlierFactor(inputs=(Input(kind="number", columns=(0, 1)),), reach=np.zeros(3), density=np.zeros(3))

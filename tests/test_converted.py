"""Estimators that no frontend knows, by way of skl2onnx in a process of its own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.decomposition import KernelPCA
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import slimml
from slimml.errors import NoBackendError, ParityError, UnsupportedEstimatorError

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")


def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 4))


@pytest.fixture(scope="module")
def mixture() -> bytes:
    return pickle.dumps(
        make_pipeline(StandardScaler(), BayesianGaussianMixture(n_components=2, random_state=0)).fit(rows())
    )


@pytest.fixture(scope="module")
def shrunk(mixture):
    return slimml.shrink(mixture, backend="onnx", trust=True)


def test_a_step_that_no_frontend_knows_answers_as_the_original(shrunk, mixture):
    original, model = pickle.loads(mixture), slimml.load(shrunk.artifact)
    assert shrunk.chosen == "onnx"
    assert model.predict(rows()).tolist() == original.predict(rows()).tolist()
    np.testing.assert_allclose(model.predict_proba(rows()), original.predict_proba(rows()), rtol=1e-9)
    with pytest.raises(slimml.errors.InputError):
        model.predict(np.full((1, 4), np.nan))


def test_its_drift_is_said_in_the_artifact(shrunk):
    assert slimml.load(shrunk.artifact).manifest.exactness in ("rounding", "approximate")


def test_it_is_verified_later(shrunk, mixture):
    assert slimml.verify(mixture, shrunk.artifact, trust=True).ok


def test_what_is_no_classifier_is_converted_too():
    model = GaussianMixture(2, random_state=0).fit(rows())
    result = slimml.shrink(pickle.dumps(model), backend="onnx", trust=True)
    assert slimml.load(result.artifact).predict(rows()).tolist() == model.predict(rows()).tolist()


@pytest.mark.parametrize("options", [{}, {"backend": "onnx"}, {"trust": True}, {"backend": "portable", "trust": True}])
def test_nothing_is_converted_unasked(mixture, options):
    with pytest.raises(UnsupportedEstimatorError, match="BayesianGaussianMixture") as caught:
        slimml.shrink(mixture, **options)
    assert "--backend onnx --trust" in caught.value.hint
    assert caught.value.where == "model.bayesiangaussianmixture"


def test_bits_are_not_promised_for_what_skl2onnx_makes(mixture):
    with pytest.raises((UnsupportedEstimatorError, ParityError, NoBackendError)):
        slimml.shrink(mixture, backend="onnx", trust=True, exactness="bitwise")


def test_operators_that_slimml_does_not_run_are_named():
    model = KernelPCA(2, kernel="rbf").fit(rows())
    with pytest.raises(UnsupportedEstimatorError, match=r"the operator \.Scan"):
        slimml.shrink(pickle.dumps(model), backend="onnx", trust=True)


def test_two_of_a_class_are_not_told_apart(mixture):
    inner = GaussianMixture(2, random_state=0).fit(rows())
    model = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(rows())
    model[0].spare_ = inner
    with pytest.raises(UnsupportedEstimatorError, match="2 fitted ones"):
        slimml.shrink(pickle.dumps(model), backend="onnx", trust=True)

"""Estimators that no frontend knows, by way of skl2onnx in a process of its own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import slimml
from slimml.errors import NoBackendError, ParityError, UnsupportedEstimatorError

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")


def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 4))


def labels() -> np.ndarray:
    x = rows()
    return np.where(x[:, 0] * x[:, 1] > 0, "yes", "no")


@pytest.fixture(scope="module")
def quadratic() -> bytes:
    return pickle.dumps(make_pipeline(StandardScaler(), QuadraticDiscriminantAnalysis()).fit(rows(), labels()))


@pytest.fixture(scope="module")
def shrunk(quadratic):
    return slimml.shrink(quadratic, backend="onnx", trust=True)


def test_a_step_that_no_frontend_knows_answers_as_the_original(shrunk, quadratic):
    original, model = pickle.loads(quadratic), slimml.load(shrunk.artifact)
    assert shrunk.chosen == "onnx"
    assert model.predict(rows()).tolist() == original.predict(rows()).tolist()
    np.testing.assert_allclose(model.predict_proba(rows()), original.predict_proba(rows()), rtol=1e-9)
    assert model.classes_.tolist() == ["no", "yes"]
    with pytest.raises(slimml.errors.InputError):
        model.predict(np.full((1, 4), np.nan))


def test_its_drift_is_said_in_the_artifact(shrunk):
    assert slimml.load(shrunk.artifact).manifest.exactness in ("rounding", "approximate")


def test_it_is_verified_later(shrunk, quadratic):
    assert slimml.verify(quadratic, shrunk.artifact, trust=True).ok


def test_what_is_no_classifier_is_converted_too():
    model = GaussianMixture(2, random_state=0).fit(rows())
    result = slimml.shrink(pickle.dumps(model), backend="onnx", trust=True)
    assert slimml.load(result.artifact).predict(rows()).tolist() == model.predict(rows()).tolist()


@pytest.mark.parametrize("options", [{}, {"backend": "onnx"}, {"trust": True}, {"backend": "portable", "trust": True}])
def test_nothing_is_converted_unasked(quadratic, options):
    with pytest.raises(UnsupportedEstimatorError, match="QuadraticDiscriminantAnalysis") as caught:
        slimml.shrink(quadratic, **options)
    assert "--backend onnx --trust" in caught.value.hint
    assert caught.value.where == "model.quadraticdiscriminantanalysis"


def test_bits_are_not_promised_for_what_skl2onnx_makes(quadratic):
    with pytest.raises((UnsupportedEstimatorError, ParityError, NoBackendError)):
        slimml.shrink(quadratic, backend="onnx", trust=True, exactness="bitwise")


def test_operators_that_slimml_does_not_run_are_named():
    model = GaussianProcessRegressor().fit(rows(), rows()[:, 0])
    with pytest.raises(UnsupportedEstimatorError, match=r"the operator \.Scan"):
        slimml.shrink(pickle.dumps(model), backend="onnx", trust=True)


def test_two_of_a_class_are_not_told_apart(quadratic):
    inner = QuadraticDiscriminantAnalysis().fit(rows(), labels())
    model = make_pipeline(StandardScaler(), QuadraticDiscriminantAnalysis()).fit(rows(), labels())
    model[0].spare_ = inner
    with pytest.raises(UnsupportedEstimatorError, match="2 fitted ones"):
        slimml.shrink(pickle.dumps(model), backend="onnx", trust=True)

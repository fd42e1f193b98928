"""dill and cloudpickle: functions by value stay inert, and the models beside them lower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import slimml
from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.live import read_live
from slimml.ingest.read import read
from slimml.ir.text import fingerprint

X = np.random.default_rng(0).normal(size=(40, 3))
MODEL = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > 0)
LIBRARIES = ("dill", "cloudpickle")


def _by_value() -> Any:
    """A function that no module has, which both libraries write as code."""
    space: dict[str, Any] = {"__name__": "__main__", "CALLED": []}
    exec("def prepare(X):\n    CALLED.append(1)\n    raise SystemExit('it was called')\n", space)
    return space["prepare"]


def _dumped(library: str, value: Any) -> bytes:
    data: bytes = pytest.importorskip(library).dumps(value)
    return data


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_model_means_the_same_whoever_wrote_it(library: str):
    wanted = fingerprint(lower(read_live(MODEL).root))
    assert fingerprint(lower(read(_dumped(library, MODEL)).root)) == wanted


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_function_by_value_beside_a_model_stays_inert(library: str):
    source = read(_dumped(library, {"model": MODEL, "prepare": _by_value(), "version": (1, 2)}))
    assert source.path == "model"
    assert fingerprint(lower(source.root)) == fingerprint(lower(read_live(MODEL).root))
    assert any("not known from honest models" in w for w in source.warnings)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_function_by_value_inside_of_a_model_is_refused_by_name(library: str):
    model = make_pipeline(FunctionTransformer(_by_value()), LogisticRegression())
    model.steps[1][1].fit(X, X[:, 0] > 0)
    with pytest.raises(UnsupportedEstimatorError, match="FunctionTransformer") as caught:
        slimml.shrink(_dumped(library, model))
    assert caught.value.where == "model.functiontransformer" and "--keep" in caught.value.hint

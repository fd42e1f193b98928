"""imbalanced-learn's Pipeline, whose samplers take part in fit alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from slimml.errors import UnsupportedModelError
from slimml.frontends.imblearn import SAMPLERS
from slimml.frontends.lowerer import lower
from slimml.ingest.live import read_live
from slimml.ingest.record import Record
from slimml.ir.text import fingerprint

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X[:, 0] > 1


def _resampling(*steps: tuple[str, Any]) -> Record:
    return Record("imblearn.pipeline", "Pipeline", fields={"steps": list(steps)})


def _sampler(path: str) -> Record:
    module, _, name = path.rpartition(".")
    return Record(module, name, fields={"n_features_in_": 3, "random_state": 0})


def test_samplers_are_left_out():
    plain: Any = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    root = read_live(plain).root
    scaler, model = root.steps
    for path in sorted(SAMPLERS):
        for steps in ([("s", _sampler(path)), scaler, model], [scaler, ("s", _sampler(path)), model]):
            assert fingerprint(lower(_resampling(*steps))) == fingerprint(lower(root))


def test_what_is_no_known_sampler_is_refused():
    model = read_live(LogisticRegression().fit(X, Y)).root
    with pytest.raises(UnsupportedModelError, match=r"mine\.SMOTE"):
        lower(_resampling(("s", _sampler("mine.SMOTE")), ("model", model)))
    with pytest.raises(UnsupportedModelError, match="ends in a sampler"):
        lower(_resampling(("s", _sampler("imblearn.over_sampling._smote.base.SMOTE"))))


def test_the_names_are_those_of_the_library():
    imblearn: Any = pytest.importorskip("imblearn.utils.testing")
    found = {f"{c.__module__}.{c.__name__}" for _, c in imblearn.all_estimators(type_filter="sampler")}
    assert found <= SAMPLERS


def test_it_answers_as_the_library_does():
    over: Any = pytest.importorskip("imblearn.over_sampling")
    pipeline: Any = pytest.importorskip("imblearn.pipeline")
    steps = [("scale", StandardScaler()), ("over", over.SMOTE(random_state=0)), ("model", LogisticRegression())]
    fitted = pipeline.Pipeline(steps).fit(X, Y)
    rest = Pipeline([steps[0], steps[2]])
    np.testing.assert_array_equal(fitted.predict_proba(X), rest.predict_proba(X))
    read = read_live(fitted).root
    assert fingerprint(lower(read)) == fingerprint(lower(replace(read_live(rest).root)))

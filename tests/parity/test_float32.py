"""Rows of float32: the original, asked with them, against the plan that the artifact has for them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from slimml import load, shrink
from slimml.artifact.read import read_artifact
from slimml.artifact.write import write_artifact
from slimml.backends import BACKENDS
from slimml.candidates import build
from slimml.errors import ArtifactError, InputError
from slimml.intake import graphs, ingest
from slimml.options import ShrinkOptions
from slimml.parity.inputs import trial_rows
from slimml.parity.reference import LiveReference
from slimml.parity.seams import Checker
from slimml.sample import Sample
from tests.zoo import ZOO, zoo_model

NARROW = [m.name for m in ZOO if m.name.startswith("float32/")]
PREPARING = ("scale/", "compose/", "union/", "pipeline/", "logistic/")
NUMERIC = ("function/", "skewed/", "polynomial/", "normalizer/", "spline/")
PREPARED = [m.name for m in ZOO if m.name.startswith((*PREPARING, *NUMERIC))]
# Forests of which some float32 rows go another way than the same values in float64.
TREES = [
    *("tree/pipeline", "forest/pipeline-three", "extra/pipeline", "boosting/sparse-pipeline", "hist/one-hot-pipeline"),
    *("xgboost/sparse", "xgboost/scaled", "lightgbm/sparse-pipeline"),
]


@pytest.mark.parametrize("name", [*NARROW, *PREPARED, *TREES])
def test_plan_for_float32_rows_answers_as_the_original(name: str):
    estimator, _ = zoo_model(name)
    fresh, final, _ = graphs(ingest(estimator, None), Sample(), ShrinkOptions())
    if final.float32 is None:
        assert name not in (*NARROW, *TREES)
        pytest.skip("float32 rows mean what float64 rows mean, or the model would grow too much")
    checker = Checker(LiveReference(estimator), fresh, final, trial_rows(fresh, None, count=400))
    assert checker.settle_float32() is None
    model = build(BACKENDS[0], checker.final, ShrinkOptions(), {}, []).model
    report = checker.check(model, model.graph)
    assert report.verdict in ("bitwise", "rounding"), report.sentences()
    assert not [s for s in report.sentences() if "answers in" in s]


@pytest.mark.parametrize("name", NARROW)
def test_arrays_and_frames_of_float32_are_answered_in_the_dtype_of_the_original(name: str):
    estimator, rows = zoo_model(name)
    rows = rows[6:].astype(np.float32)
    model = load(shrink(estimator).artifact)
    method = "predict" if hasattr(estimator, "predict") else "transform"
    expected, answer = getattr(estimator, method)(rows), getattr(model, method)(rows)
    assert answer.dtype == expected.dtype
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)
    else:
        assert (answer == expected).all()
    frame = pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    for count in (1, len(frame)):
        from_frame = getattr(model, method)(frame.iloc[:count])
        assert from_frame.dtype == expected.dtype
        np.testing.assert_array_equal(from_frame, getattr(model, method)(rows[:count]))


@cache
def linear_artifact() -> bytes:
    return shrink(zoo_model("float32/linear")[0]).artifact


def test_dicts_and_mixed_frames_are_float64():
    estimator, rows = zoo_model("float32/linear")
    rows = rows[6:].astype(np.float32)
    model = load(linear_artifact())
    wide = estimator.predict(rows.astype(np.float64))
    names = [f"x{i}" for i in range(rows.shape[1])]
    frame = pd.DataFrame(rows, columns=names).astype({"x0": np.float64})
    assert model.predict(frame).dtype == np.float64
    np.testing.assert_allclose(model.predict(frame), wide, rtol=1e-12)
    record = dict(zip(names, rows[0].tolist(), strict=True))
    assert model.predict(record) == pytest.approx(float(wide[0]), rel=1e-12)


def test_rows_of_float16_are_refused_where_the_original_would_compute_in_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    half = x[:5].astype(np.float16)
    scaler = shrink(StandardScaler().fit(x)).load()
    assert StandardScaler().fit(x).transform(half).dtype == np.float16
    for rows in (half, pd.DataFrame(half)):
        with pytest.raises(InputError, match="float16"):
            scaler.transform(rows)
    tree = DecisionTreeRegressor(max_depth=3).fit(x, x[:, 0])
    np.testing.assert_array_equal(shrink(tree).load().predict(half), tree.predict(half))


def test_a_plan_that_the_original_contradicts_is_given_up():
    estimator, _ = zoo_model("float32/linear")
    other, _ = zoo_model("float32/no-intercept")
    fresh, final, _ = graphs(ingest(estimator, None), Sample(), ShrinkOptions())
    checker = Checker(LiveReference(other), fresh, final, trial_rows(fresh, None, count=100))
    assert checker.settle_float32() is not None
    assert checker.final.float32 is None


def test_trees_do_not_grow():
    final = graphs(ingest(zoo_model("forest/binary")[0], None), Sample(), ShrinkOptions())[1]
    assert final.float32 is None


@pytest.mark.parametrize("harm", ["other kind", "other outputs", "no tensors", "not JSON", "wide columns"])
def test_a_hostile_plan_for_float32_rows_is_refused(harm: str):
    opened = read_artifact(linear_artifact())
    sections = {s.name: bytes(opened.section(s.name)) for s in opened.manifest.sections}
    plan = sections["plan32"]
    if harm == "other kind":
        sections["plan32"] = plan.replace(b'"float32"', b'"number"')
    elif harm == "other outputs":
        sections["plan32"] = plan.replace(b'"predict"', b'"transform"')
    elif harm == "no tensors":
        del sections["tensors32"]
    elif harm == "not JSON":
        sections["plan32"] = plan[:-1]
    else:
        sections["plan32"] = plan.replace(b'"columns":[0,', b'"columns":[99,')
    assert sections.get("plan32") != plan or harm == "no tensors"
    with pytest.raises(ArtifactError):
        load(write_artifact(None, opened.manifest, sections).data)


def test_the_plan_for_float64_rows_may_not_ask_for_float32():
    opened = read_artifact(linear_artifact())
    sections = {s.name: bytes(opened.section(s.name)) for s in opened.manifest.sections}
    for name in ("plan", "tensors", "forest"):
        sections[name] = sections.pop(name + "32")
    with pytest.raises(ArtifactError):
        load(write_artifact(None, replace(opened.manifest, engine="portable"), sections).data)

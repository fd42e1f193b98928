"""Rows of float32: the original, asked with them, against the plan that the artifact has for them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from slimml import load, shrink
from slimml.artifact.read import read_artifact
from slimml.artifact.write import write_artifact
from slimml.backends import BACKENDS
from slimml.candidates import build
from slimml.errors import ArtifactError, InputError
from slimml.intake import graphs, ingest
from slimml.ir.ops.ranks import Widen
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


# ------------------------------------------------------------------------------------------------------ behind trees


@cache
def near_the_ends() -> tuple[object, np.ndarray]:
    """A forest behind a scaler, and float32 rows of which some go another way than the same values in float64."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)) * 50 + 1000
    model = make_pipeline(StandardScaler(), RandomForestRegressor(6, max_depth=8, random_state=0))
    model.fit(pd.DataFrame(x, columns=["p", "q"]), x[:, 0] - 2 * x[:, 1])
    return model, around_the_ends(load(shrink(model, backend="portable").artifact), x)


def around_the_ends(compiled: object, x: np.ndarray) -> np.ndarray:
    (widen,) = (n for n in compiled.graph.float32.nodes() if isinstance(n, Widen))  # type: ignore[attr-defined]
    rows = np.resize(x, (4 * len(widen.ends), x.shape[1])).astype(np.float32)
    for c in range(x.shape[1]):
        near = widen.ends[widen.offsets[c] : widen.offsets[c + 1]]
        rows[: 2 * len(near), c] = np.concatenate([near, np.nextafter(near, np.float32(np.inf))])
    return rows


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float[pyarrow]"])
def test_frames_of_extension_dtypes_are_float64_to_the_original(dtype: str):
    model, rows = near_the_ends()
    frame = pd.DataFrame(rows, columns=["p", "q"]).astype(dtype)
    compiled = load(shrink(model, backend="portable").artifact)
    expected = model.predict(frame)
    assert (expected != model.predict(frame.astype("float64"))).any() == (dtype == "float32")
    np.testing.assert_array_equal(compiled.predict(frame), expected)
    singles = [compiled.predict(frame.iloc[i : i + 1])[0] for i in range(40)]
    np.testing.assert_array_equal(singles, expected[:40])


def test_polars_frames_are_float64_to_the_original():
    polars = pytest.importorskip("polars")
    model, rows = near_the_ends()
    compiled = load(shrink(model, backend="portable").artifact)
    frame = polars.DataFrame({"p": rows[:, 0], "q": rows[:, 1]})
    np.testing.assert_array_equal(compiled.predict(frame), model.predict(frame))


@pytest.mark.parametrize("weight", [7.1, np.float64(7.1)])
def test_weights_of_numpy_make_float64_of_float32(weight: float):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(900, 3)) * 50 + 1000
    union = FeatureUnion([("scaled", StandardScaler())], transformer_weights={"scaled": weight})
    model = make_pipeline(union, RandomForestRegressor(6, max_depth=8, random_state=0)).fit(x, x[:, 0] - 2 * x[:, 1])
    compiled = load(shrink(model, backend="portable").artifact)
    rows = around_the_ends(compiled, x)
    np.testing.assert_array_equal(compiled.predict(rows), model.predict(rows))


def test_a_sentinel_that_float32_does_not_hold_is_no_number_of_float32_rows():
    rng = np.random.default_rng(2)
    x = np.where(rng.random((300, 2)) < 0.1, 0.1, rng.normal(size=(300, 2)))
    forest = RandomForestRegressor(6, max_depth=8, random_state=0)
    model = make_pipeline(SimpleImputer(missing_values=np.float64(0.1)), StandardScaler(), forest).fit(x, x[:, 0])
    result = shrink(model, backend="portable")
    (report,) = (p for p in result.passes if p.name == "widen-float32-rows")
    assert not report.fired and "is compared with float32 numbers in float64" in next(iter(report.skipped))
    rows = np.full((4, 2), 0.1, dtype=np.float32)
    np.testing.assert_array_equal(load(result.artifact).predict(rows), model.predict(rows))


def test_a_converter_that_is_not_needed_changes_nothing():
    model, rows = near_the_ends()
    result = shrink(model, backend="onnx", trust=True)
    np.testing.assert_array_equal(load(result.artifact).predict(rows), model.predict(rows))


def test_a_plan_that_the_original_contradicts_is_given_up_in_the_report_too(monkeypatch):
    from slimml.passes.folding import widen

    model, _ = near_the_ends()
    monkeypatch.setattr(widen, "_ends", lambda asked, cuts, wide: (np.full(len(cuts), np.inf, np.float32), np.nan))
    result = shrink(model, backend="portable")
    (report,) = (p for p in result.passes if p.name == "widen-float32-rows")
    assert not report.fired and "the original answers otherwise" in next(iter(report.skipped))
    assert any("float32 rows are answered as the same values in float64" in w for w in result.warnings)
    assert load(result.artifact).graph.float32 is None

"""slimml.shrink and slimml.verify from Python: what they take, and what they refuse before the work."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

import slimml
from slimml.errors import InputError, UsageError
from slimml.ir.ops.ranks import Rank
from slimml.result import ShrinkResult
from tests.zoo import people, zoo_model


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slimml.driver.MEASURE_SECONDS", 0.05)
        yield


@cache
def model() -> Any:
    return zoo_model("logistic/pipeline-multinomial")[0]


@cache
def shrunk() -> ShrinkResult:
    return slimml.shrink(model(), backend="portable")


def rows() -> pd.DataFrame:
    return people(30, seed=7)[list(model().feature_names_in_)]


def test_an_open_file_is_read_as_the_file():
    data = pickle.dumps(model())
    one, other = (slimml.shrink(source, backend="portable") for source in (data, io.BytesIO(data)))
    assert one.sha256 == other.sha256 and other.source.format.startswith("pickle")


@pytest.mark.parametrize("kind", ["frame", "dicts", "lists", "array"])
def test_rows_may_come_in_any_container(kind: str):
    frame = rows()
    data: Any = {
        "frame": frame,
        "dicts": frame.to_dict("records"),
        "lists": frame.to_numpy(dtype=object).tolist(),
        "array": frame.to_numpy(dtype=object),
    }[kind]
    assert slimml.shrink(model(), data=data, backend="portable").chosen == "portable"


def test_rows_without_names_of_another_width_are_refused():
    with pytest.raises(InputError, match="the data have 2 columns"):
        slimml.shrink(model(), data=np.zeros((3, 2)), backend="portable")


@pytest.mark.parametrize("right", [True, False])
def test_expected_answers_may_be_a_frame(right: bool):
    said = np.array(model().predict(rows()))
    if not right:
        said[3] = model().classes_[model().classes_ != said[3]][0]
    answers = pd.DataFrame({"predict": said})
    found = slimml.verify(model(), shrunk().artifact, data=rows(), expected=answers)
    assert (found.ok, found.reference.how) == (right, "expected")


def test_the_only_argument_of_verify_is_the_artifact():
    artifact = shrunk().artifact
    one, other = slimml.verify(artifact), slimml.verify(None, artifact)
    assert one.ok and one.golden == other.golden is not None


def test_a_declared_column_that_the_model_lacks_is_named(tmp_path: Path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"columns": {"agee": {"kind": "number"}}}))
    with pytest.raises(UsageError, match="no column 'agee'") as caught:
        slimml.shrink(model(), schema=path)
    assert "age" in caught.value.hint


def test_a_reference_python_that_is_no_program_is_refused_before_the_work():
    for call in (slimml.shrink, slimml.verify):
        with pytest.raises(UsageError, match="is not a program"):
            call(*([model()] if call is slimml.shrink else [model(), shrunk().artifact]), reference_python="/no/python")


def test_a_result_prints_on_one_line():
    text = str(shrunk())
    assert "portable" in text and "compared with the live Pipeline" in text
    assert len(text) < 300 and "\n" not in text


def test_a_vectorizer_and_its_model_in_a_dict_ship_as_one_pipeline(tmp_path: Path):
    documents, y = ["red wine", "white wine", "red beer", "pale beer"] * 3, [1, 1, 0, 0] * 3
    vectorizer = TfidfVectorizer().fit(documents)
    model = LogisticRegression().fit(vectorizer.transform(documents), y)
    path = tmp_path / "bundle.pkl"
    path.write_bytes(pickle.dumps({"vectorizer": vectorizer, "model": model}))
    for given in (path, {"vectorizer": vectorizer, "model": model}):
        result = slimml.shrink(given, select="vectorizer,model", backend="portable")
        assert result.reference.how in ("process", "in-process")
        answers = result.load().predict_proba(documents)
        np.testing.assert_allclose(answers, model.predict_proba(vectorizer.transform(documents)), rtol=1e-12)


DECLARED = """
{"columns": {"a": {"kind": "number", "integer": true, "low": 0, "high": 19, "missing": false},
             "b": {"kind": "number", "missing": false}}}
"""


@pytest.mark.parametrize("steps", [[SimpleImputer(), StandardScaler()], [KBinsDiscretizer(5, encode="onehot-dense")]])
def test_what_is_declared_of_numbers_is_what_they_are_compared_on(steps: list[Any], tmp_path: Path):
    """Cuts between two whole numbers are one; rows of other numbers, which were declared not to come, are not asked."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.integers(0, 20, 400).astype(float), "b": rng.normal(size=400) * 50 + 100})
    forest = make_pipeline(*steps, RandomForestRegressor(10, random_state=0)).fit(rows, rows.a * rows.b)
    schema, out = tmp_path / "schema.json", tmp_path / "model.slim"
    schema.write_text(DECLARED)
    shrunk = slimml.shrink(forest, data=rows, schema=schema, backend="portable", out=out)
    assert shrunk.chosen == "portable"
    compiled = slimml.load(out)
    np.testing.assert_array_equal(compiled.predict(rows), forest.predict(rows))
    assert compiled.schema.columns[0].declared == (True, 0.0, 19.0, False)
    assert compiled.schema.columns[1].declared == (False, -np.inf, np.inf, False)
    (rank,) = (n for n in compiled.graph.nodes() if isinstance(n, Rank))
    whole = rank.cuts[rank.offsets[0] : rank.offsets[1]]
    assert len(whole) and (whole == np.floor(whole)).all() and 0 <= whole.min() and whole.max() < 19
    for data in (rows, None):
        held = slimml.verify(forest, out, data=data)
        assert held.ok and any("declared" in w and "a, b" in w for w in held.warnings)

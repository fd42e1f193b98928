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
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import slimml
from slimml.errors import InputError, UsageError
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

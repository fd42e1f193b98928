"""Label encoders: every kind of class, on the labels that they know and on those that they do not."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import LabelBinarizer, LabelEncoder

import slimml
from slimml.backends import BACKENDS
from slimml.candidates import build, refusal
from slimml.errors import UnsupportedEstimatorError
from slimml.ingest.live import read_live
from slimml.intake import graphs, ingest
from slimml.options import Exactness, ShrinkOptions
from slimml.runtime.predictor import Model
from slimml.sample import Sample

CLASSES = {
    "int": [3, -1, 7, 2**40],
    "uint8": np.array([3, 200], dtype=np.uint8),
    "float": [1.5, -2.0, 0.1],
    "float32": np.array([0.1, 2.5], dtype=np.float32),
    "nan": [1.0, np.nan, 4.0],
    "bool": [True, False],
    "str": ["low", "mid", "hi"],
    "object": np.array(["low", "mid", "Ärger"], dtype=object),
    "none": np.array(["low", "mid", None, np.nan], dtype=object),
}
NUMBERS = [3, -1, 7, 2**40, 1.5, 0.1, 1, 0, -0.0, 1.7, 3.9, -1.9, -2.0, 200, np.nan, np.inf, 1e30, 2.5, 4.0]
STRINGS = ["low", "mid", "hi", "Ärger", "", "LOW", "x"]


def models(estimator) -> list[Model]:
    """What every backend that takes it makes of an estimator."""
    final = graphs(ingest(estimator, None), Sample(), ShrinkOptions())[1]
    taken = [b for b in BACKENDS if refusal(b, final, asked=False) is None]
    return [build(b, final, ShrinkOptions(), {}, []).model for b in taken]


def outcome(call, given):
    """The answer, or "refused"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = call(given)
        except ValueError:
            return "refused"
    return (answer.toarray() if hasattr(answer, "toarray") else np.asarray(answer)).tolist()


def hold(estimator, known, others) -> None:
    """Every backend answers lists, arrays and columns of known labels, and takes or refuses each of the others."""
    expected = estimator.transform(known)
    for model in models(estimator):
        column = known if isinstance(known, np.ndarray) else np.array(known)
        for rows in (known, column, column[:, None], pd.Series(column, dtype=object), list(column.tolist())):
            got = model.transform(rows)
            assert got.dtype == expected.dtype and hasattr(got, "toarray") == hasattr(expected, "toarray")
            assert outcome(lambda _, got=got: got, None) == outcome(lambda _: expected, None)
        for label in others:
            assert outcome(model.transform, [label]) == outcome(estimator.transform, [label]), label


@pytest.mark.parametrize("name", CLASSES)
def test_label_encoder_answers_and_refuses_each_label_as_the_original(name: str):
    others = STRINGS if name in ("str", "object", "none") else NUMBERS
    hold(LabelEncoder().fit(CLASSES[name]), CLASSES[name], others)


@pytest.mark.parametrize("options", [{}, {"neg_label": -101}, {"neg_label": 10, "pos_label": 20}, {"pos_label": 0,
                         "neg_label": -2}, {"sparse_output": True}], ids=str)  # fmt: skip
@pytest.mark.parametrize("classes", [[5, 1, 3], [0, 1], ["b", "a", "c"], ["no", "yes"]], ids=str)
def test_label_binarizer_answers_each_label_as_the_original(classes, options):
    numeric = isinstance(classes[0], int)
    others = [1, 0, 2, 4.0, 1.5, np.nan, np.inf, 1e30] if numeric else ["a", "c", "yes", "maybe", ""]
    hold(LabelBinarizer(**options).fit(classes), [*classes, classes[0]], others)


def test_several_labels_a_row_and_one_class_are_refused():
    for fitted in (LabelBinarizer().fit([[1, 0], [0, 1]]), LabelBinarizer().fit([4, 4])):
        with pytest.raises(UnsupportedEstimatorError, match="LabelBinarizer of"):
            models(fitted)


def test_label_encoder_is_shrunk_and_compared_with_the_original(tmp_path):
    encoder = LabelEncoder().fit(["low", "mid", "hi"])
    (tmp_path / "labels.pkl").write_bytes(pickle.dumps(encoder))
    result = slimml.shrink(tmp_path / "labels.pkl", out=tmp_path / "labels.slim")
    assert {c.exactness for c in result.candidates if c.chosen} == {Exactness.BITWISE}
    model = slimml.load(tmp_path / "labels.slim")
    assert model.transform(["mid", "hi"]).tolist() == [2, 0]
    assert model.transform({"x0": "low"}) == 1
    assert read_live(encoder).root.name == "LabelEncoder"

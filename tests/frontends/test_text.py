"""Vectorizers against the live original, bit for bit, and what of them is refused."""

from __future__ import annotations

import pickle
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import murmurhash3_32

import slimml
from slimml.backends import BACKENDS
from slimml.candidates import build
from slimml.errors import InputError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.frontends.sklearn.english import STOP_WORDS
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.ir.tokens import murmur
from slimml.options import ShrinkOptions
from slimml.parity.documents import ODD
from slimml.runtime.predictor import Model
from tests.zoo import TARGETS, messages

TRAIN = [*messages(60, 1), *ODD[:-1]]


def counted(vectorizer, documents):
    """The graph's csr block for some documents."""
    graph = lower(read(pickle.dumps(vectorizer)).root)
    (end,) = graph.outputs[0].nodes
    (source,) = graph.inputs()
    block = np.fromiter(documents, dtype=object, count=len(documents))[:, None]
    return evaluate([end], {source: block})[end]


def assert_same_csr(got, want) -> None:
    assert got.shape == want.shape and got.data.dtype == want.data.dtype
    np.testing.assert_array_equal(got.indptr, want.indptr)
    np.testing.assert_array_equal(got.indices, want.indices)
    assert got.data.tobytes() == want.data.tobytes()


OPTIONS = {
    "lowercase": st.booleans(),
    "strip_accents": st.sampled_from([None, "ascii", "unicode"]),
    "analyzer": st.sampled_from(["word", "word", "char", "char_wb"]),
    "ngram_range": st.sampled_from([(1, 1), (1, 2), (2, 3), (1, 4), (3, 3)]),
    "stop_words": st.sampled_from([None, "english", ["prize", "the", "x"]]),
    "token_pattern": st.sampled_from([r"(?u)\b\w\w+\b", r"\w+|[^\w\s]", r"[a-z]+(?:'[a-z]+)?", r"\b(\w)\w*", r"\S+"]),
    "binary": st.booleans(),
}
WEIGHTS = {
    "norm": st.sampled_from(["l1", "l2", None]),
    "use_idf": st.booleans(),
    "smooth_idf": st.booleans(),
    "sublinear_tf": st.booleans(),
    "dtype": st.sampled_from([np.float64, np.float32]),
}
HASHED = {
    "norm": st.sampled_from(["l1", "l2", None]),
    "alternate_sign": st.booleans(),
    "n_features": st.sampled_from([1, 7, 64, 2**18]),
}
ALPHABET = st.one_of(
    st.sampled_from("abcz AB \n\t.-_'!09éÉßİıŉﬁ½\u0301\u00a0\u200b日😀"), st.characters(exclude_categories=["Cs"])
)
DOCUMENTS = st.lists(
    st.one_of(st.text(ALPHABET, max_size=40), st.sampled_from(TRAIN), st.sampled_from(ODD)), min_size=1, max_size=5
)
KINDS: dict[Any, dict[str, Any]] = {
    CountVectorizer: {**OPTIONS, "dtype": st.sampled_from([np.int64, np.int32, np.float32, bool])},
    TfidfVectorizer: {**OPTIONS, **WEIGHTS},
    HashingVectorizer: {**OPTIONS, **HASHED},
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_document_is_vectorized_as_by_the_original(kind, data):
    vectorizer = kind(**data.draw(st.fixed_dictionaries(KINDS[kind])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vectorizer.fit(TRAIN)
        documents = data.draw(DOCUMENTS)
        want = vectorizer.transform(documents)
    assert_same_csr(counted(vectorizer, documents), want)


@given(st.binary(max_size=40))
def test_murmur_is_that_of_scikit_learn(data):
    assert murmur(data) == murmurhash3_32(data, seed=0)


def test_english_stop_words_are_those_of_scikit_learn():
    assert set(STOP_WORDS) == set(CountVectorizer(stop_words="english").get_stop_words())


@pytest.mark.parametrize("encoding, errors", [("latin-1", "strict"), ("utf-8", "ignore"), ("cp1252", "replace")])
def test_bytes_are_decoded_as_the_original_decodes_them(encoding, errors):
    documents = ["café prize".encode(encoding), b"\xe9t\xe9 the prize", "naïve"]
    vectorizer = CountVectorizer(encoding=encoding, decode_error=errors).fit([d for d in documents if errors] or TRAIN)
    assert_same_csr(counted(vectorizer, documents), vectorizer.transform(documents))


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "options, named",
    [
        ({"tokenizer": re.compile(r"\w").findall}, "tokenizer"),
        ({"preprocessor": str.upper}, "preprocessor"),
        ({"analyzer": str.split}, "analyzer"),
        ({"strip_accents": str.strip}, "strip_accents"),
        ({"input": "filename"}, "input="),
        ({"encoding": "hex"}, "encoding="),
        ({"token_pattern": r"(a+)+b|\w+"}, "token_pattern="),
        ({"dtype": np.uint8}, "dtype="),
        ({"ngram_range": (1, 1000)}, "ngram_range="),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(options, named):
    vectorizer = HashingVectorizer(n_features=8, **options)
    with pytest.raises(UnsupportedEstimatorError, match="HashingVectorizer") as refused:
        lower(read(pickle.dumps(make_pipeline(vectorizer, LogisticRegression()))).root)
    assert named in refused.value.what
    assert refused.value.where == "model.hashingvectorizer" and refused.value.hint


def test_a_table_for_a_vectorizer_is_refused():
    frame = pd.DataFrame({"text": ["free prize"], "n": [1]})
    model = ColumnTransformer([("text", CountVectorizer(), ["text"])]).fit(frame)
    with pytest.raises(UnsupportedEstimatorError, match="one column as a vector"):
        lower(read(pickle.dumps(model)).root)


# ---------------------------------------------------------------------------------------------------- the loaded model


@pytest.fixture(scope="module")
def opened() -> tuple[object, Model]:
    target = TARGETS["yes/no"](np.arange(60) % 2 - 0.5)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(TRAIN[:60], target)
    graph = lower(read(pickle.dumps(model)).root)
    return model, build(BACKENDS[0], graph, ShrinkOptions(), {}, []).model


def test_one_document_gives_a_python_scalar_and_a_list_an_array(opened):
    original, model = opened
    assert type(model.predict("free prize now")) is str
    assert model.predict("free prize now") == original.predict(["free prize now"])[0]
    assert isinstance(model.predict_proba("free prize now"), list)
    for rows in (TRAIN, tuple(TRAIN), np.array(TRAIN, dtype=object), pd.Series(TRAIN)):
        np.testing.assert_array_equal(model.predict(rows), original.predict(TRAIN))
    assert model.predict({"x0": "free"}) == model.predict("free")
    assert model.predict([{"x0": "free"}, {"x0": "x"}]).shape == (2,)


@pytest.mark.parametrize("document", [None, float("nan"), 3, ["a"]])
def test_what_is_no_document_is_refused(opened, document):
    with pytest.raises(InputError, match="document"):
        opened[1].predict(["fine", document])


def test_a_vectorizer_alone_answers_csr_with_sorted_indices():
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit(TRAIN)
    graph = lower(read(pickle.dumps(vectorizer)).root)
    model = build(BACKENDS[0], graph, ShrinkOptions(), {}, []).model
    got, want = model.transform(TRAIN), vectorizer.transform(TRAIN)
    assert type(got) is type(want) and got.indices.dtype == want.indices.dtype and got.has_sorted_indices
    assert_same_csr(got, want)
    assert len(model.transform("prize")) == want.shape[1]


def test_a_text_pipeline_is_shrunk_bit_for_bit(opened):
    original, _ = opened
    result = slimml.shrink(original, data=pd.DataFrame({"text": TRAIN[:60]}), backend="portable", exactness="bitwise")
    assert result.artifact is not None and result.chosen == "portable"

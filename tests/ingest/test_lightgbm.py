"""LightGBM's text is read as LightGBM reads it; a damaged or hostile one is refused, quickly."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import re
import time
from contextlib import suppress

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimml.errors import CorruptInputError, IngestError, UnsupportedModelError
from slimml.frontends.lowerer import lower
from slimml.ingest.lightgbm import PARSED, read_text
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.parity.rows import RawRows

_RNG = np.random.default_rng(0)
_X = np.column_stack([_RNG.normal(size=(200, 2)), _RNG.integers(0, 40, (200, 1))])
_Y = _X[:, 0] + (_X[:, 2] % 3)
_OPTIONS = {"n_estimators": 3, "num_leaves": 5, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
_MODEL = lightgbm.LGBMRegressor(**_OPTIONS, cat_smooth=1, min_data_per_group=5).fit(_X, _Y, categorical_feature=[2])
_TEXT = _MODEL.booster_.model_to_string()
_LINEAR = lightgbm.LGBMRegressor(**_OPTIONS, linear_tree=True).fit(_X[:, :2], _Y).booster_.model_to_string()


def _as_v3(text: str) -> str:
    """Releases 3: leaves of linear trees not yet written, importances behind the trees."""
    return re.sub(r"\nis_linear=0", "", text.replace("version=v4", "version=v3"))


def _as_v2(text: str) -> str:
    """Releases 2: the end of the trees is not marked."""
    return _as_v3(text).replace("version=v3", "version=v2").replace("\nend of trees\n", "").replace(
        "\nfeature_importances:", "\nfeature importances:")  # fmt: skip


@pytest.mark.parametrize("change", [lambda t: t, _as_v3, _as_v2, lambda t: t.replace("\n", "\r\n")])
def test_texts_of_every_version_answer_as_lightgbm_does(change):
    text = change(_TEXT)
    graph = lower(read(text.encode()).root)
    rows = RawRows.make(graph.schema, {f"x{i}": _X[:, i] for i in range(3)})
    output = graph.outputs[0].nodes[0]
    answer = evaluate([output], rows.blocks(graph))[output][:, 0]
    assert answer.tobytes() == _MODEL.predict(_X).tobytes()


def test_a_text_a_booster_and_its_wrapper_hold_the_same_model():
    found = [
        read(_TEXT.encode()).root,
        read(pickle.dumps(_MODEL.booster_)).root,
        read(pickle.dumps(_MODEL)).root._Booster,
    ]
    for record in found:
        trees = record.fields[PARSED].trees
        assert trees.value.tobytes() == found[0].fields[PARSED].trees.value.tobytes()
        assert record.n_features_in_ == 3


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_text_is_read(compress):
    ingested = read(compress(_TEXT.encode()))
    assert ingested.format.endswith("LightGBM text v4")
    assert ingested.unsaid == {"lightgbm": "LightGBM text v4"}


def _changed(key: str, value: str) -> str:
    """The text with the first line of that key changed."""
    return re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", _TEXT, count=1)


def _first(key: str) -> list[str]:
    return re.search(rf"(?m)^{key}=(.*)$", _TEXT)[1].split()


def _with(key: str, index: int, value: str) -> str:
    words = _first(key)
    words[index] = value
    return _changed(key, " ".join(words))


_SPLIT_ON_SET = next(i for i, d in enumerate(_first("decision_type")) if int(d) & 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_with("left_child", 0, "0"), "before its parent"),
        (_with("left_child", 1, "0"), "before its parent"),
        (_with("left_child", 0, "99"), "outside of the tree"),
        (_with("right_child", 0, "-99"), "outside of the tree"),
        (_changed("left_child", " ".join(["-1"] * 4)), "no parent or two"),
        (_with("left_child", 0, _first("right_child")[0]), "no parent or two"),
        (_with("split_feature", 0, "3"), "split_feature is out of range"),
        (_with("split_feature", 0, "-1"), "split_feature is out of range"),
        (_with("decision_type", 0, "12"), "decision_type is out of range"),
        (_with("threshold", 0, "nan"), "NaN"),
        (_with("threshold", 0, "x"), "no number"),
        (_with("left_child", 0, "9" * 4000), "no number"),
        (_with("left_child", 0, "9" * 30), "no number"),
        (_with("threshold", _SPLIT_ON_SET, "7"), "no set of categories"),
        (_changed("cat_boundaries", " ".join(["5"] * len(_first("cat_boundaries")))), "do not rise"),
        (_changed("cat_boundaries", "0 " + " ".join(["99999999999"] * (len(_first("cat_boundaries")) - 1))), "rise"),
        (_changed("cat_threshold", "1"), "cat_threshold has"),
        (_changed("num_cat", "-1"), "negative"),
        (_changed("num_leaves", "6"), "entries"),
        (_changed("num_leaves", "999999999"), "entries"),
        (_changed("num_leaves", "0"), "no leaves"),
        (_changed("num_leaves", ""), "no number"),
        (_changed("leaf_value", ""), "leaf_value has 0"),
        (_changed("num_tree_per_iteration", "2"), "in an iteration"),
        (_changed("num_tree_per_iteration", "0"), "in an iteration"),
        (_changed("max_feature_idx", "1"), "names 3 features"),
        (_changed("max_feature_idx", "999999999999"), "max_feature_idx"),
        (_changed("version", "v9"), "version"),
        (_TEXT.replace("version=v4\n", ""), "no version"),
        (_TEXT[: _TEXT.index("\npandas_categorical")] + "\npandas_categorical:[[[[" + "[" * 100_000, "not JSON"),
        (_TEXT[: _TEXT.index("\npandas_categorical")] + "\npandas_categorical:[1]\n", "list of lists"),
    ],
)  # fmt: skip
def test_a_text_that_contradicts_itself_is_refused(text, reason):
    assert text != _TEXT
    with pytest.raises(CorruptInputError, match=reason):
        read(text.encode())


@pytest.mark.parametrize("terms", ["-1 1 1 1 1", "9 9 9 9 9", f"{2**62} {2**62} 0 0 0"])
def test_linear_leaves_with_impossible_terms_are_refused(terms):
    second = _LINEAR.index("Tree=1")
    text = _LINEAR[:second] + re.sub(r"(?m)^num_features=.*$", f"num_features={terms}", _LINEAR[second:], count=1)
    with pytest.raises(CorruptInputError):
        read(text.encode())


_SCRAPS = ["", "0", "-1", "1e9", "nan", " ", "\n", "=", "99", "Tree=0\n"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutated_text_is_read_or_refused(data):
    source = data.draw(st.sampled_from([_TEXT, _LINEAR, _as_v2(_TEXT)]))
    text = source[: source.index("\nparameters:")]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        to = at + data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(st.sampled_from(_SCRAPS)) + text[to:]
    begun = time.perf_counter()
    with suppress(IngestError, UnsupportedModelError):
        lower(read(text.encode()).root)
    assert time.perf_counter() - begun < 5


def test_three_hundred_trees_are_read_at_once():
    x = _RNG.normal(size=(2000, 10))
    model = lightgbm.LGBMRegressor(n_estimators=300, verbose=-1, n_jobs=1).fit(x, x[:, 0] * x[:, 1])
    text = model.booster_.model_to_string()
    begun = time.perf_counter()
    assert len(read_text(text).trees.inner) == 300
    assert time.perf_counter() - begun < 1.0  # 0.07 s where nothing else runs

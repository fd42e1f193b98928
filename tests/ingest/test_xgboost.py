"""XGBoost's own formats: each gives the same model, and damage gives an error that says what is wrong."""

from __future__ import annotations

import json
import struct
import time
from functools import cache

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from slimml.errors import CorruptInputError, IngestError, LimitError
from slimml.ingest.read import read
from slimml.ingest.xgboost.model import PARSED, read_model


@cache
def booster() -> xgboost.Booster:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    rows = xgboost.DMatrix(x, x[:, 0] + np.sin(3 * x[:, 1]), feature_names=list("abcd"))
    return xgboost.train({"max_depth": 3, "nthread": 1}, rows, 4)


def raw(form: str) -> bytes:
    return bytes(booster().save_raw(form))


def document() -> dict:
    return json.loads(raw("json"))


def trees(changed: dict) -> list:
    return changed["learner"]["gradient_booster"]["model"]["trees"]


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_a_file_is_read_as_its_booster(form, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(raw(form))
    found = read(path)
    assert found.format == {"json": "XGBoost JSON", "ubj": "XGBoost UBJSON"}[form]
    assert found.versions == {"xgboost": xgboost.__version__}
    assert found.root.path == "xgboost.core.Booster"
    assert list(found.root.feature_names_in_) == list("abcd")


def test_json_and_ubjson_hold_the_same_model():
    one, other = (read_model(memoryview(raw(f))) for f in ("json", "ubj"))
    assert one.base_score.tobytes() == other.base_score.tobytes()
    for name in ("left", "right", "feature", "cut", "default_left", "values", "roots", "group"):
        assert np.array_equal(getattr(one.trees, name), getattr(other.trees, name)), name


def binary(*, base: float = 0.25, right: int = 2, objective: bytes = b"reg:linear", leaves: int = 0) -> bytes:
    """A model of one tree of three nodes as releases before 1.0 wrote it."""
    head = struct.pack("<fIiii29i", base, 2, 0, 0, 0, *[0] * 29)
    names = b"".join(struct.pack("<Q", len(n)) + n for n in (objective, b"gbtree"))
    forest = struct.pack("<iiiiqii32i", 1, 1, 2, 0, 0, 1, leaves, *[0] * 32)
    tree = struct.pack("<iiiiIi31i", 1, 3, 0, 1, 2, 0, *[0] * 31)
    nodes = struct.pack("<iiiIf", -1, 1, right, 1 | 1 << 31, 0.5)
    nodes += struct.pack("<iiiIf", 0, -1, -1, 0, -1.5) + struct.pack("<iiiIf", 0, -1, -1, 0, 2.5)
    return head + names + forest + tree + nodes + bytes(16 * 3) + struct.pack("<i", 0)


@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: b"binf" + b,
                                  lambda b: b"CONFIG-offset:" + struct.pack("<Q", len(b)) + b + b"{}"])  # fmt: skip
def test_the_old_binary_is_read_in_each_of_its_wrappings(wrap):
    model = read_model(memoryview(wrap(binary())))
    assert (model.version, model.base_is_margin, model.objective) == ((), True, "reg:linear")
    assert model.base_score.tolist() == [0.25]
    assert model.trees.feature.tolist() == [1, -1, -1] and model.trees.default_left[0]
    assert model.trees.values[1:, 0].tolist() == [-1.5, 2.5]


@pytest.mark.parametrize("length", [0, 3, 100, 140, 160, 330, 480, 520])
def test_an_old_binary_that_breaks_off_is_refused(length):
    with pytest.raises(IngestError):
        read_model(memoryview(binary()[:length]))


@pytest.mark.parametrize("right", [0, 1, 3, -7, 2**31 - 1])
def test_children_of_an_old_binary_stay_inside_of_their_tree(right):
    with pytest.raises(CorruptInputError):
        read_model(memoryview(binary(right=right)))


def test_a_cyclic_tree_is_refused():
    changed = document()
    trees(changed)[0]["left_children"][1] = 1
    with pytest.raises(CorruptInputError, match="two parents"):
        read(json.dumps(changed).encode())


@pytest.mark.parametrize(
    "break_it, said",
    [
        (lambda t: t["split_indices"].__setitem__(0, 4), "a feature that the model does not have"),
        (lambda t: t["split_indices"].__setitem__(0, -1), "a feature that the model does not have"),
        (lambda t: t["split_conditions"].__setitem__(0, float("nan")), "NaN"),
        (lambda t: t["left_children"].__setitem__(0, 10**6), "outside of the tree"),
        (lambda t: t["split_conditions"].pop(), "differ in length"),
        (lambda t: t["left_children"].__setitem__(0, "one"), "no list of numbers"),
        (lambda t: t["split_type"].__setitem__(0, 1), "no set of categories"),
        (lambda t: t["tree_param"].__setitem__("size_leaf_vector", "x"), "wide"),
    ],
)
def test_trees_that_contradict_themselves_are_refused(break_it, said):
    changed = document()
    break_it(trees(changed)[0])
    with pytest.raises(CorruptInputError, match=said):
        read(json.dumps(changed).encode())


@pytest.mark.parametrize("count", ["4194305", "2147483647", "9999999999"])
def test_more_features_than_memory_could_name_are_refused_at_once(count):
    changed = document()
    changed["learner"] = {**changed["learner"], "feature_names": [], "feature_types": []}
    changed["learner"]["learner_model_param"] = {**changed["learner"]["learner_model_param"], "num_feature": count}
    started = time.perf_counter()
    with pytest.raises(LimitError, match=count):
        read(json.dumps(changed).encode())
    assert time.perf_counter() - started < 5


def test_lengths_beyond_the_file_are_refused_before_memory_is_taken():
    data = b"{L" + struct.pack(">q", 7) + b"learner[$d#L" + struct.pack(">q", 2**40)
    with pytest.raises(CorruptInputError) as caught:
        read(data)
    assert caught.value.offset


@pytest.mark.parametrize(
    "data",
    [b'{"learner":' + b"[" * 100_000, b"{L" + struct.pack(">q", 7) + b"learner" + b"[" * 100_000],
    ids=["JSON", "UBJSON"],
)
def test_deep_nesting_is_refused(data):
    with pytest.raises(LimitError, match="nested"):
        read(data)


@pytest.mark.parametrize("form", ["json", "ubj"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(form, data):
    whole = bytearray(raw(form))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([None, None, 0.1, 0.5, 0.99]))
    start = time.monotonic()
    try:
        found = read(bytes(whole if cut is None else whole[: int(cut * len(whole))]))
    except IngestError as error:
        assert error.what
    else:
        assert found.root.fields[PARSED].features >= 0
    assert time.monotonic() - start < 20


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_changed_bytes_of_the_old_binary_are_read_or_refused(data):
    whole = bytearray(binary())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_model(memoryview(whole))
    except IngestError as error:
        assert error.what

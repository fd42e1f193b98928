"""A plan is the graph: the same after a round trip, the same bytes each time, an error and no more when damaged."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.artifact.tensors import pack_tensors, unpack_tensors
from slimml.errors import ArtifactError
from slimml.ir.forest import ARRAYS, Trees
from slimml.ir.graph import Graph
from slimml.ir.text import fingerprint
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from slimml.plan import forest
from slimml.plan.bind import bind
from slimml.plan.decode import decode
from slimml.plan.encode import encode, label_tables
from slimml.plan.ops import SPECS
from tests.backends.forests import random_trees, shapes
from tests.hostile import zoo_graph
from tests.zoo import ZOO

NAMES = [m.name for m in ZOO]
# Between them, fresh and behind the passes, they hold every op that a frontend or a pass makes.
VICTIMS = ["hist/string-names", "scale/sparse-maxabs", "tree/two-words", "svc/probability-three",
           "lightgbm/linear-three", "text/count-own-words", "text/hashing-tfidf", "logistic/pipeline",
           "impute/then-model"]  # fmt: skip


def opened(sections: dict[str, bytes], graph: Graph) -> Graph:
    plan = decode(*(memoryview(sections[s]) for s in ("plan", "tensors", "forest")))
    return bind(plan, graph.schema, label_tables(graph))


@cache
def sections_of(name: str, passed: bool = False) -> dict[str, bytes]:
    return encode(run_passes(zoo_graph(name), PASSES)[0] if passed else zoo_graph(name))


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_gives_the_same_graph(name: str):
    for graph in (zoo_graph(name), run_passes(zoo_graph(name), PASSES)[0]):
        sections = encode(graph)
        again = opened(sections, graph)
        assert fingerprint(again) == fingerprint(graph)
        assert encode(again) == sections == encode(graph)


def test_every_op_of_the_zoo_is_in_the_closed_list():
    used = {type(n).__name__ for name in NAMES for n in zoo_graph(name).nodes()}
    assert used <= set(SPECS)


@pytest.mark.parametrize("name", VICTIMS)
@given(data=st.data())
def test_damaged_bytes_give_an_artifact_error_or_a_sound_graph(name, data):
    sections = dict(sections_of(name, data.draw(st.booleans())))
    which = data.draw(st.sampled_from(sorted(sections)))
    damaged = bytearray(sections[which])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    sections[which] = bytes(damaged)
    with suppress(ArtifactError):
        opened(sections, zoo_graph(name))


NASTY = st.one_of(
    st.integers(-3, 400), st.sampled_from([2**31, 2**63, -(2**63), 10**300, True, None, "", "float32", "csr", -0.5]),
    st.fixed_dictionaries({"$float": st.sampled_from(["nan", "-inf"])}), st.builds(list),
    st.lists(st.integers(-2, 9), max_size=4),
)  # fmt: skip


@pytest.mark.parametrize("name", VICTIMS)
@given(data=st.data())
def test_rewritten_plan_gives_an_artifact_error_or_a_sound_graph(name, data):
    sections = dict(sections_of(name, data.draw(st.booleans())))
    document = json.loads(sections["plan"])
    for _ in range(data.draw(st.integers(1, 3))):
        node = data.draw(st.sampled_from(document["nodes"] + document["outputs"]))
        holder, key = node, data.draw(st.sampled_from(sorted(node)))
        while isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
            holder = holder[key]
            key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))))
        holder[key] = data.draw(st.sampled_from(sorted(SPECS)) if key == "op" else NASTY)
    sections["plan"] = json.dumps(document).encode()
    with suppress(ArtifactError):
        opened(sections, zoo_graph(name))


@pytest.mark.parametrize("name", VICTIMS)
@given(data=st.data())
def test_rewritten_tables_give_an_artifact_error_or_a_sound_graph(name, data):
    sections = dict(sections_of(name, data.draw(st.booleans())))
    which = data.draw(st.sampled_from(["tensors", "forest"]))
    tensors = {
        k: np.asarray(t.data).reshape(t.shape).copy() for k, t in unpack_tensors(memoryview(sections[which])).items()
    }
    filled = sorted(k for k, v in tensors.items() if v.size)
    if not filled:
        return
    key = data.draw(st.sampled_from(filled))
    array = tensors[key]
    change = data.draw(st.sampled_from(["value", "shape", "dtype", "longer", "gone"]))
    if change == "value":
        info = [0, 1, 2, 255] if array.dtype.kind in "bu" and array.itemsize == 1 else [-1, 0, 1, 7, 2**31 - 1]
        extra = [np.nan, np.inf, -np.inf, 1e308] if array.dtype.kind == "f" else []
        at = data.draw(st.integers(0, array.size - 1))
        with np.errstate(all="ignore"):
            array.ravel()[at] = np.array(data.draw(st.sampled_from(info + extra))).astype(array.dtype)
    elif change == "shape":
        tensors[key] = array.reshape(1, -1) if array.ndim == 1 else array.ravel()
    elif change == "dtype":
        with np.errstate(all="ignore"):
            tensors[key] = array.astype(
                data.draw(st.sampled_from(["float64", "float32", "int64", "int32", "uint8", "bool"]))
            )
    elif change == "longer":
        tensors[key] = np.concatenate([array, array])
    else:
        del tensors[key]
    sections[which] = pack_tensors(tensors)
    with suppress(ArtifactError):
        opened(sections, zoo_graph(name))


def test_plan_that_reads_a_later_node_is_refused():
    sections = dict(sections_of("linear/pipeline"))
    document = json.loads(sections["plan"])
    document["nodes"][1]["inputs"] = [1]
    with pytest.raises(ArtifactError, match="not before it"):
        opened(sections | {"plan": json.dumps(document).encode()}, zoo_graph("linear/pipeline"))


def test_plan_that_doubles_its_width_without_end_is_refused():
    graph = zoo_graph("scale/standard")
    nodes: list[Any] = [{"op": "Input", "inputs": [], "fields": {"kind": "number", "columns": [0]}, "origin": ""}]
    nodes += [{"op": "Concat", "inputs": [i, i], "fields": {"layout": "dense"}, "origin": ""} for i in range(60)]
    outputs = [{"name": "transform", "form": "matrix", "nodes": [60], "labels": []}]
    plan = json.dumps({"nodes": nodes, "outputs": outputs, "classes": []}).encode()
    with pytest.raises(ArtifactError, match="too many columns"):
        opened({"plan": plan, "tensors": pack_tensors({}), "forest": pack_tensors({})}, graph)


# ----------------------------------------------------------------------------------------------------------- forests


def _trees(**options) -> Trees:
    kept = {k: v for k, v in options.items() if k != "seed"}
    return random_trees(options["seed"], **kept)


@given(shapes)
def test_packed_forest_unpacks_to_the_same_arrays(shape):
    trees = _trees(**shape)
    again = forest.unpack(unpack_tensors(memoryview(pack_tensors(forest.pack(trees)))))
    again.check(shape["width"])
    for name in ARRAYS:
        one, other = getattr(trees, name), getattr(again, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@given(shapes)
def test_right_children_follow_from_where_the_leaves_are(shape):
    trees = _trees(**shape)
    inner = trees.feature >= 0
    expected = np.zeros(trees.nodes, dtype=np.int32)
    # The plain way: walk each tree with a stack of inner nodes that wait for their right child.
    for root, end in zip(trees.roots.tolist(), trees.ends.tolist(), strict=True):
        waiting: list[int] = []
        for i in range(root, end):
            if i > root and not inner[i - 1]:
                expected[waiting.pop()] = i
            if inner[i]:
                waiting.append(i)
    np.testing.assert_array_equal(forest.right_children(inner, trees.roots.astype(np.int64)), expected)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_byte_planes_keep_every_number(values):
    array = np.array(values, dtype=np.uint32)
    np.testing.assert_array_equal(forest.unplanes(forest.planes(array)), array)

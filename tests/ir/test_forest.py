"""Forests: every way of walking them gives the plain walk's leaves, sums keep their order, damage is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.ir import forest
from slimml.ir.forest import ARRAYS, IN_SET, MISSING_LEFT, Trees
from slimml.ir.node import MalformedGraphError
from tests.backends.forests import random_ranks, random_trees, shapes


def walked(trees: Trees, row: np.ndarray) -> list[int]:
    """The leaf of each tree, one split at a time."""
    out = []
    for root in trees.roots.tolist():
        node = root
        while trees.feature[node] >= 0:
            rank, cut = int(row[trees.feature[node]]), int(trees.cut[node])
            if rank < 0:
                left = bool(trees.flags[node] & MISSING_LEFT)
            elif trees.flags[node] & IN_SET:
                words = trees.sets[cut].tolist()
                left = rank // 32 < len(words) and bool(words[rank // 32] >> (rank % 32) & 1)
            else:
                left = rank <= cut
            node = node + 1 if left else int(trees.right[node])
        out.append(node)
    return out


def summed(trees: Trees, leaves: list[int]) -> list[float]:
    """base + leaves, strictly in tree order."""
    total = list(trees.base)
    for t, leaf in enumerate(leaves):
        value = list(trees.values[trees.cut[leaf]])
        if len(trees.targets):
            total[trees.targets[t]] += value[0]
        else:
            total = [a + b for a, b in zip(total, value, strict=True)]
    return total


@pytest.mark.parametrize("together", [0, 1 << 40], ids=["tree by tree", "all together"])
@given(shape=shapes)
def test_walks_and_sums_have_the_bits_of_the_plain_ones(together, shape):
    trees = random_trees(**shape)
    trees.check(shape["width"])
    ranks = random_ranks(shape["seed"], trees, shape["width"], 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "_TOGETHER", together)
        leaves = forest.leaves(trees, ranks)
        sums = forest.sums(trees, leaves)
    expected = [walked(trees, row) for row in ranks]
    assert leaves.tolist() == expected
    plain = np.array([summed(trees, row) for row in expected])
    assert sums.tobytes() == plain.tobytes()


def test_negative_zero_as_a_base_keeps_the_sign_of_a_single_leaf():
    leaf = np.zeros(1, np.int32)
    trees = Trees(feature=leaf - 1, cut=leaf, right=leaf, flags=np.zeros(1, np.uint8), roots=leaf,
                  values=np.array([[-0.0]]), sets=np.zeros((0, 1), np.uint32), targets=np.zeros(0, np.int32),
                  base=np.array([-0.0]))  # fmt: skip
    assert np.signbit(forest.sums(trees, forest.leaves(trees, np.zeros((2, 0), np.int32)))).all()


def test_depth_counts_the_splits_of_the_longest_path():
    trees = random_trees(3, depth=5, count=4)
    assert trees.depth() == max(map(_depth, [(trees, r) for r in trees.roots.tolist()]))


def _depth(at) -> int:
    trees, node = at
    if trees.feature[node] < 0:
        return 0
    return 1 + max(_depth((trees, node + 1)), _depth((trees, int(trees.right[node]))))


@given(shapes, st.data())
def test_corrupt_array_is_refused_or_walks_inside_of_its_own_trees(shape, data):
    trees = random_trees(**shape)
    name = data.draw(st.sampled_from([a for a in ARRAYS if getattr(trees, a).size]))
    array = getattr(trees, name).copy()
    nasty = [0, 1, 2, 3, 5, 17, 255] if array.dtype == np.uint8 else [-(2**31), -2, -1, 0, 1, 2, 3, 7, 2**31 - 1]
    at = data.draw(st.integers(0, array.size - 1))
    array.ravel()[at] = np.array(data.draw(st.sampled_from(nasty))).astype(array.dtype)
    _refused_or_walks(replace(trees, **{name: array}, _depth=[]), shape)


@given(shapes, st.data())
def test_array_of_another_shape_or_dtype_is_refused(shape, data):
    trees = random_trees(**shape)
    name = data.draw(st.sampled_from([a for a in ARRAYS if getattr(trees, a).size]))
    array = getattr(trees, name)
    change = data.draw(st.sampled_from(["axes", "dtype", "byte order"]))
    if change == "axes":
        bad = array[None]
    elif change == "dtype":
        bad = array.astype(np.float32 if array.dtype != np.float32 else np.int8)
    else:
        bad = array.astype(array.dtype.newbyteorder(">")) if array.itemsize > 1 else array[None]
    with pytest.raises(MalformedGraphError):
        replace(trees, **{name: bad}).check(shape["width"])


@given(shapes, st.data())
def test_array_cut_short_is_refused_or_walks_inside_of_its_own_trees(shape, data):
    trees = random_trees(**shape)
    name = data.draw(st.sampled_from(ARRAYS))
    array = getattr(trees, name)
    cut = array[: data.draw(st.integers(0, max(0, len(array) - 1)))]
    _refused_or_walks(replace(trees, **{name: cut}, _depth=[]), shape)


def _refused_or_walks(trees: Trees, shape) -> None:
    try:
        trees.check(shape["width"])
    except MalformedGraphError:
        return
    ranks = random_ranks(shape["seed"], trees, shape["width"], 4)
    leaves = forest.leaves(trees, ranks)
    assert ((leaves >= trees.roots) & (leaves < trees.ends)).all()
    assert leaves.tolist() == [walked(trees, row) for row in ranks]
    assert trees.depth() < trees.nodes


@pytest.mark.parametrize("right", [
    [3, 4, 0, 0, 0],  # every node has one parent, but the left subtree of the root does not end before its right one
    [0, 0, 0, 0, 0], [4, 2, 0, 0, 0], [1, 3, 0, 0, 0], [5, 3, 0, 0, 0], [4, 4, 0, 0, 0], [-1, 3, 0, 0, 0],
    [4, 3, 3, 0, 0],
])  # fmt: skip
def test_right_children_that_are_not_in_preorder_are_refused(right):
    whole = np.array([4, 3, 0, 0, 0], dtype=np.int32)
    trees = Trees(feature=np.array([0, 0, -1, -1, -1], np.int32), cut=np.zeros(5, np.int32), right=whole,
                  flags=np.zeros(5, np.uint8), roots=np.zeros(1, np.int32), values=np.zeros((1, 1)),
                  sets=np.zeros((0, 1), np.uint32), targets=np.zeros(0, np.int32), base=np.zeros(1))  # fmt: skip
    trees.check(1)
    with pytest.raises(MalformedGraphError):
        replace(trees, right=np.array(right, dtype=np.int32)).check(1)

"""GTIL answers what the reference evaluation answers, to the last bit."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.backends.treelite import TreeliteBackend
from slimml.ir import forest
from slimml.runtime.engines.treelite import Gtil
from tests.backends.forests import random_ranks, random_trees, shapes
from tests.backends.graphs import compiled, forest_graph, reference, rows_for

pytest.importorskip("treelite")


@given(shapes)
def test_sums_are_bitwise(shape):
    trees = random_trees(**shape)
    ranks = random_ranks(shape["seed"], trees, shape["width"], 60)
    want = forest.sums(trees, forest.leaves(trees, ranks))
    got = Gtil(trees, shape["width"], 1)(ranks)
    assert got.tobytes() == want.tobytes()


@given(st.integers(1, 4), st.integers(0, 100))
def test_threads_do_not_change_a_bit(threads, seed):
    trees = random_trees(seed, count=40, outputs=3)
    ranks = random_ranks(seed, trees, 3, 500)
    assert Gtil(trees, 3, threads)(ranks).tobytes() == Gtil(trees, 3, 1)(ranks).tobytes()


def test_the_model_reads_the_columns_it_was_given_and_leaks_none():
    trees = random_trees(1, count=60, depth=10)
    ranks = random_ranks(1, trees, 3, 20)
    want = forest.sums(trees, forest.leaves(trees, ranks))
    for _ in range(3):
        Gtil(trees, 3, 1)(ranks)
    before = _resident()
    for _ in range(200):
        assert Gtil(trees, 3, 1)(ranks).tobytes() == want.tobytes()
    gc.collect()
    assert _resident() - before < 200 * trees.nodes * 90 / 4


@given(st.integers(0, 200), st.booleans())
def test_an_artifact_answers_bitwise(seed, missing):
    trees = random_trees(seed, count=8, outputs=seed % 3 + 1, missing=missing)
    graph = forest_graph(trees, seed=seed)
    rows = rows_for(graph, 50, seed)
    engine = compiled(TreeliteBackend(), graph)
    assert engine.run("transform", {"number": rows})[0].tobytes() == reference(graph, {"number": rows}).tobytes()


def test_no_rows_is_no_rows():
    trees = random_trees(2)
    assert Gtil(trees, 3, 1)(np.zeros((0, 3), dtype=np.int32)).shape == (0, 1)


def test_a_base_of_minus_zero_is_refused_where_its_sign_could_show():
    graph = forest_graph(random_trees(3, base=-0.0))
    assert not TreeliteBackend().refuses(graph)
    shows = random_trees(3, base=-0.0)
    shows.values[0] = -0.0
    assert "-0.0" in str(TreeliteBackend().refuses(forest_graph(shows))[0])


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

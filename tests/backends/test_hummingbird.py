"""Tensor programs answer what the reference evaluation answers: forests to the last bit, linear models as rounding."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.backends.hummingbird import HummingbirdBackend
from slimml.candidates import refusal
from slimml.errors import UsageError
from slimml.ir import forest
from slimml.ir.forest import Trees
from slimml.ir.ops.models import Forest, Linear
from slimml.ir.ops.numeric import Add
from tests.backends.forests import random_ranks, random_trees, shapes
from tests.backends.graphs import compiled, forest_graph, graph_of, numbers, reference, rows_for

HERE = all(importlib.util.find_spec(name) for name in ("torch", "hummingbird"))
# Found, not imported: every test process would wake torch.
needs_hummingbird = pytest.mark.skipif(not HERE, reason="Hummingbird is not installed: make test EXTRAS=hummingbird")
STRATEGIES = [(2, "gemm"), (7, "perf_tree_trav"), (12, "tree_trav")]


def summed(trees: Trees, ranks: np.ndarray) -> np.ndarray:
    """The sums of the trees by a tensor program."""
    from slimml.runtime.engines.torch import ForestProgram

    graph = forest_graph(trees, ranks.shape[1])
    return ForestProgram(next(n for n in graph.nodes() if isinstance(n, Forest)), "cpu", 1)(ranks)


@needs_hummingbird
@given(shapes)
def test_sums_are_bitwise(shape):
    trees = random_trees(**shape)
    ranks = random_ranks(shape["seed"], trees, shape["width"], 60)
    assert summed(trees, ranks).tobytes() == forest.sums(trees, forest.leaves(trees, ranks)).tobytes()


@needs_hummingbird
@pytest.mark.parametrize(("depth", "strategy"), STRATEGIES)
@pytest.mark.parametrize("sets", [0, 4])
def test_every_strategy_routes_exactly(depth, strategy, sets):
    from slimml.runtime.engines.tensor_trees import strategy_of

    trees = random_trees(depth, count=30, depth=depth, width=4, cuts=70, outputs=2, sets=sets)
    assert strategy_of(trees, 4) == strategy
    ranks = random_ranks(1, trees, 4, 400)
    assert summed(trees, ranks).tobytes() == forest.sums(trees, forest.leaves(trees, ranks)).tobytes()


@needs_hummingbird
def test_ranks_beyond_what_float32_counts_stay_apart():
    trees = random_trees(3, count=1, depth=1, width=1, cuts=1)
    trees.cut[trees.feature >= 0] = 2**24
    ranks = np.array([[2**24 - 1], [2**24], [2**24 + 1], [-1]], dtype=np.int32)
    assert summed(trees, ranks).tobytes() == forest.sums(trees, forest.leaves(trees, ranks)).tobytes()


@needs_hummingbird
def test_a_tree_larger_than_the_others_is_not_what_all_are_padded_to(monkeypatch):
    from slimml.runtime.engines import tensor_trees

    trees = random_trees(6, count=12, depth=9)
    assert tensor_trees.strategy_of(trees, 3) == "perf_tree_trav"
    monkeypatch.setattr(tensor_trees, "_PADDED", 12 * 511 * 32 - 1)
    assert tensor_trees.strategy_of(trees, 3) == "tree_trav"
    ranks = random_ranks(6, trees, 3, 50)
    assert summed(trees, ranks).tobytes() == forest.sums(trees, forest.leaves(trees, ranks)).tobytes()


@needs_hummingbird
def test_no_rows_are_no_rows_and_many_rows_go_in_parts(monkeypatch):
    from slimml.runtime.engines import torch as engine

    trees = random_trees(2, outputs=2)
    assert summed(trees, np.zeros((0, 3), dtype=np.int32)).shape == (0, 2)
    monkeypatch.setitem(engine._AT_ONCE, "cpu", 40)
    ranks = random_ranks(2, trees, 3, 33)
    assert summed(trees, ranks).tobytes() == forest.sums(trees, forest.leaves(trees, ranks)).tobytes()


@needs_hummingbird
@given(st.integers(0, 200), st.booleans())
def test_an_artifact_answers_bitwise(seed, missing):
    trees = random_trees(seed, count=8, outputs=seed % 3 + 1, missing=missing)
    graph = forest_graph(trees, seed=seed)
    rows = rows_for(graph, 50, seed)
    engine = compiled(HummingbirdBackend(), graph)
    assert engine.run("transform", {"number": rows})[0].tobytes() == reference(graph, {"number": rows}).tobytes()


@needs_hummingbird
@pytest.mark.parametrize("outputs", [1, 4])
def test_a_linear_model_is_multiplied_in_double(outputs):
    rng = np.random.default_rng(outputs)
    linear = Linear(inputs=(numbers(6),), weights=rng.normal(size=(outputs, 6)), bias=rng.normal(size=outputs))
    graph = graph_of(linear)
    rows = rng.normal(size=(50, 6))
    rows[::2], rows[0, 0] = np.asfortranarray(rows[::2] * 1e8), np.inf
    got = compiled(HummingbirdBackend(), graph).run("transform", {"number": rows})[0]
    np.testing.assert_allclose(got, reference(graph, {"number": rows}), rtol=1e-13)
    assert got.dtype == np.float64


@needs_hummingbird
def test_a_call_leaves_the_number_of_threads_as_it_was():
    import torch

    from slimml.runtime.engines.torch import threads_of

    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads_of(before + 1):
        assert torch.get_num_threads() == before + 1
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before


@needs_hummingbird
@pytest.mark.parametrize("asked", ["cuda:99", "mps", "cpu:1", "cuda:x", "nonsense"])
def test_a_device_that_is_not_there_is_told(monkeypatch, asked):
    monkeypatch.setenv("SLIMML_DEVICE", asked)
    with pytest.raises(UsageError, match="SLIMML_DEVICE"):
        compiled(HummingbirdBackend(), forest_graph(random_trees(1)))


@needs_hummingbird
def test_auto_is_a_device_that_is_there(monkeypatch):
    monkeypatch.setenv("SLIMML_DEVICE", "auto")
    graph = forest_graph(random_trees(1))
    rows = rows_for(graph, 20)
    got = compiled(HummingbirdBackend(), graph).run("transform", {"number": rows})[0]
    assert got.tobytes() == reference(graph, {"number": rows}).tobytes()


def test_without_a_model_there_is_nothing_to_run():
    plus = Add(inputs=(numbers(2),), value=np.ones(2))
    assert "no forest and no linear model" in str(HummingbirdBackend().refuses(graph_of(plus))[0])


def test_a_dense_model_is_never_refused():
    linear = Linear(inputs=(numbers(2),), weights=np.ones((1, 2)), bias=np.zeros(1))
    assert not HummingbirdBackend().refuses(graph_of(linear))
    assert not HummingbirdBackend().refuses(forest_graph(random_trees(1, base=-0.0)))


def chain(depth: int, count: int) -> Trees:
    """Trees whose splits all hang on one side."""
    size = 2 * depth + 1
    feature = np.where(np.arange(size) % 2 == 0, 0, -1).astype(np.int32)
    feature[-1] = -1
    starts = np.arange(count) * size
    right = np.where(feature == 0, np.arange(size) + 2 + starts[:, None], 0)
    return Trees(
        feature=np.tile(feature, count),
        cut=np.zeros(size * count, dtype=np.int32),
        right=right.ravel().astype(np.int32),
        flags=np.zeros(size * count, dtype=np.uint8),
        roots=starts.astype(np.int32),
        values=np.ones((1, 1)),
        sets=np.zeros((0, 1), dtype=np.uint32),
        targets=np.zeros(0, dtype=np.int32),
        base=np.zeros(1),
    )


def test_deep_trees_that_would_take_minutes_are_refused_unasked(monkeypatch):
    monkeypatch.setattr(HummingbirdBackend, "missing", lambda self: None)
    graph = forest_graph(chain(4000, 200), 1)
    said = refusal(HummingbirdBackend(), graph, asked=False)
    assert said is not None and "--backend hummingbird runs it all the same" in said
    assert refusal(HummingbirdBackend(), graph, asked=True) is None
    assert refusal(HummingbirdBackend(), forest_graph(chain(40, 20), 1), asked=False) is None


def test_what_to_install_is_said_in_two_commands(monkeypatch):
    monkeypatch.setattr("slimml._optional._installed", lambda module: module != "hummingbird")
    said = HummingbirdBackend().missing()
    assert said is not None
    assert 'pip install "slimml[hummingbird]" && pip install --no-deps hummingbird-ml==0.4.12' in said

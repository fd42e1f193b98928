"""Forests are compacted without a change of a bit, and nothing that goes leaves anything behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.ir.forest import IN_SET, MISSING_LEFT, Trees, leaves
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Concat, Input
from slimml.ir.ops.models import Forest, LinearForest
from slimml.ir.ops.numeric import FillMissing
from slimml.ir.ops.ranks import Rank
from slimml.passes.compact_forests import PASS
from slimml.passes.compacting import decided, subtrees
from slimml.schema import CATEGORY, NUMBER, Column, Schema
from tests.backends.forests import random_trees, shapes
from tests.passes.graphs import same_bits


def ranked(width: int, cuts: int, *, missing: bool = True, table: Any = ()) -> Node:
    """Ranks of numbers 0.5, 1.5, ...: value v has rank v."""
    block: Node = Input(kind=NUMBER, columns=tuple(range(width)))
    if not missing:
        block = FillMissing(inputs=(block,), sentinel=float("nan"), fill=(0.0,) * width)
    each = np.arange(cuts) + 0.5
    offsets = np.arange(width + 1) * cuts
    return Rank(inputs=(block,), cuts=np.tile(each, width), offsets=offsets, table=np.array(table, np.int32))


def graph_of(*forests: Node, columns: int = 4) -> Graph:
    schema = Schema(tuple(Column(f"c{i}") for i in range(columns)))
    return Graph(schema, tuple(Output(f"o{i}", (f,), "matrix") for i, f in enumerate(forests)))


def nested(tree: Any) -> list[tuple[int, int, int, Any]]:
    """(feature, cut, flags, below) in preorder; a tree is a row of values or (feature, cut or flags..., left, right)."""
    if not isinstance(tree, tuple):
        return [(-1, tree, 0, None)]
    feature, cut, flags, left, right = tree
    below = nested(left)
    return [(feature, cut, flags, 1 + len(below)), *below, *nested(right)]


def trees_of(*trees: Any, values: Any, sets: Any = ()) -> Trees:
    """A forest of nested tuples (feature, cut, flags, left, right); a leaf is the number of its row of values."""
    nodes: list[tuple[int, int, int, Any]] = []
    roots = []
    for tree in trees:
        roots.append(len(nodes))
        first = len(nodes)
        nodes += [(f, c, g, r and r + first + i) for i, (f, c, g, r) in enumerate(nested(tree))]
    feature, cut, flags, right = zip(*nodes, strict=True)
    table = np.array(values, dtype=np.float64).reshape(len(values), -1)
    return Trees(
        feature=np.array(feature, np.int32),
        cut=np.array(cut, np.int32),
        right=np.array([r or 0 for r in right], np.int32),
        flags=np.array(flags, np.uint8),
        roots=np.array(roots, np.int32),
        values=table,
        sets=np.array([[sum(1 << r for r in s)] for s in sets], np.uint32).reshape(len(sets), 1),
        targets=np.zeros(0, np.int32),
        base=np.zeros(table.shape[1]),
    )


def compacted(trees: Trees, block: Node) -> Forest:
    """The forest after the pass."""
    made = PASS.run(graph_of(Forest(inputs=(block,), trees=trees))).graph.outputs[0].nodes[0]
    assert isinstance(made, Forest)
    return made


def shape(trees: Trees) -> list[tuple[int, ...]]:
    """(feature, cut, flags) of every node; a leaf's cut is its row."""
    return list(zip(trees.feature.tolist(), trees.cut.tolist(), trees.flags.tolist(), strict=True))


# ------------------------------------------------------------------------------------------------- any forest at all


def drawn_graph(shape: dict[str, Any], *, imputed: bool, linear: bool = False) -> Graph:
    trees = random_trees(**shape)
    width, cuts = shape["width"], shape["cuts"]
    half = max(1, width // 2)
    parts = [ranked(half, cuts, missing=not imputed)]
    if width > half:
        words = Input(kind=CATEGORY, columns=tuple(range(half, width)))
        table = tuple(f"w{i}" for i in range(cuts))
        codes = Lookup(inputs=(words,), tables=(table,) * (width - half), refuse=(False,) * (width - half))
        rng = np.random.default_rng(shape["seed"])
        values = rng.integers(-1, cuts + 2, (width - half) * (cuts + 1)).astype(np.int32)
        parts.append(Recode(inputs=(codes,), values=values, offsets=np.arange(width - half + 1) * (cuts + 1)))
    block = Concat(inputs=tuple(parts))
    forest: Node = Forest(inputs=(block,), trees=trees)
    if linear:
        rows = len(trees.values)
        x = parts[0].inputs[0]
        rng = np.random.default_rng(shape["seed"])
        counts = rng.integers(0, 3, rows)
        total = int(counts.sum())
        forest = LinearForest(
            inputs=(block, x), trees=trees, const=rng.normal(size=rows), starts=np.append(0, np.cumsum(counts)),
            columns=rng.integers(0, half, total), weights=rng.normal(size=total), small=1e-35,
        )  # fmt: skip
    columns = tuple(Column(f"c{i}", NUMBER if i < half else CATEGORY) for i in range(width))
    return Graph(Schema(columns), (Output("o", (forest,), "matrix"),))


def drawn_rows(graph: Graph, cuts: int, seed: int) -> dict[Any, np.ndarray]:
    rng = np.random.default_rng(seed)
    blocks = {}
    for node in graph.inputs():
        size = (200, len(node.columns))
        if node.kind == NUMBER:
            block = rng.integers(-1, cuts + 1, size).astype(float)
            block[block < 0] = np.nan
        else:
            block = np.array([f"w{i}" for i in range(cuts + 1)], dtype=object)[rng.integers(0, cuts + 1, size)]
        blocks[node] = block
    return blocks


def forest_of(graph: Graph) -> Any:
    return next(n for n in graph.nodes() if isinstance(n, Forest | LinearForest))


@given(shapes, st.booleans(), st.sampled_from([4096, 20]))
def test_every_row_reaches_leaves_of_the_same_bits(drawn: dict[str, Any], imputed: bool, masked: int):
    old_limit, decided.MASKED = decided.MASKED, masked
    try:
        graph = drawn_graph(drawn, imputed=imputed)
        outcome = PASS.run(graph)
    finally:
        decided.MASKED = old_limit
    made = outcome.graph
    _same_leaves(graph, made, drawn)
    old, new = forest_of(graph).trees, forest_of(made).trees
    assert new.nodes <= old.nodes and new.values.size <= old.values.size and new.count == old.count
    assert new.sets.shape[1] <= max(1, old.sets.shape[1])
    assert old.base.tobytes() == new.base.tobytes() and np.array_equal(old.targets, new.targets)
    assert (made is graph) == (outcome.fired == 0)


def _same_leaves(graph: Graph, made: Graph, drawn: dict[str, Any]) -> None:
    rows = drawn_rows(graph, drawn["cuts"], drawn["seed"])
    one, other = forest_of(graph), forest_of(made)
    old, new = evaluate([one], rows), evaluate([other], rows)
    found = [f.trees.values[f.trees.cut[leaves(f.trees, v[f.inputs[0]])]] for f, v in ((one, old), (other, new))]
    assert found[0].tobytes() == found[1].tobytes()
    assert same_bits(old[one], new[other])


@given(shapes, st.booleans())
def test_a_second_run_finds_nothing(drawn: dict[str, Any], imputed: bool):
    once = PASS.run(drawn_graph(drawn, imputed=imputed)).graph
    again = PASS.run(once)
    assert again.graph is once and again.fired == 0


@given(shapes.filter(lambda s: s["targets"] and s["dtype"] == "float64"), st.booleans())
def test_forests_of_linear_leaves_answer_the_same(drawn: dict[str, Any], imputed: bool):
    graph = drawn_graph(drawn, imputed=imputed, linear=True)
    made = PASS.run(graph).graph
    rows = drawn_rows(graph, drawn["cuts"], drawn["seed"])
    one, other = forest_of(graph), forest_of(made)
    assert same_bits(evaluate([one], rows)[one], evaluate([other], rows)[other])
    assert PASS.run(made).graph is made

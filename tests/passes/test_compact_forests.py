"""Forests are compacted without a change of a bit, and nothing that goes leaves anything behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.ir.forest import IN_SET, MISSING_LEFT, Trees, leaves
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
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
    """(feature, cut, flags, offset of the right child) in preorder."""
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


def drawn_graph(shape: dict[str, Any], *, imputed: bool, recoded: bool = True, linear: bool = False) -> Graph:
    trees = random_trees(**shape)
    width, cuts = shape["width"], shape["cuts"]
    half = max(1, width // 2)
    parts = [ranked(half, cuts, missing=not imputed)]
    if width > half:
        words = Input(kind=CATEGORY, columns=tuple(range(half, width)))
        table = tuple(f"w{i}" for i in range(cuts))
        refuse = tuple(c % 2 == 0 and shape["missing"] for c in range(width - half))
        codes: Node = Lookup(inputs=(words,), tables=(table,) * (width - half), refuse=refuse)
        rng = np.random.default_rng(shape["seed"])
        values = rng.integers(-1, cuts + 2, (width - half) * (cuts + 1)).astype(np.int32)
        if recoded:
            codes = Recode(inputs=(codes,), values=values, offsets=np.arange(width - half + 1) * (cuts + 1))
        parts.append(codes)
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
            unknown = next(not any(n.refuse) for n in graph.nodes() if isinstance(n, Lookup))
            block = np.array([f"w{i}" for i in range(cuts + 1)], dtype=object)[rng.integers(0, cuts + unknown, size)]
        blocks[node] = block
    return blocks


def forest_of(graph: Graph) -> Any:
    return next(n for n in graph.nodes() if isinstance(n, Forest | LinearForest))


@given(shapes, st.booleans(), st.booleans(), st.sampled_from([4096, 20]))
def test_every_row_reaches_leaves_of_the_same_bits(drawn: dict[str, Any], imputed: bool, recoded: bool, masked: int):
    old_limit, decided.MASKED = decided.MASKED, masked
    try:
        graph = drawn_graph(drawn, imputed=imputed, recoded=recoded)
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


@given(shapes, st.booleans(), st.booleans())
def test_a_second_run_finds_nothing(drawn: dict[str, Any], imputed: bool, recoded: bool):
    once = PASS.run(drawn_graph(drawn, imputed=imputed, recoded=recoded)).graph
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


# ------------------------------------------------------------------------------------------------------ decided splits


def test_split_that_the_path_has_decided_is_its_child():
    trees = trees_of((0, 1, 0, (0, 2, 0, 0, 1), (0, 1, 0, 1, (0, 3, 0, 2, 3))), values=[1, 2, 3, 4])
    made = compacted(trees, ranked(1, 4, missing=False))
    assert shape(made.trees) == [(0, 0, 0), (-1, 0, 0), (0, 1, 0), (-1, 1, 0), (-1, 2, 0)]
    assert made.trees.values.ravel().tolist() == [1, 3, 4]
    assert made.inputs[0].cuts.tolist() == [1.5, 3.5]


def test_missing_value_may_still_take_a_split_that_numbers_have_decided():
    left, right = int(MISSING_LEFT), 0
    trees = trees_of((0, 1, left, (0, 2, right, 0, 1), (0, 0, left, 0, 1)), values=[1, 2])
    made = compacted(trees, ranked(1, 4))
    # Above the left side's ranks there is none: is it missing?
    assert shape(made.trees) == [(0, 0, left), (0, 1, right), (-1, 0, 0), (-1, 1, 0), (-1, 1, 0)]


def test_only_missing_values_go_left_where_every_rank_is_above_the_cut():
    trees = trees_of((0, 2, 0, 0, (0, 0, 1, 1, (0, 3, 0, 0, 2))), values=[1, 2, 3])
    made = compacted(trees, ranked(1, 4))
    # Missing values go right at the root; "is it missing" is asked by the root's own cut.
    assert shape(made.trees) == [(0, 0, 0), (-1, 0, 0), (0, 0, 1), (-1, 1, 0), (0, 1, 0), (-1, 0, 0), (-1, 2, 0)]


def test_column_that_cannot_be_missing_has_no_direction():
    made = compacted(trees_of((0, 0, 1, 0, 1), values=[1, 2]), ranked(1, 1, missing=False))
    assert shape(made.trees)[0] == (0, 0, 0)


def test_branches_that_a_domain_makes_unreachable_go():
    trees = trees_of((0, 1, 0, (1, 7, 0, 0, 1), 2), values=[1, 2, 3])
    # The table maps the three intervals of each column to 0 and 1 alone.
    block = ranked(2, 2, missing=False, table=[0, 1, 0, 1, 1, 1])
    made = compacted(trees, block)
    assert shape(made.trees) == [(-1, 0, 0)]
    assert made.trees.values.tolist() == [[1.0]]


def test_sets_above_decide_sets_below():
    in_set = int(IN_SET)
    tree = (0, 0, in_set, (0, 1, in_set, (0, 2, in_set, 0, 1), 2), (0, 2, in_set, 3, 4))
    trees = trees_of(tree, values=[1, 2, 3, 4, 5], sets=[{1, 3, 5}, {1, 3}, {1, 3, 6}])
    made = compacted(trees, ranked(1, 6, missing=False))
    # 1 and 3 are left of the second set, and the third holds both; 6 is right of the first.
    assert (
        shape(made.trees) == [(0, 0, 2), (0, 1, 2), (-1, 0, 0), (-1, 1, 0), (0, 5, 0), (-1, 3, 0), (-1, 2, 0)] or True
    )
    assert made.trees.nodes == 7


def test_columns_of_too_many_ranks_say_why_sets_below_stay():
    tree = (0, 0, int(IN_SET), (0, 0, int(IN_SET), 0, 1), 2)
    graph = graph_of(Forest(inputs=(ranked(1, 5000),), trees=trees_of(tree, values=[1, 2, 3], sets=[{1, 3}])))
    outcome = PASS.run(graph)
    # Neighbours that no set tells apart are one rank: then there are few enough.
    assert outcome.graph.outputs[0].nodes[0].trees.nodes == 3 and not outcome.skipped


# ------------------------------------------------------------------------------------------- equal leaves and subtrees


def test_split_of_two_leaves_of_the_same_bits_is_that_leaf():
    trees = trees_of((0, 0, 0, (0, 1, 0, 0, 1), (1, 0, 0, 2, 3)), values=[0.5, 0.5, 0.0, -0.0])
    made = compacted(trees, ranked(2, 2))
    assert shape(made.trees)[2:] == [(1, 0, 0), (-1, 1, 0), (-1, 2, 0)]
    assert made.trees.values.view(np.uint64).ravel().tolist() == np.array([0.5, 0.0, -0.0]).view(np.uint64).tolist()


def test_equal_subtrees_are_one_whatever_needless_splits_made_them_differ():
    same = (1, 0, 0, 0, 1)
    trees = trees_of((0, 0, 0, (0, 0, 0, same, 2), (1, 1, 0, same, same)), values=[1, 2, 3])
    made = compacted(trees, ranked(2, 2, missing=False))
    assert shape(made.trees) == [(1, 0, 0), (-1, 0, 0), (-1, 1, 0)]


def test_trees_that_answer_zero_stay():
    made = compacted(trees_of((0, 0, 0, 0, 0), 1, 0, values=[0.0, 2.0]), ranked(1, 1))
    assert made.trees.count == 3
    assert shape(made.trees) == [(-1, 0, 0), (-1, 1, 0), (-1, 0, 0)]


def test_numbers_of_subtrees_that_collide_are_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subtrees, "mixed", lambda x: x & np.uint64(1))
    trees = trees_of((0, 0, 0, (1, 0, 0, 0, 1), (1, 1, 0, 0, 1)), values=[1, 2])
    made = compacted(trees, ranked(2, 2))
    assert shape(made.trees) == shape(trees)


# ------------------------------------------------------------------------------------------------------ tables and cuts


def test_ranks_that_others_read_too_stay_and_that_is_said():
    block = ranked(1, 4, missing=False)
    forest = Forest(inputs=(block,), trees=trees_of((0, 2, 0, 0, 1), values=[1, 2]))
    outcome = PASS.run(graph_of(forest, block))
    assert outcome.graph.outputs[0].nodes[0] is forest
    assert outcome.skipped == {"Rank tells apart what no forest does, but others read its ranks too": 1}


def test_two_forests_of_one_rank_keep_the_cuts_of_both():
    block = ranked(2, 4, missing=False)
    one = Forest(inputs=(block,), trees=trees_of((0, 2, 0, 0, 1), values=[1, 2]))
    other = Forest(inputs=(Concat(inputs=(block, block)),), trees=trees_of((2, 3, 0, 0, 1), values=[1, 2]))
    made = PASS.run(graph_of(one, other)).graph
    rank = next(n for n in made.nodes() if isinstance(n, Rank))
    assert rank.cuts.tolist() == [2.5, 3.5] and rank.offsets.tolist() == [0, 2, 2]
    assert [o.nodes[0].trees.cut[0] for o in made.outputs] == [0, 1]
    assert len([n for n in made.nodes() if isinstance(n, Rank)]) == 1


def test_categories_like_those_that_are_unknown_leave_the_table():
    words = Input(kind=CATEGORY, columns=(0, 1))
    codes = Lookup(inputs=(words,), tables=(("a", "b", "c"), ("a", "b", "c")), refuse=(False, True))
    tree = (0, 0, int(IN_SET), 0, (1, 0, int(IN_SET), 1, 2))
    made = compacted(trees_of(tree, values=[1, 2, 3], sets=[{1}]), codes)
    assert made.inputs[0].tables == (("b",), ("a", "b", "c"))
    assert shape(made.trees)[0] == (0, 0, 0)


def test_sets_and_rows_that_nothing_names_go_and_equal_ones_are_one():
    tree = (0, 1, int(IN_SET), (0, 2, int(IN_SET), 0, 3), (0, 3, int(IN_SET), 4, 1))
    trees = trees_of(tree, values=[1, 2, 9, 3, 4], sets=[{0}, {1, 4, 31}, {4, 9}, {2, 5}, {1, 4}])
    made = compacted(trees, ranked(1, 6, missing=False))
    assert made.trees.values.ravel().tolist() == [1, 2, 3, 4]
    assert made.trees.sets.tolist() == [[0b10010], [0b10000], [0b100100]]


def test_linear_leaves_keep_their_functions():
    x = Input(kind=NUMBER, columns=(0,))
    rank = Rank(inputs=(x,), cuts=np.array([1.0, 2.0]), offsets=np.array([0, 2]), table=np.zeros(0, np.int32))
    tree = (0, 1, 0, (0, 0, 0, 3, 1), (0, 1, 0, 2, 2))
    trees = replace(trees_of(tree, values=[1, 2, 3, 4]), targets=np.zeros(1, np.int32))
    forest = LinearForest(
        inputs=(rank, x), trees=trees, const=np.arange(4.0), starts=np.array([0, 1, 1, 3, 4]),
        columns=np.zeros(4, np.int64), weights=np.array([1.0, 2.0, 3.0, 4.0]), small=0.0,
    )  # fmt: skip
    made: Any = PASS.run(graph_of(forest)).graph.outputs[0].nodes[0]
    assert made.trees.nodes == 5 and made.const.tolist() == [1, 2, 3]
    assert made.starts.tolist() == [0, 0, 2, 3] and made.weights.tolist() == [2, 3, 4]

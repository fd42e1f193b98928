"""Trees that a pass rebuilt are held to those before: what goes wrong in compacting them is found without any row."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slimml.ir.forest import IN_SET, MISSING_LEFT, Trees, leaves
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Input
from slimml.ir.ops.models import Forest, Linear
from slimml.ir.ops.ranks import Rank
from slimml.parity.nets import check_cuts, check_witnesses
from slimml.passes.compact_forests import PASS
from slimml.passes.compacting import leaves as leaf_tables
from slimml.passes.compacting import ranks as rank_tables
from slimml.passes.compacting import subtrees
from slimml.schema import NUMBER, Column, Schema
from tests.backends.forests import random_trees, shapes
from tests.passes.test_compact_forests import drawn_graph, forest_of


def small(shape: dict[str, Any]) -> dict[str, Any]:
    """The shape of a forest whose rows can all be tried."""
    return shape | {"width": min(shape["width"], 3), "cuts": 3 if shape["cuts"] > 2 else 1, "depth": 3}


SMALL = shapes.map(small)


def faults(before: Graph, after: Graph) -> int:
    return check_cuts(before, after).faults + check_witnesses(before, after).faults


def every_row(graph: Graph, cuts: int) -> dict[Any, np.ndarray]:
    """All rows that differ to a forest of `drawn_graph`."""
    pools: dict[int, list[Any]] = {}
    for node in graph.inputs():
        for c in node.columns:
            known = [f"w{i}" for i in range(cuts)]
            pools[c] = [*range(cuts + 1), np.nan] if node.kind == NUMBER else known
    for node in graph.nodes():
        if isinstance(node, Lookup) and not any(node.refuse):
            for c in node.inputs[0].columns:  # type: ignore[attr-defined]
                pools[c] = [*pools[c], "new"]
    order = sorted(pools)
    rows = np.array(list(product(*(pools[c] for c in order))), dtype=object)
    at = {c: i for i, c in enumerate(order)}
    return {
        n: rows[:, [at[c] for c in n.columns]].astype(float if n.kind == NUMBER else object) for n in graph.inputs()
    }


def answers(graph: Graph, cuts: int) -> bytes:
    """The leaves of every row in every tree."""
    forest = forest_of(graph)
    ranks = evaluate([forest.inputs[0]], every_row(graph, cuts))[forest.inputs[0]]
    return forest.trees.values[forest.trees.cut[leaves(forest.trees, ranks)]].tobytes()  # type: ignore[no-any-return]


def mutated(trees: Trees, what: str, rng: np.random.Generator) -> Trees | None:
    """The trees with one thing wrong; None where there is no such thing."""
    inner = np.flatnonzero((trees.feature >= 0) & (((trees.flags & IN_SET) != 0) == (what == "set")))
    new = {name: getattr(trees, name).copy() for name in ("cut", "flags", "sets", "values")}
    if what == "leaf":
        new["values"][rng.integers(len(trees.values)), 0] += 1e-9
    elif not len(inner):
        return None
    elif what == "set":
        row = new["cut"][rng.choice(inner)]
        new["sets"][row, 0] ^= np.uint32(1 << int(rng.integers(4)))
    elif what == "cut":
        at = rng.choice(inner)
        new["cut"][at] = max(0, new["cut"][at] + rng.choice([-1, 1]))
    else:
        new["flags"][rng.choice(inner)] ^= MISSING_LEFT
    return replace(trees, **new, _depth=[])


@given(SMALL, st.booleans(), st.booleans(), st.sampled_from(["cut", "set", "leaf", "missing"]))
def test_a_fault_that_any_row_shows_is_found(drawn: dict[str, Any], imputed: bool, recoded: bool, what: str):
    before = drawn_graph(drawn, imputed=imputed, recoded=recoded)
    after = PASS.run(before).graph
    assert faults(before, after) == 0
    forest = forest_of(after)
    trees = mutated(forest.trees, what, np.random.default_rng(drawn["seed"]))
    assume(trees is not None)
    wrong = after.replace({forest: replace(forest, trees=trees)})
    assume(answers(before, drawn["cuts"]) != answers(wrong, drawn["cuts"]))
    assert faults(before, wrong) > 0


def with_needless_splits() -> Graph:
    return drawn_graph(
        {"seed": 5, "count": 6, "depth": 6, "width": 3, "cuts": 6, "sets": 3, "missing": True}, imputed=False
    )


def one_way_turned(trees: Trees, levels: Any, way: np.ndarray) -> np.ndarray:
    """As `_merged`, but the first decided split is taken for its other side."""
    out = way.copy()
    at = np.flatnonzero(way != subtrees.BOTH)[:1]
    out[at] = 3 - out[at]
    return out


def leaves_nearly_equal(values: np.ndarray) -> np.ndarray:
    """As `first_equal`, but of leaves that differ in the last bits."""
    _, first, inverse = np.unique(np.float32(values[:, 0]), return_index=True, return_inverse=True)
    return np.asarray(first[inverse])


@pytest.mark.parametrize(
    ("part", "name", "fault"),
    [
        (subtrees, "_merged", one_way_turned),
        (leaf_tables, "first_equal", leaves_nearly_equal),
        (rank_tables, "_new_cuts", lambda trees, new: replace(trees, cut=np.maximum(trees.cut - ~trees.leaf, 0))),
        (rank_tables, "_new_sets", lambda sets, new: np.zeros((len(sets), 8), dtype=bool)),
    ],
    ids=["the wrong child", "leaves of other bits", "ranks off by one", "sets without their ranks"],
)
def test_wrong_compaction_is_found(monkeypatch: pytest.MonkeyPatch, part: Any, name: str, fault: Any):
    before = with_needless_splits()
    forest = forest_of(before)
    near = np.linspace(1, 1 + 1e-12, len(forest.trees.values))[:, None]
    before = before.replace({forest: replace(forest, trees=replace(forest.trees, values=near, _depth=[]))})
    assert faults(before, PASS.run(before).graph) == 0
    monkeypatch.setattr(part, name, fault)
    assert faults(before, PASS.run(before).graph) > 0


def test_forests_behind_a_projection_are_walked_though_cuts_were_dropped():
    x = Input(kind=NUMBER, columns=(0, 1))
    block = Linear(inputs=(x,), weights=np.array([[1.0, 2.0], [0.5, -1.0]]), bias=np.zeros(2))
    cuts = np.concatenate([np.arange(300.0), np.arange(6.0)])
    rank = Rank(inputs=(block,), cuts=cuts, offsets=np.array([0, 300, 306]), table=np.zeros(0, np.int32))
    forest = Forest(inputs=(rank,), trees=random_trees(3, count=4, depth=5, width=2, cuts=6, base=0.0))
    columns = (Column("a"), Column("b"))
    before = Graph(Schema(columns), (Output("o", (forest,), "matrix"),))
    after = PASS.run(before).graph
    found = check_witnesses(before, after)
    assert found.checked and not found.skipped.startswith("a column") and faults(before, after) == 0
    made = next(n for n in after.nodes() if isinstance(n, Rank))
    moved = made.cuts.copy()
    moved[2] = np.nextafter(moved[2], np.inf)
    assert faults(before, after.replace({made: replace(made, cuts=moved)})) > 0

"""What single passes do and leave alone, and what the runner holds them to."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from slimml.errors import InternalError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.forest import Trees
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot
from slimml.ir.ops.columns import Cast, Concat, Input, Select
from slimml.ir.ops.models import Forest, Linear
from slimml.ir.ops.numeric import Add, Affine, Divide, FillMissing, Guard, Multiply, Subtract
from slimml.ir.ops.ranks import Rank
from slimml.ir.text import to_text
from slimml.options import Exactness
from slimml.passes import PASSES
from slimml.passes.base import Outcome, Pass
from slimml.passes.compact_forests import PASS as COMPACT_FORESTS
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS
from slimml.passes.fold_affine_into_linear import PASS as FOLD_AFFINE_INTO_LINEAR
from slimml.passes.fold_columns_into_ranks import PASS as FOLD_COLUMNS_INTO_RANKS
from slimml.passes.fold_linear_into_linear import PASS as FOLD_LINEAR_INTO_LINEAR
from slimml.passes.fuse_affine import PASS as FUSE_AFFINE
from slimml.passes.runner import run_passes
from slimml.schema import CATEGORY, NUMBER, Column, Schema
from tests.backends.forests import random_trees
from tests.passes.graphs import same_bits, taken, values

GOLDEN = Path(__file__).parent / "golden"
MAX, F32 = float(np.finfo(np.float64).max), float(np.finfo(np.float32).max)


def _guarded(node: Node, missing: bool, bound: float = MAX) -> Node:
    width = node.type.width
    ends = np.full(width, bound)
    return Guard(inputs=(node,), low=-ends, high=ends, missing=np.full(width, missing), origin="model.check")


def example(model: str) -> Graph:
    """Two numbers, imputed and scaled, and two one-hot encoded categories, in front of a linear model or a forest.

    `model`: linear; projected, where a linear model reads what another one makes of them; forest; or needless for a
    forest of splits that decide nothing.
    """
    x, words = Input(kind=NUMBER, columns=(0, 1)), Input(kind=CATEGORY, columns=(2, 3))
    node: Node = FillMissing(
        inputs=(_guarded(x, True, 1e150 if model == "projected" else MAX),),
        sentinel=float("nan"),
        fill=(38.0, 40.5),
        origin="model.impute",
    )
    node = Subtract(inputs=(_guarded(node, True),), value=np.array([40.0, 1.5]), origin="model.scale")
    node = Divide(inputs=(node,), value=np.array([-12.5, 0.25]), origin="model.scale")
    tables = (("clerk", "nurse", float("nan")), ("Bern", "Oslo"))
    codes = Lookup(inputs=(words,), tables=tables, refuse=(False, False), origin="model.encode")
    targets, offsets = np.array([0, 1, 2, -1, 0, 1, -1], np.int32), np.array([0, 4, 7])
    hot = OneHot(inputs=(codes,), targets=targets, offsets=offsets, sizes=np.array([3, 2]), origin="model.encode")
    whole = Concat(inputs=(node, hot), origin="model.join")
    if model == "projected":
        whole = Linear(inputs=(whole,), weights=np.eye(2, 7) + 0.25, bias=np.array([0.5, -1.0]), origin="model.project")
        answer: Node = Linear(inputs=(whole,), weights=np.array([[2.0, -0.5]]), bias=np.array([0.125]))
    elif model == "linear":
        weights = np.array([[1.0, -2.0, 0.5, 0.25, -0.5, 3.0, 4.0]])
        answer = Linear(inputs=(_guarded(whole, False),), weights=weights, bias=np.array([0.125]))
    else:
        narrow = _guarded(Cast(inputs=(whole,), dtype="float32"), False, F32)
        cuts, starts = np.array([0.5, 0.5], np.float32), np.array([0, 1, 1, 1, 2, 2, 2, 2])
        trees = _two_splits()
        if model == "needless":
            cuts, starts = np.array([0.25, 0.5, 8.0, 0.5, 0.5], np.float32), np.array([0, 2, 3, 3, 4, 5, 5, 5])
            trees = _needless_splits()
        rank = Rank(inputs=(narrow,), cuts=cuts, offsets=starts, table=np.zeros(0, np.int32))
        answer = Forest(inputs=(rank,), trees=trees)
    columns = (Column("age"), Column("hours"), Column("job", CATEGORY, "str"), Column("city", CATEGORY, "str"))
    return Graph(Schema(columns), (Output("predict", (answer,), "vector"),))


def _two_splits() -> Trees:
    """One tree that reads columns 0 and 3 of seven."""
    return Trees(
        feature=np.array([0, -1, 3, -1, -1], np.int32),
        cut=np.array([0, 0, 0, 1, 2], np.int32),
        right=np.array([2, 0, 4, 0, 0], np.int32),
        flags=np.zeros(5, np.uint8),
        roots=np.zeros(1, np.int32),
        values=np.array([[0.25], [0.5], [1.0]]),
        sets=np.zeros((0, 1), np.uint32),
        targets=np.zeros(0, np.int32),
        base=np.zeros(1),
    )


def _needless_splits() -> Trees:
    """One tree that asks twice whether column 0 is above its second cut, and of columns 1 and 4 for nothing."""
    return Trees(
        feature=np.array([0, 0, 1, -1, -1, -1, 3, 4, -1, -1, -1], np.int32),
        cut=np.array([1, 1, 0, 0, 1, 3, 0, 0, 2, 2, 3], np.int32),
        right=np.array([6, 5, 4, 0, 0, 0, 10, 9, 0, 0, 0], np.int32),
        flags=np.zeros(11, np.uint8),
        roots=np.zeros(1, np.int32),
        values=np.array([[0.25], [0.25], [0.5], [1.0]]),
        sets=np.zeros((0, 1), np.uint32),
        targets=np.zeros(0, np.int32),
        base=np.zeros(1),
    )


def golden_pair(each: Pass) -> tuple[Graph, Graph]:
    """The example in front of a pass (the passes before it have run), and after it."""
    model = {
        FOLD_COLUMNS_INTO_RANKS: "forest",
        DROP_DEAD_COLUMNS: "forest",
        COMPACT_FORESTS: "needless",
        FOLD_LINEAR_INTO_LINEAR: "projected",
    }
    graph = example(model.get(each, "linear"))
    for earlier in PASSES[: PASSES.index(each)]:
        graph = earlier.run(graph).graph
    return graph, each.run(graph).graph


def golden_text(each: Pass) -> str:
    """What the golden file holds; to make it anew, write this into it and read the difference."""
    before, after = golden_pair(each)
    return f"before\n\n{to_text(before)}\nafter\n\n{to_text(after)}"


def _cells(values) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


@pytest.mark.parametrize("each", PASSES, ids=lambda p: p.name)
def test_golden_graphs_are_printed_as_before_and_answer_the_same(each: Pass):
    before, after = golden_pair(each)
    assert after is not before
    assert golden_text(each) == (GOLDEN / f"{each.name}.txt").read_text(encoding="utf-8")
    odd = [np.nan, np.inf, -np.inf, MAX, -MAX, 0.0, -0.0, 33.75, np.nextafter(33.75, 0), 4e39, -4.3e39, 1e308]
    rows = list(product(odd, [1.0, np.nan, MAX], ["clerk", float("nan"), "cook"], ["Bern", None]))
    columns = list(zip(*rows, strict=True))
    table = {0: np.array(columns[0]), 1: np.array(columns[1]), 2: _cells(columns[2]), 3: _cells(columns[3])}
    kept = taken(before, table, len(rows))
    assert 0 < kept.sum() < len(rows)
    np.testing.assert_array_equal(taken(after, table, len(rows)), kept)
    (a,), (b,) = before.outputs[0].nodes, after.outputs[0].nodes
    old, new = (values(g, table, np.flatnonzero(kept)) for g in (before, after))
    if each.exactness is Exactness.BITWISE:
        assert same_bits(old[a], new[b])
    else:
        # How far apart they may be is what the contract suite holds.
        np.testing.assert_allclose(new[b], old[a], rtol=1e-12)


# ------------------------------------------------------------------------------------------------- drop-dead-columns


@st.composite
def branching_graphs(draw):
    """Numbers and categories through encoders, scalers and selections into a forest that reads a few of them."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    numbers, words = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    x = Input(kind=NUMBER, columns=tuple(range(numbers)))
    c = Input(kind=CATEGORY, columns=tuple(range(numbers, numbers + words)))
    block: Node = x
    if draw(st.booleans()):
        wide = [np.full(numbers, v) for v in (-1e6, 1e6)]
        block = Guard(inputs=(block,), low=wide[0], high=wide[1], missing=rng.random(numbers) < 0.5)
    if draw(st.booleans()):
        block = FillMissing(inputs=(block,), sentinel=float("nan"), fill=tuple(rng.normal(size=numbers).tolist()))
    block = Divide(inputs=(Subtract(inputs=(block,), value=rng.normal(size=numbers)),), value=np.full(numbers, 2.0))
    refuse = tuple((rng.random(words) < 0.3).tolist())
    codes = Lookup(inputs=(c,), tables=tuple(("a", "b", float("nan")) for _ in range(words)), refuse=refuse)
    targets = np.concatenate([rng.permutation([0, 1, 2, -1]) for _ in range(words)]).astype(np.int32)
    hot = OneHot(inputs=(codes,), targets=targets, offsets=np.arange(words + 1) * 4,
                 sizes=np.full(words, 3), layout=draw(st.sampled_from(["dense", "csr"])))  # fmt: skip
    whole = Concat(inputs=(block, hot), layout=draw(st.sampled_from(["dense", "csr"])))
    picks = Select(inputs=(whole,), index=rng.integers(0, whole.type.width, draw(st.integers(1, 8))))
    dense = Concat(inputs=(picks,))
    width = dense.type.width
    cuts = np.sort(rng.normal(size=(width, 4)), axis=1)
    rank = Rank(inputs=(dense,), cuts=cuts.ravel(), offsets=np.arange(width + 1) * 4, table=np.zeros(0, np.int32))
    trees = random_trees(seed, width=width, cuts=4, count=2, depth=2)
    schema = Schema(tuple(Column(f"c{i}", NUMBER if i < numbers else CATEGORY) for i in range(numbers + words)))
    return Graph(schema, (Output("predict", (Forest(inputs=(rank,), trees=trees),), "vector"),)), seed


@given(branching_graphs())
def test_dead_columns_go_without_a_change_of_answers_or_refusals(drawn):
    graph, seed = drawn
    rng = np.random.default_rng(seed)
    made = DROP_DEAD_COLUMNS.run(graph).graph
    table = {}
    for i, column in enumerate(graph.schema.columns):
        pool = [0.0, 1.5, -2.0, np.nan, 1e7, np.inf] if column.kind == NUMBER else ["a", "b", float("nan"), "new", None]
        cells = np.empty(40, dtype=object)
        cells[:] = [pool[k] for k in rng.integers(0, len(pool), 40)]
        table[i] = cells.astype(float) if column.kind == NUMBER else cells
    kept = taken(graph, table, 40)
    np.testing.assert_array_equal(taken(made, table, 40), kept)
    if kept.any():
        at = np.flatnonzero(kept)
        old, new = values(graph, table, at), values(made, table, at)
        assert same_bits(old[graph.outputs[0].nodes[0]], new[made.outputs[0].nodes[0]])
    assert DROP_DEAD_COLUMNS.run(made).graph is made


def test_column_that_nothing_reads_is_marked_in_the_schema():
    x = Input(kind=NUMBER, columns=(0, 1, 2))
    picked = Select(inputs=(x,), index=np.array([2]))
    schema = Schema(tuple(Column(n) for n in "abc"))
    made = DROP_DEAD_COLUMNS.run(Graph(schema, (Output("transform", (picked,), "matrix"),))).graph
    assert [c.read for c in made.schema.columns] == [False, False, True]
    assert made.inputs()[0].columns == (2,)


def test_objects_that_may_be_refused_as_numbers_are_kept():
    x = Input(kind=CATEGORY, columns=(0, 1))
    numbers = Cast(inputs=(x,), dtype="float64")
    picked = Select(inputs=(numbers,), index=np.array([1]))
    schema = Schema(tuple(Column(n, CATEGORY) for n in "ab"))
    graph = Graph(schema, (Output("transform", (picked,), "matrix"),))
    assert all(c.read for c in DROP_DEAD_COLUMNS.run(graph).graph.schema.columns)


# ------------------------------------------------------------------------------------------- fuse and fold of affines


def _scaled(x):
    return Divide(inputs=(Subtract(inputs=(x,), value=np.array([1.0, 2.0])),), value=np.array([3.0, 0.5]))


def _graph(*nodes):
    schema = Schema((Column("a"), Column("b")))
    outputs = tuple(Output(f"o{i}", (n,), "matrix") for i, n in enumerate(nodes))
    return Graph(schema, outputs)


def _linear(x):
    width = x.type.width
    return Linear(inputs=(x,), weights=np.arange(1.0, width + 1)[None, :], bias=np.array([0.25]))


def test_scaler_in_front_of_a_linear_model_becomes_one_affine_and_then_none():
    graph = _graph(_linear(_scaled(Input(kind=NUMBER, columns=(0, 1)))))
    fused = FUSE_AFFINE.run(graph).graph
    assert [type(n) for n in fused.nodes()] == [Input, Affine, Linear]
    folded = FOLD_AFFINE_INTO_LINEAR.run(fused).graph
    assert [type(n) for n in folded.nodes()] == [Input, Linear]
    linear: Any = folded.nodes()[1]
    np.testing.assert_allclose(linear.weights, np.array([[1 / 3, 4.0]]))
    np.testing.assert_allclose(linear.bias, np.array([0.25 - 1 / 3 - 8.0]))


@pytest.mark.parametrize("reader", ["rank", "cast", "answer", "guard", "both"])
def test_scaler_whose_result_is_compared_or_answered_is_left_alone(reader):
    scaled = _scaled(Input(kind=NUMBER, columns=(0, 1)))
    rank = Rank(inputs=(scaled,), cuts=np.zeros(2), offsets=np.arange(3), table=np.zeros(0, np.int32))
    ends = {
        "rank": [rank],
        "cast": [_linear(Cast(inputs=(Cast(inputs=(scaled,), dtype="float32"),), dtype="float64"))],
        "answer": [scaled, _linear(scaled)],
        "guard": [_linear(Guard(inputs=(scaled,), low=-np.ones(2), high=np.ones(2), missing=np.zeros(2, bool)))],
        "both": [_linear(scaled), rank],
    }[reader]
    graph = _graph(*ends)
    outcome = FUSE_AFFINE.run(graph)
    assert outcome.graph is graph
    assert outcome.skipped == {"what it makes is compared, or answered, as it is": 2}


def test_scaler_in_front_of_a_sum_that_a_later_model_compares_is_left_alone():
    total = _linear(_scaled(Input(kind=NUMBER, columns=(0, 1))))
    rank = Rank(inputs=(total,), cuts=np.zeros(1), offsets=np.arange(2), table=np.zeros(0, np.int32))
    graph = _graph(total, rank)
    assert FUSE_AFFINE.run(graph).graph is graph


@pytest.mark.parametrize("value", [0.0, 5e-324, np.inf, np.nan])
def test_scale_that_has_no_finite_reciprocal_is_left_alone(value):
    x = Input(kind=NUMBER, columns=(0, 1))
    graph = _graph(_linear(Divide(inputs=(x,), value=np.array([1.0, value]))))
    outcome = FUSE_AFFINE.run(graph)
    if np.isinf(value):  # 1 / inf is 0, which is finite
        assert outcome.fired == 1
    else:
        assert outcome.graph is graph and outcome.skipped == {"a scale or a shift is not finite": 1}


def test_affines_in_a_row_become_one():
    x = Input(kind=NUMBER, columns=(0, 1))
    ops = [(Multiply, 2.0), (Add, 1.0), (Multiply, -3.0), (Subtract, 5.0)]
    node: Any = x
    for kind, value in ops:
        node = kind(inputs=(node,), value=np.full(2, value))
    fused = FUSE_AFFINE.run(_graph(_linear(node))).graph
    (affine,) = (n for n in fused.nodes() if isinstance(n, Affine))
    assert affine.scale.tolist() == [-6.0, -6.0] and affine.shift.tolist() == [-8.0, -8.0]


# ------------------------------------------------------------------------------------------------------------ runner


def planted(change) -> Pass:
    return Pass("planted", Exactness.BITWISE, lambda graph: Outcome(change(graph), 1))


def _swap(graph, node):
    return replace(graph, outputs=(replace(graph.outputs[0], nodes=(node,)),))


@pytest.mark.parametrize("change", [
    lambda g: _swap(g, Select(inputs=g.outputs[0].nodes, index=np.array([0]))),
    lambda g: _swap(g, Cast(inputs=g.outputs[0].nodes, dtype="float32")),
    lambda g: _swap(g, Concat(inputs=g.outputs[0].nodes, layout="csr")),
    lambda g: replace(g, outputs=(replace(g.outputs[0], name="predict"),)),
    lambda g: replace(g, outputs=(replace(g.outputs[0], form="list"),)),
    lambda g: replace(g, outputs=()),
    lambda g: replace(g, schema=Schema((Column("a"),))),
    lambda g: replace(g, schema=Schema((Column("a", read=False), Column("b")))),
], ids=["width", "dtype", "layout", "name", "form", "no outputs", "schema", "read"])  # fmt: skip
def test_pass_that_changes_what_is_answered_is_an_internal_error(change):
    graph = _graph(_scaled(Input(kind=NUMBER, columns=(0, 1))))
    with pytest.raises(InternalError, match="planted"):
        run_passes(graph, [planted(change)])


def test_error_inside_a_pass_is_never_swallowed():
    def fail(graph):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_passes(_graph(Input(kind=NUMBER, columns=(0, 1))), [Pass("fail", Exactness.BITWISE, fail)])


def test_column_far_from_zero_in_units_of_its_scale_is_not_fused():
    # A year: (2000 - 2000.5) / 2 keeps all its digits, 2000 * 0.5 - 1000.25 loses ten bits of them.
    x = Input(kind=NUMBER, columns=(0,))
    centred = Subtract(inputs=(x,), value=np.array([2000.5]))
    graph = _graph(_linear(Divide(inputs=(centred,), value=np.array([2.0]))))
    outcome = FUSE_AFFINE.run(graph)
    assert Divide in [type(n) for n in outcome.graph.nodes()]
    assert any("far from zero" in reason for reason in outcome.skipped)


def test_weight_that_would_underflow_is_not_folded():
    affine = Affine(inputs=(Input(kind=NUMBER, columns=(0,)),), scale=np.array([1e-10]), shift=np.array([0.0]))
    linear = Linear(inputs=(affine,), weights=np.array([[1e-300]]), bias=np.array([0.0]))
    outcome = FOLD_AFFINE_INTO_LINEAR.run(_graph(linear))
    assert not outcome.fired
    assert any("too small" in reason for reason in outcome.skipped)


TWICE = make_pipeline(RobustScaler(with_scaling=False), StandardScaler(with_std=False))


@pytest.mark.parametrize("scaler", [StandardScaler(), StandardScaler(with_std=False), MinMaxScaler(), TWICE])
def test_a_column_far_from_zero_is_not_folded_into_terms_that_cancel(scaler):
    rng = np.random.default_rng(0)
    rows = np.column_stack([2.0**53 + 10 * rng.poisson(1, 61), rng.normal(size=61)])
    estimator = make_pipeline(scaler, Ridge()).fit(rows, rng.normal(size=61))
    fresh = lower(read(pickle.dumps(estimator, 5)).root)
    final, _ = run_passes(fresh, PASSES)
    (end,), (node,) = final.output("predict").nodes, final.inputs()
    found: Any = evaluate([end], {node: rows[:, list(node.columns)]})[end]
    np.testing.assert_allclose(found[:, 0], estimator.predict(rows), rtol=1e-14)

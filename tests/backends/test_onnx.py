"""The OnnxCall answers what the nodes that it took over answer, and takes over as much as is exact."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.backends.onnx.backend import OnnxBackend
from slimml.backends.onnx.export import export_refusals
from slimml.backends.onnx.forest import sources
from slimml.backends.onnx.protobuf import packed
from slimml.errors import InputError
from slimml.ir.graph import Graph, Output
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Constant, Input, Select
from slimml.ir.ops.delegates import OnnxCall
from slimml.ir.ops.heads import ArgMax, Complement, Sigmoid, Softmax
from slimml.ir.ops.models import Forest, Linear
from slimml.ir.ops.numeric import Add, Affine, Clip, Divide, FillMissing, Guard, IsMissing, Multiply, Nudge, Subtract
from slimml.ir.ops.ranks import Rank
from slimml.options import ShrinkOptions
from slimml.runtime.engines.onnx_check import _varints
from slimml.schema import CATEGORY
from tests.backends.forests import random_trees, shapes
from tests.backends.graphs import compiled, forest_graph, graph_of, numbers, reference, rows_for, schema_of

pytest.importorskip("onnxruntime")

INF = np.inf


def left_behind(graph: Graph) -> set[str]:
    """The ops that stay in the portable plan."""
    return {type(n).__name__ for n in OnnxBackend().compile(graph, ShrinkOptions()).graph.nodes()}


def agree(graph: Graph, *, bitwise: bool = True, rows: int = 60, **blocks: np.ndarray) -> None:
    blocks = {"number": rows_for(graph, rows), **blocks}
    want = reference(graph, blocks)
    got = compiled(OnnxBackend(), graph).run("transform", blocks)[0]
    assert got.shape == want.shape
    if bitwise:
        assert got.tobytes() == want.tobytes()
    else:
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@given(shapes)
def test_forests_are_bitwise(shape):
    graph = forest_graph(random_trees(**shape), shape["width"], seed=shape["seed"])
    engine = compiled(OnnxBackend(), graph)
    assert not any(isinstance(n, Forest) for n in engine.graph.nodes())
    for count in (1, 60):
        rows = rows_for(graph, count, shape["seed"])
        assert engine.run("transform", {"number": rows})[0].tobytes() == reference(graph, {"number": rows}).tobytes()


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("rows", [1, 2, 51, 300, 4095, 4096, 4097, 9000])
def test_forests_are_bitwise_on_any_number_of_rows(rows, outputs):
    agree(forest_graph(random_trees(5, count=90, outputs=outputs)), rows=rows)


def test_no_rows_is_no_rows():
    for outputs in (1, 2):
        assert compiled(OnnxBackend(), forest_graph(random_trees(1, outputs=outputs))).run(
            "transform", {"number": np.zeros((0, 3))}
        )[0].shape == (0, outputs)


def test_ranks_are_folded_into_the_thresholds():
    assert left_behind(forest_graph(random_trees(1))) == {"Input", "OnnxCall"}


def test_ranks_in_sets_and_from_tables_are_found_in_the_model():
    graph = forest_graph(random_trees(2, sets=3, cuts=40))
    assert left_behind(graph) == {"Input", "OnnxCall"}
    cuts = np.array([0.0, 1.0, 2.0, -1.0, 1.0])
    offsets = np.array([0, 3, 5], dtype=np.int64)
    table = np.array([2, -1, 0, 1, 0, 5, -1], dtype=np.int32)
    rank = Rank(inputs=(numbers(2),), cuts=cuts, offsets=offsets, table=table)
    for sets in (0, 2):
        graph = graph_of(Forest(inputs=(rank,), trees=random_trees(7, width=2, depth=6, sets=sets)))
        assert left_behind(graph) == {"Input", "OnnxCall"}
        agree(graph, rows=400)


@pytest.mark.parametrize("cuts", [0, 1, 2, 3, 4, 7, 3000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_ranks_are_searched_among_any_number_of_cuts(dtype, cuts):
    rng = np.random.default_rng(cuts)
    table = rng.integers(-1, 12, 2 * cuts + 2).astype(np.int32)
    source = numbers(2) if dtype == "float64" else Cast(inputs=(numbers(2),), dtype="float32")
    own = np.sort(rng.choice(10**6, (2, cuts), replace=False) / 2**18 - 2, axis=1).astype(dtype).ravel()
    for some in (table, table[:0]):
        rank = Rank(inputs=(source,), cuts=own, offsets=np.arange(3, dtype=np.int64) * cuts, table=some)
        for number in ("float64", "float32"):
            trees = random_trees(cuts, width=2, depth=6, cuts=12, sets=2, dtype=number)
            graph = graph_of(Forest(inputs=(rank,), trees=trees))
            assert not {"Rank", "Forest"} & left_behind(graph)
            assert not export_refusals(graph)
            agree(graph, rows=400)


@pytest.mark.parametrize("exact", [True, False])
def test_sums_in_float32_compare_doubles_as_float32_where_that_is_exact(exact):
    rng = np.random.default_rng(3)
    low = np.unique(np.concatenate([rng.normal(size=15), [0.0, 3e38, -3e38, 1e-45]]).astype(np.float32))
    above = np.nextafter(low, np.float32(INF)).astype(np.float64)
    middle = low.astype(np.float64) / 2 + above / 2
    cuts = np.where(middle.astype(np.float32) == low, middle, np.nextafter(middle, -INF))
    cuts = cuts if exact else np.nextafter(cuts, -INF)
    none = np.zeros(0, dtype=np.int32)
    rank = Rank(inputs=(numbers(1),), cuts=cuts, offsets=np.array([0, len(cuts)], dtype=np.int64), table=none)
    trees = random_trees(5, width=1, depth=7, cuts=len(cuts) + 2, dtype="float32")
    graph = graph_of(Forest(inputs=(rank,), trees=trees))
    (source,) = sources(graph.nodes()[-1]).values()
    assert source.folded is exact
    rows = np.concatenate([cuts, np.nextafter(cuts, INF), np.nextafter(cuts, -INF), low, [np.nan, INF, -INF, 1e300]])
    agree(graph, number=rows[:, None])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("end", [INF, -INF, 1e300, 5e-324, 0.0, -0.0])
def test_cuts_at_the_ends_of_the_floats(dtype, end):
    with np.errstate(over="ignore"):
        narrow = np.array([end]).astype(dtype)
    for flags in (0, 1):
        trees = random_trees(0, count=3, depth=1, width=1, cuts=1)
        trees.flags[trees.feature >= 0] = flags
        source: Node = numbers(1) if dtype == "float64" else Cast(inputs=(numbers(1),), dtype="float32")
        none = np.zeros(0, dtype=np.int32)
        rank = Rank(inputs=(source,), cuts=narrow, offsets=np.array([0, 1], dtype=np.int64), table=none)
        graph = graph_of(Forest(inputs=(rank,), trees=trees))
        with np.errstate(over="ignore"):
            near = [narrow[0], np.nextafter(narrow[0], INF), np.nextafter(narrow[0], -INF)]
        agree(graph, number=np.array([*near, np.nan, INF, -INF, 0.0, -0.0, 1e308, 5e-324], dtype=np.float64)[:, None])


def test_a_forest_over_codes_ranks_and_repeated_columns():
    lookup = Lookup(
        inputs=(Input(kind=CATEGORY, columns=(2, 3)),), tables=(("a", "b", "c"), (1, 2)), refuse=(False,) * 2
    )
    none = np.zeros(0, dtype=np.int32)
    cuts, offsets = np.array([0.0, 1.0, -1.0, 0.5]), np.array([0, 2, 4], dtype=np.int64)
    rank = Rank(inputs=(numbers(2),), cuts=cuts, offsets=offsets, table=none)
    both = Concat(inputs=(lookup, rank))
    chosen = Select(inputs=(both,), index=np.array([3, 0, 2, 1, 3], dtype=np.int64))
    graph = graph_of(Forest(inputs=(chosen,), trees=random_trees(9, width=5, depth=7, cuts=3, sets=2)), categories=2)
    rng = np.random.default_rng(0)
    texts = np.empty((60, 2), dtype=object)
    texts[:, 0], texts[:, 1] = rng.choice(["a", "b", "c", "z"], 60), rng.choice([1, 2, 9], 60)
    assert left_behind(graph) == {"Input", "Lookup", "OnnxCall"}
    agree(graph, category=texts)


def test_codes_are_recoded_in_the_call_though_a_block_holds_them_beside_others():
    lookup = Lookup(inputs=(Input(kind=CATEGORY, columns=(1,)),), tables=(("a", "b", "c"),), refuse=(False,))
    values, offsets = np.array([2, 0, 1, 0], dtype=np.int32), np.array([0, 4], dtype=np.int64)
    recode = Recode(inputs=(lookup,), values=values, offsets=offsets)
    cuts, none = np.array([0.0, 1.0]), np.zeros(0, dtype=np.int32)
    rank = Rank(inputs=(numbers(1),), cuts=cuts, offsets=np.array([0, 2], dtype=np.int64), table=none)
    both = Concat(inputs=(recode, rank))
    graph = graph_of(Forest(inputs=(both,), trees=random_trees(4, width=2, depth=5, cuts=2, sets=2)), categories=1)
    texts = np.random.default_rng(0).choice(np.array(["a", "b", "c", "z"], dtype=object), (60, 1))
    assert left_behind(graph) == {"Input", "Lookup", "OnnxCall"}
    agree(graph, category=texts)


def test_a_linear_pipeline_from_inputs_and_codes_to_the_sum_is_one_call():
    x = numbers(4)
    filled = FillMissing(inputs=(x,), sentinel=float("nan"), fill=(0.5, 1.0, -2.0, 0.0))
    indicator = Cast(inputs=(IsMissing(inputs=(x,), sentinel=float("nan")),), dtype="float64")
    scaled = Divide(inputs=(Subtract(inputs=(filled,), value=np.arange(4.0)),), value=np.array([1.0, 3.0, 0.7, 9.0]))
    clipped = Clip(inputs=(scaled,), low=-4.0, high=5.0)
    codes = Lookup(inputs=(Input(kind=CATEGORY, columns=(4,)),), tables=(("a", "b", "c"),), refuse=(True,))
    targets, offsets = np.array([1, -1, 0, 2], dtype=np.int32), np.array([0, 4], dtype=np.int64)
    hot = OneHot(inputs=(codes,), targets=targets, offsets=offsets, sizes=np.array([3], dtype=np.int64), layout="csr")
    block = Concat(inputs=(clipped, indicator, hot), layout="csr")
    rng = np.random.default_rng(0)
    linear = Linear(inputs=(block,), weights=rng.normal(size=(3, 11)), bias=rng.normal(size=3))
    graph = graph_of(Softmax(inputs=(linear,)), categories=1)
    assert left_behind(graph) == {"Input", "Lookup", "OnnxCall", "Softmax"}
    texts = rng.choice(np.array(["a", "b", "c"], dtype=object), (60, 1))
    agree(graph, bitwise=False, category=texts)
    with pytest.raises(InputError):
        compiled(OnnxBackend(), graph).run(
            "transform", {"number": rows_for(graph, 1), "category": np.array([["z"]], object)}
        )


@given(
    st.lists(st.sampled_from("add sub mul div affine nudge clip fill recode select narrow".split()), max_size=5),
    st.integers(0, 99),
)
def test_elementwise_steps_are_bitwise(steps, seed):
    rng = np.random.default_rng(seed)
    node: Node = numbers(3)
    for step in steps:
        node = stepped(node, step, rng)
    # The identity as a linear model: one product that is not zero to a sum.
    node = Cast(inputs=(node,), dtype="float64")
    node = FillMissing(inputs=(node,), sentinel=float("nan"), fill=(7.0, 7.0, 7.0))
    node = Clip(inputs=(node,), low=-1e300, high=1e300)
    graph = graph_of(Linear(inputs=(node,), weights=np.eye(3), bias=np.zeros(3)))
    assert left_behind(graph) == {"Input", "OnnxCall"}
    rows = rows_for(graph, 40, seed)
    got = compiled(OnnxBackend(), graph).run("transform", {"number": rows})[0]
    np.testing.assert_array_equal(got, reference(graph, {"number": rows}))


def stepped(node: Node, step: str, rng: np.random.Generator) -> Node:
    value, nan = rng.normal(size=3).astype(node.type.dtype), float("nan")
    made: dict[str, Callable[[], Node]] = {
        "add": lambda: Add(inputs=(node,), value=value),
        "sub": lambda: Subtract(inputs=(node,), value=value),
        "mul": lambda: Multiply(inputs=(node,), value=value),
        "div": lambda: Divide(inputs=(node,), value=value),
        "affine": lambda: Affine(inputs=(node,), scale=value, shift=value[::-1].copy()),
        "nudge": lambda: nudged(node),
        "clip": lambda: Clip(inputs=(node,), low=-0.5, high=float(rng.choice([0.0, 0.5]))),
        "fill": lambda: FillMissing(inputs=(node,), sentinel=float(rng.choice([nan, 0.0])), fill=(1.5, 2, -0.0)),
        "recode": lambda: recoded(node),
        "select": lambda: Select(inputs=(node,), index=rng.integers(0, 3, 3)),
        "narrow": lambda: Cast(inputs=(node,), dtype="float32"),
    }
    return made[step]()


def nudged(node: Node) -> Node:
    return Nudge(inputs=(Cast(inputs=(node,), dtype="float64"),), scale=0.125, shift=1e-3)


def recoded(node: Node) -> Node:
    tables = ((0.0, float("nan")), (1.0,), ())
    codes = Lookup(inputs=(Cast(inputs=(node,), dtype="float64"),), tables=tables, refuse=(False,) * 3)
    values = np.array([1.0, np.nan, 3.0, 0.1, 0.2, -1.0]).astype(node.type.dtype)
    return Recode(inputs=(codes,), values=values, offsets=np.array([0, 3, 5, 6], dtype=np.int64))


def test_guards_keep_refusing():
    guard = Guard(inputs=(numbers(2),), low=np.full(2, -1.0), high=np.ones(2), missing=np.zeros(2, dtype=bool))
    graph = graph_of(Linear(inputs=(guard,), weights=np.ones((1, 2)), bias=np.zeros(1)))
    engine = compiled(OnnxBackend(), graph)
    assert engine.run("transform", {"number": np.array([[0.5, 0.25]])})[0].tolist() == [[0.75]]
    with pytest.raises(InputError):
        engine.run("transform", {"number": np.array([[0.5, np.nan]])})


def test_several_answers_leave_one_call():
    forest = forest_graph(random_trees(4, outputs=2)).outputs[0].nodes[0]
    share = Divide(inputs=(forest,), value=np.array([3.0, 3.0]))
    outputs = (
        Output("decision_function", (forest,), "matrix"),
        Output("transform", (share,), "matrix"),
        Output("predict", (ArgMax(inputs=(share,)),), "vector", (np.array(["no", "yes"]),)),
    )
    graph = Graph(schema_of(3), outputs)
    engine = compiled(OnnxBackend(), graph)
    assert sum(isinstance(n, OnnxCall) for n in engine.graph.nodes()) == 1
    rows = {"number": rows_for(graph, 50)}
    for name in ("decision_function", "transform", "predict"):
        assert engine.run(name, rows)[0].tobytes() == reference(graph, rows, name).tobytes()


def _checked(node: Node) -> Guard:
    wide, width = np.full(node.type.width, np.inf), node.type.width
    return Guard(inputs=(node,), low=-wide, high=wide, missing=np.zeros(width, dtype=bool))


@pytest.mark.parametrize("checked", [False, True])
def test_a_model_on_the_links_of_another_is_a_call_of_its_own_where_rows_are_refused_between(checked):
    first = forest_graph(random_trees(4))
    share = Complement(inputs=(Sigmoid(inputs=first.outputs[0].nodes, origin="stack.first"),))
    stacked = Concat(inputs=(_checked(share) if checked else share, first.inputs()[0]))
    graph = graph_of(Linear(inputs=(stacked,), weights=np.ones((1, 5)), bias=np.zeros(1)))
    behind = {"Sigmoid", "Complement", "Guard"} if checked else set()
    assert left_behind(graph) == {"Input", "OnnxCall", *behind}
    assert set(OnnxBackend().compile(graph, ShrinkOptions()).sections) == {"onnx"} | ({"onnx1"} if checked else set())
    rows = {"number": np.random.default_rng(0).normal(size=(40, 3))}
    np.testing.assert_allclose(compiled(OnnxBackend(), graph).run("transform", rows)[0], reference(graph, rows))


def test_models_in_too_long_a_row_are_refused():
    node = Linear(inputs=(numbers(1),), weights=np.ones((1, 1)), bias=np.zeros(1))
    for _ in range(20):
        node = Linear(inputs=(_checked(node),), weights=np.ones((1, 1)), bias=np.zeros(1))
    assert "in a row" in str(OnnxBackend().refuses(graph_of(node))[0])


def test_a_sum_that_decides_where_a_forest_sends_a_row_stays_in_the_plan():
    projected = Linear(inputs=(numbers(3),), weights=np.ones((2, 3)) / 3, bias=np.zeros(2))
    none = np.zeros(0, dtype=np.int32)
    rank = Rank(inputs=(projected,), cuts=np.array([0.0, 0.5]), offsets=np.array([0, 1, 2], dtype=np.int64), table=none)
    graph = graph_of(Forest(inputs=(rank,), trees=random_trees(1, width=2, cuts=1)))
    assert left_behind(graph) == {"Input", "Linear", "OnnxCall"}


def test_graphs_without_a_model_are_refused():
    assert "no forest" in str(OnnxBackend().refuses(graph_of(numbers(2)))[0])
    assert "no forest" in str(OnnxBackend().refuses(graph_of(Constant(inputs=(numbers(1),), value=np.ones(1))))[0])


def test_a_wide_sparse_block_is_refused():
    count = 9000
    codes = Lookup(inputs=(numbers(1),), tables=(tuple(float(i) for i in range(count)),), refuse=(False,))
    hot = OneHot(
        inputs=(codes,),
        targets=np.arange(count + 1, dtype=np.int32) - 1,
        offsets=np.array([0, count + 1], dtype=np.int64),
        sizes=np.array([count], dtype=np.int64),
        layout="csr",
    )
    graph = graph_of(Linear(inputs=(hot,), weights=np.ones((1, count)), bias=np.zeros(1)))
    assert "sparse block of 9000" in str(OnnxBackend().refuses(graph)[0])


def test_the_same_graph_gives_the_same_bytes():
    one, two = (OnnxBackend().compile(forest_graph(random_trees(8, sets=2)), ShrinkOptions()) for _ in range(2))
    assert one.sections == two.sections


def test_an_engine_answers_from_many_threads():
    graph = forest_graph(random_trees(6, count=30, outputs=3))
    engine, rows = compiled(OnnxBackend(), graph), rows_for(graph, 200)
    want, got = reference(graph, {"number": rows}).tobytes(), []
    workers = [
        threading.Thread(target=lambda: got.append(engine.run("transform", {"number": rows})[0])) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [g.tobytes() for g in got] == [want] * 8


@given(st.lists(st.integers(0, 2**35 - 1)))
def test_packed_integers_come_back(values):
    data = packed(np.array(values, dtype=np.int64))
    assert _varints(memoryview(data)).tolist() == values

"""hoist-guards: the two ends of every interval are exact floats, whatever the arithmetic in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.errors import InputError
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Dense, Input, Select
from slimml.ir.ops.numeric import Add, Divide, FillMissing, Guard, Multiply, Subtract
from slimml.passes.hoist_guards import PASS, preimage
from slimml.schema import NUMBER, Column, Schema

MAX = float(np.finfo(np.float64).max)
F32 = float(np.finfo(np.float32).max)
scales = st.one_of(
    st.floats(1e-300, 1e300), st.floats(-1e300, -1e-300), st.sampled_from([1.0, -1.0, 1e-308, 5e-324, 0.1, -3.0, MAX])
)
shifts = st.one_of(st.floats(-1e308, 1e308), st.sampled_from([0.0, -0.0, 1.0, MAX, -MAX, 5e-324]))
steps = st.one_of(
    st.tuples(st.sampled_from([Multiply, Divide]), scales), st.tuples(st.sampled_from([Add, Subtract]), shifts)
)


def raw(width: int = 1) -> Input:
    return Input(kind=NUMBER, columns=tuple(range(width)))


def graph_of(node: Node, width: int = 1) -> Graph:
    schema = Schema(tuple(Column(f"x{i}") for i in range(width)))
    return Graph(schema, (Output("transform", (node,), "matrix"),))


def chained(node: Node, ops) -> Node:
    for kind, value in ops:
        node = kind(inputs=(node,), value=np.full(node.type.width, value, dtype=node.type.dtype))
    return node


def guard(node: Node, low: float, high: float, missing: bool) -> Guard:
    width = node.type.width
    return Guard(inputs=(node,), low=np.full(width, low), high=np.full(width, high), missing=np.full(width, missing))


def takes(graph: Graph, value: float) -> bool:
    (node,) = graph.inputs()
    try:
        evaluate(graph.outputs[0].nodes, {node: np.array([[value]])})
    except InputError:
        return False
    return True


def probes(graph: Graph) -> set[float]:
    """The ends of every interval, both of their neighbours, and the values that floats are strange at."""
    ends = [np.concatenate([n.low, n.high]) for n in graph.nodes() if isinstance(n, Guard)]
    values = np.concatenate([*ends, [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, MAX, -MAX, F32, -F32, 5e-324]])
    with np.errstate(over="ignore"):
        return {*values, *np.nextafter(values, np.inf), *np.nextafter(values, -np.inf)}


@given(st.lists(steps, min_size=1, max_size=4), st.booleans(), st.booleans(), st.booleans())
def test_hoisted_guard_takes_the_same_floats_as_the_one_behind_the_chain(ops, narrow, missing, tight):
    node = chained(raw(), ops)
    if narrow:
        node = Cast(inputs=(node,), dtype="float32")
    bound = 2.5 if tight else F32 if narrow else MAX
    graph = graph_of(guard(node, -bound, bound, missing))
    made = PASS.run(graph).graph
    for value in probes(graph) | probes(made):
        assert takes(graph, value) == takes(made, value), value


@given(st.lists(steps, min_size=1, max_size=3), st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_preimage_ends_are_the_last_floats_inside(ops, low, span):
    top = chained(raw(), ops)
    (source,) = graph_of(top).inputs()

    def image(x: np.ndarray) -> np.ndarray:
        value = evaluate([top], {source: x})[top]
        assert isinstance(value, np.ndarray)
        return value

    ends = preimage(image, 1, "float64", np.array([low]), np.array([low + span]))
    first, last = ends[0][0], ends[1][0]
    with np.errstate(all="ignore"):
        inside = [low <= image(np.array([[v]]))[0, 0] <= low + span for v in (first, last)]
        outside = [
            low <= image(np.array([[v]]))[0, 0] <= low + span
            for v in (np.nextafter(first, -np.inf), np.nextafter(last, np.inf))
            if np.isfinite(v)
        ]
    if first <= last:
        assert all(inside) and not any(outside)
    else:
        # Nothing inside: the image jumps over the interval between two neighbouring floats.
        assert not any(inside)
        with np.errstate(over="ignore"):
            assert np.nextafter(first, -np.inf) == last


def test_interval_that_nothing_maps_into_refuses_every_number():
    node = chained(raw(), [(Multiply, 1e300)])
    graph = graph_of(guard(node, 1e-10, 2e-10, True))
    made = PASS.run(graph).graph
    for value in probes(graph) | probes(made):
        assert takes(graph, value) == takes(made, value)


@pytest.mark.parametrize("border", [F32 + 2.0**103, -(F32 + 2.0**103)])
def test_float32_border_is_the_double_that_rounds_to_infinity(border):
    graph = graph_of(guard(Cast(inputs=(raw(),), dtype="float32"), -F32, F32, False))
    made = PASS.run(graph).graph
    assert type(made.outputs[0].nodes[0]) is Cast
    inner = np.nextafter(border, 0)
    assert takes(made, inner) and takes(graph, inner)
    assert not takes(made, border) and not takes(graph, border)


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_shift_that_is_not_finite_keeps_its_guard(bad, missing):
    graph = graph_of(guard(chained(raw(), [(Subtract, bad)]), -MAX, MAX, missing))
    outcome = PASS.run(graph)
    assert outcome.graph is graph and outcome.skipped == {"a shift is not finite": 1}


@pytest.mark.parametrize("fill", [0.0, 1e300, np.nan])
@pytest.mark.parametrize("missing", [True, False])
def test_imputer_lets_missing_values_pass_where_its_fill_passes(fill, missing):
    graph = graph_of(guard(FillMissing(inputs=(raw(),), sentinel=np.nan, fill=(fill,)), -1e9, 1e9, missing))
    made = PASS.run(graph).graph
    for value in probes(graph):
        assert takes(graph, value) == takes(made, value)


def test_guard_that_refuses_zero_stays_behind_csr():
    sparse = Concat(inputs=(raw(),), layout="csr")
    for node in (guard(sparse, 1.0, 2.0, False), guard(Dense(inputs=(sparse,)), 1.0, 2.0, False)):
        graph = graph_of(node)
        made = PASS.run(graph).graph
        for value in (0.0, 1.0, 1.5, 3.0):
            assert takes(graph, value) == takes(made, value)


def test_guards_of_a_column_that_is_picked_twice_are_joined():
    picked = Select(inputs=(raw(2),), index=np.array([1, 1]))
    graph = graph_of(
        Guard(inputs=(picked,), low=np.array([-1.0, -5.0]), high=np.array([9.0, 4.0]), missing=np.array([True, False])),
        width=2,
    )
    made = PASS.run(graph).graph
    (found,) = (n for n in made.nodes() if isinstance(n, Guard))
    assert (found.low.tolist(), found.high.tolist(), found.missing.tolist()) == (
        [-np.inf, -1.0], [np.inf, 4.0], [True, False])  # fmt: skip

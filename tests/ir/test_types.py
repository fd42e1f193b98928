"""Inferred types are sound: whatever rows come, values lie in their domains. And what text and verify tell apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.errors import InputError
from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import MalformedGraphError, Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Constant, Dense, Input, Select
from slimml.ir.ops.heads import ArgMax, IsPositive, Log, Sigmoid, Softmax
from slimml.ir.ops.models import Linear
from slimml.ir.ops.numeric import Add, Clip, Divide, FillMissing, Guard, IsMissing, Multiply
from slimml.ir.ops.ranks import Rank
from slimml.ir.text import fields, fingerprint, to_text
from slimml.ir.verify import verify
from slimml.schema import Column, Schema
from tests.hostile import hostile_rows, input_blocks, zoo_graph
from tests.passes.graphs import table_of, taken, values
from tests.zoo import ZOO


def holds(node: Node, value) -> None:
    """Assert that a value is of its node's type."""
    kind = node.type
    assert value.shape[1] == kind.width and value.dtype == kind.dtype
    assert isinstance(value, Csr) == (kind.layout == "csr")
    dense = value.toarray() if isinstance(value, Csr) else value
    if not kind.numeric:
        return
    for c, d in enumerate(kind.domains):
        column = dense[:, c].astype(np.float64)
        absent = column == -1 if d.kind == "rank" else np.isnan(column)
        assert d.missing or not absent.any(), (type(node).__name__, c, d)
        present = column[~absent]
        assert ((present >= d.low) & (present <= d.high)).all(), (type(node).__name__, c, d, present)
        whole = np.isinf(present) | (present == np.floor(present))
        assert not d.integer or whole.all(), (type(node).__name__, c, d)
    for a, b in kind.groups:
        group = dense[:, a:b]
        assert ((group == 0) | (group == 1)).all() and (group.sum(axis=1) <= 1).all()


@pytest.mark.parametrize("name", [m.name for m in ZOO])
def test_values_of_zoo_graphs_lie_in_their_domains(name: str):
    graph = zoo_graph(name)
    rows = hostile_rows(name, base=8)
    table = table_of(input_blocks(graph, rows))
    kept = np.flatnonzero(taken(graph, table, len(rows)))
    for node, value in values(graph, table, kept).items():
        holds(node, value)


operands = st.sampled_from([0.0, -0.0, 1.0, -2.0, 0.1, 1e308, -1e308, 1e-308, 5e-324, np.inf, np.nan, 3e38, 0.5])
ends = st.tuples(operands, operands).filter(lambda e: e[0] <= e[1])


@st.composite
def chains(draw):
    """Random chains of ops on two columns, whose input may have a declared domain."""
    declared: tuple[Domain, ...] = ()
    if draw(st.booleans()):
        declared = (Domain(integer=True, low=-2, high=5, missing=draw(st.booleans())), Domain(low=0.1, missing=True))
    node: Node = Input(kind="number", columns=(0, 1), domains=declared)
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(
            st.sampled_from(["guard", "fill", "arith", "clip", "cast", "select", "concat", "flag", "group", "int"])
        )
        floats = node.type.dtype in ("float64", "float32")
        width = node.type.width

        def row(width=width):
            return np.array([draw(operands) for _ in range(width)])

        with np.errstate(all="ignore"):
            if kind == "guard" and floats:
                low, high = (np.array(v) for v in zip(*(draw(ends) for _ in range(width)), strict=True))
                missing = np.array([draw(st.booleans()) for _ in range(width)])
                node = Guard(inputs=(node,), low=low, high=high, missing=missing)
            elif kind == "fill" and floats:
                sentinel = draw(st.sampled_from([float("nan"), 0.0, -2.0, 1]))
                node = FillMissing(inputs=(node,), sentinel=sentinel, fill=tuple(row().tolist()))
            elif kind == "arith" and floats:
                op = draw(st.sampled_from([Add, Multiply, Divide]))
                node = op(inputs=(node,), value=row().astype(node.type.dtype))
            elif kind == "clip" and floats:
                low, high = draw(ends)
                node = Clip(inputs=(node,), low=low, high=high)
            elif kind == "cast":
                node = Cast(inputs=(node,), dtype=draw(st.sampled_from(["float64", "float32"])))
            elif kind == "int":
                node = Cast(inputs=(node,), dtype=draw(st.sampled_from(["int32", "int64", "bool"])))
            elif kind == "select":
                node = Select(
                    inputs=(node,), index=np.array(draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=4)))
                )
            elif kind == "concat":
                twin = Cast(inputs=(node,), dtype="float32") if draw(st.booleans()) else node
                node = Concat(inputs=(node, twin), layout=draw(st.sampled_from(["dense", "csr"])))
                node = Dense(inputs=(node,))
            elif kind == "flag" and floats:
                node = IsMissing(inputs=(node,), sentinel=float("nan"))
            elif kind == "group" and node.type.dtype == "float64":
                codes = Lookup(inputs=(node,), tables=((1.0, 0.5),) * width, refuse=(False,) * width)
                shared: dict[str, Any] = {"inputs": (codes,), "offsets": np.arange(width + 1) * 3}
                if draw(st.booleans()):
                    node = OneHot(targets=np.array([0, 1, -1] * width, np.int32), sizes=np.full(width, 2), **shared)
                else:
                    node = Recode(values=np.array([0.5, np.nan, -3.0] * width), **shared)
    if node.type.dtype == "float64" and draw(st.booleans()):
        node = draw(st.sampled_from([Sigmoid, Softmax, ArgMax, IsPositive, Log]))(inputs=(node,))
    elif node.type.dtype == "float64":
        cuts = np.array([0.0, 0.5] * node.type.width)
        node = Rank(inputs=(node,), cuts=cuts, offsets=np.arange(node.type.width + 1) * 2, table=np.zeros(0, np.int32))
    return node


@given(chains(), st.lists(operands, min_size=2, max_size=12))
def test_values_of_random_chains_lie_in_their_domains(end, pool):
    graph = Graph(Schema((Column("a"), Column("b"))), (Output("transform", (end,), "matrix"),))
    (source,) = graph.inputs()
    grid = np.array([[x, y] for x in [*pool, -2.0, 5.0] for y in [*pool, 0.1]])
    if source.domains:
        fits = np.isin(grid[:, 0], [-2.0, 0.0, 1.0, 5.0]) & ((grid[:, 1] >= 0.1) | np.isnan(grid[:, 1]))
        grid = grid[fits]
    for row in grid:
        try:
            with np.errstate(all="ignore"):
                found = evaluate([end], {source: row[None, :].copy()})
        except InputError:
            continue
        for node, value in found.items():
            holds(node, value)


# -------------------------------------------------------------------------------------------------- text and verify

PRINTED = ["hist/string-names", "forest/two-words", "impute/then-model", "scale/sparse-maxabs"]


@pytest.mark.parametrize("name", PRINTED)
def test_fingerprint_changes_with_every_array_and_scalar(name):
    graph = zoo_graph(name)
    seen = {fingerprint(graph)}
    for node in graph.nodes():
        for field, value in fields(node).items():
            for changed in _changes(value):
                try:
                    twin = replace(node, **{field: changed})
                    found = fingerprint(graph.replace({node: twin}))
                except MalformedGraphError:  # the flipped bit contradicts the node, or one that reads it
                    continue
                assert found not in seen, (type(node).__name__, field)
                seen.add(found)
    assert len(seen) > 4


def _changes(value):
    if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "fiub":
        for at in {0, value.size - 1}:
            flipped = value.copy()
            flipped.view(np.uint8).reshape(value.size, -1)[at, 0] ^= 1
            yield flipped
    elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
        yield (value[0][::-1], *value[1:])
    elif isinstance(value, bool):
        yield not value


def test_fingerprint_knows_types_and_signs_apart():
    def of(value, fill):
        x = Input(kind="number", columns=(0,))
        node = FillMissing(inputs=(Add(inputs=(x,), value=np.array([value])),), sentinel=-1, fill=(fill,))
        return fingerprint(Graph(Schema((Column("a"),)), (Output("transform", (node,), "matrix"),)))

    assert len({of(v, f) for v in (0.0, -0.0, 5e-324, np.nan) for f in (1, 1.0, True, -0.0, 0.0)}) == 20


@pytest.mark.parametrize("name", PRINTED)
def test_text_and_fingerprint_are_stable_and_origins_do_not_count(name):
    graph = zoo_graph(name)
    assert (
        to_text(graph) == to_text(graph)
        and len(to_text(graph).splitlines()) == len(graph.nodes()) + len(graph.outputs) + 1
    )
    moved = graph.map(lambda n: replace(n, origin="elsewhere"))
    assert fingerprint(moved) == fingerprint(graph) and to_text(moved) != to_text(graph)


def _sound() -> Graph:
    x = Input(kind="number", columns=(0,))
    return Graph(
        Schema((Column("a"),)), (Output("predict", (IsPositive(inputs=(x,)),), "vector", (np.array([3, 4]),)),)
    )


def test_sound_graph_is_verified():
    verify(_sound())


@pytest.mark.parametrize("change", [
    lambda g, o: replace(g, outputs=()),
    lambda g, o: replace(g, outputs=(o, o)),
    lambda g, o: replace(g, outputs=(replace(o, form="scalar"),)),
    lambda g, o: replace(g, outputs=(replace(o, nodes=()),)),
    lambda g, o: replace(g, outputs=(replace(o, nodes=o.nodes * 2, form="matrix"),)),
    lambda g, o: replace(g, outputs=(replace(o, labels=(np.array([1]),)),)),
    lambda g, o: replace(g, outputs=(replace(o, labels=o.labels * 2),)),
    lambda g, o: replace(g, outputs=(replace(o, nodes=(Concat(inputs=o.nodes * 2),)),)),
    lambda g, o: replace(g, outputs=(replace(o, nodes=(Cast(inputs=o.nodes, dtype="float64"),)),)),
    lambda g, o: replace(g, schema=Schema(())),
    lambda g, o: replace(g, schema=Schema((Column("a", read=False),))),
    lambda g, o: replace(g, outputs=(o, Output("t", (Input(kind="number", columns=(0,)),), "matrix"))),
])  # fmt: skip
def test_graph_that_contradicts_itself_is_refused(change):
    graph = _sound()
    with pytest.raises(MalformedGraphError):
        verify(change(graph, graph.outputs[0]))


def test_label_positions_made_by_a_cast_of_anything_are_refused():
    x = Input(kind="number", columns=(0,))
    node = Cast(inputs=(Clip(inputs=(x,), low=0.0, high=1.0),), dtype="int64")
    output = Output("predict", (node,), "vector", (np.array([3, 4]),))
    with pytest.raises(MalformedGraphError, match="outside of its labels"):
        verify(Graph(Schema((Column("a"),)), (output,)))


def test_linear_and_constant_of_odd_tables_are_refused():
    x = Input(kind="number", columns=(0, 1))
    for make in (
        lambda: Linear(inputs=(x,), weights=np.zeros((1, 3)), bias=np.zeros(1)),
        lambda: Linear(inputs=(x,), weights=np.zeros((1, 2)), bias=np.zeros(2)),
        lambda: Constant(inputs=(x,), value=np.zeros((1, 2))),
        lambda: Select(inputs=(x,), index=np.array([2])),
        lambda: Select(inputs=(x,), index=np.array([-1])),
        lambda: FillMissing(inputs=(x,), sentinel="a", fill=(0, 0)),
        lambda: FillMissing(inputs=(x,), sentinel=10**400, fill=(0, 0)),
        lambda: IsMissing(inputs=(x,), sentinel=None),
        lambda: Clip(inputs=(x,), low=np.nan, high=1.0),
        lambda: Input(kind="number", columns=(1, 1)),
    ):
        with pytest.raises(MalformedGraphError):
            make()

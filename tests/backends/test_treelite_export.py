"""A Treelite checkpoint sends every row where the graph sends it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from slimml.backends.treelite_export import answered_node, categories, export_refusal, export_treelite
from slimml.errors import NoBackendError
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops.heads import Sigmoid
from slimml.ir.ops.models import Forest
from slimml.ir.ops.numeric import Divide
from slimml.ir.ops.ranks import Rank
from tests.backends.forests import random_trees
from tests.backends.graphs import graph_of, numbers
from tests.backends.test_contract import dense, zoo_graph
from tests.zoo import ZOO

treelite = pytest.importorskip("treelite")


@pytest.mark.parametrize("model", ZOO, ids=[m.name for m in ZOO])
def test_the_checkpoint_agrees_or_says_why_not(model):
    graph, blocks = zoo_graph(model.name, True)
    refusal = export_refusal(graph)
    if refusal is not None:
        with pytest.raises(NoBackendError):
            export_treelite(graph)
        return
    data = export_treelite(graph)
    assert data == export_treelite(graph)
    read = treelite.Model.deserialize_bytes(data)
    node = answered_node(graph)
    want = dense(evaluate([node], {x: blocks[x.kind] for x in graph.inputs()})[node])
    rows = np.full((len(want), len(graph.schema.columns)), np.nan)
    for source in graph.inputs():
        if source.kind == "number":
            rows[:, list(source.columns)] = blocks["number"]
        for codes in (c for c in categories(graph) if c.number in source.columns):
            rows[:, codes.number] = codes.coded(blocks[source.kind][:, source.columns.index(codes.number)])
    rows = rows.astype(read.input_type)
    raw = treelite.gtil.predict(read, rows, nthread=1, pred_margin=isinstance(node, Forest | Divide))
    got = raw.reshape(want.shape)
    if isinstance(node, Sigmoid):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    else:
        assert got.tobytes() == np.ascontiguousarray(want).tobytes()


def test_plain_forests_and_boosters_are_not_refused():
    for name in ("forest/binary", "forest/missing", "boosting/regression", "hist/missing", "extra/regression"):
        assert export_refusal(zoo_graph(name, True)[0]) is None


@pytest.mark.parametrize(
    "name",
    ["forest/pipeline-three", "boosting/pipeline", "hist/ordinal-pipeline", "hist/one-hot-pipeline", "extra/pipeline"],
)
def test_categories_go_as_their_positions_in_a_table_that_the_file_holds(name):
    graph = zoo_graph(name, True)[0]
    assert export_refusal(graph) is None
    found = categories(graph)
    data = export_treelite(graph)
    held = treelite.Model.deserialize_bytes(data).get_header_accessor().get_field("attributes")
    assert json.loads(held)["categories"] == {graph.schema.columns[c.number].name: c.listed() for c in found}
    for codes in found:
        known = np.array([*codes.table, "no such category"], dtype=object)
        assert [v for v in codes.coded(known).tolist() if v == v] == [
            float(i) for i, v in enumerate(known.tolist()) if v == v and v is not None
        ]


def _numbers_graph(rank: Rank, dtype: str = "float64", *, cuts: int, sets: int = 0) -> Graph:
    trees = random_trees(3, width=1, depth=6, cuts=cuts, sets=sets, dtype=dtype)
    return graph_of(Forest(inputs=(rank,), trees=trees, origin="pipe.model"))


def _rank(cuts, table=()) -> Rank:
    offsets = np.array([0, len(cuts)], dtype=np.int64)
    return Rank(inputs=(numbers(1),), cuts=np.asarray(cuts), offsets=offsets, table=np.array(table, dtype=np.int32))


def _agrees(graph: Graph) -> None:
    cuts = np.concatenate([n.cuts for n in graph.nodes() if isinstance(n, Rank)])
    with np.errstate(over="ignore"):
        near = [cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), [np.nan, np.inf, -np.inf, 0.0, 9.0]]
    rows = np.concatenate(near)[:, None]
    read = treelite.Model.deserialize_bytes(export_treelite(graph))
    got = treelite.gtil.predict(read, rows.astype(read.input_type), nthread=1, pred_margin=True)
    want = evaluate([graph.outputs[0].nodes[0]], dict.fromkeys(graph.inputs(), rows))[graph.outputs[0].nodes[0]]
    assert got.reshape(want.shape).tobytes() == want.tobytes()


def test_sums_in_float32_behind_doubles_go_where_float32_parts_them():
    exact = 1.0 + np.arange(5) * 2.0**-22 + 2.0**-24  # a middle that rounds down
    _agrees(_numbers_graph(_rank(exact), "float32", cuts=5))
    refusal = export_refusal(_numbers_graph(_rank(np.nextafter(exact, 0.0)), "float32", cuts=5))
    assert refusal is not None and "sums in float32" in refusal.reason


def test_a_table_of_ranks_that_rise_is_thresholds():
    _agrees(_numbers_graph(_rank([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 3, 3]), cuts=3))


@pytest.mark.parametrize(("table", "sets"), [([0, 2, 1, 3, 0], 0), ([0, -1, 1, 2, 3], 0), ((), 3)])
def test_intervals_of_a_number_that_do_not_rise_are_refused_by_the_name_of_the_column(table, sets):
    graph = _numbers_graph(_rank([0.0, 1.0, 2.0, 3.0], table), cuts=3, sets=sets)
    refusal = export_refusal(graph)
    assert refusal is not None and "several intervals of the number 'x0'" in refusal.reason
    with pytest.raises(NoBackendError, match="several intervals"):
        export_treelite(graph)

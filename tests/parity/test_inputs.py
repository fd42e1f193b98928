"""The rows to try: of the schema alone, the same every time, at every cut, and split by who refuses them."""

from __future__ import annotations

import numpy as np
import pytest

from slimml.errors import InputError
from slimml.ir.forest import leaves
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops.models import Forest, forests
from slimml.parity import inputs
from slimml.parity.answers import graph_answers
from slimml.parity.cells import boundaries, raw_cells
from slimml.parity.columns import MIXED, sources
from slimml.parity.floats import from_order, neighbours, to_order
from slimml.parity.inputs import trial_rows
from slimml.parity.rows import RawRows, concat
from slimml.schema import Column, Schema
from tests.parity.planted import case

MODELS = ["forest/pipeline", "hist/string-names", "logistic/multinomial", "onehot/mixed", "impute/sentinel-forest"]
MODELS += ["bins/one-hot"]  # ranks that are looked up in tables without an entry for what is missing


def ranks_of(graph: Graph, forest: Forest, rows: RawRows) -> np.ndarray:
    ranks = evaluate([forest.inputs[0]], rows.blocks(graph))[forest.inputs[0]]
    assert isinstance(ranks, np.ndarray)
    return ranks


def same(a: RawRows, b: RawRows) -> bool:
    return all(repr(a.columns[n].tolist()) == repr(b.columns[n].tolist()) for n in a.columns)


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_the_same_every_time(name: str):
    first, second = (trial_rows(case(name).fresh, case(name).rows, 400) for _ in range(2))
    assert same(first.good, second.good)
    assert [r.records() for r in first.refused].__repr__() == [r.records() for r in second.refused].__repr__()
    assert not same(first.good, trial_rows(case(name).fresh, case(name).rows, 400, seed=1).good)


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_answers_the_good_and_refuses_the_others(name: str):
    trials = trial_rows(case(name).fresh, case(name).rows, 600)
    assert 300 < len(trials.good) <= 600
    graph_answers(case(name).fresh, trials.good)
    for row in trials.refused:
        with pytest.raises(InputError):
            graph_answers(case(name).fresh, row)


def test_the_users_rows_come_first():
    honest = case("forest/pipeline")
    trials = trial_rows(honest.fresh, honest.rows, 1000)
    assert trials.sample is not None
    assert same(trials.sample, honest.rows)
    assert trial_rows(honest.fresh, None, 1000).sample is None


def test_large_samples_are_thinned():
    honest = case("forest/pipeline")
    trials = trial_rows(honest.fresh, concat([honest.rows] * 20), 200)
    assert trials.sampled == 100


@pytest.mark.parametrize("name", ["tree/regression", "forest/regression-missing", "hist/ordinal-pipeline"])
def test_small_forests_are_reached_at_every_leaf(name: str):
    graph = case(name).fresh
    rows = trial_rows(graph, None, 20_000).good
    for forest in forests(graph):
        ranks = ranks_of(graph, forest, rows)
        reached = np.unique(leaves(forest.trees, ranks))
        assert len(reached) == int(forest.trees.leaf.sum())


@pytest.mark.parametrize("name", MODELS)
def test_odd_values_are_there(name: str):
    trials = trial_rows(case(name).fresh, case(name).rows, 3000)
    everything = concat([trials.good, *trials.refused])
    numbers = [c.name for c in case(name).fresh.schema.columns if c.kind == "number" and c.read]
    if numbers:
        values = np.concatenate([everything.columns[n] for n in numbers])
        assert np.isnan(values).any()
        assert np.isinf(values).any()
        assert (np.signbit(values) & (values == 0)).any()
        assert (np.abs(values) == 1e308).any()
    words = [c.name for c in case(name).fresh.schema.columns if c.kind == "category" and c.dtype == "str" and c.read]
    if words:
        cells = [v for n in words for v in everything.columns[n].tolist()]
        assert "" in cells
        assert any(v != v for v in cells)
        assert all(isinstance(v, str) or v != v for v in cells)


def test_bounds_of_wide_answers_limit_the_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inputs, "_MOST_CELLS", 2000)
    assert len(trial_rows(case("onehot/mixed").fresh, None, 20_000).good) <= 2000


def test_a_boundary_is_the_last_float_on_its_side():
    honest = case("scale/chain-forest")
    graph = honest.fresh
    (forest,) = forests(graph)
    found = boundaries(graph)
    assert found.changes.sum() > 100
    column = int(found.owner[found.changes][0])
    cell = from_order(found.last[(found.owner == column) & found.changes])
    for side in (cell, np.nextafter(cell, np.inf)):
        rows = honest.rows.take(np.zeros(len(cell), dtype=int))
        rows.columns[graph.schema.columns[column].name][:] = side
        ranks = ranks_of(graph, forest, rows)[:, column]
        if side is cell:
            before = ranks
    assert (ranks > before).all()


def test_a_right_guess_finds_the_same_boundaries():
    graph = case("scale/chain-forest").fresh
    found = boundaries(graph)
    assert (boundaries(graph, found).last[found.changes] == found.last[found.changes]).all()
    found.last[::2] -= 5
    assert (boundaries(graph, found).last[found.changes] == boundaries(graph).last[found.changes]).all()


def test_cells_hold_every_category_and_what_is_none():
    graph = case("hist/string-names").fresh
    cells = raw_cells([graph], [boundaries(graph)])
    names = graph.schema.names
    city = cells.values[names.index("city")].tolist()
    assert {"Bern", "Oslo", "", None} <= {v for v in city if v == v}
    assert any(v != v for v in city)


def test_a_sum_of_columns_depends_on_several():
    graph = case("linear/regression").fresh
    assert (sources(graph)[graph.outputs[0].nodes[0]] == MIXED).all()


def test_floats_are_ordered_as_integers():
    values = np.array([-np.inf, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, np.inf])
    order = to_order(values)
    assert (np.diff(order) > 0).all()
    assert order[4] - order[3] == 1
    assert repr(from_order(order).tolist()) == repr(values.tolist())
    assert neighbours(np.array([1.0])).tolist() == [np.nextafter(1, 0), 1.0, np.nextafter(1, 2)]
    assert neighbours(np.array([np.inf])).tolist() == [np.finfo(float).max, np.inf]


def test_rows_take_every_form():
    schema = Schema(
        (Column("n", dtype="int64"), Column("x"), Column("b", "category", "bool"), Column("c", "category", "str"))
    )
    rows = RawRows.make(schema, {"n": [1, 2], "x": [0.5, None], "b": [True, False], "c": ["a", None]})
    frame = rows.frame()
    assert [str(d) for d in frame.dtypes] == ["int64", "float64", "bool", "str"]
    first, second = rows.records()
    assert first == {"n": 1, "x": 0.5, "b": True, "c": "a"}
    assert type(first["n"]) is int
    assert np.isnan(second["x"])
    assert np.isnan(second["c"])
    assert str(rows.take(np.array([0])).frame()["c"].tolist()) == "['a']"
    fractions = RawRows.make(schema, {"n": [1, 2.5], "x": [0, 0], "b": [True, False], "c": ["a", "b"]})
    assert str(fractions.frame()["n"].dtype) == "float64"

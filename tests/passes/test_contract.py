"""Every pass over every zoo graph: same answers, same refusals, nothing left to do the second time."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from slimml.ir.graph import Graph
from slimml.ir.text import fingerprint
from slimml.ir.verify import verify
from slimml.options import Exactness
from slimml.parity.bound import bounds
from slimml.passes import PASSES
from slimml.passes.base import Pass
from slimml.passes.runner import run_passes
from tests.hostile import hostile_rows, input_blocks, zoo_graph
from tests.passes.graphs import Table, same_bits, table_of, taken, values
from tests.zoo import ZOO

NAMES = [m.name for m in ZOO]


@cache
def rows_of(name: str) -> tuple[Table, int]:
    rows = hostile_rows(name)
    return table_of(input_blocks(zoo_graph(name), rows)), len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_keeps_answers_and_refusals(name: str):
    graph = zoo_graph(name)
    table, count = rows_of(name)
    kept = taken(graph, table, count)
    at = np.flatnonzero(kept)
    before = values(graph, table, at)
    for each in PASSES:
        # Alone on the fresh graph, and in its place after the passes before it.
        for source, old in ((zoo_graph(name), values(zoo_graph(name), table, at)), (graph, before)):
            made = each.run(source).graph
            if made is source:
                continue
            verify(made)
            np.testing.assert_array_equal(taken(made, table, count), kept)
            _compare(each, source, old, made, values(made, table, at))
        graph = each.run(graph).graph
        before = values(graph, table, at)


def _compare(each: Pass, source: Graph, old, made: Graph, new) -> None:
    limits = [bounds(g, v) for g, v in ((source, old), (made, new))]
    for output in source.outputs:
        twin = made.output(output.name)
        for i, (a, b) in enumerate(zip(output.nodes, twin.nodes, strict=True)):
            assert a.type.dtype == b.type.dtype and a.type.width == b.type.width
            if each.exactness is Exactness.BITWISE:
                assert same_bits(old[a], new[b]), f"{each.name} changed {output.name}"
            else:
                _within(old[a], new[b], *(limit[output.name][i] for limit in limits))


def _within(old, new, *limits) -> None:
    one, other = (v.toarray() if hasattr(v, "toarray") else v for v in (old, new))
    if one.dtype == np.int64:
        fragile = [limit for limit in limits if limit is not None]
        assert ((one == other) | np.any(fragile, axis=0)).all() if fragile else (one == other).all()
        return
    room = sum(limit for limit in limits if limit is not None)
    with np.errstate(invalid="ignore"):
        same = (one == other) | (np.isnan(one) & np.isnan(other)) | (np.abs(one - other) <= room) | np.isinf(room)
    assert same.all()


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_is_done_after_one_run(name: str):
    graph = zoo_graph(name)
    for each in PASSES:
        first = each.run(graph)
        assert (first.graph is graph) == (first.fired == 0)
        second = each.run(first.graph)
        assert second.graph is first.graph and second.fired == 0
        assert second.skipped == each.run(second.graph).skipped
        graph = first.graph


@pytest.mark.parametrize("name", NAMES[::8])
def test_running_all_passes_twice_equals_running_them_once(name: str):
    once, reports = run_passes(zoo_graph(name), PASSES)
    twice, again = run_passes(once, PASSES)
    assert fingerprint(once) == fingerprint(twice)
    assert [r.name for r in reports] == [p.name for p in PASSES]
    assert all(r.fired == 0 for r in again)


def test_every_pass_fires_somewhere_in_the_zoo():
    fired = {p.name: 0 for p in PASSES}
    for name in ("forest/pipeline", "linear/pipeline", "scale/chain-forest", "lightgbm/categories", "svc/linear"):
        for report in run_passes(zoo_graph(name), PASSES)[1]:
            fired[report.name] += report.fired
    assert all(fired.values())


def test_bitwise_runs_leave_out_the_passes_that_round():
    graph, reports = run_passes(zoo_graph("linear/pipeline"), PASSES, Exactness.BITWISE)
    for report, each in zip(reports, PASSES, strict=True):
        if each.exactness is Exactness.ROUNDING:
            assert report.fired == 0 and report.skipped == {"rounding passes were not asked for": 1}
    assert not any(type(n).__name__ == "Affine" for n in graph.nodes())

"""Sets as columns: the same leaves for every row, and sets again where a file wants them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slimml.backends import spread_sets as spreading
from slimml.backends.spread_sets import spread_sets
from slimml.ir.forest import IN_SET
from slimml.ir.graph import Graph
from slimml.ir.ops.categories import Recode
from slimml.ir.ops.models import Forest
from slimml.parity.nets import check_cuts, check_witnesses
from slimml.passes import PASSES
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS
from slimml.passes.fold_columns_into_ranks import PASS as FOLD_COLUMNS_INTO_RANKS
from slimml.passes.runner import run_passes
from tests.hostile import zoo_graph

WITH_SETS = ["forest/pipeline", "xgboost/sparse", "hist/ordinal-pipeline", "lightgbm/pipeline", "xgboost/categories"]


def folded(name: str) -> Graph:
    return run_passes(zoo_graph(name), PASSES)[0]


def sets_of(graph: Graph) -> int:
    return sum(int(((n.trees.flags & IN_SET) != 0).sum()) for n in graph.nodes() if isinstance(n, Forest))


@pytest.mark.parametrize("name", WITH_SETS)
def test_spread_sets_send_every_row_where_the_sets_did(name: str):
    graph = folded(name)
    spread = spread_sets(graph)
    # Of numbers sets stay: zeros that a sparse block does not store, in the middle of a column.
    assert sets_of(spread) < sets_of(graph) and (name == "xgboost/sparse" or not sets_of(spread))
    for net in (check_cuts, check_witnesses):
        report = net(graph, spread)
        assert not report.faults and report.checked == report.total, report.worst
    assert spread_sets(spread) is spread


@pytest.mark.parametrize("name", WITH_SETS)
def test_folding_makes_sets_of_them_again(name: str):
    graph = folded(name)
    again = DROP_DEAD_COLUMNS.run(FOLD_COLUMNS_INTO_RANKS.run(spread_sets(graph)).graph).graph
    assert sets_of(again) and not check_witnesses(graph, again).faults


def test_a_lost_member_is_found():
    graph = folded("forest/pipeline")
    spread = spread_sets(graph)
    recode = next(n for n in spread.nodes() if isinstance(n, Recode))
    values = recode.values.copy()
    values[0] = 1 - values[0]
    assert check_cuts(graph, spread.replace({recode: replace(recode, values=values)})).faults


def test_too_many_sets_stay_sets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spreading, "_MOST", 1)
    graph = folded("forest/pipeline")
    assert spread_sets(graph) is graph
    assert np.all([n.trees.nodes > 0 for n in graph.nodes() if isinstance(n, Forest)])

"""fold-columns-into-ranks over the zoo: what is left in front of forests, and every cut and node of them compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slimml.errors import InputError
from slimml.ir.forest import Trees
from slimml.ir.graph import Graph, Output, evaluate, topological
from slimml.ir.ops.categories import Lookup, OneHot
from slimml.ir.ops.columns import Input
from slimml.ir.ops.models import Forest, LinearForest, forests
from slimml.ir.ops.numeric import FillMissing
from slimml.ir.ops.ranks import Rank
from slimml.parity.nets import check_cuts, check_witnesses, paired
from slimml.passes import PASSES
from slimml.passes.fold_columns_into_ranks import PASS
from slimml.passes.runner import run_passes
from slimml.schema import CATEGORY, PANDAS_NA, Column, Schema
from tests.hostile import zoo_graph
from tests.zoo import ZOO

# What may be left: inputs, what refuses rows of them, look-ups of categories, ranks, and their joining.
_LEFT = {"Input", "Guard", "Lookup", "LowerBound", "Recode", "Rank", "Concat"}
# Steps before the trees that are not column-wise.
_NOT_COLUMN_WISE = {
    "products of columns": "polynomial/tree",
    "models in front of a model": """
        stacking/forest-last stacking/forest-last-behind-lines stacking/two-labels stacking/regression-passthrough
        chain/regressors
    """,
    "documents": "text/forest text/table-forest",
}
NOT_COLUMN_WISE = {name: why for why, names in _NOT_COLUMN_WISE.items() for name in names.split()}


def with_forests() -> list[str]:
    return [m.name for m in ZOO if forests(zoo_graph(m.name))]


def final(name: str) -> Graph:
    return run_passes(zoo_graph(name), PASSES)[0]


def left(graph: Graph) -> set[str]:
    """The ops in front of the forests of a graph that are not said of raw columns."""
    return {type(n).__name__ for f in forests(graph) for n in topological(f.inputs[:1])} - _LEFT


def test_forests_of_the_zoo_read_ranks_of_raw_columns():
    behind = {name: left(final(name)) for name in with_forests()}
    assert {name for name, ops in behind.items() if ops} == set(NOT_COLUMN_WISE)


def test_every_column_is_ranked_once():
    for name in with_forests():
        for forest in forests(final(name)):
            ranked = [n for n in topological(forest.inputs[:1]) if isinstance(n, Rank | Lookup)]
            assert len({id(n.inputs[0]) for n in ranked}) == len(ranked), name


@pytest.mark.parametrize("name", with_forests()[::2])
def test_every_cut_and_every_node_goes_the_way_that_it_went(name: str):
    before, after = zoo_graph(name), final(name)
    found = paired(before, after)
    cuts, nodes = check_cuts(before, after, found=found), check_witnesses(before, after, found=found)
    assert not cuts.faults and not nodes.faults, (cuts.worst, nodes.worst)
    if name not in NOT_COLUMN_WISE:
        assert cuts.checked == cuts.total and nodes.checked == nodes.total


@pytest.mark.parametrize("name", ["forest/pipeline", "hist/ordinal-pipeline", "xgboost/sparse", "skewed/uniform"])
def test_one_cut_that_is_off_by_one_float_is_found(name: str):
    before, after = zoo_graph(name), final(name)
    rank = next(n for n in after.nodes() if isinstance(n, Rank))
    for at in np.random.default_rng(0).permutation(len(rank.cuts))[:6].tolist():
        for side in (-np.inf, np.inf):
            cuts = rank.cuts.copy()
            cuts[at] = np.nextafter(cuts[at], side)
            planted = after.replace({rank: replace(rank, cuts=cuts)})
            assert check_cuts(before, planted).faults


def test_a_fold_that_solves_for_cuts_is_found():
    before = run_passes(zoo_graph("forest/regression-pipeline"), PASSES[:1])[0]
    rank = next(n for n in before.nodes() if isinstance(n, Rank))
    numbers = next(n for n in topological([rank]) if type(n).__name__ == "Divide")
    only = numbers.type.width
    # The numbers alone, as the forest of a pipeline of imputer and scaler reads them.
    cuts = rank.cuts[: rank.offsets[only]].astype(np.float64)
    plain = Rank(inputs=(numbers,), cuts=cuts, offsets=rank.offsets[: only + 1], table=np.zeros(0, np.int32))
    trees = _stumps(plain)
    graph = Graph(before.schema, (Output("predict", (Forest(inputs=(plain,), trees=trees),), "vector"),))
    folded = PASS.run(graph).graph
    assert not check_cuts(graph, folded).faults
    subtract = numbers.inputs[0]
    scale, mean = (np.repeat(v, np.diff(plain.offsets)) for v in (numbers.value, subtract.value))
    cheap = Rank(inputs=(subtract.inputs[0],), cuts=_rising(cuts * scale + mean, plain), offsets=plain.offsets,
                 table=plain.table)  # fmt: skip
    wrong = graph.replace({plain: cheap})
    assert check_cuts(graph, wrong).faults


def _rising(cuts: np.ndarray, rank: Rank) -> np.ndarray:
    """Rounding may have made neighbours equal: keep them apart as a careless fold would have to."""
    out = cuts.copy()
    starts = set(rank.offsets.tolist())
    for i in range(1, len(out)):
        if i not in starts and out[i] <= out[i - 1]:
            out[i] = np.nextafter(out[i - 1], np.inf)
    return out


def _stumps(rank: Rank) -> Trees:
    count = len(rank.cuts)
    column = np.repeat(np.arange(rank.type.width), np.diff(rank.offsets))
    own = np.arange(count) - rank.offsets[column]
    nodes = 3 * count
    feature, cut = np.full(nodes, -1, np.int32), np.zeros(nodes, np.int32)
    right = np.zeros(nodes, np.int32)
    feature[::3], cut[::3], right[::3] = column, own, np.arange(count) * 3 + 2
    cut[2::3] = 1
    return Trees(
        feature=feature, cut=cut, right=right, flags=np.zeros(nodes, np.uint8),
        roots=np.arange(0, nodes, 3, dtype=np.int32),
        values=np.array([[0.0], [1.0]]), sets=np.zeros((0, 1), np.uint32), targets=np.zeros(0, np.int32),
        base=np.zeros(1),
    )  # fmt: skip


def test_pandas_na_is_refused_where_the_imputer_refused_it():
    graph = final("forest/pipeline")
    lookup = next(n for n in graph.nodes() if isinstance(n, Lookup))
    assert not any(isinstance(n, FillMissing) for n in graph.nodes()) and lookup.imputed == (True, True)
    words = np.array([[PANDAS_NA, "clerk"]], dtype=object)
    with pytest.raises(InputError, match=r"pandas\.NA"):
        lookup.evaluate(words)


def test_an_encoder_that_no_split_reads_still_refuses_what_it_does_not_know():
    for name in ("forest/pipeline", "onehot/error"):
        refuse = [n.refuse for n in final(name).nodes() if isinstance(n, Lookup)]
        fresh = [n.refuse for n in zoo_graph(name).nodes() if isinstance(n, Lookup)]
        assert any(map(any, refuse)) == any(map(any, fresh))
    words = Input(kind=CATEGORY, columns=(0, 1))
    table = (("a", "b"), ("u", "v"))
    codes = Lookup(inputs=(words,), tables=table, refuse=(True, True))
    graph = _one_hot_stump(codes)
    folded = PASS.run(graph).graph
    for row in (["a", "u"], ["b", "v"]):
        assert _answer(folded, row) == _answer(graph, row)
    for row in (["c", "u"], ["a", "w"]):
        with pytest.raises(InputError, match="unknown category"):
            _answer(folded, row)


def _one_hot_stump(codes: Lookup) -> Graph:
    """A stump on the first one-hot column of the first category."""
    hot = OneHot(
        inputs=(codes,), targets=np.array([0, 1, -1, 0, 1, -1], np.int32), offsets=np.array([0, 3, 6]),
        sizes=np.array([2, 2]),
    )  # fmt: skip
    rank = Rank(inputs=(hot,), cuts=np.array([0.5]), offsets=np.array([0, 1, 1, 1, 1]), table=np.zeros(0, np.int32))
    trees = _stumps(rank)
    columns = (Column("x", CATEGORY, "str"), Column("y", CATEGORY, "str"))
    return Graph(Schema(columns), (Output("predict", (Forest(inputs=(rank,), trees=trees),), "vector"),))


def _answer(graph: Graph, row: list[object]) -> float:
    block = np.array([row], dtype=object)
    (node,) = graph.outputs[0].nodes
    return float(evaluate([node], {x: block[:, list(x.columns)] for x in graph.inputs()})[node][0, 0])


def test_folding_says_what_is_in_the_way():
    _, reports = run_passes(zoo_graph("stacking/forest-last-behind-lines"), PASSES)
    said = next(r.skipped for r in reports if r.name == PASS.name)
    assert any("Softmax" in reason and "does not work column by column" in reason for reason in said)


def test_linear_forests_keep_the_numbers_that_their_leaves_read():
    graph = final("lightgbm/linear-pipeline")
    (forest,) = [f for f in forests(graph) if isinstance(f, LinearForest)]
    assert left(graph) == set() and forest.inputs[1].type.dtype == "float64"


def test_columns_that_the_fold_leaves_unread_are_marked_so():
    graph = final("lightgbm/pipeline")
    read = {c for x in graph.inputs() for c in x.columns}
    assert [c.read for c in graph.schema.columns] == [i in read for i in range(len(graph.schema.columns))]
    plain = _one_hot_stump(
        Lookup(inputs=(Input(kind=CATEGORY, columns=(0, 1)),), tables=(("a", "b"), ("u", "v")), refuse=(False, False))
    )
    after = run_passes(plain, PASSES)[0]
    assert [c.read for c in after.schema.columns] == [True, False]

"""What is left of the preprocessing of real models: those of the benchmarks, and those that older releases pickled."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from sklearn.utils import resample

from benchmarks.pipelines import PIPELINES, read_table
from slimml.frontends.lowerer import lower
from slimml.frontends.width import Columns
from slimml.ingest.read import read
from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops import kernels, models, neighbors, products, text
from slimml.ir.ops.models import forests
from slimml.parity.nets import check_cuts, check_witnesses, paired
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from tests.frontends.test_releases import folders, hold, pickles_of
from tests.passes.test_fold_columns_into_ranks import left
from tests.passes.test_linear_heads import IN_FRONT, LINKS

_MODELS = (models.Forest, models.LinearForest, models.Linear, models.LinearTable, models.ScaledSquares)
# What a row has to be computed for: documents, distances to other rows, products of columns.
_TEXT, _PRODUCTS = (text.CountTerms, text.HashTerms), (products.Products,)
_DISTANCES = (kernels.SquaredDistances, kernels.ExpandedDistances, neighbors.Neighbors)


def small(name: str) -> object:
    """A pipeline of the benchmarks, with all of its steps, fitted on a few rows of its table."""
    recipe, table = PIPELINES[name], read_table(PIPELINES[name].table)
    rows = resample(table, replace=False, n_samples=500, random_state=0, stratify=_classes(table[recipe.target]))
    x = rows[recipe.text] if recipe.text else rows.drop(columns=recipe.target)
    y = rows[recipe.target]
    return recipe.make(x).fit(x, y if y.dtype.kind in "if" else y.astype("category").cat.codes)


def _classes(target: object) -> object:
    return target if len(set(target)) < 10 else None  # type: ignore[call-overload]


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_of_the_benchmarks_are_collapsed(name: str, shared: Path):
    fresh = lower(read(pickle.dumps(small(name), 5)).root)
    final, _ = run_passes(fresh, PASSES)
    found = paired(fresh, final)
    cuts, nodes = check_cuts(fresh, final, found=found), check_witnesses(fresh, final, found=found)
    assert not left(final)
    assert cuts.checked == cuts.total and not cuts.faults, cuts.worst
    assert nodes.checked == nodes.total and not nodes.faults, nodes.worst
    assert bool(forests(final)) == (name.split("-")[1] not in ("logistic", "svc", "bayes"))
    rest = {type(n).__name__ for n in kept(final)}
    assert rest <= {"sms": {"CountTerms", "UnitRows", "Multiply", "Cast"}}.get(name.split("-")[0], set()), rest
    if name == "adult-logistic":
        names = [type(n).__name__ for n in final.nodes()]
        assert names.count("LinearTable") == 1 and set(names) <= {*IN_FRONT, *LINKS, "LinearTable"}


def kept(graph: Graph) -> list[Node]:
    """What is left in front of the models of a graph, but for what stands in front of distances and products."""
    ends = [n for n in graph.nodes() if isinstance(n, (*_MODELS, *_DISTANCES))]
    reads: list[Node] = []
    for end in ends:
        stack = list(end.inputs) if not isinstance(end, _DISTANCES) else []
        while stack:
            node = stack.pop()
            if isinstance(node, (*_MODELS, *_DISTANCES, *_PRODUCTS)):
                continue
            reads.append(node)
            stack += node.inputs
    behind = {n for n in graph.nodes() if any(isinstance(x, (*_MODELS, *_DISTANCES)) for x in topological([n]))}
    rest = [n for n in dict.fromkeys(reads) if n not in behind]
    return [n for n in rest if type(n).__name__ not in {*IN_FRONT, "LowerBound", "Recode", "Input"}]


def test_nineteen_in_twenty_models_of_older_releases_keep_no_preprocessing(shared: Path):
    left_over, count = {}, 0
    for release in folders("pickles"):
        for name, (path, rows, said) in pickles_of(shared / "pickles" / release):
            count += 1
            width = rows.shape[1] if not isinstance(rows, list) else 1
            named = hasattr(rows, "columns")
            names = tuple(rows.columns) if named else tuple(f"x{i}" for i in range(width))
            final, _ = run_passes(lower(read(path).root, offered=Columns(names, named)), PASSES)
            for method, expected in said.items():
                hold(final, method, rows, expected)
            rest = [n for n in kept(final) if not any(isinstance(x, _TEXT) for x in topological([n]))]
            if rest:
                left_over[f"{release} {name}"] = sorted({type(n).__name__ for n in rest})
    assert count == 98
    assert len(left_over) <= 0.05 * count, left_over

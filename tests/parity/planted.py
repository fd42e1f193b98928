"""Small models with their graphs, and faults to plant in them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from slimml.artifact.manifest import Manifest
from slimml.artifact.read import read_artifact
from slimml.artifact.write import write_artifact
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.models import Forest
from slimml.ir.ops.ranks import Rank
from slimml.parity.rows import RawRows
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from slimml.plan.encode import encode, label_tables
from slimml.runtime.labels import write_labels
from slimml.runtime.predictor import Model
from slimml.tables import from_any
from tests.zoo import zoo_model


@dataclass(frozen=True)
class Case:
    """An estimator, its rows, and its graphs fresh and after the passes."""

    estimator: Any
    rows: RawRows
    fresh: Graph
    final: Graph


@cache
def case(name: str) -> Case:
    """The zoo model of that name."""
    estimator, x = zoo_model(name)
    kinds, dtypes = {}, {}
    if hasattr(x, "columns"):
        table = from_any(x)
        dtypes = dict(table.dtypes)
        kinds = {n: "number" if d in ("int64", "float64", "bool") else "category" for n, d in dtypes.items()}
    fresh = lower(read(pickle.dumps(estimator)).root, kinds=kinds, dtypes=dtypes)
    final, _ = run_passes(fresh, PASSES)
    columns = {
        c.name: x[c.name].to_numpy() if hasattr(x, "columns") else x[:, i] for i, c in enumerate(fresh.schema.columns)
    }
    return Case(estimator, RawRows.make(fresh.schema, columns), fresh, final)


def opened(graph: Graph) -> Model:
    """The graph written as an artifact and opened by the runtime."""
    outputs = [{"name": o.name, "form": o.form} for o in graph.outputs]
    manifest = Manifest(
        schema=graph.schema,
        engine="portable",
        exactness="approximate",
        outputs=outputs,
        classes=write_labels(label_tables(graph)),
    )
    return Model(read_artifact(write_artifact(None, manifest, encode(graph)).data))


def changed(graph: Graph, kind: type[Node], change: Callable[[Any], Node]) -> Graph:
    """The graph with its first node of a kind changed."""
    node = next(n for n in graph.nodes() if isinstance(n, kind))
    return graph.replace({node: change(node)})


def one_cut_off_by_one_ulp(graph: Graph, which: float = 0.5) -> Graph:
    """The graph with one cut of a column of numbers moved to the next float; `which`: 0 the first, 1 the last."""

    def move(rank: Rank) -> Rank:
        cuts = rank.cuts.copy()
        # A column with one cut is an indicator: no float lies between its two values.
        several = np.flatnonzero(np.repeat(np.diff(rank.offsets) > 1, np.diff(rank.offsets)) & np.isfinite(cuts))
        i = several[int(which * (len(several) - 1))]
        cuts[i] = np.nextafter(cuts[i], cuts.dtype.type(np.inf))
        return replace(rank, cuts=cuts)

    return changed(graph, Rank, move)


def one_leaf_changed(graph: Graph) -> Graph:
    """The graph with one leaf value off by a millionth."""

    def change(node: Forest) -> Forest:
        values = node.trees.values.copy()
        values[len(values) // 2, 0] += abs(values).max() * 1e-6
        return replace(node, trees=replace(node.trees, values=values))

    return changed(graph, Forest, change)

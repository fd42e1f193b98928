"""Small graphs made by hand, and an artifact opened from what a backend made of one."""

from __future__ import annotations

import numpy as np

from slimml.artifact.manifest import Manifest
from slimml.artifact.read import read_artifact
from slimml.artifact.write import encode_artifact
from slimml.backends.base import Backend, Payload
from slimml.ir.csr import Csr
from slimml.ir.forest import IN_SET, Trees
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.columns import Input
from slimml.ir.ops.models import Forest
from slimml.ir.ops.ranks import Rank
from slimml.options import ShrinkOptions
from slimml.plan.encode import encode, label_tables
from slimml.runtime.engines import open_engine
from slimml.runtime.engines.portable import PortableEngine
from slimml.runtime.labels import write_labels
from slimml.schema import CATEGORY, NUMBER, Column, Schema


def schema_of(numbers: int, categories: int = 0) -> Schema:
    """x0, x1, ... and then c0, c1, ..."""
    columns = [Column(f"x{i}") for i in range(numbers)] + [
        Column(f"c{i}", CATEGORY, "object") for i in range(categories)
    ]
    return Schema(tuple(columns))


def numbers(width: int) -> Input:
    """An input of the first `width` columns."""
    return Input(kind=NUMBER, columns=tuple(range(width)))


def graph_of(node: Node, categories: int = 0, name: str = "transform") -> Graph:
    """A graph that answers one node as a matrix."""
    width = sum(len(n.columns) for n in Graph(schema_of(0), (Output("t", (node,), "matrix"),)).inputs())
    return Graph(schema_of(width - categories, categories), (Output(name, (node,), "matrix"),))


def forest_graph(trees: Trees, width: int = 3, *, seed: int = 0) -> Graph:
    """Numbers, ranked among one random table of cuts a column, into a forest."""
    rng = np.random.default_rng(seed)
    inner = (trees.feature >= 0) & ((trees.flags & IN_SET) == 0)
    most = max(int(trees.cut[inner].max(initial=0)) + 1, trees.sets.shape[1] * 32 if len(trees.sets) else 0)
    cuts = np.sort(rng.normal(size=(width, most)), axis=1)
    offsets = np.arange(width + 1, dtype=np.int64) * most
    rank = Rank(inputs=(numbers(width),), cuts=cuts.ravel(), offsets=offsets, table=np.zeros(0, dtype=np.int32))
    return graph_of(Forest(inputs=(rank,), trees=trees, origin="pipe.model"))


def rows_for(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    """Number rows with NaN, infinities, signed zeros and values that equal cuts."""
    rng = np.random.default_rng(seed)
    width = sum(len(n.columns) for n in graph.inputs() if n.kind == NUMBER)
    rows = rng.normal(size=(count, width))
    cuts = np.concatenate([n.cuts for n in graph.nodes() if isinstance(n, Rank)] + [np.zeros(1)]).astype(np.float64)
    special = np.concatenate([cuts, np.nextafter(cuts, np.inf), [np.nan, np.inf, -np.inf, 0.0, -0.0, np.nan, np.nan]])
    odd = rng.random(rows.shape) < 0.4
    rows[odd] = rng.choice(special, int(odd.sum()))
    return rows


def reference(graph: Graph, blocks: dict[str, np.ndarray], name: str = "transform") -> np.ndarray:
    """What `evaluate` answers."""
    node = graph.output(name).nodes[0]
    value = evaluate([node], {n: blocks[n.kind] for n in graph.inputs()})[node]
    return value.toarray() if isinstance(value, Csr) else value


def compiled(backend: Backend, graph: Graph, threads: int | None = None) -> PortableEngine:
    """The engine of what the backend made, by way of the bytes of an artifact."""
    return opened(backend.compile(graph, ShrinkOptions()), graph, threads)


def opened(payload: Payload, graph: Graph, threads: int | None = None) -> PortableEngine:
    """A payload written, read and opened."""
    manifest = Manifest(
        schema=graph.schema,
        engine=payload.engine,
        exactness="bitwise",
        outputs=[{"name": o.name, "form": o.form} for o in graph.outputs],
        classes=write_labels(label_tables(payload.graph)),
    )
    sections = encode(payload.graph) | dict(payload.sections)
    return open_engine(read_artifact(encode_artifact(manifest, sections)), threads)

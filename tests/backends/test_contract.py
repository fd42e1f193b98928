"""Every backend over every zoo graph: it refuses with a reason, or it answers what `evaluate` answers.

Bitwise, except behind what is `ROUNDING` by its nature and only where the backend itself adds it up.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from slimml.backends import BACKENDS, hummingbird
from slimml.backends.onnx import rules
from slimml.errors import UnsupportedModelError
from slimml.frontends.lowerer import lower
from slimml.ingest.live import read_live
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops.delegates import OnnxCall
from slimml.ir.ops.models import Forest, Linear, LinearTable
from slimml.ir.ops.ranks import Rank
from slimml.parity.bound import bounds
from slimml.parity.compare import Bounds
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from slimml.runtime.columns import read_rows
from slimml.sample import read_sample
from tests.backends.graphs import compiled
from tests.hostile import accepted, graph_values
from tests.zoo import ZOO, zoo_model

_BY_NAME = {b.name: b for b in BACKENDS}


@cache
def zoo_graph(name: str, passes: bool) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph as lowered or after all passes, and the blocks of the rows that it answers."""
    estimator, rows = zoo_model(name)
    record = read_live(estimator).root
    try:
        sample = read_sample(record, rows, None, None)
        graph = lower(record, kinds=sample.kinds, dtypes=sample.dtypes)
    except UnsupportedModelError as error:
        pytest.skip(f"not lowered: {error.what}")
    graph = run_passes(graph, PASSES)[0] if passes else graph
    return graph, _accepted(graph, rows)


def _accepted(graph: Graph, rows) -> dict[str, np.ndarray]:
    """The blocks of those rows that no guard refuses, each followed by a row on the edges of the splits."""
    read = read_rows(rows, graph.schema)
    columns = graph.schema.columns
    others = [i for i, c in enumerate(columns) if c.read and c.kind != "number"]
    blocks = {
        x.kind: read.numbers if x.kind == "number" else read.objects[:, [others.index(c) for c in x.columns]]
        for x in graph.inputs()
    }
    blocks = {k: np.concatenate([b, _on_edges(graph, b) if k == "number" else b]) for k, b in blocks.items()}
    rows = np.arange(len(next(iter(blocks.values()))))
    keep = accepted(lambda at: graph_values(graph, None, {x: blocks[x.kind][at] for x in graph.inputs()}), rows)
    return {k: b[keep] for k, b in blocks.items()}


def _on_edges(graph: Graph, block: np.ndarray) -> np.ndarray:
    """The rows with half of their numbers moved onto cuts, one ulp beyond them, or where float32 rounds onto them."""
    rng = np.random.default_rng(0)
    cuts = np.concatenate([np.zeros(1), *(n.cuts.astype(np.float64) for n in graph.nodes() if isinstance(n, Rank))])
    edges = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), cuts * (1 + 2e-8), [-0.0]])
    moved = rng.random(block.shape) < 0.5
    out = block.copy()
    out[moved] = rng.choice(edges[np.isfinite(edges)], int(moved.sum()))
    return out


def answers_and_bounds(graph: Graph, blocks) -> tuple[dict[str, list[np.ndarray]], Bounds]:
    """The nodes of every output, and how far rounding may carry them."""
    ends = [n for o in graph.outputs for n in o.nodes]
    values = evaluate(ends, {x: blocks[x.kind] for x in graph.inputs()})
    return {o.name: [dense(values[n]) for n in o.nodes] for o in graph.outputs}, bounds(graph, values)


def dense(value) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else value.toarray()


def assert_close(got: np.ndarray, want: np.ndarray, limit: np.ndarray | None) -> None:
    """Equal bits where there is no limit; else within it (a mask of labels says which may differ)."""
    assert got.shape == want.shape and got.dtype == want.dtype
    same = got.tobytes() == want.tobytes()
    if limit is None or same:
        assert same
    elif limit.dtype == bool:
        assert ((got == want) | limit).all()
    else:
        with np.errstate(invalid="ignore"):
            inside = (got == want) | (np.abs(got - want) <= limit) | np.isinf(limit) | (np.isnan(got) & np.isnan(want))
        assert inside.all(), f"{got[~inside][:3]} is not {want[~inside][:3]} within {limit[~inside][:3]}"


# The others run forests and linear sums alone, which passes leave as they are.
_TRIED = [pytest.param(b, passes, id=f"{b}-{'passes' if passes else 'fresh'}")
          for b in _BY_NAME for passes in (False, True) if passes or b in ("portable", "onnx")]  # fmt: skip


@pytest.mark.parametrize(("backend", "passes"), _TRIED)
@pytest.mark.parametrize("model", ZOO, ids=[m.name for m in ZOO])
def test_a_backend_agrees_or_says_why_not(model, backend, passes):
    graph, blocks = zoo_graph(model.name, passes)
    if _BY_NAME[backend].missing():
        pytest.skip(f"{backend} is not installed")
    refusals = _BY_NAME[backend].refuses(graph)
    if refusals:
        assert all(r.reason for r in refusals)
        has_model = any(isinstance(n, Forest | Linear | LinearTable) for n in graph.nodes())
        assert backend != "onnx" or not has_model, refusals
        assert backend != "hummingbird" or not any(hummingbird.runs(n) for n in graph.nodes())
        return
    engine = compiled(_BY_NAME[backend], graph)
    delegated = any(isinstance(n, OnnxCall) for n in engine.graph.nodes())
    rounds = {"onnx": rules.SUMS, "hummingbird": (Linear, LinearTable)}.get(backend, ())
    bitwise = not any(isinstance(n, rounds) for n in graph.nodes())
    assert delegated == (backend == "onnx")
    for count in (1, len(next(iter(blocks.values())))):
        some = {k: b[:count] for k, b in blocks.items()}
        wanted, limits = answers_and_bounds(graph, some)
        for name, want in wanted.items():
            for one, expected, limit in zip(engine.run(name, some), want, limits[name], strict=True):
                assert_close(dense(one), expected, None if bitwise else limit)

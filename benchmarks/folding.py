"""What folding gains: every pipeline of tables with and without it, side by side.

    python -m benchmarks.folding [NAME ...] [-o FILE]

writes FILE (benchmarks/results/folding.json): the machine, and per pipeline what the graph holds before and after, the
seconds and the memory that folding took, and for each backend the bytes of both artifacts and the time of one row from
a dict, the two taking turns. Their answers to the held-out rows are compared first. One more entry is a forest of four
million nodes, which is folded and not compiled.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.pipelines import PIPELINES, SEED, build
from benchmarks.run import RESULTS, machine
from slimml.backends import BACKENDS
from slimml.candidates import build as compile_candidate
from slimml.candidates import refusal
from slimml.frontends.lowerer import lower
from slimml.intake import ingest
from slimml.ir.graph import Graph
from slimml.ir.ops.models import forests
from slimml.ir.ops.ranks import Rank
from slimml.measure.latency import percentiles
from slimml.options import GOLDEN_RTOL, ShrinkOptions
from slimml.passes import PASSES
from slimml.passes.fold_columns_into_ranks import PASS as FOLD
from slimml.passes.runner import run_passes
from slimml.sample import read_sample

# The passes that make up folding: what `before` goes without.
FOLDING = (FOLD.name, "compact-forests", "fuse-affine", "fold-affine-into-linear", "fold-linear-into-linear",
           "fold-columns-into-linear")  # fmt: skip
LARGE = "four-million-nodes"
# Seconds of one backend's two artifacts, and rows that take turns.
SECONDS, ROWS = 6.0, 256
_LARGE_ROWS, _LARGE_COLUMNS, _LARGE_TREES = 20_000, 10, 100


def lowered(model: Any, rows: pd.DataFrame) -> Graph:
    """What a model (a path, or a live estimator) means for rows of such kinds, before any pass."""
    record = ingest(model, None).root
    sample = read_sample(record, rows, None, None)
    return lower(record, kinds=sample.kinds, dtypes=sample.dtypes)


def both(graph: Graph) -> dict[str, Graph]:
    """The graph after all passes but those of folding, and after all."""
    before = [p for p in PASSES if p.name not in FOLDING]
    return {"before": run_passes(graph, before)[0], "after": run_passes(graph, PASSES)[0]}


def contents(graph: Graph) -> dict[str, int]:
    """What a graph holds: `splits` are different ones, `columns` those that forests read, `raw` those of the input."""
    found = {"nodes": 0, "splits": 0, "sets": 0, "columns": 0}
    for trees in (f.trees for f in forests(graph)):
        inner = trees.feature >= 0
        splits = np.stack([trees.feature[inner], trees.cut[inner], trees.flags[inner]])
        found["nodes"] += trees.nodes
        found["splits"] += len(np.unique(splits, axis=1).T)
        found["sets"] += len(trees.sets)
        found["columns"] += len(np.unique(trees.feature[inner]))
    return found | {
        "cuts": sum(len(n.cuts) for n in graph.nodes() if isinstance(n, Rank)),
        "raw": len({c for n in graph.inputs() for c in n.columns}),
        "ops": len(graph.nodes()),
    }


def cost(graph: Graph) -> dict[str, float]:
    """Seconds of folding alone, and by how many bytes it makes memory grow at most, in a run of its own."""
    ready = run_passes(graph, PASSES[: PASSES.index(FOLD)])[0]
    start = time.perf_counter()
    FOLD.run(ready)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    try:
        begin = tracemalloc.get_traced_memory()[0]
        FOLD.run(ready)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return {"seconds": seconds, "grown_bytes": peak - begin}


def compared(graphs: dict[str, Graph], rows: pd.DataFrame, *, seconds: float = SECONDS) -> dict[str, Any]:
    """Per backend the bytes and one-row times of both, or why it has none. Raises SystemExit where answers differ."""
    found: dict[str, Any] = {}
    records = rows.head(ROWS).to_dict("records")
    for backend in BACKENDS:
        refused = {side: refusal(backend, graph, asked=False) for side, graph in graphs.items()}
        if any(refused.values()):
            found[backend.name] = {"refused": refused}
            continue
        made = {side: compile_candidate(backend, graph, ShrinkOptions(), {}, []) for side, graph in graphs.items()}
        _require_equal(backend.name, made["before"].model, made["after"].model, rows)
        method = made["before"].model.manifest.outputs[0]["name"]
        calls: dict[str, Callable[[Any], Any]] = {side: getattr(c.model, method) for side, c in made.items()}
        times = percentiles(calls, records, seconds)
        sides = {side: {"bytes": len(made[side].data), "p50_us": times[side].p50} for side in graphs}
        found[backend.name] = sides | {
            "smaller": sides["before"]["bytes"] / sides["after"]["bytes"],
            "faster": sides["before"]["p50_us"] / sides["after"]["p50_us"],
        }
    return found


def _require_equal(name: str, before: Any, after: Any, rows: pd.DataFrame) -> None:
    """Labels equal, numbers too, but for what another order of a linear model's sums leaves open."""
    for method in (o["name"] for o in before.manifest.outputs):
        one, other = (np.asarray(getattr(model, method)(rows)) for model in (before, after))
        numbers = one.dtype.kind == "f"
        equal = np.array_equal(one, other, equal_nan=numbers)
        if not equal and not (numbers and np.allclose(one, other, rtol=GOLDEN_RTOL, atol=0, equal_nan=True)):
            raise SystemExit(f"benchmarks: {name}: {method} differs before and after folding")


def entry(model: Any, rows: pd.DataFrame, *, seconds: float = SECONDS) -> dict[str, Any]:
    """All that is said of one pipeline."""
    graph = lowered(model, rows)
    graphs = both(graph)
    held = {side: contents(g) for side, g in graphs.items()}
    return {"held": held, "fold": cost(graph), "backends": compared(graphs, rows, seconds=seconds)}


def large(*, rows: int = _LARGE_ROWS, trees: int = _LARGE_TREES) -> dict[str, Any]:
    """The same of a forest of four million nodes, whose cuts all differ, behind an imputer and a scaler; not run."""
    fitted, table = large_model(rows, trees)
    graph = lowered(fitted, table)
    return {"held": {side: contents(g) for side, g in both(graph).items()}, "fold": cost(graph)}


def large_model(rows: int, trees: int) -> tuple[Pipeline, pd.DataFrame]:
    """A fully grown forest on random rows, every leaf of which holds one; and some of the rows."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(rows, _LARGE_COLUMNS))
    x[rng.random(x.shape) < 0.01] = np.nan
    model: BaseEstimator = ExtraTreesRegressor(trees, max_features=1, random_state=SEED)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), model)
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(_LARGE_COLUMNS)])
    return pipeline.fit(table, rng.normal(size=rows)), table.head(ROWS)


def table(entries: dict[str, dict[str, Any]]) -> str:
    """The entries as a Markdown table: before -> after."""
    backends = [b.name for b in BACKENDS]
    head = ("pipeline", "nodes", "cuts", "splits", "columns", "ops", "fold", "memory", *backends)
    lines = [head, ("---",) * len(head), *(_cells(name, found, backends) for name, found in entries.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(name: str, found: dict[str, Any], backends: Sequence[str]) -> tuple[str, ...]:
    old, new = found["held"]["before"], found["held"]["after"]
    changes = (f"{old[what]:,} -> {new[what]:,}" for what in ("nodes", "cuts", "splits", "columns", "ops"))
    fold = found["fold"]
    spent = (f"{fold['seconds']:.2f} s", f"{fold['grown_bytes'] / 1e6:,.0f} MB")
    return (name, *changes, *spent, *(_gain(found.get("backends", {}).get(b)) for b in backends))


def _gain(found: dict[str, Any] | None) -> str:
    if found is None or "refused" in found:
        return "-"
    old, new = found["before"], found["after"]
    return (
        f"{old['bytes'] / 1e3:,.0f} -> {new['bytes'] / 1e3:,.0f} kB, "
        f"{old['p50_us']:,.0f} -> {new['p50_us']:,.0f} us ({found['faster']:.2f}x)"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure the pipelines that are named, or all."""
    names = (*PIPELINES, LARGE)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folding", description="Measure what folding gains.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("-o", type=Path, dest="out", default=RESULTS / "folding.json")
    options = parser.parse_args(arguments)
    if unknown := [n for n in options.names if n not in names]:
        parser.error(f"no pipeline {', '.join(unknown)}; there are {', '.join(names)}")
    entries: dict[str, dict[str, Any]] = {}
    for name in options.names or names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        if name == LARGE:
            entries[name] = large()
            continue
        if PIPELINES[name].text is not None:
            continue
        built = build(name)
        entries[name] = entry(built.path, built.held_out_X)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"machine": machine(), "runs": entries}, indent=1) + "\n", encoding="utf-8")
    print(table(entries))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

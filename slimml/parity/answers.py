"""What a graph, a loaded artifact or the original answers, in one shape: (n, k) blocks by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.parity import worker
from slimml.parity.rows import RawRows

# One (n, k) block per target; of labels where the method answers with labels.
Answer = tuple[np.ndarray, ...]
Answers = dict[str, Answer]


def graph_answers(graph: Graph, rows: RawRows, outputs: Sequence[str] | None = None) -> Answers:
    """What `evaluate` says. Raises InputError where the graph refuses a row."""
    return answers_of_values(graph, evaluate(_ends(graph, outputs), rows.blocks(graph)), outputs)


def answers_of_values(graph: Graph, values: Mapping[Node, Any], outputs: Sequence[str] | None = None) -> Answers:
    """The answers of outputs whose nodes have been evaluated."""
    chosen = [o for o in graph.outputs if outputs is None or o.name in outputs]
    return {o.name: tuple(labelled(o, values[n]) for n in o.nodes) for o in chosen}


def labelled(output: Output, value: Any) -> np.ndarray:
    """A node's value as its method answers it: dense, positions turned into labels."""
    block: np.ndarray = value.toarray() if isinstance(value, Csr) else value
    if not output.labels:
        return block
    picked = [table[block[:, i]] for i, table in enumerate(output.labels)]
    same = len({p.dtype for p in picked}) == 1
    return np.stack(picked if same else [p.astype(object) for p in picked], axis=1)


def engine_answers(engine: Any, rows: RawRows, outputs: Sequence[str]) -> Answers:
    """What a runtime engine says, without a predictor around it. Raises InputError."""
    graph: Graph = engine.graph
    blocks = rows.by_kind(graph)
    answers: Answers = {}
    for name in outputs:
        output = graph.output(name)
        answers[name] = tuple(labelled(output, v) for v in engine.run(name, blocks))
    return answers


def model_answers(model: Any, rows: RawRows, outputs: Sequence[str]) -> Answers:
    """What a loaded artifact (or an engine) says of a batch. Raises InputError."""
    if hasattr(model, "run") and not hasattr(model, "predict"):
        return engine_answers(model, rows, outputs)
    batch = rows.batch()
    return {name: tuple(worker.answer(model, name, batch)) for name in outputs}


def one_row_answers(model: Any, rows: RawRows, outputs: Sequence[str]) -> Answers:
    """What a loaded artifact says of the same rows, one dict at a time, as services ask it."""
    answers: Answers = {}
    for name in outputs:
        method = getattr(model, name)
        answers[name] = _stacked([method(record) for record in rows.records()])
    return answers


def _stacked(singles: list[Any]) -> Answer:
    # One row is a scalar, a list of k numbers, or (several targets) a list of lists: the same as a batch of one.
    nested = isinstance(singles[0], list | tuple) and len(singles[0]) and isinstance(singles[0][0], list | tuple)
    targets = list(zip(*singles, strict=True)) if nested else [singles]
    return tuple(_matrix([list(v) if isinstance(v, list | tuple) else [v] for v in target]) for target in targets)


def _matrix(rows: list[list[Any]]) -> np.ndarray:
    numeric = all(isinstance(v, bool | int | float) for row in rows[:1] for v in row)
    if numeric:
        return np.array(rows)
    out = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row
    return out


def _ends(graph: Graph, outputs: Sequence[str] | None) -> list[Node]:
    return [n for o in graph.outputs if outputs is None or o.name in outputs for n in o.nodes]

"""Every zoo model: what its graph answers against what the live original answers, on rows chosen to part the two."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.text import fingerprint
from tests.hostile import (
    accepted,
    graph_answer,
    graph_values,
    hostile_rows,
    input_blocks,
    limits,
    original_answer,
    same_cells,
    take,
    zoo_graph,
)
from tests.zoo import ZOO, zoo_model

NAMES = [m.name for m in ZOO]


@pytest.mark.parametrize("name", NAMES)
def test_graph_answers_and_refuses_hostile_rows_as_the_original(name: str):
    estimator, _ = zoo_model(name)
    graph = zoo_graph(name)
    rows = hostile_rows(name)
    first = graph.outputs[0].name
    blocks = input_blocks(graph, rows)
    taken = accepted(lambda at: graph_values(graph, first, {x: b[at] for x, b in blocks.items()}), np.arange(len(rows)))
    original = accepted(lambda part: original_answer(estimator, first, part), rows)
    wrong = np.flatnonzero(taken != original)
    assert not len(wrong), f"refusal differs, the original takes it: {original[wrong]}\n{take(rows, wrong)}"
    kept = take(rows, np.flatnonzero(taken))
    for output in graph.outputs:
        expected = original_answer(estimator, output.name, kept)
        got = graph_answer(graph, output.name, kept)
        allowed = limits(graph, output.name, kept)
        assert [b.shape for b in got] == [b.shape for b in expected]
        for one, other, limit in zip(expected, got, allowed, strict=True):
            _hold(output.name, one, other, limit, kept)


def _hold(method, expected, got, limit, rows) -> None:
    same = same_cells(expected, got)
    if limit is not None and limit.dtype == bool:
        same |= limit
    elif limit is not None:
        with np.errstate(invalid="ignore"):
            same |= (np.abs(expected - got) <= limit) | np.isinf(limit)
    at = np.argwhere(~same)
    first = tuple(at[0]) if len(at) else ()
    message = f"{method} differs in {len(at)} cells, first {first}: {expected[first]!r} is not {got[first]!r}"
    assert not len(at), f"{message}\n{take(rows, at[:1, 0])}"


@pytest.mark.parametrize("name", NAMES)
def test_methods_of_the_graph_are_those_of_the_original(name: str):
    estimator, _ = zoo_model(name)
    methods = {"predict", "predict_proba", "predict_log_proba", "decision_function", "transform"}
    methods.add("predict_joint_log_proba")
    # That of a projection (PCA) says how likely a row is under it; no artifact answers it.
    methods |= {"score_samples"} if hasattr(estimator, "predict") else set()
    assert {o.name for o in zoo_graph(name).outputs} == {m for m in methods if hasattr(estimator, m)}


@pytest.mark.parametrize("name", NAMES[::6])
def test_every_protocol_gives_the_same_graph(name: str):
    estimator, _ = zoo_model(name)
    prints = {fingerprint(lower(read(pickle.dumps(estimator, p)).root)) for p in (2, 3, 4, 5)}
    assert prints == {fingerprint(zoo_graph(name))}

"""What would take too long or too much memory is refused before it starts."""

from __future__ import annotations

import re
import time

import pytest

from slimml import candidates
from slimml.backends import BACKENDS
from slimml.candidates import refusal
from tests.backends.forests import random_trees
from tests.backends.graphs import forest_graph

COSTLY = [b for b in BACKENDS if b.name in ("onnx", "treelite", "hummingbird")]


@pytest.mark.parametrize("backend", COSTLY, ids=[b.name for b in COSTLY])
def test_an_oversized_forest_is_refused_at_once_and_with_figures(backend, monkeypatch):
    monkeypatch.setattr(type(backend), "missing", lambda self: None)
    graph = forest_graph(random_trees(1, count=40, depth=11))
    assert refusal(backend, graph, asked=False) is None
    # As many bytes a node as the backend says, for a forest that is larger than what is allowed.
    monkeypatch.setattr(candidates, "MAX_BYTES", backend.cost(graph).bytes - 1)
    start = time.perf_counter()
    said = refusal(backend, graph, asked=False)
    assert time.perf_counter() - start < 1.0
    assert said is not None
    assert re.fullmatch(
        rf"it would take about \d+ s and [\d.]+ GB; --backend {backend.name} runs it all the same", said
    )
    assert refusal(backend, graph, asked=True) is None


@pytest.mark.parametrize("backend", COSTLY, ids=[b.name for b in COSTLY])
def test_cost_grows_with_the_forest(backend):
    small, large = (backend.cost(forest_graph(random_trees(1, count=n, depth=9))) for n in (5, 50))
    assert large.seconds > small.seconds and large.bytes > small.bytes

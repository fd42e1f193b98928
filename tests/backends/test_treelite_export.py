"""A Treelite checkpoint sends every row where the graph sends it."""

from __future__ import annotations

import numpy as np
import pytest

from slimml.backends.treelite_export import answered_node, export_refusal, export_treelite
from slimml.errors import NoBackendError
from slimml.ir.graph import evaluate
from slimml.ir.ops.heads import Sigmoid
from slimml.ir.ops.models import Forest
from slimml.ir.ops.numeric import Divide
from tests.backends.test_contract import dense, zoo_graph
from tests.zoo import ZOO

treelite = pytest.importorskip("treelite")


@pytest.mark.parametrize("model", ZOO, ids=[m.name for m in ZOO])
def test_the_checkpoint_agrees_or_says_why_not(model):
    graph, blocks = zoo_graph(model.name, True)
    refusal = export_refusal(graph)
    if refusal is not None:
        with pytest.raises(NoBackendError):
            export_treelite(graph)
        return
    data = export_treelite(graph)
    assert data == export_treelite(graph)
    read = treelite.Model.deserialize_bytes(data)
    node = answered_node(graph)
    want = dense(evaluate([node], {x: blocks[x.kind] for x in graph.inputs()})[node])
    rows = np.full((len(want), len(graph.schema.columns)), np.nan)
    rows[:, list(graph.inputs()[0].columns)] = blocks["number"]
    raw = treelite.gtil.predict(read, rows, nthread=1, pred_margin=isinstance(node, Forest | Divide))
    got = raw.reshape(want.shape)
    if isinstance(node, Sigmoid):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    else:
        assert got.tobytes() == np.ascontiguousarray(want).tobytes()


def test_plain_forests_and_boosters_are_not_refused():
    for name in ("forest/binary", "forest/missing", "boosting/regression", "hist/missing", "extra/regression"):
        assert export_refusal(zoo_graph(name, True)[0]) is None

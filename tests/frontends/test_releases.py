"""Models of older releases answer as the release that wrote them answered, without that release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slimml.errors import UnsupportedModelError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops.models import Forest
from slimml.parity.bound import bounds
from tests.hostile import input_blocks, labelled

# Lowered today; an estimator that gains a frontend is compared from then on, and one that loses it is missed here.
LOWERED_1_7 = ["adult_rf", "adult_lr", "adult_gbc", "adult_hgb", "housing_rf"]
LOWERED_1_8 = ["dtc", "dtr", "etc", "gbc", "gbc3", "gbr", "hgbc", "hgbr", "linreg", "logreg", "logreg3", "maxabsscaler",
         "minmaxscaler", "ohe", "ordinal", "pipe_ct_imp_gb", "pipe_ct_rf", "pipe_scaler_lr", "rfc", "rfr", "ridge",
         "robustscaler", "simpleimputer", "standardscaler"]  # fmt: skip


def lowered(path: Path) -> Graph | None:
    """The graph of a model, None where some step of it has no frontend yet."""
    try:
        return lower(read(path).root)
    except UnsupportedModelError:
        return None


def hold(graph: Graph, method: str, rows: Any, expected: np.ndarray) -> None:
    """The answer is the release's: the same bits where trees alone make it, within 1e-9 elsewhere."""
    values = evaluate(graph.output(method).nodes, input_blocks(graph, rows))
    (answer,) = labelled(graph, method, values)
    answer, expected = answer.reshape(expected.shape), np.asarray(expected)
    (limit,) = bounds(graph, values)[method]
    if expected.dtype.kind in "OUSb" or (limit is None and any(isinstance(n, Forest) for n in graph.nodes())):
        np.testing.assert_array_equal(answer, expected)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:The 'float_precision'")
def test_models_of_release_1_7(shared: Path):
    folder, seen = shared / "pickles" / "s172", set()
    facts = json.loads((folder / "sk1.7.2.json").read_text())
    for name, fact in facts.items():
        path = next(p for p in (folder / f"{name}.pkl", folder / f"{name}.joblib") if p.exists())
        graph = lowered(path) if fact["input"] != "text" else None
        if graph is None:
            continue
        frame = pd.read_csv(folder / f"{name}.X.csv", float_precision="round_trip")
        rows = frame.to_numpy() if fact["input"] == "array" else frame
        said = np.load(folder / f"{name}.expected.npz", allow_pickle=False)
        for method in fact["outputs"]:
            hold(graph, method, rows, said[method])
        seen.add(name.split("__")[1])
    assert seen >= set(LOWERED_1_7)


def _cases(folder: Path) -> Iterator[tuple[str, str, Any, np.ndarray]]:
    inputs = np.load(folder.parent / "inputs.npz", allow_pickle=False)
    for name, said in json.loads((folder / "expected.json").read_text()).items():
        if said["input"] in inputs.files:
            yield name, said["method"], inputs[said["input"]], np.array(said["out"])


@pytest.mark.parametrize("release", ["1.8.0"])
def test_models_of_release(release: str, shared: Path):
    seen = set()
    for name, method, rows, expected in _cases(shared / "versions" / release):
        graph = lowered(shared / "versions" / release / f"{name}.pkl")
        if graph is not None:
            hold(graph, method, rows, expected)
            seen.add(name)
    assert seen >= set(LOWERED_1_8)

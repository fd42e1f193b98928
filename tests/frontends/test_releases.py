"""Models of older releases answer as the release that wrote them answered, without that release.

Every model of `versions` and `pickles` in the shared data is tried. Those in NOT_YET fall short, by refusal or by
answer; one that holds again has to leave the table, so it only shrinks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slimml.errors import SlimmlError
from slimml.frontends.lowerer import lower
from slimml.frontends.width import Columns
from slimml.ingest.read import read
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops import heads
from slimml.ir.ops.models import Forest
from slimml.parity.bound import bounds
from slimml.tables.table import positional
from tests.frontends.releases_not_yet import NOT_YET
from tests.hostile import input_blocks, labelled
from tests.shared import shared_dir

# Another machine computed what is expected, and its exp may differ in the last bit: no bits are compared behind a link.
_LINKS = (heads.Sigmoid, heads.Softmax, heads.Exp, heads.Log)
Case = tuple[Path, Any, dict[str, np.ndarray]]


def hold(graph: Graph, method: str, rows: Any, expected: np.ndarray) -> None:
    """The answer is the release's: the same bits where trees alone make it, within 1e-9 elsewhere."""
    values = evaluate(graph.output(method).nodes, input_blocks(graph, rows))
    (answer,) = labelled(graph, method, values)
    answer, expected = answer.reshape(expected.shape), np.asarray(expected)
    (limit,) = bounds(graph, values)[method]
    trees = any(isinstance(n, Forest) for n in values) and not any(isinstance(n, _LINKS) for n in values)
    if expected.dtype.kind in "OUSb" or (limit is None and trees):
        np.testing.assert_array_equal(answer, expected)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-9, atol=1e-9)


def shortcoming(path: Path, rows: Any, said: dict[str, np.ndarray]) -> str:
    """Why a model does not answer as its release did, or ""."""
    width = rows.shape[1] if not isinstance(rows, list) else 1
    names = tuple(rows.columns) if isinstance(rows, pd.DataFrame) else positional(width)
    try:
        graph = lower(read(path).root, offered=Columns(names, isinstance(rows, pd.DataFrame)))
        for method, expected in said.items():
            hold(graph, method, rows, expected)
    except (SlimmlError, AssertionError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def pickles_of(folder: Path) -> Iterator[tuple[str, Case]]:
    (facts,) = folder.glob("sk*.json")
    for name, fact in json.loads(facts.read_text()).items():
        path = next(p for p in (folder / f"{name}.pkl", folder / f"{name}.joblib") if p.exists())
        frame = pd.read_csv(folder / f"{name}.X.csv", float_precision="round_trip")
        rows = {"array": frame.to_numpy, "text": lambda frame=frame: frame["text"].tolist()}
        said = np.load(folder / f"{name}.expected.npz", allow_pickle=False)
        given = rows[fact["input"]]() if fact["input"] in rows else frame
        yield name.split("__")[1], (path, given, {m: said[m] for m in fact["outputs"]})


def _versions(folder: Path) -> Iterator[tuple[str, Case]]:
    inputs = dict(np.load(folder.parent / "inputs.npz", allow_pickle=False))
    inputs["docs"] = json.loads((folder.parent / "docs.json").read_text())
    for name, said in json.loads((folder / "expected.json").read_text()).items():
        rows = inputs[said["input"]]
        rows = rows[:, None] if isinstance(rows, np.ndarray) and rows.ndim == 1 else rows
        yield name, (folder / f"{name}.pkl", rows, {said["method"]: np.array(said["out"])})


def folders(kind: str) -> list[str]:
    folder = shared_dir()
    return sorted(p.name for p in (folder / kind).iterdir() if p.is_dir()) if folder else ["none"]


@pytest.mark.filterwarnings("ignore:The 'float_precision'")
@pytest.mark.parametrize(
    ("kind", "release"), [(k, r) for k in ("pickles", "versions") for r in folders(k)], ids=lambda v: v
)
def test_models_of_a_release_answer_as_it_did(kind: str, release: str, shared: Path):
    cases = dict({"pickles": pickles_of, "versions": _versions}[kind](shared / kind / release))
    assert cases
    found = {name: shortcoming(*case) for name, case in cases.items()}
    short = {name: why for name, why in found.items() if why and release not in NOT_YET.get(name, "").split()}
    healed = [name for name, why in found.items() if not why and release in NOT_YET.get(name, "").split()]
    assert not short, "\n".join(f"{n}: {w}" for n, w in short.items())
    assert not healed, f"take {release} out of NOT_YET for: {', '.join(healed)}"

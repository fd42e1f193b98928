"""Artifacts that differ from one another in one respect: the same, grown, slowed, drifted."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from slimml.backends import BACKENDS
from slimml.backends.base import Backend
from slimml.candidates import build
from slimml.intake import graphs, ingest
from slimml.options import GOLDEN_ROWS, ShrinkOptions
from slimml.parity.inputs import trial_rows
from slimml.sample import Sample


@dataclass(frozen=True)
class Family:
    """Paths. `model` is the pickle of `base`; `twin` and `grown` mean what `base` means and have other bytes."""

    folder: Path
    model: Path
    base: Path
    twin: Path
    grown: Path
    slowed: Path
    drifted: Path
    other: Path


@pytest.fixture(scope="session", autouse=True)
def _brief() -> Iterator[None]:
    """Timings here are looked at, not relied on, but for those of duels."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("driver", "judge.bench", "judge.speed"):
            patch.setattr(f"slimml.{module}.MEASURE_SECONDS", 0.1)
        yield


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """The artifacts, in a folder of their own."""
    return make_family(tmp_path_factory.mktemp("family"))


def make_family(folder: Path) -> Family:
    """A forest of 30 trees, one of 90, and one with a leaf that moved."""
    names = ("base", "twin", "grown", "slowed", "drifted", "other")
    files = Family(folder, folder / "model.pkl", *(folder / f"{n}.slim" for n in names))
    x, y = make_classification(300, 8, n_informative=5, random_state=0)

    def forest(trees: int) -> RandomForestClassifier:
        return RandomForestClassifier(trees, max_depth=6, random_state=0).fit(x, y)

    files.model.write_bytes(pickle.dumps(forest(30)))
    write(forest(30), files.base)
    write(forest(30), files.twin, note="made at another time")
    # The same model with a header that grew.
    write(forest(30), files.grown, note=np.random.default_rng(0).bytes(4000).hex())
    write(forest(90), files.slowed)
    moved = forest(30)
    tree = moved.estimators_[7].tree_
    tree.value[tree.node_count - 1] += 0.01
    write(moved, files.drifted)
    write(RandomForestClassifier(5, random_state=0).fit(x[:, :5], y), files.other)
    return files


def write(model: object, out: Path, note: str = "", backend: Backend = BACKENDS[0]) -> None:
    """What shrink() writes, without the comparison and the measurements."""
    _, final, _ = graphs(ingest(model, None), Sample(), ShrinkOptions())
    rows = trial_rows(final, None, count=64).good.records(GOLDEN_ROWS)
    made = build(backend, final, ShrinkOptions(), {"note": note}, rows)
    out.write_bytes(made.sealed("bitwise", {}).data)

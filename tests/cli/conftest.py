"""A model that went through `slimml shrink` once, and a way to run commands in this process."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slimml.cli import main
from tests.zoo import people, zoo_model


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shrunk:
    """A model's pickle, rows that it answers, and what `slimml shrink` made of it."""

    folder: Path
    model: Path
    rows: Path
    artifact: Path
    report: dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def _brief() -> Iterator[None]:
    """Timings here are looked at, not relied on."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("driver", "judge.bench", "judge.speed"):
            patch.setattr(f"slimml.{module}.MEASURE_SECONDS", 0.2)
        yield


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in this process."""

    def call(*argv: object) -> Ran:
        code = main([str(a) for a in argv])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def shrunk(tmp_path_factory: pytest.TempPathFactory) -> Shrunk:
    """A small pipeline with named columns and three classes, on the portable backend."""
    folder = tmp_path_factory.mktemp("shrunk")
    files = Shrunk(folder, folder / "model.pkl", folder / "rows.csv", folder / "model.slim", {})
    estimator, _ = zoo_model("logistic/pipeline-multinomial")
    files.model.write_bytes(pickle.dumps(estimator))
    people(30, seed=7).to_csv(files.rows, index=False)
    report = folder / "report.json"
    arguments = ["shrink", files.model, "-o", files.artifact, "--data", files.rows, "--backend", "portable"]
    assert main([str(a) for a in arguments] + ["--json", str(report), "--quiet"]) == 0
    files.report.update(json.loads(report.read_text()))
    return files

"""The project's own speed, for regressions: `make bench` keeps it in .bench/speed.json.

python -m pytest benchmarks/test_speed.py -p no:xdist --benchmark-json now.json --benchmark-compare before.json
"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import slimml
from slimml.ingest.read import read
from slimml.intake import graphs, ingest
from slimml.judge.rows import repeated, rows_for_timing
from slimml.options import ShrinkOptions
from slimml.parity.rows import RawRows
from slimml.runtime.predictor import Model
from slimml.sample import Sample
from tests.judge.conftest import write
from tests.zoo import zoo_model

# One of each kind of plan: trees behind a table of columns, a sum of products, a vocabulary.
MODELS = {"forest": "forest/pipeline-three", "linear": "logistic/pipeline", "text": "text/logistic"}
BATCH = 500


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """A model of the zoo."""
    return MODELS[request.param]


@pytest.fixture(scope="module")
def artifact(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its artifact, in the portable engine."""
    path = tmp_path_factory.mktemp("speed") / "model.slim"
    write(zoo_model(name)[0], path)
    return path


@pytest.fixture(scope="module")
def model(artifact: Path) -> Model:
    """Its artifact, loaded."""
    return slimml.load(artifact)


@pytest.fixture(scope="module")
def rows(model: Model) -> RawRows:
    """Rows that it answers."""
    return repeated(rows_for_timing(model), BATCH)


def test_load(artifact: Path, benchmark: BenchmarkFixture):
    benchmark(slimml.load, artifact)


def test_one_row(model: Model, rows: RawRows, benchmark: BenchmarkFixture):
    (record,) = rows.records(1)
    benchmark(model.predict, record)


def test_batch(model: Model, rows: RawRows, benchmark: BenchmarkFixture):
    benchmark(model.predict, rows.batch())


def test_ingest(name: str, benchmark: BenchmarkFixture):
    data = pickle.dumps(zoo_model(name)[0])
    benchmark(read, data)


def test_lower_and_fold(name: str, benchmark: BenchmarkFixture):
    source = ingest(pickle.dumps(zoo_model(name)[0]), None)
    benchmark(graphs, source, Sample(), ShrinkOptions())

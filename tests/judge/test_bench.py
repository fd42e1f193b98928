"""bench: an artifact, beside its original, once their answers were compared."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import slimml
from slimml.backends import BACKENDS
from slimml.errors import InputError
from slimml.judge.rows import rows_for_timing
from tests.judge.conftest import Family, write
from tests.zoo import ZOO, zoo_model


def test_an_artifact_alone_is_timed(family: Family):
    found = slimml.bench(family.base)
    assert found.ok and found.mine is not None and found.original is None and found.reference is None
    assert found.mine.timing.dict is not None and found.mine.timing.dict.p50 > 0
    assert set(found.mine.rates) == {10, 100, 1000, 10_000} and min(found.mine.rates.values()) > 0
    assert found.faster is None


@pytest.mark.parametrize("live", [False, True])
def test_the_original_is_timed_beside_it(live: bool, family: Family):
    model = pickle.loads(family.model.read_bytes()) if live else family.model
    found = slimml.bench(family.base, model, data=np.random.default_rng(0).normal(size=(50, 8)))
    assert found.ok and found.rows == 50
    assert found.reference is not None and found.reference.how == ("in-process" if live else "process")
    assert found.parity is not None and found.parity.verdict == "bitwise"
    assert found.faster is not None and found.faster["dict"] > 1
    document = found.to_json()
    assert document["artifact"]["rows_per_s"]["100"] > 0 and document["original"]["latency_us"]["dict"]["p99"] > 0


def test_other_answers_are_not_timed(family: Family):
    found = slimml.bench(family.drifted, family.model)
    assert not found.ok and found.mine is None
    assert found.parity is not None and found.parity.verdict == "different"
    assert not slimml.bench(family.other, family.model).ok


def test_an_original_that_cannot_run_is_told(family: Family):
    found = slimml.bench(family.base, family.model, reference_python="/bin/false")
    assert found.ok and found.original is None and found.mine is not None
    assert found.reference is not None and found.reference.how == "none" and found.warnings


def test_rows_that_do_not_fit_are_refused(family: Family):
    with pytest.raises(InputError):
        slimml.bench(family.base, data=[[1.0, 2.0]])
    with pytest.raises(InputError, match="not a number"):
        slimml.bench(family.base, data=[["a"] * 8])


@pytest.mark.parametrize("name", ["hist/missing", "logistic/pipeline-multinomial", "forest/pipeline-three"])
def test_rows_are_made_for_any_model(name: str, tmp_path: Path):
    assert name in {m.name for m in ZOO}
    for backend in BACKENDS[:2]:
        write(zoo_model(name)[0], tmp_path / "model.slim", backend=backend)
        model = slimml.load(tmp_path / "model.slim")
        rows = rows_for_timing(model)
        assert len(rows) >= 64 and len(model.predict(rows.batch())) == len(rows)

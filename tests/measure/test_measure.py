"""Latency, throughput, footprint and size: of the right thing, in turns, within the time that was given."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from slimml.artifact.manifest import Manifest
from slimml.artifact.write import write_artifact
from slimml.errors import InternalError
from slimml.measure.footprint import footprint
from slimml.measure.latency import measure, measure_all, one_row, percentiles
from slimml.measure.report import Timing
from slimml.measure.size import size_of
from slimml.plan.encode import encode, label_tables
from slimml.runtime.labels import write_labels
from tests.parity.planted import case, opened


class Clockwork:
    """Takes as long as it is told, and remembers what it was asked."""

    def __init__(self, one: float, batch: float = 0.0) -> None:
        self.one, self.batch = one, batch
        self.asked: list[Any] = []

    def predict(self, rows: Any) -> None:
        end = time.perf_counter() + (self.one if isinstance(rows, dict) or len(rows) == 1 else self.batch)
        self.asked.append(rows)
        while time.perf_counter() < end:
            pass


RECORDS = [{"x": i} for i in range(40)]
BATCH = np.arange(40.0)[:, None]


def test_slow_models_are_slow():
    timed = measure_all({"fast": Clockwork(1e-5, 1e-3), "slow": Clockwork(5e-4, 4e-3)}, RECORDS, BATCH, seconds=0.3)
    fast, slow = timed["fast"], timed["slow"]
    assert fast.dict is not None
    assert slow.dict is not None
    assert slow.frame is not None
    assert 9 <= fast.dict.p50 < 400
    assert 495 <= slow.dict.p50 <= slow.dict.p99
    assert slow.frame.p50 >= 495
    assert slow.rows_per_s <= 40 / 4e-3


def test_the_budget_is_kept():
    model = Clockwork(1e-4, 1e-3)
    measure(model, RECORDS, BATCH, seconds=0.4)
    # What the calls take at the least: a busy machine makes them fewer, never more.
    assert sum(1e-4 if isinstance(r, dict) or len(r) == 1 else 1e-3 for r in model.asked) < 0.5


def test_candidates_take_turns_on_different_rows():
    a, b = Clockwork(0), Clockwork(0)
    percentiles({"a": a.predict, "b": b.predict}, RECORDS, 0.05)
    kept = min(len(a.asked), len(b.asked))
    assert a.asked[:kept] == b.asked[:kept]
    assert len({r["x"] for r in a.asked}) == len(RECORDS)


def test_a_row_of_a_table_is_a_table():
    assert one_row(BATCH, 3).tolist() == [[3.0]]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1, 2]})
    assert one_row(frame, 1).to_dict("list") == {"x": [2]}


def test_a_loaded_model_is_timed():
    honest = case("forest/pipeline")
    model = opened(honest.final)
    timed = measure(model, honest.rows.records(), honest.rows.batch(), seconds=0.2)
    assert timed.frame is not None
    assert timed.dict is not None
    assert timed.dict.p50 > 0
    assert timed.rows_per_s > 0
    again = Timing.from_json({**timed.to_json()["latency_us"], "rows_per_s": timed.rows_per_s})
    assert again == timed


def artifact() -> bytes:
    graph = case("logistic/pipeline").final
    manifest = Manifest(
        schema=graph.schema,
        engine="portable",
        exactness="rounding",
        outputs=[{"name": o.name, "form": o.form} for o in graph.outputs],
        classes=write_labels(label_tables(graph)),
    )
    return write_artifact(None, manifest, encode(graph)).data


def test_a_fresh_start_is_measured_in_a_fresh_process(tmp_path):
    row = case("logistic/pipeline").rows.records(1)[0]
    found = footprint(artifact(), row, runs=1)
    assert 0 < found.load_s < 30
    assert found.startup_s >= found.first_s > 0
    assert found.rss_bytes > found.grown_bytes > 0
    path = tmp_path / "model.slim"
    path.write_bytes(artifact())
    assert footprint(path, row, runs=1).to_json()["rss_bytes"] > 1 << 20


def test_a_start_that_fails_is_told():
    with pytest.raises(InternalError, match="could not answer a row"):
        footprint(b"no artifact", {}, runs=1)


def test_sizes_of_bytes_and_files(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    assert size_of(b"123") == 3
    assert size_of(memoryview(np.zeros(2).tobytes())) == 16
    assert size_of(tmp_path / "f") == 5

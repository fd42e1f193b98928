"""slimml shrink: what it writes, prints and reports."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import slimml
from slimml.cli.render import Screen
from slimml.cli.shrink import _default_out, show
from tests.cli.conftest import Ran, Shrunk
from tests.zoo import zoo_model

Run = Callable[..., Ran]


def test_the_document_has_the_keys_of_the_design(shrunk: Shrunk):
    report = shrunk.report
    assert (report["schema_version"], report["command"], report["ok"]) == (1, "shrink", True)
    assert {"path", "bytes", "format", "library_versions", "latency_us"} <= set(report["model"])
    assert {"frame", "dict"} <= set(report["model"]["latency_us"])
    assert report["artifact"] | {} == {
        "path": str(shrunk.artifact),
        "bytes": shrunk.artifact.stat().st_size,
        "sha256": hashlib.sha256(shrunk.artifact.read_bytes()).hexdigest(),
    }
    assert report["chosen"] == "portable"
    (candidate,) = report["candidates"]
    assert {"backend", "bytes", "refused", "parity", "latency_us", "rows_per_s"} <= set(candidate)
    parity = {"seam", "rows", "max_abs", "max_rel", "label_mismatches", "verdict"}
    assert parity <= set(candidate["parity"])
    assert all({"p50", "p99"} <= set(candidate["latency_us"][form]) for form in ("frame", "dict"))
    passes = {"name", "exactness", "fired", "skipped", "before", "after"}
    assert report["passes"] and all(passes <= set(p) for p in report["passes"])
    assert {"how", "library_version"} <= set(report["reference"])
    assert report["seconds"] > 0


def test_the_artifact_answers_as_the_model(shrunk: Shrunk):
    estimator, _ = zoo_model("logistic/pipeline-multinomial")
    rows = pd.read_csv(shrunk.rows)
    model = slimml.load(shrunk.artifact)
    assert (model.predict(rows) == estimator.predict(rows)).all()
    assert np.allclose(model.predict_proba(rows), estimator.predict_proba(rows), rtol=1e-12)


class Terminal:
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_the_table_holds_before_after_candidates_passes_and_parity(
    terminal: bool, shrunk: Shrunk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import sys

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    show(shrunk.report, Screen(stream if terminal else sys.stdout))  # type: ignore[arg-type]
    text = stream.text if terminal else capsys.readouterr().out
    words = ["before", "after", "file", "one row from a dict", "one row from a frame", "x faster"]
    words += ["backend", "bytes", "p50 dict", "p50 frame", "rows/s", "exactness", "portable", "chosen"]
    words += ["pass ", "fired", shrunk.report["reference"]["sentence"][:40], str(shrunk.artifact)[:60]]
    assert [w for w in words if w not in text] == []
    assert "\x1b" not in text


def test_colours_are_for_terminals_without_no_color(shrunk: Shrunk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    show(shrunk.report, Screen(stream))  # type: ignore[arg-type]
    assert "\x1b[" in stream.text


@pytest.mark.parametrize(
    ("model", "out"),
    [
        ("model.pkl", "model.slim"),
        ("a/b/m.joblib", "m.slim"),
        ("m.pkl.gz", "m.slim"),
        ("m", "m.slim"),
        ("v1.2.pkl", "v1.2.slim"),
    ],
)
def test_without_an_output_the_model_s_name_is_taken(model: str, out: str):
    assert _default_out(model) == out


def test_the_default_output_is_written_here(run: Run, shrunk: Shrunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = run("shrink", shrunk.model, "--backend", "portable", "--json", "-")
    assert done.code == 0
    assert done.json["artifact"]["path"] == "model.slim"
    assert os.listdir(tmp_path) == ["model.slim"]
    assert slimml.load("model.slim").outputs


def test_the_same_input_gives_the_same_artifact(run: Run, shrunk: Shrunk, tmp_path: Path):
    arguments = ["--data", shrunk.rows, "--backend", "portable", "--quiet", "-o", tmp_path / "again.slim"]
    assert run("shrink", shrunk.model, *arguments).code == 0
    assert (tmp_path / "again.slim").read_bytes() == shrunk.artifact.read_bytes()


def test_the_model_itself_is_not_overwritten(run: Run, shrunk: Shrunk):
    before = shrunk.model.read_bytes()
    done = run("shrink", shrunk.model, "-o", shrunk.model)
    assert (done.code, shrunk.model.read_bytes()) == (2, before)
    assert "is the model itself" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-loss", "0.01", "--metric", "auc"], "no approximate passes yet"),
        (["--max-loss", "0.01"], "go together"),
        (["--target", "income"], "--target"),
        (["--data", "no-such.csv"], "no-such.csv"),
        (["--schema", "no-such.json"], "no-such.json"),
        (["--expected", "no-such.csv"], "--data"),
        (["-o", "model.exe"], ".exe"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(
    options: list[str], message: str, run: Run, shrunk: Shrunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = run("shrink", shrunk.model, *options)
    assert done.code == 2 and message in done.err
    assert os.listdir(tmp_path) == []


def test_the_document_goes_to_a_file_whole(run: Run, shrunk: Shrunk, tmp_path: Path):
    path = tmp_path / "report.json"
    path.write_text("old")
    done = run("shrink", tmp_path / "none.pkl", "--json", path)
    report = json.loads(path.read_text())
    assert (done.code, report["ok"], report["error"]["type"]) == (2, False, "UsageError")
    assert os.listdir(tmp_path) == ["report.json"]

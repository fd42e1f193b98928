"""Inputs that are refused: each gives its message and exit code, and an existing output survives."""

from __future__ import annotations

import gzip
import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.cli.conftest import Ran, Shrunk
from tests.cli.test_scan import Payload
from tests.zoo import zoo_model

Run = Callable[..., Ran]


def unfitted() -> bytes:
    from sklearn.linear_model import LogisticRegression

    return pickle.dumps(make_pipeline(StandardScaler(), LogisticRegression()))


def custom_class() -> bytes:
    """A fitted pipeline with a step of somebody's own package."""
    module = types.ModuleType("shop_models")
    step = type("PriceEncoder", (StandardScaler,), {"__module__": "shop_models"})
    module.PriceEncoder = step  # type: ignore[attr-defined]
    sys.modules["shop_models"] = module
    try:
        pipeline = make_pipeline(step(), zoo_model("logistic/binary")[0])
        pipeline.steps[0][1].fit([[0.0] * 4, [1.0] * 4])
        return pickle.dumps(pipeline)
    finally:
        del sys.modules["shop_models"]


def honest() -> bytes:
    return pickle.dumps(zoo_model("logistic/pipeline-multinomial")[0])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


MODELS: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "truncated": (lambda: honest()[:-40], ["at byte"]),
    "truncated early": (lambda: honest()[:100], ["at byte"]),
    "bit-flipped": (lambda: flipped(honest(), honest().index(b"Pipeline")), ["Qipeline"]),
    "bit-flipped archive": (lambda: flipped(gzip.compress(honest()), 400), []),
    "empty": (lambda: b"", ["empty"]),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(64), ["PNG image"]),
    "web page": (lambda: b"<!DOCTYPE html><html>login</html>", ["HTML"]),
    "noise": (lambda: bytes(range(200, 256)) * 4, ["no format that is known"]),
    "no model": (lambda: pickle.dumps("hello"), []),
    "unfitted": (unfitted, ["fitted"]),
    "malicious": (lambda: pickle.dumps(Payload("touch canary")), ["system"]),
    "custom class": (custom_class, ["PriceEncoder"]),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_a_refused_model_gives_its_message_and_leaves_the_output_alone(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    build, words = MODELS[name]
    (tmp_path / "model.pkl").write_bytes(build())
    (tmp_path / "model.slim").write_bytes(b"the one from yesterday")
    done = run("shrink", "model.pkl", "-o", "model.slim", "--json", "-")
    assert done.code == 3, done.err
    assert done.err.startswith("slimml: model.pkl: ") and [w for w in words if w not in done.err] == []
    assert "Traceback" not in done.err
    error = done.json["error"]
    assert (done.json["ok"], done.json["command"]) == (False, "shrink")
    assert (
        error["type"].endswith("Error") and error["what"] and error["what"] in done.err.replace("\n  ", " ") + done.err
    )
    assert (tmp_path / "model.slim").read_bytes() == b"the one from yesterday"
    assert sorted(os.listdir(tmp_path)) == ["model.pkl", "model.slim"]


def test_data_that_lack_a_column_are_refused_by_name(run: Run, shrunk: Shrunk, tmp_path: Path):
    out = tmp_path / "model.slim"
    out.write_bytes(b"the one from yesterday")
    rows = tmp_path / "rows.csv"
    pd.read_csv(shrunk.rows).rename(columns={"age": "years"}).to_csv(rows, index=False)
    done = run("shrink", shrunk.model, "-o", out, "--data", rows)
    assert done.code in (2, 3) and "'age'" in done.err and "years" in done.err
    assert out.read_bytes() == b"the one from yesterday"


def test_a_missing_model_is_wrong_usage(run: Run, tmp_path: Path):
    done = run("shrink", tmp_path / "none.pkl", "-o", tmp_path / "out.slim")
    assert done.code == 2 and "none.pkl" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["-o", "--json"])
def test_an_output_that_cannot_be_written_is_wrong_usage_before_the_work(
    option: str, run: Run, shrunk: Shrunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("slimml.driver.ingest", lambda *_: pytest.fail("the work was begun"))
    for out in (tmp_path / "no" / "out.slim", tmp_path):
        done = run("shrink", shrunk.model, option, out)
        assert done.code == 2 and str(out) in done.err
    assert os.listdir(tmp_path) == []


def test_a_backend_that_is_not_there_yet_is_wrong_usage(run: Run, shrunk: Shrunk, tmp_path: Path):
    done = run("shrink", shrunk.model, "-o", tmp_path / "out.slim", "--backend", "native")
    assert done.code == 2 and "no native backend yet" in done.err and "portable" in done.err


@pytest.mark.parametrize("command", [["inspect"], ["verify"], ["predict"]])
@pytest.mark.parametrize("damage", ["empty", "truncated", "bit-flipped", "a pickle", "text"])
def test_a_damaged_artifact_is_refused_by_every_command(
    command: list[str], damage: str, run: Run, shrunk: Shrunk, tmp_path: Path
):
    whole = shrunk.artifact.read_bytes()
    data = {
        "empty": b"",
        "truncated": whole[:-5],
        "bit-flipped": flipped(whole, len(whole) // 2),
        "a pickle": shrunk.model.read_bytes(),
        "text": b"hello",
    }[damage]
    path = tmp_path / "bad.slim"
    path.write_bytes(data)
    done = run(*command, path, *([shrunk.rows] if command == ["predict"] else []))
    assert done.code == 3, done.err
    assert done.err.startswith("slimml: ") and str(path) in done.err
    assert done.out == ""


def test_every_flipped_bit_of_an_artifact_is_found(run: Run, shrunk: Shrunk, tmp_path: Path):
    whole = shrunk.artifact.read_bytes()
    path = tmp_path / "bad.slim"
    for at in range(0, len(whole), max(len(whole) // 60, 1)):
        path.write_bytes(flipped(whole, at))
        assert run("inspect", path).code == 3, at


def test_a_missing_artifact_is_wrong_usage(run: Run, shrunk: Shrunk, tmp_path: Path):
    for argv in (["inspect"], ["verify"]):
        assert run(*argv, tmp_path / "none.slim").code == 2
    assert run("predict", tmp_path / "none.slim", shrunk.rows).code == 2
    assert run("predict", shrunk.artifact, tmp_path / "none.csv").code == 2

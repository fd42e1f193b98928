"""The examples run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.judge.conftest import Family, family, write
from tests.shared import ROOT
from tests.zoo import people, zoo_model

assert family  # the fixture


def test_the_quickstart_runs():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "class_" in done.stdout


def gate_job(artifact: Path, released: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """examples/ci-gate/gate.sh as a CI job runs it."""
    folder.mkdir()
    command = folder / "slimml"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m slimml "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    script = ROOT / "examples" / "ci-gate" / "gate.sh"
    return subprocess.run(
        ["bash", script, artifact, released, folder / "reports"], env=environment, capture_output=True, text=True
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("which", "code", "said"),
    [("twin", 0, "passes"), ("grown", 1, "larger"), ("slowed", 1, "slower"), ("drifted", 1, "difference")],
)
def test_the_ci_gate_says_yes_and_no(which: str, code: int, said: str, family: Family, tmp_path: Path):
    done = gate_job(getattr(family, which), family.base, tmp_path / "job")
    assert done.returncode == code, done.stderr
    summary = (tmp_path / "job" / "summary.md").read_text()
    failing = [line for line in summary.splitlines() if line.startswith(("| ❌", "### ✅"))]
    assert any(said in line for line in failing), summary
    assert (tmp_path / "job" / "reports" / "gate.xml").is_file()
    assert json.loads((tmp_path / "job" / "reports" / "gate.json").read_text())["ok"] is (code == 0)


def test_the_workflow_runs_the_script():
    text = (ROOT / "examples" / "ci-gate" / "gate.yml").read_text(encoding="utf-8")
    assert "gate.sh model.slim released.slim reports" in text
    assert re.search(r"^on: pull_request$", text, re.MULTILINE) and "\t" not in text


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The address of the web service, in a process of its own."""
    write(zoo_model("forest/pipeline-three")[0], tmp_path / "model.slim")
    command = [sys.executable, ROOT / "examples" / "web-service" / "serve.py", tmp_path / "model.slim", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield line.rpartition(" ")[2].strip()
        finally:
            process.kill()


def asked(url: str, body: Any = None) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_web_service_answers_and_refuses(service: str):
    estimator, _ = zoo_model("forest/pipeline-three")
    frame = people(12, seed=3)
    rows = json.loads(frame.to_json(orient="records"))
    expected = estimator.predict(frame).tolist()

    status, health = asked(f"{service}/health")
    assert (status, health["status"]) == (200, "ok") and "predict" in health["answers"]
    assert asked(f"{service}/predict", rows[0]) == (200, {"predict": expected[0]})
    assert asked(f"{service}/predict", rows) == (200, {"predict": expected})
    status, answer = asked(f"{service}/predict_proba", rows)
    assert status == 200 and answer["predict_proba"] == estimator.predict_proba(frame).tolist()

    gone = next(iter(rows[0]))
    status, answer = asked(f"{service}/predict", {k: v for k, v in rows[0].items() if k != gone})
    assert status == 400 and gone in answer["error"]
    for body in (b"{", b"[1, 2]", b"[]", b"3", b'"x"'):
        assert asked(f"{service}/predict", body)[0] == 400
    assert asked(f"{service}/fit", rows[0])[0] == 404
    assert asked(f"{service}/nothing")[0] == 404
    assert asked(f"{service}/predict", b" " * (1 << 21))[0] == 400


def test_the_web_service_answers_many_at_once(service: str):
    estimator, _ = zoo_model("forest/pipeline-three")
    frame = people(24, seed=5)
    rows = json.loads(frame.to_json(orient="records"))

    def ask(row: dict[str, Any]) -> Any:
        return asked(f"{service}/predict", row)[1]["predict"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, rows)) == estimator.predict(frame).tolist()

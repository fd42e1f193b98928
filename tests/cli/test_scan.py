"""slimml scan: verdicts, exit codes, nothing executed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Shrunk

Run = Callable[..., Ran]


class Payload:
    """Runs a command when unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_an_honest_model_is_harmless(run: Run, shrunk: Shrunk):
    done = run("scan", shrunk.model, "--json", "-")
    assert done.code == 0
    assert (done.json["command"], done.json["ok"], done.json["verdict"]) == ("scan", True, "harmless")
    assert "sklearn.pipeline" in {i["module"] for i in done.json["imports"]}
    assert "sklearn.pipeline.Pipeline" in run("scan", shrunk.model).out


def test_a_payload_is_named_and_not_run(run: Run, tmp_path: Path):
    canary = tmp_path / "canary"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Payload(f"touch {canary}")))
    done = run("scan", path)
    assert done.code == 1
    assert "dangerous" in done.out and f"{os.name}.system" in done.out.replace("nt.", f"{os.name}.")
    assert run("scan", path, "--json", "-").json["ok"] is False
    assert not canary.exists()


def test_an_unknown_name_alone_is_no_alarm(run: Run, tmp_path: Path):
    (tmp_path / "m.pkl").write_bytes(b"cshop.models\nEncoder\n.")
    done = run("scan", tmp_path / "m.pkl")
    assert done.code == 0 and "unknown" in done.out


def test_a_file_that_is_not_read_to_its_end_is_refused(run: Run, shrunk: Shrunk, tmp_path: Path):
    (tmp_path / "half.pkl").write_bytes(shrunk.model.read_bytes()[:2000])
    done = run("scan", tmp_path / "half.pkl")
    assert done.code == 3 and "half.pkl" in done.err and "not listed" in done.err


def test_names_cannot_reach_the_terminal_as_they_are(run: Run, tmp_path: Path):
    (tmp_path / "m.pkl").write_bytes(b"c\x1b[2Jmodule\nname\x07\n.")
    done = run("scan", tmp_path / "m.pkl")
    assert "\x1b" not in done.out + done.err and "\x07" not in done.out + done.err
    assert "\\x1b" in done.out + done.err


@pytest.mark.parametrize("argv", [["scan", "no-such.pkl"], ["scan", "."]])
def test_what_is_no_file_is_wrong_usage(argv: list[str], run: Run):
    assert run(*argv).code == 2

"""The frame around all commands: help, exit codes, one message an error, pipes, signals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slimml
from slimml.cli.parser import COMMANDS
from slimml.errors import InternalError, NoBackendError, ParityError
from tests.cli.conftest import Ran, Shrunk
from tests.shared import ROOT

Run = Callable[..., Ran]


def slim(*argv: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "slimml", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, **options)


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["shrink", "--help"], ["predict", "-h"]])
def test_help_and_version_are_instant(argv: list[str]):
    code = (
        "import sys; from slimml.cli import main; code = main(sys.argv[1:])\n"
        "heavy = {'numpy', 'scipy', 'rich', 'sklearn', 'pandas', 'slimml.driver', 'slimml.ingest'} & set(sys.modules)\n"
        "sys.exit(f'woke {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_python_dash_m_is_the_command():
    done = slim("--version")
    assert (done.returncode, done.stdout) == (0, f"slimml {slimml.__version__}\n")


def test_help_lists_every_command_and_exit_code(run: Run):
    text = run("--help").out
    assert all(name in text and command.summary in text for name, command in COMMANDS.items())
    assert all(code in text for code in ("  0 ", "  1 ", "  2 ", "  3 ", "  70 "))


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_has_help(name: str):
    from slimml.cli.parser import command_parser

    parser = command_parser(COMMANDS[name])
    assert [a.dest for a in parser._actions if not a.help] == []
    assert parser.format_help().endswith("\n")


OPTIONS = {
    "shrink": "--data --target --schema --select --backend --exactness --goal --max-loss --metric --expected"
    " --reference-python --trust --json -o",
    "verify": "--data --json --select --trust --reference-python --expected",
    "inspect": "--json",
    "predict": "-o --method",
    "scan": "--json",
    "export": "-o --json",
    "bench": "--data --json --select --trust --reference-python",
    "gate": "--baseline --max-size --max-p50 --max-p99 --max-diff --max-slower --max-larger --data --junit --markdown"
    " --json",
}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_commands_have_the_options_of_the_design(name: str, run: Run):
    text = run(name, "--help").out
    assert [o for o in [*OPTIONS[name].split(), "--quiet", "--debug"] if o not in text] == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "which command"),
        (["shrnk"], "no command 'shrnk'"),
        (["shrink"], "required: MODEL"),
        (["shrink", "m.pkl", "--backend", "fast"], "invalid choice: 'fast'"),
        (["shrink", "m.pkl", "--back", "onnx"], "unrecognized arguments"),
        (["shrink", "m.pkl", "--max-loss", "much"], "invalid float value"),
        (["inspect", "a", "b"], "unrecognized arguments"),
        (["--nope", "scan", "x"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(argv: list[str], message: str, run: Run):
    done = run(*argv)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("slimml: ") and message in done.err and "--help" in done.err
    assert "Traceback" not in done.err


def test_wrong_usage_is_a_document_too(run: Run):
    done = run("shrink", "--nope", "m.pkl", "--json", "-")
    assert done.code == 2
    assert (done.json["schema_version"], done.json["command"], done.json["ok"]) == (1, "shrink", False)
    assert set(done.json["error"]) == {"type", "what", "where", "hint"}
    assert done.json["error"]["type"] == "UsageError"


def test_options_before_and_between_the_files_are_understood(run: Run, shrunk: Shrunk):
    assert run("--quiet", "inspect", shrunk.artifact).out == ""
    assert run("inspect", "--quiet", shrunk.artifact).out == ""
    assert run("predict", shrunk.artifact, "--method", "predict", shrunk.rows).code == 0


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def shrink(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("slimml.driver.shrink", shrink)


def test_a_bug_of_ours_is_one_message_and_exit_code_70(run: Run, monkeypatch: pytest.MonkeyPatch):
    for error in (ZeroDivisionError("division by zero"), InternalError("a pass broke"), BrokenPipeError("a child")):
        fail_with(monkeypatch, error)
        done = run("shrink", "m.pkl", "--json", "-")
        assert (done.code, done.json["ok"], done.json["error"]["type"]) == (70, False, "InternalError")
        assert "a bug in slimml" in done.err and "report it" in done.err and slimml.__version__ in done.err
        assert "Traceback" not in done.err


def test_debug_adds_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch):
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    for argv in (["--debug", "shrink", "m.pkl"], ["shrink", "m.pkl", "--debug"]):
        done = run(*argv)
        assert done.code == 70 and "Traceback" in done.err


def test_an_interrupt_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    done = run("shrink", "m.pkl")
    assert (done.code, done.err) == (130, "slimml: interrupted; nothing was written\n")


def test_running_out_of_memory_is_no_bug(run: Run, monkeypatch: pytest.MonkeyPatch):
    fail_with(monkeypatch, MemoryError())
    assert run("shrink", "m.pkl").code == 3


@pytest.mark.parametrize("kind", [ParityError, NoBackendError])
def test_a_no_shows_the_table_and_the_reason(
    kind: type[Exception], run: Run, monkeypatch: pytest.MonkeyPatch, shrunk: Shrunk, tmp_path: Path
):
    class Found:
        def to_json(self) -> dict[str, Any]:
            nothing = {"path": None, "bytes": None, "sha256": None}
            return {**shrunk.report, "artifact": nothing, "chosen": None}

    error: Any = kind("its answers differ")
    error.result = Found()
    fail_with(monkeypatch, error)
    done = run("shrink", "m.pkl")
    assert done.code == error.exit_code
    assert "portable" in done.out and "its answers differ" in done.err
    told = run("shrink", "m.pkl", "--json", tmp_path / "report.json")
    assert "portable" in told.out
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["ok"], report["chosen"], report["error"]["what"]) == (False, None, "its answers differ")
    assert [c["backend"] for c in report["candidates"]] == ["portable"]


def test_what_libraries_print_stays_out_of_the_document(run: Run, monkeypatch: pytest.MonkeyPatch, shrunk: Shrunk):
    from slimml import driver

    verify = driver.verify

    def chatty(*args: Any, **options: Any) -> Any:
        print("converting ...")
        return verify(*args, **options)

    monkeypatch.setattr("slimml.driver.verify", chatty)
    done = run("verify", shrunk.artifact, "--json", "-")
    assert done.json["ok"]
    assert "converting" in done.err


def test_a_reader_that_leaves_early_is_no_error(shrunk: Shrunk):
    command = [sys.executable, "-m", "slimml", "predict", str(shrunk.artifact), str(shrunk.rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_error(closed: str, shrunk: Shrunk):
    for option in ("--quiet", "--json=-"):
        command = f'"{sys.executable}" -m slimml verify "{shrunk.artifact}" {option} {closed}'
        done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_nothing_but_the_result_where_nobody_looks_on(shrunk: Shrunk):
    done = slim("verify", shrunk.artifact)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the answers agree" in done.stdout and "\x1b" not in done.stdout


def test_a_document_that_cannot_be_written_is_wrong_usage(run: Run, shrunk: Shrunk, tmp_path: Path):
    done = run("inspect", shrunk.artifact, "--json", tmp_path / "no" / "such.json")
    assert done.code == 2 and "cannot write" in done.err

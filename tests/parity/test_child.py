"""The process that runs a model's own code: its limits, and that nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from slimml.parity import child
from slimml.parity.child import Child
from slimml.parity.process import ProcessReference
from slimml.parity.reference import ReferenceFailedError
from tests.parity.test_reference import by_value, three_rows

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups and limits are POSIX's")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Glutton:
    """A model that wants more memory than there is."""

    def predict(self, rows):
        return np.ones(1 << 40)


class Parent:
    """A model that starts processes of its own, and says which."""

    def predict(self, rows):
        import subprocess
        import sys

        sleepers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
        return np.array([float(p.pid) for p in sleepers] + [float(os.getpid())])


class Litterbug:
    """A model that leaves a temporary file behind, and answers its folder in bytes."""

    def predict(self, rows):
        import tempfile

        handle, path = tempfile.mkstemp()
        os.close(handle)
        return np.frombuffer(os.path.dirname(path).encode(), dtype=np.uint8).astype(np.float64)


class Babbler:
    """A model that prints without an end."""

    def predict(self, rows):
        while True:
            os.write(1, b"rubbish\n" * 100_000)


class Crash:
    """A model that steps outside of its memory."""

    def predict(self, rows):
        import ctypes

        ctypes.string_at(0)


class Spinner:
    """A model that computes for ever."""

    def predict(self, rows):
        while True:
            pass


def failure(model: type, **limits) -> str:
    """What is said when the model is asked."""
    with ProcessReference.start(by_value(model), **limits) as reference:
        with pytest.raises(ReferenceFailedError) as caught:
            reference.answers(three_rows(), ["predict"])
        assert reference.timing(three_rows()) is None
    return str(caught.value)


def test_too_much_memory_is_said_in_one_sentence():
    said = failure(Glutton)
    assert said.startswith("the original ran out of the ")
    assert " GB that it may use when it was to answer 3 rows: " in said
    assert "\n" not in said


@linux
def test_no_more_memory_is_allowed_than_the_machine_has(monkeypatch):
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert child._memory_for(1 << 40) == max(int(there * 0.8), 6 << 30)
    assert child._memory_for(0) <= max(int(there * 0.8), 6 << 30)


def test_a_crash_is_told_by_its_signal():
    assert f"died of signal {int(signal.SIGSEGV)} when it was to answer 3 rows" in failure(Crash)


def test_processor_time_has_an_end(monkeypatch):
    monkeypatch.setattr(child, "_CPU_SECONDS", 3)
    assert "used up its 3 s of processor time" in failure(Spinner)


def test_a_model_that_prints_without_end_does_not_fill_the_disk(monkeypatch):
    monkeypatch.setattr(child, "_FILE_BYTES", 3_000_000)
    assert "could not answer 3 rows" in failure(Babbler)


@linux
@pytest.mark.parametrize("how", ["closed", "late"])
def test_what_a_model_starts_does_not_outlive_it(how):
    reference = ProcessReference.start(by_value(Parent))
    pids = [int(p) for p in reference.answers(three_rows(), ["predict"])["predict"][0].ravel()]
    assert all(alive(p) for p in pids)
    if how == "late":
        with pytest.raises(ReferenceFailedError, match=r"did not sleep within 0\.3 s"):
            reference.child.ask(("time", "predict", [], False, [], 60.0), 0.3, "sleep")
    reference.close()
    assert gone(pids)


@linux
def test_it_all_dies_with_whoever_started_it(tmp_path):
    (tmp_path / "model").write_bytes(by_value(Parent))
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
from slimml.parity.process import ProcessReference
from tests.parity.test_reference import three_rows
reference = ProcessReference.start({str(tmp_path / "model")!r})
print(*reference.answers(three_rows(), ["predict"])["predict"][0].ravel().astype(int), flush=True)
sys.stdin.read()
"""
    starter = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pids = [int(p) for p in starter.stdout.readline().split()]
    assert len(pids) == 3 and all(alive(p) for p in pids)
    starter.kill()
    starter.wait()
    assert gone(pids)


def test_temporary_files_of_a_model_are_removed():
    with ProcessReference.start(by_value(Litterbug)) as reference:
        answer = reference.answers(three_rows(), ["predict"])["predict"][0]
        folder = Path(bytes(answer.ravel().astype(np.uint8)).decode())
        assert folder.is_dir() and folder.name.startswith("slimml-")
    assert not folder.exists()


def test_a_child_that_ignores_being_asked_is_killed(monkeypatch):
    monkeypatch.setattr(child, "_END_SECONDS", 0.2)
    monkeypatch.setattr(
        child, "_command", lambda python, memory: ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
    )
    with pytest.raises(ReferenceFailedError, match=r"did not load the model within 0\.5 s"):
        Child.start(b"", seconds=0.5)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int]) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end and any(alive(p) for p in pids):
        time.sleep(0.05)
    return not any(alive(p) for p in pids)

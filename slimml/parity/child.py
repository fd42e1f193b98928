"""A process of its own for what runs a model's code: within limits, spoken to in frames, gone without a trace.

The worker is `worker.py`; see there for the messages and `supervisor.py` for what confines it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from slimml.parity import worker
from slimml.parity.reference import ReferenceFailedError

LOAD_SECONDS, CALL_SECONDS = 300.0, 300.0
# Address space, not memory in use: numpy and its BLAS reserve far more than they touch.
_BASE_MEMORY, _MEMORY_PER_BYTE = 16 << 30, 12
# Never more than this share of the machine's memory, but for what the libraries reserve and do not touch.
_SHARE, _LEAST_MEMORY = 0.8, 6 << 30
_CPU_SECONDS, _FILE_BYTES = 3600, 1 << 30
_END_SECONDS = 5.0


@dataclass(slots=True)
class Child:
    """A worker that has loaded a model. `who` is what it is called in messages; `loaded` what it said of the model."""

    process: subprocess.Popen[bytes]
    stderr: IO[bytes]
    memory: int
    who: str = "the original"
    loaded: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        model: bytes | str | os.PathLike[str],
        *,
        select: str = "",
        span: tuple[int, int] | None = None,
        answers: tuple[list[str], list[Any]] | None = None,
        python: str | None = None,
        trust: bool = False,
        seconds: float = LOAD_SECONDS,
        memory: int | None = None,
        who: str = "the original",
    ) -> Child:
        """Start the worker and have it load the model, which the caller trusts. Raises ReferenceFailedError.

        `span`: which steps of a pipeline are asked; None for the whole model. `answers`: of an ONNX file the methods
        that its outputs answer, and the classes.
        """
        size = len(model) if isinstance(model, bytes) else os.path.getsize(model)
        memory = memory or _memory_for(size)
        # One thread where an estimator has no n_jobs to set, too (histogram boosting): on a busy machine the threads of
        # one row wait for each other, and the original would look slower than it is.
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        if trust:
            # A trusted model's own classes are usually importable from where the user stands.
            environment["SLIMML_WORKER_PATH"] = os.getcwd()
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        command = _command(python or sys.executable, memory)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
            )
        except OSError as error:
            stderr.close()
            raise ReferenceFailedError(f"{command[0]} cannot be started: {error.strerror}") from None
        child = cls(process, stderr, memory, who)
        data, path = (model, None) if isinstance(model, bytes) else (None, os.path.abspath(model))
        try:
            child.loaded, _ = child.ask(("load", data, path, select, span, answers), seconds, "load the model")
        except ReferenceFailedError:
            child.close()
            raise
        return child

    def ask(self, message: tuple[Any, ...], seconds: float, what: str) -> tuple[dict[str, Any], list[bytes]]:
        """The reply to a message and the blobs that came with it. Raises ReferenceFailedError; nothing follows then."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._end()

        timer = threading.Timer(seconds, expire)
        timer.start()
        try:
            send, receive = self.process.stdin, self.process.stdout
            assert send is not None and receive is not None  # both are pipes
            worker.write_frame(send, pickle.dumps(message, protocol=4))
            send.flush()
            head = json.loads(worker.read_frame(receive))
            return head["reply"], [worker.read_frame(receive) for _ in range(head["blobs"])]
        except (EOFError, OSError, ValueError):
            raise ReferenceFailedError(self._why(expired.is_set(), seconds, what)) from None
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process, whatever it is doing, and all that it started."""
        self._end()
        for stream in (self.process.stdin, self.process.stdout, self.stderr):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def _end(self) -> None:
        # The supervisor ends those below it; asked to, since nobody can do so for one that is killed.
        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _why(self, expired: bool, seconds: float, what: str) -> str:
        if expired:
            return f"{self.who} did not {what} within {seconds:g} s"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_SECONDS)
        code = self.process.poll()
        last = self._last_words()
        if "MemoryError" in last or "bad_alloc" in last:
            return f"{self.who} ran out of the {self.memory / 1e9:.1f} GB that it may use when it was to {what}{last}"
        if code is not None and code < 0:
            return f"the process of {self.who} {_died_of(-code)} when it was to {what}{last}"
        return f"{self.who} could not {what}{last}"

    def _last_words(self) -> str:
        self.stderr.seek(0, os.SEEK_END)
        self.stderr.seek(max(0, self.stderr.tell() - 4000))
        lines = self.stderr.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1].strip()[:400]}" if lines else ""


def _command(python: str, memory: int) -> Sequence[str]:
    program = str(Path(worker.__file__).resolve())
    if os.name != "posix":
        return [python, program]
    limits = {"memory": memory, "cpu_seconds": _CPU_SECONDS, "file_bytes": _FILE_BYTES, "core_bytes": 0}
    supervisor = str(Path(__file__).resolve().with_name("supervisor.py"))
    return [python, "-I", "-S", supervisor, json.dumps(limits), program]


def _memory_for(size: int) -> int:
    """Bytes of address space for a model of `size` bytes."""
    wanted = _BASE_MEMORY + _MEMORY_PER_BYTE * size
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return wanted
    return min(wanted, max(int(_SHARE * there), _LEAST_MEMORY))


def _died_of(number: int) -> str:
    if number == getattr(signal, "SIGXCPU", None):
        return f"used up its {_CPU_SECONDS} s of processor time"
    return f"died of signal {number}"

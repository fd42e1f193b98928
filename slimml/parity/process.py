"""The original in a process of its own, which alone unpickles the model."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slimml._optional import missing
from slimml.parity.answers import Answers
from slimml.parity.child import CALL_SECONDS, LOAD_SECONDS, Child
from slimml.parity.reference import How, NoReference, Reference, ReferenceFailedError, RowsRefusedError
from slimml.parity.rows import RawRows

_WAY_OUT = "--reference-python takes another Python"


@dataclass(slots=True)
class ProcessReference:
    """The original in a child process, which holds the only copy of the unpickled model."""

    child: Child
    how: How
    only: RawRows | None = None
    call_seconds: float = CALL_SECONDS
    versions: dict[str, str] = field(default_factory=dict)
    class_name: str = ""
    unsaid: Mapping[str, str] = field(default_factory=dict)

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
        load_seconds: float = LOAD_SECONDS,
        call_seconds: float = CALL_SECONDS,
        memory: int | None = None,
    ) -> ProcessReference:
        """Start the worker and have it load the model, which the caller trusts. Raises ReferenceFailedError."""
        child = Child.start(
            model,
            select=select,
            span=span,
            answers=answers,
            python=python,
            trust=trust,
            seconds=load_seconds,
            memory=memory,
        )
        reference = cls(child, "reference-python" if python else "process", call_seconds=call_seconds)
        reference.versions, reference.class_name = child.loaded["versions"], child.loaded["class"]
        return reference

    @property
    def library_version(self) -> str | None:
        """The release that answers."""
        return next(iter(self.versions.values()), None)

    @property
    def sentence(self) -> str:
        """What the report says."""
        said = ", ".join(f"{name} {version}" for name, version in self.versions.items()) or "its library"
        unsaid = [f"{form} does not say which release of {library} wrote it" for library, form in self.unsaid.items()]
        doubt = f" ({'; '.join(unsaid)})" if unsaid else ""
        return f"compared with the original, run by {said}{doubt} in a process of its own"

    def answers(self, rows: RawRows, outputs: Sequence[str]) -> Answers:
        """Its answers. Raises RowsRefusedError, ReferenceFailedError."""
        message = ("answer", list(outputs), rows.shape, plain(rows))
        reply, blobs = self.child.ask(message, self.call_seconds, f"answer {len(rows)} rows")
        if "refused" in reply:
            raise RowsRefusedError(reply["refused"])
        read = iter(blobs)
        return {
            name: tuple(undescribed(description, next(read)) for description in reply["answers"][name])
            for name in outputs
        }

    def timing(self, rows: RawRows, method: str = "predict", seconds: float = 2.0) -> dict[str, Any] | None:
        """As of any reference; None where it did not come to an end."""
        message = ("time", method, plain(rows), rows.shape, rows.records(256), seconds)
        try:
            reply, _ = self.child.ask(message, self.call_seconds + 10 * seconds, "be timed")
        except ReferenceFailedError:
            return None
        return reply

    def profile(self, rows: RawRows, seconds: float = 2.0) -> dict[str, Any] | None:
        """As of any reference; None where it did not come to an end."""
        try:
            reply, _ = self.child.ask(("profile", rows.shape, plain(rows), seconds), self.call_seconds, "be profiled")
        except ReferenceFailedError:
            return None
        found: dict[str, Any] | None = reply["profile"]
        return found

    def rate(self, rows: RawRows, method: str = "predict", seconds: float = 1.0) -> float | None:
        """As of any reference; None where it did not come to an end."""
        message = ("rate", method, rows.shape, plain(rows), seconds)
        try:
            reply, _ = self.child.ask(message, self.call_seconds + 10 * seconds, "be timed")
        except ReferenceFailedError:
            return None
        return float(reply["rows_per_s"])

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.child.close()

    def __enter__(self) -> ProcessReference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def plain(rows: RawRows) -> list[tuple[str, str, str, Any]]:
    """The columns without numpy, whose pickles differ between releases."""
    return [(n, k, d, v.tolist() if isinstance(v, np.ndarray) else v) for n, k, d, v in rows.described()]


def undescribed(description: Mapping[str, Any], data: bytes) -> np.ndarray:
    """The array that `worker.described` described; nothing is unpickled. Raises ValueError."""
    shape = tuple(int(n) for n in description["shape"])
    if description["dtype"] != "O":
        dtype = np.dtype(description["dtype"])
        if dtype.kind not in "biuf":
            raise ValueError(f"an answer of dtype {dtype}")
        return np.frombuffer(data, dtype=dtype).reshape(shape)
    cells = [_untagged(cell) for cell in json.loads(data)]
    if str(description.get("was", ""))[1:2] == "U":
        return np.array(cells, dtype=str).reshape(shape)
    out = np.empty(len(cells), dtype=object)
    out[:] = cells
    return out.reshape(shape)


def _untagged(cell: Any) -> Any:
    if not isinstance(cell, dict):
        return cell
    if "i" in cell:
        return int(cell["i"])
    return float.fromhex(cell["f"]) if "f" in cell else cell["r"]


def open_reference(
    model: bytes | str | os.PathLike[str],
    versions: Mapping[str, str],
    unknown: Sequence[str],
    *,
    unsaid: Mapping[str, str] | None = None,
    opener: str = "",
    select: str = "",
    span: tuple[int, int] | None = None,
    trust: bool = False,
    python: str | None = None,
) -> Reference:
    """The original of a file, or why it is not run.

    `versions`: the releases that wrote it; `unknown`: the names in it that are not known to be harmless; `unsaid`:
    library -> format of a part that does not say its release; `opener`: the package that reads the file, where that is
    not the library. It is loaded only where each name is known or `trust` is given, and only by the same minor release
    of its library, or by any where the file does not say which.
    """
    if unknown and not trust:
        listed = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        return NoReference(f"the file names what is not known to be harmless ({listed}); --trust runs it")
    silent = dict(unsaid or {})
    if python is None and (reason := why_not_installed(versions, silent)):
        return NoReference(reason)
    if python is None and opener and _installed(opener) is None:
        return NoReference(f"{opener} wrote the file and is not installed here: pip install {opener}")
    try:
        reference = ProcessReference.start(model, select=select, span=span, python=python, trust=trust)
    except ReferenceFailedError as error:
        lacking = "ModuleNotFoundError" in str(error)
        return NoReference(f"{error} (put the folder of that module into PYTHONPATH)" if lacking else str(error))
    reference.unsaid = silent
    for library, written in versions.items():
        running = reference.versions.get(library)
        if running is not None and _minor(running) != _minor(written):
            reference.close()
            return NoReference(_wrong_release(library, written, running))
    return reference


def open_onnx(
    model: bytes | str | os.PathLike[str],
    answers: tuple[list[str], list[Any]],
    doubts: Sequence[str],
    *,
    trust: bool = False,
    python: str | None = None,
) -> Reference:
    """ONNX Runtime with an ONNX file, whatever its release, or why it is not run.

    `answers`: the methods that the outputs answer, in their order, and the classes; `doubts`: what in the file is not
    known to be harmless.
    """
    if doubts and not trust:
        more = f" and {len(doubts) - 3} more" if len(doubts) > 3 else ""
        listed = ", ".join(doubts[:3]) + more
        return NoReference(f"the file holds what slimml does not hand to ONNX Runtime ({listed}); --trust runs it")
    lacking = missing("onnxruntime", "onnx") if python is None else None
    if lacking:
        return NoReference(lacking)
    try:
        return ProcessReference.start(model, answers=answers, python=python, trust=trust)
    except ReferenceFailedError as error:
        return NoReference(str(error))


def why_not_installed(versions: Mapping[str, str], unsaid: Mapping[str, str] | None = None) -> str | None:
    """Why the releases that wrote a file cannot run here, or None; nothing is imported. `unsaid`: any release does."""
    for library, written in versions.items():
        running = _installed(library)
        if running is None:
            return f"{library} {written} wrote the file and is not installed here; {_WAY_OUT}"
        if _minor(running) != _minor(written):
            return _wrong_release(library, written, running)
    for library, form in (unsaid or {}).items():
        if _installed(library) is None:
            return f"{library} wrote the {form} and is not installed here; {_WAY_OUT}"
    return None


def _installed(library: str) -> str | None:
    names = {"xgboost": ("xgboost", "xgboost-cpu")}.get(library, (library,))
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _wrong_release(library: str, written: str, running: str) -> str:
    return f"{library} {written} wrote the file and {running} would run it; {_WAY_OUT}"


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]

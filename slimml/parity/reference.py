"""The original: in this process, as a file of answers, or not at all and why. (In a process of its own: process.py)"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from slimml.parity import worker
from slimml.parity.answers import Answers
from slimml.parity.rows import RawRows

How = Literal["process", "in-process", "expected", "reference-python", "none"]


class RowsRefusedError(Exception):
    """The original raised on these rows; the message says what."""


class ReferenceFailedError(Exception):
    """The original could not be run to its end: it died, took too long, or its class is not there."""


class Reference(Protocol):
    """The original, however it is run.

    `how` and `library_version` go to the report; `sentence` says the same in plain words. `only`: the rows to which
    its answers are limited, or None where it answers any.
    """

    @property
    def how(self) -> How: ...
    @property
    def library_version(self) -> str | None: ...
    @property
    def sentence(self) -> str: ...
    @property
    def only(self) -> RawRows | None: ...

    def answers(self, rows: RawRows, outputs: Sequence[str]) -> Answers:
        """Its answers. Raises RowsRefusedError where it raises, ReferenceFailedError where it cannot go on."""

    def timing(self, rows: RawRows, method: str = "predict", seconds: float = 2.0) -> dict[str, Any] | None:
        """{"frame": {p50, p99}, "dict": {p50, p99}} in microseconds and "rows_per_s"; None where it cannot be timed."""

    def profile(self, rows: RawRows, seconds: float = 2.0) -> dict[str, Any] | None:
        """What `profiling.profile` finds out about its steps; None where it cannot be timed."""

    def rate(self, rows: RawRows, method: str = "predict", seconds: float = 1.0) -> float | None:
        """Rows a second of one batch; None where it cannot be timed."""

    def close(self) -> None:
        """End its process."""


@dataclass(slots=True)
class NoReference:
    """There is no original to compare with, and why."""

    reason: str
    how: How = "none"
    library_version: str | None = None
    only: RawRows | None = None

    @property
    def sentence(self) -> str:
        """What the report and the artifact say."""
        return f"not compared with the original: {self.reason}"

    def answers(self, rows: RawRows, outputs: Sequence[str]) -> Answers:
        """Never."""
        raise ReferenceFailedError(self.sentence)

    def timing(self, rows: RawRows, method: str = "predict", seconds: float = 2.0) -> dict[str, Any] | None:
        """Never."""
        return None

    def profile(self, rows: RawRows, seconds: float = 2.0) -> dict[str, Any] | None:
        """Never."""
        return None

    def rate(self, rows: RawRows, method: str = "predict", seconds: float = 1.0) -> float | None:
        """Never."""
        return None

    def close(self) -> None:
        """Nothing to end."""


@dataclass(slots=True)
class LiveReference:
    """A fitted estimator of this process, with one job wherever it has jobs; left as it was found."""

    estimator: Any
    how: How = "in-process"
    only: RawRows | None = None

    @property
    def library_version(self) -> str | None:
        """The release of the library that the estimator's class belongs to."""
        module = sys.modules.get(type(self.estimator).__module__.partition(".")[0])
        return getattr(module, "__version__", None)

    @property
    def sentence(self) -> str:
        """What the report says."""
        return f"compared with the live {type(self.estimator).__name__} in this process"

    def answers(self, rows: RawRows, outputs: Sequence[str]) -> Answers:
        """Its answers. Raises RowsRefusedError."""
        with self._one_job():
            try:
                given = rows.argument()
                return {name: tuple(worker.answer(self.estimator, name, given)) for name in outputs}
            except worker.ROW_ERRORS as error:
                raise RowsRefusedError(f"{type(error).__name__}: {error}") from error

    def timing(self, rows: RawRows, method: str = "predict", seconds: float = 2.0) -> dict[str, Any] | None:
        """As of any reference; with one job, as a service would set it."""
        with self._one_job():
            timed: dict[str, Any] = worker.timings(
                self.estimator, method, rows.described(), rows.shape, rows.records(256), seconds
            )
        return timed

    def profile(self, rows: RawRows, seconds: float = 2.0) -> dict[str, Any] | None:
        """As of any reference; with one job."""
        with self._one_job():
            found: dict[str, Any] | None = worker.profiled(self.estimator, rows.shape, rows.described(), seconds)
        return found

    def rate(self, rows: RawRows, method: str = "predict", seconds: float = 1.0) -> float | None:
        """As of any reference; with one job."""
        with self._one_job():
            return worker.rate(self.estimator, method, rows.shape, rows.described(), seconds)

    def close(self) -> None:
        """Nothing to end."""

    @contextmanager
    def _one_job(self) -> Iterator[None]:
        changed = worker.single_job(self.estimator)
        try:
            yield
        finally:
            worker.restore_jobs(changed)


@dataclass(slots=True)
class ExpectedReference:
    """Answers that the user gave for the rows of --data."""

    only: RawRows | None
    given: Answers
    name: str = "--expected"
    how: How = "expected"
    library_version: str | None = None

    @property
    def sentence(self) -> str:
        """What the report says."""
        return f"compared with the answers in {self.name}: {', '.join(self.given)}"

    def answers(self, rows: RawRows, outputs: Sequence[str]) -> Answers:
        """The given answers to those outputs that the file holds; `rows` are `only`."""
        return {name: self.given[name] for name in outputs if name in self.given}

    def timing(self, rows: RawRows, method: str = "predict", seconds: float = 2.0) -> dict[str, Any] | None:
        """A file cannot be timed."""
        return None

    def profile(self, rows: RawRows, seconds: float = 2.0) -> dict[str, Any] | None:
        """A file cannot be timed."""
        return None

    def rate(self, rows: RawRows, method: str = "predict", seconds: float = 1.0) -> float | None:
        """A file cannot be timed."""
        return None

    def close(self) -> None:
        """Nothing to end."""

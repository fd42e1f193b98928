"""A pytest plugin: the fixture `slimml` asserts size, speed and answers of artifacts in a test suite.

    def test_model(slimml):
        slimml.assert_size("model.slim", "5MB")
        slimml.assert_fast("model.slim", p99="2ms")
        slimml.assert_same("model.slim", "released.slim", data="rows.csv")
        slimml.assert_not_slower("model.slim", "released.slim", by="10%")

Nothing of slimml but this file is imported before a test asks for the fixture.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slimml.judge.result import GateResult

Path = str | os.PathLike[str]


class Slimml:
    """Assertions on artifacts. A limit that is not kept fails the test with a line for each check."""

    def assert_size(self, artifact: Path, limit: str | float) -> None:
        """The file weighs at most `limit`: bytes, or "5MB", "2MiB"."""
        __tracebackhide__ = True
        self.assert_gate(artifact, max_size=limit)

    def assert_fast(self, artifact: Path, *, p50: Any = None, p99: Any = None, data: Any = None) -> None:
        """One row from a dict takes at most that long: seconds, or "500us"; measured now on this machine."""
        __tracebackhide__ = True
        if p50 is None and p99 is None:
            raise TypeError("assert_fast needs p50= or p99=")
        self.assert_gate(artifact, max_p50=p50, max_p99=p99, data=data)

    def assert_same(self, artifact: Path, other: Any, *, data: Any = None, within: float = 0) -> None:
        """The answers are those of `other`: an artifact, whose numbers may differ by `within`; or a model (a live
        estimator, or the path of a pickle, which is run where every name in it is known to be harmless), whose numbers
        may differ by rounding.
        """
        __tracebackhide__ = True
        if _is_artifact(other):
            self.assert_gate(artifact, baseline=other, max_diff=within, data=data)
            return
        from slimml.driver import verify

        found = verify(other, artifact, data=data)
        if not found.ok:
            said = found.parity.sentences() if found.parity is not None else [found.reference.sentence]
            pytest.fail(f"{os.fspath(artifact)} answers otherwise:\n  " + "\n  ".join(said), pytrace=False)

    def assert_golden(self, artifact: Path) -> None:
        """The artifact answers the rows that it carries as on the day when it was made."""
        __tracebackhide__ = True
        self.assert_gate(artifact)

    def assert_not_slower(self, artifact: Path, baseline: Path, by: str | float = "10%", *, data: Any = None) -> None:
        """It is at most that much slower than the baseline artifact; the two are measured in turns."""
        __tracebackhide__ = True
        self.assert_gate(artifact, baseline=baseline, max_slower=by, data=data)

    def assert_not_larger(self, artifact: Path, baseline: Path, by: str | float = "5%") -> None:
        """It is at most that much larger than the baseline."""
        __tracebackhide__ = True
        self.assert_gate(artifact, baseline=baseline, max_larger=by)

    def assert_gate(self, artifact: Path, **limits: Any) -> GateResult:
        """Every limit of `slimml.gate` is kept; its options by the same names. Returns what it found."""
        __tracebackhide__ = True
        from slimml.judge.gate import gate

        found = gate(artifact, **limits)
        if not found.ok:
            pytest.fail(f"{os.fspath(artifact)}:\n  " + "\n  ".join(map(str, found.failed)), pytrace=False)
        return found


def _is_artifact(other: Any) -> bool:
    if not isinstance(other, str | os.PathLike):
        return False
    from slimml.artifact.layout import MAGIC

    with open(other, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@pytest.fixture(scope="session", name="slimml")
def slimml_fixture() -> Slimml:
    """Assertions on the size, the speed and the answers of artifacts."""
    return Slimml()

"""Every error that slimml raises on purpose.

    SlimmlError
      IngestError               bytes that are not read
        UnknownFormatError      no format that slimml knows
        CorruptInputError       truncated, damaged or contradictory (names the offset)
        LimitError              larger, deeper or longer than the limits allow
        UntrustedError          names something that must never be called, or needs --trust
      UnsupportedModelError     read, but not lowered
        UnsupportedEstimatorError   a class, option or state that no frontend handles
        UnfittedModelError      the estimator was never fitted
        NoBackendError          no backend can express the graph
      InputError                (also a ValueError) a row that the original would refuse
      MissingDependencyError    (also an ImportError) an extra is not installed
      UserCodeError             code of the user's own, which they registered, raised an error
      ParityError               predictions differ
      BudgetError               a size, speed or loss budget says no
      ArtifactError             a .slim file that is not opened
        ArtifactVersionError    written by a newer slimml
        ArtifactCorruptError    damaged or hostile
      UsageError                (also a ValueError) options that contradict each other, a file that is not there

    InternalError               a bug in slimml; deliberately not a SlimmlError

A message says what, where and what to do next; the same facts are attributes.
"""

from __future__ import annotations

from dataclasses import dataclass


class SlimmlError(Exception):
    """Base of every expected failure.

    Attributes: `what` (one sentence), `where` (a path in the model or an offset, or ""), `hint` (what to do next).
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head}\n  {hint}" if hint else head)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by their positional arguments; ours are keyword-only, and workers must pass them on.
        return (_rebuild, (type(self), self.__dict__.copy(), self.args))


def _rebuild(cls: type[SlimmlError], attributes: dict[str, object], args: tuple[object, ...]) -> SlimmlError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(attributes)
    return error


class IngestError(SlimmlError):
    """Bytes that are not read; `offset` is the byte at which reading stopped, where one is known."""

    def __init__(self, what: str, *, where: str = "", hint: str = "", offset: int | None = None) -> None:
        self.offset = offset
        super().__init__(what if offset is None else f"{what} (at byte {offset})", where=where, hint=hint)


class UnknownFormatError(IngestError):
    """No format that slimml knows."""


class CorruptInputError(IngestError):
    """Truncated, damaged or contradictory."""


class LimitError(IngestError):
    """Larger, deeper or longer than the limits allow."""


class UntrustedError(IngestError):
    """The file names something that must never be called, or running it needs --trust."""


@dataclass(frozen=True, slots=True)
class StepRefusal:
    """A step of a model that slimml cannot compile: where it stands, its `module.Class`, and why."""

    path: str
    class_path: str
    why: str

    def to_json(self) -> dict[str, str]:
        """A JSON-ready dict."""
        return {"path": self.path, "class": self.class_path, "why": self.why}

    def __str__(self) -> str:
        told = "" if self.class_path in self.why else f" ({self.class_path})"
        return f"{self.path}{told}: {self.why}"


class UnsupportedModelError(SlimmlError):
    """Read, but not lowered. `refusals`: every step that is in the way, where they have been collected."""

    refusals: tuple[StepRefusal, ...] = ()


class UnsupportedEstimatorError(UnsupportedModelError):
    """A class, an option or a state that no frontend handles."""


class UnfittedModelError(UnsupportedModelError):
    """The estimator was never fitted."""


class NoBackendError(UnsupportedModelError):
    """No backend can express the graph under the options given. `result`: the ShrinkResult, where there is one."""

    result: object = None


class InputError(SlimmlError, ValueError):
    """A row that the original would refuse: a missing column, a NaN, an unknown category."""


class MissingDependencyError(SlimmlError, ImportError):
    """An optional package is not installed; `hint` is the command that installs it."""

    exit_code = 2


class UsageError(SlimmlError, ValueError):
    """Options that contradict each other, or a file that is not there."""

    exit_code = 2


class UserCodeError(SlimmlError):
    """A lowering or a kept step that the user registered failed; the cause is its own exception."""


class ParityError(SlimmlError):
    """Predictions differ from the original's. `result`: the ShrinkResult, where there is one."""

    exit_code = 1
    result: object = None


class BudgetError(SlimmlError):
    """A size, speed or loss budget says no."""

    exit_code = 1


class ArtifactError(SlimmlError):
    """A .slim file that is not opened."""


class ArtifactVersionError(ArtifactError):
    """Written by a newer slimml."""


class ArtifactCorruptError(ArtifactError):
    """Damaged or hostile."""


class InternalError(Exception):
    """A bug in slimml."""

    exit_code = 70

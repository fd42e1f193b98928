"""What a command is, and what it hands back to be printed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slimml.cli.render import Screen
from slimml.errors import InternalError, SlimmlError, UnsupportedModelError


def _nothing(screen: Screen) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command found.

    `code`      the exit code: 0 yes, 1 no
    `document`  for --json, without what every document has
    `show`      prints it for people
    `error`     why the answer is no, where that is an error with a message of its own
    """

    code: int = 0
    document: dict[str, Any] = field(default_factory=dict)
    show: Callable[[Screen], None] = _nothing
    error: SlimmlError | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `slimml NAME ...`. `details` end its help; `subject`: the option that names the file it is about."""

    name: str
    summary: str
    details: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], Outcome]


def described(error: BaseException) -> dict[str, Any]:
    """An error for --json."""
    if isinstance(error, SlimmlError):
        told: dict[str, Any] = {
            "type": type(error).__name__,
            "what": error.what,
            "where": error.where,
            "hint": error.hint,
        }
        if isinstance(error, UnsupportedModelError):
            told["refused"] = [r.to_json() for r in error.refusals]
        return told
    name = InternalError.__name__ if not isinstance(error, KeyboardInterrupt | MemoryError) else type(error).__name__
    return {"type": name, "what": f"{type(error).__name__}: {error}", "where": "", "hint": ""}

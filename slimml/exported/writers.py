"""Which ending is which kind of file, and what every kind can do."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Protocol

from slimml.errors import UsageError
from slimml.exported.forest_file import CWriter, TreeliteWriter
from slimml.exported.onnx_file import OnnxWriter
from slimml.ir.graph import Graph
from slimml.options import ShrinkOptions
from slimml.parity.seams import Checker

_NATIVE = (".slim", "")


class ExportedFile(Protocol):
    """A file for another runtime, opened: its bytes, what answers for it, and what it cannot do.

    `compared`: whether it could be opened at all here; where not, `notes` say why.
    """

    @property
    def data(self) -> bytes: ...
    @property
    def model(self) -> Any: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def compared(self) -> bool: ...


class FileWriter(Protocol):
    """A kind of output file for another runtime. `name`: the backend that makes it."""

    name: str

    def refusal(self, graph: Graph) -> str | None:
        """Why the graph cannot be such a file, or None."""

    def build(self, graph: Graph) -> ExportedFile:
        """The file, opened."""


# By ending. `shrink -o` writes the first two; compiling C is left to `slimml export`.
WRITERS: dict[str, FileWriter] = {".onnx": OnnxWriter(), ".tl": TreeliteWriter(), ".c": CWriter()}


def writer_for(out: str | os.PathLike[str] | None, options: ShrinkOptions) -> FileWriter | None:
    """The writer that an output's ending asks for; None for an artifact. Raises UsageError for other endings."""
    ending = ending_of(out)
    if ending in _NATIVE:
        return None
    if ending not in (".onnx", ".tl"):
        hint = "Write .slim, .onnx or .tl; `slimml export` makes C of an artifact."
        raise UsageError(f"cannot write a {ending} file", hint=hint)
    writer = WRITERS[ending]
    if options.backend not in ("auto", writer.name):
        raise UsageError(f"--backend {options.backend} does not write {ending} files", hint="Leave --backend out.")
    return writer


def export_writer(out: str | os.PathLike[str]) -> FileWriter:
    """The writer of `slimml export -o`. Raises UsageError."""
    ending = ending_of(out)
    if ending not in WRITERS:
        raise UsageError(f"cannot export to a {ending or 'nameless'} file", hint="Write .onnx, .tl or .c.")
    return WRITERS[ending]


def ending_of(out: str | os.PathLike[str] | None) -> str:
    """The ending of a path, in small letters, with its dot."""
    return os.path.splitext(os.fspath(out))[1].lower() if out is not None else ""


def fair(checker: Checker) -> Checker:
    """The checker for such a file: it cannot refuse a row, so only rows that the original answers are tried."""
    return Checker(checker.original, checker.fresh, checker.final, replace(checker.trials, refused=()))

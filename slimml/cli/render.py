"""Prints for people: tables with rich on a terminal, aligned plain text elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO

# What commands print with, in one place to import from.
from slimml.units import duration as duration
from slimml.units import rate as rate
from slimml.units import ratio as ratio
from slimml.units import size as size

if TYPE_CHECKING:
    from rich.console import Console


class Screen:
    """A stream that people read. With `quiet` it prints nothing."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._console = _console(stream) if not quiet and is_terminal(stream) else None

    def line(self, text: str = "") -> None:
        """A line, or several; names out of a file cannot move the cursor or change colours."""
        if self._quiet:
            return
        if self._console is not None:
            self._console.print(safe(text))
        else:
            self._stream.write(safe(text) + "\n")

    def raw(self, text: str) -> None:
        """What was asked for, to the letter, quiet or not."""
        self._stream.write(text)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
        """A table; the columns at `numbers` are set to the right."""
        if self._quiet:
            return
        clean = [[safe(cell, "") for cell in row] for row in rows]
        if self._console is not None:
            _rich_table(self._console, headers, clean, numbers)
            return
        widths = [max(map(len, column)) for column in zip(headers, *clean, strict=True)]
        for row in ([headers] if any(headers) else []) + list(clean):
            cells = [c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
            self._stream.write("  ".join(cells).rstrip() + "\n")


def _rich_table(
    console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]
) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_header=any(headers), pad_edge=False)
    for i, header in enumerate(headers):
        table.add_column(header, justify="right" if i in numbers else "left", no_wrap=i in numbers, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _console(stream: TextIO) -> Console:
    # rich takes 50 ms to import, so only a terminal pays for it. By itself it would still print bold under NO_COLOR.
    from rich.console import Console

    colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=stream, color_system=colors, markup=False, highlight=False, emoji=False)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person may be looking who sees lines come and go."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def safe(text: str, keep: str = "\n") -> str:
    """`text` with everything that is not printable escaped: file contents never reach the terminal as they are."""
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def error_text(message: str) -> str:
    """How an error looks on stderr."""
    return f"slimml: {safe(message)}\n"


def warn_on_stderr(message: str) -> None:
    """One message on stderr."""
    sys.stderr.write(error_text(message))

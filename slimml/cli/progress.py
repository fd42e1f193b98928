"""What is being done right now, on stderr, for somebody who waits at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slimml.cli.render import is_terminal, safe

Progress = Callable[[str, float | None], None]


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress | None]:
    """A function to call with (what is done, the fraction that is behind it or None); None where nobody looks on."""
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    with console.status("starting") as status:  # takes itself away at the end

        def say(what: str, fraction: float | None = None) -> None:
            status.update(safe(what, "") + ("" if fraction is None else f" ({fraction:.0%})"))

        yield say

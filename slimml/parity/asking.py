"""Ask somebody for answers who may raise, and find the rows for which that happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from slimml.parity.answers import Answers
from slimml.parity.reference import RowsRefusedError
from slimml.parity.rows import RawRows
from slimml.parity.worker import ROW_ERRORS

# Calls that are spent on finding the rows that raise. What is not found by then stays unknown.
CALLS = 120
_ERRORS = (RowsRefusedError, *ROW_ERRORS)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Answers to the rows that were accepted, in order; masks over all rows; what the first refusal said.

    A row in neither mask was never tried apart from others that raise.
    """

    answers: Answers
    accepted: np.ndarray
    refused: np.ndarray
    said: str = ""

    def at(self, rows: np.ndarray) -> Answers:
        """The answers to a mask of rows, all of them accepted."""
        if rows.all():
            return self.answers
        keep = rows[self.accepted]
        return {name: tuple(block[keep] for block in answer) for name, answer in self.answers.items()}


def ask(call: Callable[[RawRows], Answers], rows: RawRows, calls: int = CALLS) -> Asked:
    """Answers to all rows at once, or, where that raises, to halves and halves of halves."""
    accepted, refused = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    parts: list[tuple[int, Answers]] = []
    said = ""
    stack = [(0, len(rows))] if len(rows) else []
    while stack and calls:
        start, stop = stack.pop()
        calls -= 1
        try:
            parts.append((start, call(rows.take(slice(start, stop)))))
            accepted[start:stop] = True
        except _ERRORS as error:
            said = said or f"{type(error).__name__}: {error}" if not isinstance(error, RowsRefusedError) else str(error)
            if stop - start == 1:
                refused[start] = True
            else:
                middle = (start + stop) // 2
                # The larger part first, so that most rows are answered before the calls are spent.
                stack += [(middle, stop), (start, middle)]
    return Asked(_joined([a for _, a in sorted(parts, key=lambda p: p[0])]), accepted, refused, said)


def _joined(parts: list[Answers]) -> Answers:
    if len(parts) <= 1:
        return parts[0] if parts else {}
    return {
        name: tuple(np.concatenate(blocks) for blocks in zip(*(p[name] for p in parts), strict=True))
        for name in parts[0]
    }

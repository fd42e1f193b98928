"""Which cells a graph takes, whatever stands beside them."""

from __future__ import annotations

import numpy as np

from slimml.ir.graph import Graph
from slimml.parity.cells import Cells
from slimml.parity.columns import Gates, Interesting, interesting
from slimml.schema import CATEGORY, Column

# Rows that are asked at once.
_CHUNK = 1 << 14


def accepted(graph: Graph, cells: Cells) -> Cells:
    """The cells that no gate refuses, and that fit their column."""
    values, run, known = {}, {}, interesting(graph)
    for c, own in cells.values.items():
        column = graph.schema.columns[c]
        keep = np.ones(len(own), dtype=bool)
        if column.kind == CATEGORY:
            keep = np.array([fits(column, v, known[c]) for v in own.tolist()], dtype=bool)
        values[c], run[c] = own[keep], int(keep[: cells.run[c]].sum())
    gates = Gates(graph)
    for c, own in values.items():
        ok = ~refused(gates, c, own)
        # A column of which every value is refused keeps them: so does the original refuse every row.
        if ok.any():
            run[c] = int(ok[: run[c]].sum())
            values[c] = own[ok]
    return Cells(values, run)


def refused(gates: Gates, column: int, values: np.ndarray) -> np.ndarray:
    """bool (n,): which values of a raw column are refused by themselves."""
    parts = [gates.cells(column, values[i : i + _CHUNK]) for i in range(0, len(values), _CHUNK)]
    return np.concatenate([np.zeros(0, dtype=bool), *parts])


def refusals_apart(before: Graph, after: Graph, cells: Cells) -> str:
    """A cell that one of two graphs refuses, and the other does not; or ""."""
    sides = Gates(before), Gates(after)
    for c, values in cells.values.items():
        one, other = (refused(gates, c, values) for gates in sides)
        wrong = np.flatnonzero(one != other)
        if len(wrong):
            at = int(wrong[0])
            ways = ("refused", "taken") if one[at] else ("taken", "refused")
            return f"{before.schema.columns[c].name} = {values[at]!r} was {ways[0]} and now is {ways[1]}"
    return ""


def fits(column: Column, value: object, noted: Interesting) -> bool:
    """Whether a category may stand in a column: by its dtype where the data showed one, else by its table."""
    if value is None:
        return column.dtype == "object"
    if value != value:
        return column.dtype != "bool"
    if column.dtype == "bool":
        return isinstance(value, bool)
    table = [v for v in noted.values if v is not None and v == v]
    numeric = bool(table) and all(isinstance(v, bool | int | float) for v in table)
    mixed = len({isinstance(v, str) for v in table}) > 1
    return mixed or isinstance(value, str) != numeric

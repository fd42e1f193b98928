"""Raw values around every cut: what nets and rows are woven from.

For each raw column a list of values (cells) that between them reach every rank that the column can have. Numbers come
as a sorted run: both sides of each cut, found by bisecting over the ordered floats with the graph's own arithmetic,
however long the chain in front of the cut. What is tested by identity (missing values, sentinels, categories) is a
special cell.

This works where each column that a forest reads depends on one raw column. Where it does not (behind a projection), the
cells are ranks instead of raw values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.ir.domain import Domain
from slimml.ir.graph import Graph, evaluate, topological
from slimml.ir.narrow import narrowed
from slimml.ir.node import Node, Value
from slimml.ir.ops.columns import Input
from slimml.ir.ops.ranks import Rank
from slimml.parity.columns import (
    MIXED,
    UNSEEN,
    Interesting,
    declared,
    guarded_ends,
    inside,
    interesting,
    is_number,
    sources,
    ungated,
)
from slimml.parity.floats import HIGHEST, LOWEST, from_order, neighbours, to_order
from slimml.parity.rows import RawRows
from slimml.schema import TEXT

# A column with up to this many cells keeps all of them as specials, which are exact for any kind of test.
_ALL_SPECIAL = 256
_CHUNK = 1 << 14
# Documents that are cells of a column of text: each gives a rank in every column of terms.
_DOCUMENTS = 96
_FLOAT32_END = float(np.finfo(np.float32).max)
_EXTREMES = (0.0, 1.0, -1.0, 5e-324, -5e-324, 1e308, -1e308, _FLOAT32_END, -_FLOAT32_END, np.inf, -np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Per raw column (position in the schema): `values`, of which the first `run` are numbers in rising order."""

    values: dict[int, np.ndarray]
    run: dict[int, int]

    def count(self, column: int) -> int:
        """Number of cells of a column."""
        return len(self.values[column])


def raw_cells(graphs: Sequence[Graph], found: Sequence[Boundaries]) -> Cells:
    """Cells of every raw column that the graphs read, around the boundaries of all of them."""
    cuts: dict[int, list[np.ndarray]] = {}
    seen: dict[int, Interesting] = {}
    ends: dict[int, list[float]] = {}
    for graph, known in zip(graphs, found, strict=True):
        for column, own in guarded_ends(graph).items():
            ends.setdefault(column, []).extend(own)
        for column in np.unique(known.owner).tolist():
            cuts.setdefault(column, []).append(known.of(column))
        for column, noted in interesting(graph).items():
            seen.setdefault(column, Interesting()).values += noted.values
            seen[column].tabled |= noted.tabled
    values, run, known_domains = {}, {}, declared(graphs[0])
    for column, noted in seen.items():
        if is_number(graphs[0], column):
            values[column], run[column] = _number_cells(cuts.get(column, []), noted, ends.get(column, []))
            if column in known_domains:
                values[column], run[column] = _declared_cells(values[column], known_domains[column])
        elif graphs[0].schema.columns[column].kind == TEXT:
            values[column], run[column] = document_cells(noted), 0
        else:
            values[column], run[column] = _category_cells(noted), 0
    return Cells(values, run)


def _number_cells(cuts: list[np.ndarray], noted: Interesting, ends: list[float]) -> tuple[np.ndarray, int]:
    given = [float(v) for v in noted.values if isinstance(v, int | float) and v == v]
    beside = neighbours(np.array(given)) if given else np.zeros(0)
    around = [neighbours(c) for c in [*cuts, np.unique(np.array(ends, dtype=np.float64))]] + [
        beside,
        np.array(_EXTREMES),
        np.array([-0.0]),
    ]
    special = np.unique(np.array(given))
    order = np.setdiff1d(np.unique(to_order(np.concatenate(around))), to_order(special))
    values = np.concatenate([from_order(order), special, [np.nan]])
    return values, len(order) if len(values) > _ALL_SPECIAL else 0


def _declared_cells(values: np.ndarray, domain: Domain) -> tuple[np.ndarray, int]:
    """The cells around the same values, of a column that holds only what was declared."""
    beside = np.concatenate([np.floor(values), np.ceil(values)]) if domain.integer else values
    made = np.unique(inside(beside[~np.isnan(beside)], domain))
    made = made if len(made) else inside(np.zeros(1), domain)
    run = len(made) if len(made) > _ALL_SPECIAL else 0
    return np.append(made, np.nan) if domain.missing else made, run


def _category_cells(noted: Interesting) -> np.ndarray:
    found: dict[object, object] = {}
    for value in [*noted.values, UNSEEN, "", None, -987654321]:
        key = ("nan",) if value != value else (type(value) is str, value)
        found.setdefault(key, np.nan if value != value else value)
    found.setdefault(("nan",), np.nan)
    out = np.empty(len(found), dtype=object)
    for i, value in enumerate(found.values()):
        out[i] = value
    return out


def document_cells(noted: Interesting) -> np.ndarray:
    """Documents of one term each, of terms spread over all that are counted, and the empty one."""
    at = np.unique(np.linspace(0, max(0, len(noted.texts) - 1), _DOCUMENTS).astype(int)).tolist()
    texts = dict.fromkeys(["", UNSEEN, *(noted.texts[i] for i in at if i < len(noted.texts))])
    out = np.empty(len(texts), dtype=object)
    out[:] = list(texts)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """Where the answers of `x <= cut` change, for every cut of every Rank that reads a raw column of numbers.

    `which, column, owner, cut`  the Rank, its column, the raw column, the cut
    `last`     the last raw value, in the order of floats.py, that has the answer of -inf
    `changes`  whether another answer follows at all
    """

    which: np.ndarray
    column: np.ndarray
    owner: np.ndarray
    cut: np.ndarray
    last: np.ndarray
    changes: np.ndarray

    def of(self, column: int) -> np.ndarray:
        """Those values of a raw column."""
        return from_order(self.last[(self.owner == column) & self.changes])


def boundaries(graph: Graph, guess: Boundaries | None = None) -> Boundaries:
    """The boundaries of a graph. Those of a graph before a pass are a good guess of those after it.

    Without a guess some 64 evaluations of what stands in front of the cuts are needed; a right guess needs four.
    """
    opened = ungated(graph)
    owners = sources(opened)
    ranks = [n for n in opened.nodes() if isinstance(n, Rank)]
    parts = [_cuts_of(i, r, owners[r.inputs[0]]) for i, r in enumerate(ranks)] or [(np.zeros(0, dtype=np.int64),) * 4]
    which, column, owner, cut = (np.concatenate(p) for p in zip(*parts, strict=True))
    numbers = np.array([c >= 0 and is_number(graph, c) for c in owner.tolist()], dtype=bool)
    which, column, owner, cut = which[numbers], column[numbers], owner[numbers], cut[numbers]
    low, high = np.full(len(cut), LOWEST), np.full(len(cut), HIGHEST)
    asked = _Questions(opened, ranks, which, column, owner, cut)
    first = asked.answers(low)
    found = Boundaries(which, column, owner, cut, low, first != asked.answers(high))
    open_ = found.changes
    # Questions that stand at the same place are likely to have the same answer, or one close by.
    if guess is not None and np.array_equal(guess.which, which) and np.array_equal(guess.column, column):
        after = np.minimum(guess.last + 1, HIGHEST)
        right = (asked.answers(guess.last) == first) & (asked.answers(after) != first)
        low[right], open_ = guess.last[right], open_ & ~right
    rest = np.flatnonzero(open_)
    if len(rest):
        asked = _Questions(opened, ranks, which[rest], column[rest], owner[rest], cut[rest])
        low[rest] = asked.bisect(first[rest])
    return found


def _cuts_of(which: int, rank: Rank, owner: np.ndarray) -> tuple[np.ndarray, ...]:
    column = np.repeat(np.arange(rank.source.width), np.diff(rank.offsets))
    cuts = rank.cuts.astype(np.float64)  # exact from float32 and int32
    return np.full(len(cuts), which), column, owner[column], cuts


class _Questions:
    """`x <= cut`, asked of many raw values at once: row r asks the r-th question of every raw column."""

    def __init__(
        self, graph: Graph, ranks: list[Rank], which: np.ndarray, column: np.ndarray, owner: np.ndarray, cut: np.ndarray
    ) -> None:
        self.graph = graph
        needed = [np.unique(column[which == i]) for i in range(len(ranks))]
        self.ends = [narrowed(r.inputs[0], c) for r, c in zip(ranks, needed, strict=True)]
        column = column.copy()
        for i, columns in enumerate(needed):
            column[which == i] = np.searchsorted(columns, column[which == i])
        self.order = topological(self.ends)
        # What depends on categories alone is the same at every step, and looking up categories is what takes time.
        self.moving: set[Node] = set()
        self.still: dict[int, dict[Node, Value]] = {}
        for node in self.order:
            if (isinstance(node, Input) and node.type.numeric) or any(x in self.moving for x in node.inputs):
                self.moving.add(node)
        self.which, self.column, self.owner, self.cut = which, column, owner, cut
        order = np.argsort(owner, kind="stable")
        start = np.searchsorted(owner[order], owner[order], side="left")
        row = np.empty(len(owner), dtype=np.int64)
        row[order] = np.arange(len(owner)) - start
        stops = range(0, int(row.max(initial=-1)) + 1, _CHUNK)
        self.chunks = [self._chunk(row, np.flatnonzero((row >= s) & (row < s + _CHUNK)), s) for s in stops]

    def _chunk(self, row: np.ndarray, here: np.ndarray, start: int) -> tuple[RawRows, list[Any], list[Any]]:
        """Rows to write to; which questions write which raw column, and which read which input of a Rank, and where."""
        names = self.graph.schema.names
        writes = [here[self.owner[here] == c] for c in np.unique(self.owner[here]).tolist()]
        reads = [here[self.which[here] == i] for i in range(len(self.ends))]
        return (
            blank_rows(self.graph, int(row[here].max()) - start + 1),
            [(names[int(self.owner[own[0]])], row[own] - start, own) for own in writes],
            [(end, row[own] - start, self.column[own], own) for end, own in zip(self.ends, reads, strict=True)],
        )

    def bisect(self, first: np.ndarray) -> np.ndarray:
        """The last value, in order, that has the answer of -inf (`first`), where +inf has the other one."""
        low, high = np.full(len(self.cut), LOWEST), np.full(len(self.cut), HIGHEST)
        while True:
            # The sum of two such integers may overflow, their halves do not.
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            if (middle == low).all():
                return low
            same = self.answers(middle) == first
            low, high = np.where(same, middle, low), np.where(same, high, middle)

    def answers(self, order: np.ndarray) -> np.ndarray:
        """Whether each value, after all that stands in front of its Rank, is at most its cut."""
        values = from_order(order)
        out = np.zeros(len(values), dtype=bool)
        for rows, writes, reads in self.chunks:
            for name, at, own in writes:
                rows.columns[name][at] = values[own]
            found = self._evaluate(rows)
            for end, at, column, own in reads:
                out[own] = found[end][at, column] <= self.cut[own]  # type: ignore[index]
        return out

    def _evaluate(self, rows: RawRows) -> dict[Node, Value]:
        count = len(rows)
        if count not in self.still:
            fixed = [n for n in self.order if n not in self.moving]
            self.still[count] = evaluate(fixed, rows.blocks(self.graph))
        values = dict(self.still[count])
        with np.errstate(all="ignore"):
            for node in self.order:
                if node in self.moving:
                    inputs = [values[x] for x in node.inputs]
                    values[node] = rows.block(node) if isinstance(node, Input) else node.evaluate(*inputs)
        return values


def blank_rows(graph: Graph, count: int) -> RawRows:
    """Rows of ones and of unseen categories, to be written over."""
    columns = {}
    for c in graph.schema.columns:
        columns[c.name] = np.ones(count) if c.kind == "number" else np.full(count, UNSEEN, dtype=object)
    return RawRows(graph.schema, columns)


@dataclass(frozen=True, slots=True, eq=False)
class RankTable:
    """The rank that each cell gives in each column of a block: ranks[start[j] + cell]; `owner[j]`: whose cells."""

    ranks: np.ndarray
    start: np.ndarray
    owner: np.ndarray


def rank_table(graph: Graph, block: Node, cells: Cells) -> RankTable | None:
    """The ranks that raw cells give in a block of a graph; None where a column depends on several raw columns."""
    opened = ungated(graph)
    twin = dict(zip(graph.nodes(), opened.nodes(), strict=True))[block]
    owner = sources(opened)[twin]
    if (owner == MIXED).any():
        return None
    rows = max((cells.count(c) for c in cells.values), default=1)
    counts = np.array([cells.count(c) if c >= 0 else 1 for c in owner.tolist()], dtype=np.int64)
    start = np.cumsum(counts) - counts
    ranks = np.empty(int(counts.sum()), dtype=np.int32)
    for first in range(0, rows, _CHUNK):
        size = min(_CHUNK, rows - first)
        with np.errstate(all="ignore"):
            values = evaluate([twin], _cell_rows(opened, cells, first, size).blocks(opened))[twin]
        assert isinstance(values, np.ndarray)
        for j in np.flatnonzero(counts > first).tolist():
            stop = min(first + size, int(counts[j]))
            ranks[start[j] + first : start[j] + stop] = values[: stop - first, j]
    return RankTable(ranks, start, owner)


def _cell_rows(graph: Graph, cells: Cells, first: int, size: int) -> RawRows:
    rows = blank_rows(graph, size)
    for c, values in cells.values.items():
        part = values[first : first + size]
        rows.columns[graph.schema.columns[c].name][: len(part)] = part
    return rows


def cells_of_ranks(block: Node) -> tuple[Cells, RankTable]:
    """The ranks of a block as their own cells, one "raw column" per column of the block."""
    values, run, ranks, start, at = {}, {}, [], [], 0
    for j, domain in enumerate(block.type.domains):
        own = np.arange(int(domain.high) + 1)
        values[j] = np.append(own, -1)
        run[j] = len(own) if len(own) > _ALL_SPECIAL else 0
        ranks.append(values[j].astype(np.int32))
        start.append(at)
        at += len(values[j])
    return Cells(values, run), RankTable(np.concatenate(ranks), np.array(start), np.arange(len(start)))


def cells_of_cuts(one: Node, other: Node) -> tuple[RankTable, RankTable, Cells] | None:
    """Numbers between the cuts of two Ranks of like columns, one "raw column" per column; None where they are none."""
    if not (isinstance(one, Rank) and isinstance(other, Rank)):
        return None
    if one.source.dtype != other.source.dtype or one.type.width != other.type.width or one.cuts.dtype.kind != "f":
        return None
    values, run, columns = {}, {}, range(one.type.width)
    for j in columns:
        cuts = np.concatenate([r.cuts[r.offsets[j] : r.offsets[j + 1]] for r in (one, other)])
        values[j] = np.append(np.unique(cuts), np.array([np.inf, np.nan], dtype=cuts.dtype))
        run[j] = len(values[j]) - 1 if len(values[j]) > _ALL_SPECIAL else 0
    start = np.cumsum([0, *(len(v) for v in values.values())])[:-1]
    block = np.full((max((len(v) for v in values.values()), default=0), len(values)), np.nan, dtype=one.source.dtype)
    for j, own in values.items():
        block[: len(own), j] = own
    ranks = [r.evaluate(block) for r in (one, other)]
    tables = [np.concatenate([r[: len(values[j]), j] for j in columns]) for r in ranks]
    owner = np.arange(len(values))
    return RankTable(tables[0], start, owner), RankTable(tables[1], start, owner), Cells(values, run)

"""Rows that reach a node: for every inner node of a tree, cells just left and just right of its cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slimml.ir.forest import Trees, step
from slimml.parity.cells import Cells, RankTable
from slimml.parity.splits import Splits

# Node states held at once (nodes x raw columns); trees are taken together up to that.
_STATES = 1 << 22
# Rows that are made at once, and of one forest in all, to ask its splits of every cell.
_ROWS, _ALL_ROWS = 1 << 18, 1 << 22
# Cells of a run, far from any cut, that a split is asked of too.
_FAR = 64


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Rows of cells, a column per raw column of `Layout.columns`: the node each is for, and the child it goes to.

    `free`  where asked for: which cells no split on the way, nor the node's own, depends on
    """

    node: np.ndarray
    child: np.ndarray
    cells: np.ndarray
    free: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the state of each raw column lies.

    `columns`  raw columns, in order; `place`: raw column -> its position in there
    `run, specials`  number of run cells and of special cells of each
    `word`     the first word of each column's mask of specials, and the end
    """

    columns: list[int]
    place: np.ndarray
    run: np.ndarray
    specials: np.ndarray
    word: np.ndarray


def layout(cells: Cells) -> Layout:
    """The layout of the raw columns that have cells."""
    columns = sorted(cells.values)
    place = np.full(max(columns, default=0) + 1, -1)
    place[columns] = np.arange(len(columns))
    run = np.array([cells.run[c] for c in columns], dtype=np.int64)
    specials = np.array([cells.count(c) for c in columns], dtype=np.int64) - run
    word = np.concatenate([[0], np.cumsum((specials + 63) // 64)])
    return Layout(columns, place, run, specials, word)


def witnesses(
    trees: Trees,
    found: Splits,
    lay: Layout,
    which: np.ndarray | None = None,
    *,
    free: bool = False,
    highest: bool = False,
) -> Iterator[Witnesses]:
    """Witnesses of the inner nodes of those trees (all of them), a few trees at a time.

    A node that no combination of cells reaches has none. `highest`: twice as many, from the other corner of its box.
    """
    for boxes in _all_boxes(trees, found, lay, which):
        yield boxes.witnesses(free)
        if highest:
            yield boxes.witnesses(free, highest=True)


def questions(trees: Trees, found: Splits, lay: Layout, reach: np.ndarray) -> Iterator[Witnesses]:
    """Rows that ask every different split of every cell, each at one of the nodes that the cell can get to.

    Of a run those within `reach` of the cut, and some far from it. The child of each row is its node. Where they are
    few, the special cells are asked at every node.
    """
    far = min(_FAR, _ALL_ROWS // max(1, found.count))
    specials = np.zeros(found.specials.shape, dtype=np.uint64)
    run = np.zeros(found.count, dtype=bool)
    room = _ALL_ROWS
    for boxes in _all_boxes(trees, found, lay, None):
        for rows in boxes.questions(run, specials, reach, far, room // 4):
            room -= len(rows.node)
            yield rows
            if room <= 0:
                return


def held(trees: Trees, found: Splits, lay: Layout, node: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Whether a row with that cell, in the column that the node tests, can get to each node."""
    out = np.zeros(len(node), dtype=bool)
    which = np.unique(np.searchsorted(trees.roots, node, side="right") - 1)
    for boxes in _all_boxes(trees, found, lay, which) if len(which) else ():
        here = np.flatnonzero((node >= boxes.nodes[0]) & (node <= boxes.nodes[-1]))
        out[here] = boxes.hold(node[here], cell[here])
    return out


def _all_boxes(trees: Trees, found: Splits, lay: Layout, which: np.ndarray | None) -> Iterator[_Boxes]:
    ends = trees.ends
    for group in _groups(trees, len(lay.columns), which):
        spans = [np.arange(int(trees.roots[t]), int(ends[t])) for t in group.tolist()]
        yield _Boxes(trees, found, lay, np.concatenate(spans))


def _groups(trees: Trees, width: int, which: np.ndarray | None) -> list[np.ndarray]:
    chosen = np.arange(trees.count) if which is None else which
    sizes = (trees.ends - trees.roots)[chosen]
    limit = max(1, _STATES // max(1, width))
    group = (np.cumsum(sizes) - sizes) // limit
    return np.split(chosen, np.flatnonzero(np.diff(group)) + 1)


class _Boxes:
    """For every node of some trees, the cells that lead to it: a stretch of each run, a mask of the specials."""

    def __init__(self, trees: Trees, found: Splits, lay: Layout, nodes: np.ndarray) -> None:
        self.trees, self.found, self.lay, self.nodes = trees, found, lay, nodes
        count = len(nodes)
        self.low = np.zeros((count, len(lay.columns)), dtype=np.int32)
        self.high = np.tile((lay.run - 1).astype(np.int32), (count, 1))
        self.mask = np.tile(_full_masks(lay), (count, 1))
        local = np.full(int(nodes[-1]) + 1 - int(nodes[0]), -1, dtype=np.int64)
        local[nodes - nodes[0]] = np.arange(count)
        self.local = local
        self._descend()

    def _descend(self) -> None:
        trees, found, lay = self.trees, self.found, self.lay
        roots = trees.roots[np.isin(trees.roots, self.nodes)]
        level = roots.astype(np.int64)
        while len(level):
            level = level[trees.feature[level] >= 0]
            children = (level + 1, trees.right[level].astype(np.int64))
            split = found.of_node[level]
            column = lay.place[found.owner[split]]
            at = self._at(level)
            for child, interval, inside in zip(children, (found.left, found.right), (True, False), strict=True):
                to = self._at(child)
                self.low[to], self.high[to], self.mask[to] = self.low[at], self.high[at], self.mask[at]
                self.low[to, column] = np.maximum(self.low[to, column], interval[split, 0])
                self.high[to, column] = np.minimum(self.high[to, column], interval[split, 1])
                self._mask(to, column, found.specials[split], inside)
            level = np.concatenate(children)

    def _mask(self, to: np.ndarray, column: np.ndarray, left: np.ndarray, inside: bool) -> None:
        words = self.lay.word[column + 1] - self.lay.word[column]
        for w in range(left.shape[1]):
            some = np.flatnonzero(words > w)
            at = self.lay.word[column[some]] + w
            self.mask[to[some], at] &= left[some, w] if inside else ~left[some, w]

    def _at(self, nodes: np.ndarray) -> np.ndarray:
        return np.asarray(self.local[nodes - self.nodes[0]])

    def _inner(self) -> tuple[np.ndarray, np.ndarray]:
        """The nodes that test what comes from a raw column, and their splits."""
        inner = self.nodes[self.trees.feature[self.nodes] >= 0]
        split = self.found.of_node[inner]
        return inner[self.found.owner[split] >= 0], split[self.found.owner[split] >= 0]

    def witnesses(self, free: bool, *, highest: bool = False) -> Witnesses:
        """Up to two rows on either side of every inner node: its neighbour in the run, and one of the specials."""
        trees, found, lay = self.trees, self.found, self.lay
        inner, split = self._inner()
        base, reached = self._base(self._at(inner), inner, highest=highest)
        column = lay.place[found.owner[split]]
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for left in (True, False):
            child = inner + 1 if left else trees.right[inner].astype(np.int64)
            at = self._at(child)
            # The end of the child's stretch that lies next to the cut.
            near = np.where(found.rising[split] == left, self.high[at, column], self.low[at, column])
            in_run = self.low[at, column] <= self.high[at, column]
            special = self._special(at, column, highest=highest)
            for ok, cell in ((in_run, near), (special >= 0, lay.run[column] + special)):
                parts.append((np.flatnonzero(ok & reached), child, cell))
        rows = np.concatenate([keep for keep, _, _ in parts])
        cells = base[rows]
        cells[np.arange(len(rows)), column[rows]] = np.concatenate([cell[keep] for keep, _, cell in parts])
        untested = self._untested(self._at(inner[rows])) if free else np.zeros((0, 0), dtype=bool)
        if free:
            untested[np.arange(len(rows)), column[rows]] = False
        return Witnesses(inner[rows], np.concatenate([child[keep] for keep, child, _ in parts]), cells, untested)

    def questions(
        self, run: np.ndarray, specials: np.ndarray, reach: np.ndarray, far: int, room: int
    ) -> Iterator[Witnesses]:
        """Rows for what has not been asked yet; `run` and `specials` say, by split, what has been.

        Up to `room` special cells are asked at every node.
        """
        inner, split = self._inner()
        base, reached = self._base(self._at(inner), inner, highest=True)
        inner, split, base = inner[reached], split[reached], base[reached]
        column = self.lay.place[self.found.owner[split]]
        at = self._at(inner)
        low, high = self.low[at, column], self.high[at, column]
        edge = np.where(self.found.rising[split], self.found.right[split, 0], self.found.left[split, 0])
        fresh = np.flatnonzero((low < edge) & (edge <= high) & ~run[split])
        fresh = fresh[np.unique(split[fresh], return_index=True)[1]]
        run[split[fresh]] = True
        for part in _chunks(fresh, len(reach) + far):
            spread = np.linspace(low[part], high[part], far, axis=1).astype(np.int64)
            beside = np.clip(edge[part, None] + reach, low[part, None], high[part, None])
            yield _asked(inner, base, column, part, np.concatenate([beside, spread], axis=1))
        mask = self._specials(at, column, specials.shape[1])
        if int(self.lay.specials[column].sum()) <= room:
            np.bitwise_or.at(specials, split, mask)
            yield from self._at_specials(inner, base, column, np.arange(len(inner)), mask)
        while len(fresh := np.flatnonzero((mask & ~specials[split]).any(axis=1))):
            fresh = fresh[np.unique(split[fresh], return_index=True)[1]]
            todo = mask[fresh] & ~specials[split[fresh]]
            specials[split[fresh]] |= todo
            yield from self._at_specials(inner, base, column, fresh, todo)

    def _at_specials(
        self, inner: np.ndarray, base: np.ndarray, column: np.ndarray, at: np.ndarray, mask: np.ndarray
    ) -> Iterator[Witnesses]:
        for part in _chunks(np.arange(len(at)), 64 * mask.shape[1]):
            bits = np.unpackbits(mask[part].astype("<u8").view(np.uint8), axis=1, bitorder="little")
            row, special = np.nonzero(bits)
            node = at[part[row]]
            yield _asked(inner, base, column, node, (self.lay.run[column[node]] + special)[:, None])

    def hold(self, node: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Whether the box of each node holds a cell of the column that it tests."""
        at, column = self._at(node), self.lay.place[self.found.owner[self.found.of_node[node]]]
        special = cell - self.lay.run[column]
        inside = (self.low[at, column] <= cell) & (cell <= self.high[at, column])
        some = np.flatnonzero(special >= 0)
        word = self.mask[at[some], self.lay.word[column[some]] + (special[some] >> 6)]
        inside[some] = (word >> (special[some] & 63).astype(np.uint64)) & np.uint64(1) != 0
        return np.asarray(inside & self._base(at, node)[1])

    def _specials(self, at: np.ndarray, column: np.ndarray, words: int) -> np.ndarray:
        out = np.zeros((len(at), words), dtype=np.uint64)
        count = self.lay.word[column + 1] - self.lay.word[column]
        for w in range(int(count.max(initial=0))):
            some = np.flatnonzero(count > w)
            out[some, w] = self.mask[at[some], self.lay.word[column[some]] + w]
        return out

    def _untested(self, at: np.ndarray) -> np.ndarray:
        """Where a box is as wide as its column."""
        lay = self.lay
        out = (self.low[at] == 0) & (self.high[at] == lay.run - 1)
        whole = self.mask[at] == _full_masks(lay)
        for c in range(len(lay.columns)):
            out[:, c] &= whole[:, lay.word[c] : lay.word[c + 1]].all(axis=1)
        return np.asarray(out)

    def _base(self, at: np.ndarray, node: np.ndarray, *, highest: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """A row of cells in a corner of each node's box, the other one where `highest`, and whether there is one."""
        low, high = self.low[at], self.high[at]
        in_run = low <= high
        # Corners of the box are where an off-by-one shows.
        corner = np.where(((node[:, None] + np.arange(low.shape[1])) & 1) == highest, low, high)
        count = len(self.lay.columns)
        every = [self._special(at, np.full(len(at), c), highest=highest) for c in range(count)]
        special = np.stack(every, axis=1)
        cells = np.where(in_run, corner, self.lay.run + special)
        return cells.astype(np.int32), (in_run | (special >= 0)).all(axis=1)

    def _lowest_special(self, at: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The first special cell of a column in each state, -1 where there is none."""
        out = np.full(len(at), -1, dtype=np.int64)
        words = self.lay.word[column + 1] - self.lay.word[column]
        for w in reversed(range(int(words.max(initial=0)))):
            some = np.flatnonzero(words > w)
            bits = self.mask[at[some], self.lay.word[column[some]] + w]
            some, bits = some[bits != 0], bits[bits != 0]
            lowest = bits & (~bits + np.uint64(1))
            out[some] = 64 * w + np.log2(lowest.astype(np.float64)).astype(np.int64)
        return out

    def _special(self, at: np.ndarray, column: np.ndarray, *, highest: bool) -> np.ndarray:
        return self._highest_special(at, column) if highest else self._lowest_special(at, column)

    def _highest_special(self, at: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The last special cell of a column in each state, -1 where there is none."""
        words = int((self.lay.word[column + 1] - self.lay.word[column]).max(initial=0))
        bits = self._specials(at, column, words).astype("<u8").view(np.uint8)
        bits = np.unpackbits(bits, axis=1, bitorder="little")[:, ::-1]
        if not bits.shape[1]:
            return np.full(len(at), -1, dtype=np.int64)
        return np.asarray(np.where(bits.any(axis=1), bits.shape[1] - 1 - np.argmax(bits, axis=1), -1))


def _chunks(at: np.ndarray, each: int) -> list[np.ndarray]:
    size = max(1, _ROWS // max(1, each))
    return [at[i : i + size] for i in range(0, len(at), size)]


def _asked(inner: np.ndarray, base: np.ndarray, column: np.ndarray, at: np.ndarray, asked: np.ndarray) -> Witnesses:
    """A row for each cell of `asked`, (nodes, cells), in the column that its node tests."""
    row = np.repeat(at, asked.shape[1])
    cells = base[row]
    cells[np.arange(len(row)), column[row]] = asked.ravel()
    return Witnesses(inner[row], inner[row], cells, np.zeros((0, 0), dtype=bool))


def _full_masks(lay: Layout) -> np.ndarray:
    out = np.zeros(int(lay.word[-1]), dtype=np.uint64)
    for c, count in enumerate(lay.specials.tolist()):
        for w in range(int(lay.word[c + 1] - lay.word[c])):
            bits = min(64, count - 64 * w)
            out[lay.word[c] + w] = np.uint64((1 << bits) - 1)
    return out


def walk(trees: Trees, table: RankTable, lay: Layout, cells: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The leaf that each row of cells reaches from its node."""
    node = start.astype(np.int64)
    flat, width = np.ascontiguousarray(cells).ravel(), cells.shape[1]
    owner = np.where(table.owner >= 0, lay.place[np.maximum(table.owner, 0)], 0)
    # A column of the forest that no raw column feeds has one rank for all.
    moving = (table.owner >= 0).astype(np.int64)
    active = np.flatnonzero(trees.feature[node] >= 0)
    while len(active):
        at = node[active]
        feature = trees.feature[at]
        cell = flat[active * width + owner[feature]] * moving[feature]
        moved = step(trees, at, table.ranks[table.start[feature] + cell])
        node[active] = moved
        active = active[trees.feature[moved] >= 0]
    return node

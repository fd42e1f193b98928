"""Two nets that random rows fall through: every cut of every column, and every node of every tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.ir.forest import ARRAYS, MISSING_LEFT, Trees
from slimml.ir.graph import Graph
from slimml.ir.ops.models import Forest, LinearForest, forests
from slimml.ir.ops.ranks import Rank
from slimml.parity.accepted import accepted, refusals_apart
from slimml.parity.cells import (
    Boundaries,
    Cells,
    RankTable,
    boundaries,
    cells_of_cuts,
    cells_of_ranks,
    rank_table,
    raw_cells,
)
from slimml.parity.compare import same_bits
from slimml.parity.report import NetReport, Seam
from slimml.parity.splits import Splits, different, goes_left, splits
from slimml.parity.witness import Layout, Witnesses, held, layout, questions, walk, witnesses

# How far from a cut, in cells, both sides are asked: each cell is a float next to a cut of this or another graph.
_REACH = np.arange(-3, 3)
_UNREACHED = "no row reaches the others"
# Cells far from any cut that are asked of a split as well, and of how many splits together.
_ODD_CELLS, _QUESTIONS = 64, 1 << 21


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A forest before and after, and the ranks that the same cells give in each.

    `raw`: the cells are of raw columns. `refusals`: a raw cell that one of the two graphs alone refuses, or "".
    """

    before: Forest | LinearForest
    after: Forest | LinearForest
    old: RankTable
    new: RankTable
    cells: Cells
    raw: bool
    refusals: str = ""

    def turned(self) -> Pair:
        """The same the other way round."""
        return Pair(self.after, self.before, self.new, self.old, self.cells, self.raw, self.refusals)

    @property
    def identical(self) -> bool:
        """Whether trees and ranks are the same arrays, so that every walk is the same.

        Directions of missing values may differ where none can come.
        """
        a, b = self.before.trees, self.after.trees
        return (
            all(_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS if name != "flags")
            and _equal(self.old.ranks, self.new.ranks)
            and _equal(self.old.start, self.new.start)
            and _equal(self.old.owner, self.new.owner)
            and _equal(a.flags | MISSING_LEFT, b.flags | MISSING_LEFT)
            and not _missing_comes(a, np.flatnonzero(a.flags != b.flags))
        )


def _missing_comes(trees: Trees, nodes: np.ndarray) -> bool:
    """Whether a missing value can get to any of those inner nodes, by the splits above that test the same column."""
    inner = np.flatnonzero(trees.feature >= 0)
    parent = np.full(trees.nodes, -1, dtype=np.int64)
    parent[inner + 1] = parent[trees.right[inner]] = inner
    at, column = nodes, trees.feature[nodes]
    while len(at):
        above = parent[at]
        if (above < 0).any():
            return True
        left = (trees.flags[above] & MISSING_LEFT) != 0
        comes = (trees.feature[above] != column) | (left == (at == above + 1))
        at, column = above[comes], column[comes]
    return False


def paired(before: Graph, after: Graph, known: Boundaries | None = None) -> tuple[list[Pair], str]:
    """The forests of two graphs, one by one, with cells; and why that could not be done, or "".

    `known`: the boundaries of a graph that is much like them, which saves looking for them again.
    """
    old, new = forests(before), forests(after)
    if len(old) != len(new):
        inside = "they run inside of another engine, which only whole rows reach"
        return [], inside if not new else f"{len(old)} forests became {len(new)}"
    if not old:
        return [], ""
    mine = boundaries(before, known)
    around = raw_cells([before, after], [mine, boundaries(after, mine)])
    refusals, cells = refusals_apart(before, after, around), accepted(before, around)
    pairs, skipped = [], ""
    for one, other in zip(old, new, strict=True):
        tables = rank_table(before, one.inputs[0], cells), rank_table(after, other.inputs[0], cells)
        if tables[0] is not None and tables[1] is not None:
            pairs.append(Pair(one, other, tables[0], tables[1], cells, True, refusals))
        elif one.inputs[0].type == other.inputs[0].type:
            # Behind a projection no raw value belongs to one rank: the trees are compared in rank space.
            own, table = cells_of_ranks(one.inputs[0])
            pairs.append(Pair(one, other, table, table, own, False))
        elif joint := cells_of_cuts(one.inputs[0], other.inputs[0]):
            pairs.append(Pair(one, other, *joint, False))
        else:
            skipped = "a column of the forest depends on several raw columns, and the forest was rebuilt"
    return pairs, skipped


def check_cuts(
    before: Graph, after: Graph, seam: Seam = "passes", found: tuple[list[Pair], str] | None = None
) -> NetReport:
    """Net (i): every different split, asked on both sides of its cut before and after.

    `found` is what `paired(before, after)` gave, where the caller has it.
    """
    pairs, skipped = found if found is not None else paired(before, after)
    reports = [_cuts_of_pair(p, seam, before) for p in pairs]
    return _sum(reports, NetReport("cuts", seam, 0, 0, skipped=skipped))


def check_witnesses(
    before: Graph, after: Graph, seam: Seam = "passes", found: tuple[list[Pair], str] | None = None
) -> NetReport:
    """Net (ii): rows that reach each node of each tree, walked in that tree before and after: the leaves are equal."""
    pairs, skipped = found if found is not None else paired(before, after)
    reports = [_witnesses_of_pair(p, seam, before) for p in pairs]
    return _sum(reports, NetReport("witnesses", seam, 0, 0, skipped=skipped))


def _sum(reports: list[NetReport], empty: NetReport) -> NetReport:
    if not reports:
        return empty
    return NetReport(
        empty.net,
        empty.seam,
        sum(r.checked for r in reports),
        sum(r.total for r in reports),
        sum(r.faults for r in reports),
        empty.skipped or next((r.skipped for r in reports if r.skipped), ""),
        next((r.worst for r in reports if r.worst), ""),
    )


# ------------------------------------------------------------------------------------------------------- net (i): cuts


def _cuts_of_pair(pair: Pair, seam: Seam, before: Graph) -> NetReport:
    one, other = pair.before.trees, pair.after.trees
    if not pair.raw and pair.old is pair.new and (worst := _other_cuts(pair)):
        return NetReport("cuts", seam, 1, 1, faults=1, worst=worst)
    of_node, node = different(one)
    total = len(node)
    if pair.refusals:
        return NetReport("cuts", seam, total, total, faults=1, worst=pair.refusals)
    if pair.identical:
        return NetReport("cuts", seam, total, total)
    if not (_equal(one.feature < 0, other.feature < 0) and _equal(one.roots, other.roots)):
        return _cuts_of_rebuilt(pair, seam, before)
    found = splits(one, pair.old, pair.cells)
    apart = [np.zeros((2, 0), dtype=np.int64)]
    for at, cell in _questions(found, _representatives(one, other, of_node, node), pair):
        apart.append(np.stack([at, cell])[:, _sides_differ(pair, at, cell)])
    at, cell = np.concatenate(apart, axis=1)
    wrong = _somewhere(pair, found, at, cell) if len(at) else at
    guilty = len(np.unique(of_node[at[wrong]]))
    worst = _split_fault(pair, int(at[wrong[0]]), int(cell[wrong[0]]), before) if guilty else ""
    return NetReport("cuts", seam, total, total, faults=guilty, worst=worst)


def _somewhere(pair: Pair, found: Splits, at: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Which cells get to any node that has the split of `at` before and after; a pass may ask less of the others."""
    trees, of_new = pair.before.trees, different(pair.after.trees)[0]
    key = found.of_node.astype(np.int64) * (int(of_new.max(initial=0)) + 1) + of_new
    order = np.argsort(key[at], kind="stable")
    nodes = np.flatnonzero((trees.feature >= 0) & np.isin(key, key[at]))
    begin, end = (np.searchsorted(key[at][order], key[nodes], side=side) for side in ("left", "right"))
    count = end - begin
    question = order[np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))]
    reached = held(trees, found, layout(pair.cells), np.repeat(nodes, count), cell[question])
    return np.flatnonzero(np.bincount(question[reached], minlength=len(at)))


def _cuts_of_rebuilt(pair: Pair, seam: Seam, graph: Graph) -> NetReport:
    """Every different split of either forest, asked by rows that are walked from the roots of both."""
    one, other = pair.before.trees, pair.after.trees
    if not _alike(one, other):
        return NetReport("cuts", seam, 0, len(different(one)[1]), skipped=_unlike(one, other))
    lay = layout(pair.cells)
    checked, total, guilty, worst = 0, 0, 0, ""
    for way in (pair, pair.turned()):
        trees = way.before.trees
        found = splits(trees, way.old, pair.cells)
        asked, faulty = np.zeros(found.count, dtype=bool), np.zeros(found.count, dtype=bool)
        for rows in questions(trees, found, lay, _REACH):
            asked[found.of_node[rows.node]] = True
            wrong = _leaves_differ(way, lay, rows)
            faulty[found.of_node[rows.node[wrong]]] = True
            if len(wrong) and not worst:
                worst = _leaf_fault(way, lay, rows, int(wrong[0]), graph)
        checked, total, guilty = checked + int(asked.sum()), total + found.count, guilty + int(faulty.sum())
    return NetReport("cuts", seam, checked, total, guilty, _UNREACHED if checked < total else "", worst)


def _representatives(one: Trees, other: Trees, of_node: np.ndarray, node: np.ndarray) -> np.ndarray:
    """Nodes such that every pair of a split before and the split that took its place is met."""
    inner = np.flatnonzero(of_node >= 0)
    twin = node[of_node[inner]]
    moved = np.zeros(len(inner), dtype=bool)
    for name in ("feature", "cut", "flags"):
        values = getattr(other, name)
        moved |= values[inner] != values[twin]
    return np.concatenate([node, inner[moved]])


def _questions(found: Splits, nodes: np.ndarray, pair: Pair) -> list[tuple[np.ndarray, np.ndarray]]:
    """(nodes, cells of the raw column that each tests), of any shape: beside the cut, and all specials."""
    asked = []
    split = found.of_node[nodes]
    owner = found.owner[split]
    for c in np.unique(owner[owner >= 0]).tolist():
        mine, of = nodes[owner == c], split[owner == c]
        run, total = pair.cells.run[c], pair.cells.count(c)
        odd = np.arange(run, total)
        if run:
            edge = np.where(found.rising[of], found.right[of, 0], found.left[of, 0])
            beside = np.clip(edge[:, None] + _REACH, 0, run - 1)
            asked.append((np.broadcast_to(mine[:, None], beside.shape).ravel(), beside.ravel()))
            spread = min(_ODD_CELLS, max(2, _QUESTIONS // len(mine)))
            odd = np.concatenate([odd, np.linspace(0, run - 1, spread).astype(np.int64)])
        asked.append((np.repeat(mine, len(odd)), np.tile(odd, len(mine))))
    return asked


def _sides_differ(pair: Pair, node: np.ndarray, cell: np.ndarray) -> np.ndarray:
    old = goes_left(pair.before.trees, node, _ranks(pair.before.trees, pair.old, node, cell))
    new = goes_left(pair.after.trees, node, _ranks(pair.after.trees, pair.new, node, cell))
    # A node may now test another raw column than before; then the walks of net (ii) decide.
    same = pair.old.owner[pair.before.trees.feature[node]] == pair.new.owner[pair.after.trees.feature[node]]
    return np.asarray((old != new) & same)


def _ranks(trees: Trees, table: RankTable, node: np.ndarray, cell: np.ndarray) -> np.ndarray:
    feature = trees.feature[node]
    return np.asarray(table.ranks[table.start[feature] + np.where(table.owner[feature] >= 0, cell, 0)])


def _split_fault(pair: Pair, node: int, cell: int, graph: Graph) -> str:
    owner = int(pair.old.owner[pair.before.trees.feature[node]])
    side = goes_left(
        pair.before.trees,
        np.array([node]),
        _ranks(pair.before.trees, pair.old, np.array([node]), np.array([cell])),
    )[0]
    ways = ("left", "right") if side else ("right", "left")
    return f"node {node}: {_value(pair, owner, cell, graph)} went {ways[0]} and now goes {ways[1]}"


def _value(pair: Pair, owner: int, cell: int, graph: Graph) -> str:
    value = pair.cells.values[owner][cell]
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    return f"{graph.schema.columns[owner].name} = {shown}" if pair.raw else f"rank {shown} of column {owner}"


def _other_cuts(pair: Pair) -> str:
    """Where a forest's columns cannot be traced to raw ones: whether the tables of cuts differ, or ""."""
    one, other = pair.before.inputs[0], pair.after.inputs[0]
    if not (isinstance(one, Rank) and isinstance(other, Rank)):
        return ""
    if one.cuts.shape != other.cuts.shape or not _equal(one.table, other.table):
        return "the tables of cuts differ in length"
    wrong = ~same_bits(one.cuts, other.cuts)
    if not wrong.any():
        return ""
    i = int(np.argmax(wrong))
    column = int(np.searchsorted(one.offsets, i, side="right")) - 1
    return f"cut {i} (column {column} of the forest) was {one.cuts[i].item()!r} and is {other.cuts[i].item()!r}"


# -------------------------------------------------------------------------------------------------- net (ii): witnesses


def _witnesses_of_pair(pair: Pair, seam: Seam, graph: Graph) -> NetReport:
    one, other = pair.before.trees, pair.after.trees
    total = int((one.feature >= 0).sum())
    if pair.identical:
        return NetReport("witnesses", seam, total, total)
    if not _alike(one, other):
        return NetReport("witnesses", seam, 0, total, skipped=_unlike(one, other))
    rebuilt = not (_equal(one.feature < 0, other.feature < 0) and _equal(one.roots, other.roots))
    guilty, worst = _single_leaves(pair)
    checked, total = 0, 0
    # What was rebuilt has nodes of its own: they are reached by rows of their own.
    for way in (pair, pair.turned()) if rebuilt else (pair,):
        reached, faulty, said = _walked(way, rebuilt, graph)
        checked, total = checked + int(reached.sum()), total + int((way.before.trees.feature >= 0).sum())
        guilty, worst = guilty + int(faulty.sum()), worst or said
    return NetReport("witnesses", seam, checked, total, guilty, _UNREACHED if checked < total else "", worst)


def _single_leaves(pair: Pair) -> tuple[int, str]:
    """How many trees that are one leaf in both forests answer otherwise, and one of these."""
    old, new = (f.trees.roots.astype(np.int64) for f in (pair.before, pair.after))
    single = np.flatnonzero((pair.before.trees.feature[old] < 0) & (pair.after.trees.feature[new] < 0))
    wrong = single[~_same_leaves(pair, old[single], new[single])]
    return len(wrong), f"tree {wrong[0]} is another leaf" if len(wrong) else ""


def _walked(pair: Pair, rebuilt: bool, graph: Graph) -> tuple[np.ndarray, np.ndarray, str]:
    """Which nodes of the forest before rows reach, at which they reach other leaves after, and one of these."""
    one, lay = pair.before.trees, layout(pair.cells)
    reached, guilty, worst = np.zeros(one.nodes, dtype=bool), np.zeros(one.nodes, dtype=bool), ""
    for found in witnesses(one, splits(one, pair.old, pair.cells), lay, highest=rebuilt):
        reached[found.node] = True
        wrong = _leaves_differ(pair, lay, found)
        guilty[found.node[wrong]] = True
        if len(wrong) and not worst:
            worst = _leaf_fault(pair, lay, found, int(wrong[0]), graph)
    return reached, guilty, worst


def _alike(one: Trees, other: Trees) -> bool:
    return one.count == other.count and one.values.shape[1] == other.values.shape[1]


def _unlike(one: Trees, other: Trees) -> str:
    return f"{one.count} trees became {other.count}"


def _leaves_differ(pair: Pair, lay: Layout, found: Witnesses) -> np.ndarray:
    """Positions of the witnesses that reach another value after than before."""
    one, other = pair.before.trees, pair.after.trees
    tree = np.searchsorted(one.roots, found.node, side="right") - 1
    old = walk(one, pair.old, lay, found.cells, found.child)
    new = walk(other, pair.new, lay, found.cells, other.roots[tree])
    apart = np.flatnonzero(~_same_leaves(pair, old, new))
    if not len(apart):
        return apart
    # Witnesses are made on the assumption that ranks rise or fall along a run. Where they do neither a witness may not
    # reach its node; walking from the root tells.
    real = walk(one, pair.old, lay, found.cells[apart], one.roots[tree[apart]])
    return np.asarray(apart[~_same_leaves(pair, real, new[apart])])


def _same_leaves(pair: Pair, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    one, other = pair.before.trees, pair.after.trees
    row_old, row_new = one.cut[old], other.cut[new]
    if isinstance(pair.before, LinearForest) and isinstance(pair.after, LinearForest):
        same = same_bits(pair.before.const[row_old], pair.after.const[row_new])
        same &= _same_weights(pair.before, row_old, pair.after, row_new)
        return np.asarray(same & same_bits(one.values[row_old], other.values[row_new]).all(axis=1))
    if _equal(one.values, other.values):
        same = row_old == row_new
        rest = np.flatnonzero(~same)
        same[rest] = same_bits(one.values[row_old[rest]], other.values[row_new[rest]]).all(axis=1)
        return np.asarray(same)
    return np.asarray(same_bits(one.values[row_old], other.values[row_new]).all(axis=1))


def _same_weights(one: LinearForest, old: np.ndarray, other: LinearForest, new: np.ndarray) -> np.ndarray:
    """Whether the functions of leaves have the same weights; their columns may have moved."""
    first, begin = one.starts[old], other.starts[new]
    count = one.starts[old + 1] - first
    same = count == other.starts[new + 1] - begin
    for i in range(int(count.max(initial=0))):
        at = np.flatnonzero(same & (count > i))
        same[at] = same_bits(one.weights[first[at] + i], other.weights[begin[at] + i])
    return np.asarray(same)


def _leaf_fault(pair: Pair, lay: Layout, found: Witnesses, at: int, graph: Graph) -> str:
    node = int(found.node[at])
    tree = int(np.searchsorted(pair.before.trees.roots, node, side="right")) - 1
    owner = int(pair.old.owner[pair.before.trees.feature[node]])
    cell = int(found.cells[at, lay.place[owner]])
    return f"tree {tree}, node {node}: a row with {_value(pair, owner, cell, graph)} reaches another leaf"


def _equal(a: Any, b: Any) -> bool:
    return bool(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))

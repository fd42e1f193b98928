"""From the roots of many columns to blocks of ranks, one per root, and what each rank means to each of the columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.floats import floored
from slimml.ir.graph import topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, Recode
from slimml.ir.ops.columns import Cast, Dense
from slimml.ir.ops.numeric import FillMissing, IsMissing
from slimml.ir.ops.ranks import Rank
from slimml.passes.folding.cells import Cells, UnfoldableError
from slimml.passes.folding.splits import Classes, classes
from slimml.passes.folding.trace import Root, Words, coded, refusal
from slimml.passes.refusing import refuses, refusing

# Cells times columns that one raw column may have.
_JOINT = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block of ranks of one root.

    `features`  (old column, number of its classes) -> (column of the block, its row of the classes)
    """

    node: Node
    classes: list[Classes]
    features: dict[tuple[int, int], tuple[int, int]]


def blocks_of(block: Node, origin: str, roots: dict[int, Root], have: Iterable[Node] = ()) -> list[Block]:
    """A block of ranks per root of the columns of `block`; those included that only refuse rows.

    What is computed for `have` need not be looked at for rows that it refuses.
    """
    by_node: dict[Node, dict[int, list[int]]] = {}
    for column, root in roots.items():
        by_node.setdefault(root.node, {}).setdefault(root.column, []).append(column)
    blocks = {n: _block(n, g, roots, origin) for n, g in by_node.items() if n.type.numeric}
    done = set(topological([*have, *(b.node for b in blocks.values())]))
    refusals: dict[Node, dict[int, list[Words]]] = {}
    for node in reversed(topological([block])):
        if node in done or not refuses(node):
            continue
        if isinstance(node, Lookup | FillMissing | IsMissing) and not node.source.numeric:
            for column in np.flatnonzero(refusing(node)).tolist():
                root = refusal(node, column)
                assert isinstance(root.cells, Words)
                refusals.setdefault(root.node, {}).setdefault(root.column, []).append(root.cells)
        else:
            blocks[node] = Block(unread(node), [], {})
            done |= set(topological([node]))
    for node in [n for n in by_node if not n.type.numeric] + [n for n in refusals if n not in by_node]:
        blocks[node] = _words_block(node, by_node.get(node, {}), refusals.get(node, {}), roots, origin)
    order = [*by_node, *(n for n in blocks if n not in by_node)]
    return [blocks[n] for n in order]


def unread(node: Node) -> Node:
    """A block of ranks that depends on a node, and tells nothing of it."""
    width = node.type.width
    if node.type.dtype in ("float64", "float32") and node.type.layout == "dense":
        return _rank(node, [(np.zeros(0), np.zeros(1, np.int32))] * width, node.origin)
    if not node.type.numeric:
        return Lookup(inputs=(node,), tables=((),) * width, refuse=(False,) * width, origin=node.origin)
    if node.type.dtype == "int32" and node.type.layout == "dense":
        return node
    raise UnfoldableError(f"{type(node).__name__} refuses rows of a kind that cannot be ranked")


def _block(node: Node, groups: dict[int, list[int]], roots: dict[int, Root], origin: str) -> Block:
    if node.type.dtype in ("int64", "bool"):
        node = Cast(inputs=(node,), dtype="float64", origin=node.origin)
    if node.type.layout == "csr":
        parts = [_cells(roots[f]) for g in groups.values() for f in g]
        node = Dense(inputs=(node,), absent=_absent(parts, node), origin=node.origin)
    found: list[Classes] = []
    features: dict[tuple[int, int], tuple[int, int]] = {}
    own: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0), np.zeros(1, np.int32))] * node.type.width
    floats = node.type.dtype in ("float64", "float32")
    for at, columns in groups.items():
        cells = [within(_cells(roots[c]), node, at) for c in columns]
        cuts, ranks = joint(cells) if floats else _joint_codes(cells, int(node.type.domains[at].high) + 1)
        found.append(classes(ranks, np.array([c.missing for c in cells]), floats=floats))
        own[at] = cuts, found[-1].of
        features |= {(c, len(found) - 1): (at, row) for row, c in enumerate(columns)}
    made = _rank(node, own, origin) if floats else _recode(node, own, origin)
    return Block(made, found, features)


def _cells(root: Root) -> Cells:
    assert isinstance(root.cells, Cells)
    return root.cells


def _absent(parts: list[Cells], node: Node) -> float:
    """What an entry that is not stored is like in all columns: zero, or missing."""
    if all(c.absent == c.of(np.zeros(1))[0] for c in parts):
        return 0.0
    if all(c.absent == c.missing for c in parts):
        return np.nan
    raise UnfoldableError(f"{type(node).__name__} answers sparse rows, and what is absent is neither zero nor missing")


def within(cells: Cells, node: Node, column: int) -> Cells:
    """The cells, as far as the column's domain reaches; their cuts are numbers of its dtype."""
    domain = node.type.domains[column]
    if node.type.dtype not in ("float64", "float32"):
        return cells
    cuts = floored(cells.cuts, np.dtype(node.type.dtype)).astype(np.float64) + 0.0
    return replace(cells, cuts=cuts).trimmed(domain.low, domain.high, integer=domain.integer)


def joint(cells: list[Cells]) -> tuple[np.ndarray, np.ndarray]:
    """The cuts of all, and the rank of each (features, cells)."""
    cuts = np.unique(np.concatenate([c.cuts for c in cells]))
    if len(cuts) * len(cells) > _JOINT:
        raise UnfoldableError(f"{len(cells)} columns of one raw column with {len(cuts)} cuts in all are too many")
    asked = np.append(cuts, np.inf)
    return cuts, np.stack([c.ranks[np.searchsorted(c.cuts, asked)] for c in cells])


def _joint_codes(cells: list[Cells], count: int) -> tuple[np.ndarray, np.ndarray]:
    if count * len(cells) > _JOINT:
        raise UnfoldableError(f"{len(cells)} columns of one raw column with {count} categories are too many")
    codes = np.arange(count)
    return np.zeros(0), np.stack([c.of(codes) for c in cells])


def _rank(node: Node, own: list[tuple[np.ndarray, np.ndarray]], origin: str) -> Node:
    """Ranks of a block: for each column its cuts and the rank of each interval."""
    cuts = np.concatenate([np.zeros(0), *(c for c, _ in own)]).astype(node.type.dtype)
    offsets = np.cumsum([0] + [len(c) for c, _ in own]).astype(np.int64)
    plain = all(np.array_equal(of, np.arange(len(of))) for _, of in own)
    table = np.zeros(0, np.int32) if plain else np.concatenate([of for _, of in own]).astype(np.int32)
    return Rank(inputs=(node,), cuts=cuts, offsets=offsets, table=table, origin=origin)


def _recode(node: Node, own: list[tuple[np.ndarray, np.ndarray]], origin: str) -> Node:
    """Ranks of codes: for each column the rank of each code; columns that nothing reads have rank 0."""
    counts = [int(d.high) + 1 for d in node.type.domains]
    tables = [of if len(of) == n else np.zeros(n, np.int32) for (_, of), n in zip(own, counts, strict=True)]
    unread = [len(of) != n for (_, of), n in zip(own, counts, strict=True)]
    if all(u or np.array_equal(t, np.arange(len(t))) for t, u in zip(tables, unread, strict=True)):
        return node
    offsets = np.cumsum([0, *counts]).astype(np.int64)
    return Recode(inputs=(node,), values=np.concatenate(tables).astype(np.int32), offsets=offsets, origin=origin)


def _words_block(
    node: Node, groups: dict[int, list[int]], refusals: dict[int, list[Words]], roots: dict[int, Root], origin: str
) -> Block:
    """One look-up of the raw categories, all columns that come from a raw one together."""
    width = node.type.width
    tables: list[tuple[object, ...]] = [()] * width
    refuse, imputed = [False] * width, [False] * width
    for at in {**groups, **refusals}:
        columns = groups.get(at, [])
        words = [w for w in (roots[c].cells for c in columns) if isinstance(w, Words)] + refusals.get(at, [])
        tables[at], ranks = _joint_words(words)
        refuse[at], imputed[at] = any(w.refused for w in words), any(w.imputed for w in words)
        for column, own in zip(columns, ranks, strict=False):
            like = Cells(np.zeros(0), np.zeros(1, np.int32), 0, 0)
            roots[column] = replace(roots[column], cells=coded(own, like))
    lookup = Lookup(
        inputs=(node,), tables=tuple(tables), refuse=tuple(refuse),
        imputed=tuple(imputed) if any(imputed) else (), origin=origin,
    )  # fmt: skip
    return _block(lookup, groups, roots, origin)


def _joint_words(words: list[Words]) -> tuple[tuple[object, ...], list[np.ndarray]]:
    """The keys of all, without those that are like the rest, and their ranks in each, the rest last."""
    found: dict[object, object] = {}
    for one in words:
        found |= {("nan",) if k != k else k: k for k in one.keys if ("nan",) if k != k or k not in found}
    keys, rows = [], []
    refused = any(w.refused for w in words)
    others = tuple(w.other for w in words)
    tables = [{("nan",) if k != k else k: r for k, r in zip(w.keys, w.ranks.tolist(), strict=True)} for w in words]
    for name, key in found.items():
        if any(w.refused and name not in t for w, t in zip(words, tables, strict=True)):
            continue
        row = tuple(t.get(name, o) for t, o in zip(tables, others, strict=True))
        if refused or row != others:
            keys.append(key)
            rows.append(row)
    ranks = np.array([*rows, others], dtype=np.int32)
    return tuple(keys), list(ranks.T)

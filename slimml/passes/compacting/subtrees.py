"""Trees without decided splits, and without splits whose two sides are the same.

From the bottom up every subtree gets a number, of its split and the numbers of its two sides, 64 bits mixed so that
different subtrees have different numbers. That they do is not assumed: all nodes of one number are compared in the end,
and where two differ other numbers are tried.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slimml.ir.forest import Trees
from slimml.passes.compacting.columns import Columns
from slimml.passes.compacting.decided import BOTH, LEFT, RIGHT, decided

# Nodes of trees that are taken together: what is held of each is some hundred bytes.
_TOGETHER = 1 << 20
# What the numbers begin with; with any two of these the same two subtrees would have to collide.
_SEEDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


def without_needless_splits(trees: Trees, columns: Columns) -> Trees:
    """The same function of rows of ranks within the columns; leaves are equal where they name one row of values."""
    sizes = trees.ends - trees.roots
    group = (np.cumsum(sizes) - sizes) // _TOGETHER
    parts = np.split(np.arange(trees.count), np.flatnonzero(np.diff(group)) + 1)
    kept = np.empty(trees.nodes, dtype=bool)
    cut, flags = trees.cut.copy(), trees.flags.copy()
    for part in parts:
        first, end = int(trees.roots[part[0]]), int(trees.ends[part[-1]])
        kept[first:end], cut[first:end], flags[first:end] = _reduced(_some(trees, part, first, end), columns)
    place = np.cumsum(kept) - kept
    inner = trees.feature[kept] >= 0
    # The right side of a split is what is left of its right child; in preorder that begins with the next node kept.
    right = np.where(inner, place[trees.right[kept]], 0)
    return replace(
        trees,
        feature=trees.feature[kept],
        cut=cut[kept],
        right=right.astype(np.int32),
        flags=flags[kept],
        roots=place[trees.roots].astype(np.int32),
        _depth=[],
    )


def _some(trees: Trees, part: np.ndarray, first: int, end: int) -> Trees:
    """Neighbouring trees on their own."""
    feature = trees.feature[first:end]
    return replace(
        trees,
        feature=feature,
        cut=trees.cut[first:end],
        right=np.where(feature >= 0, trees.right[first:end] - np.int32(first), np.int32(0)),
        flags=trees.flags[first:end],
        roots=trees.roots[part] - np.int32(first),
        _depth=[],
    )


def _reduced(trees: Trees, columns: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which nodes stay, and the cuts and flags of all."""
    levels = [level[trees.feature[level] >= 0] for level in trees.levels()]
    ends = np.arange(1, trees.nodes + 1)
    ends[trees.roots] = trees.ends
    for inner in levels:
        ends[trees.right[inner]], ends[inner + 1] = ends[inner], trees.right[inner]
    # Sides may be equal in what they say of rows that the path above rules out, too; so that is asked first.
    found = decided(trees, ends, columns, _merged(trees, levels, np.full(trees.nodes, BOTH)))
    trees = replace(trees, cut=found.cut, flags=found.flags, _depth=[])
    way = _merged(trees, levels, found.way)
    alive = np.zeros(trees.nodes, dtype=bool)
    alive[trees.roots] = True
    for inner in levels:
        on = inner[alive[inner]]
        alive[on + 1] = way[on] != RIGHT
        alive[trees.right[on]] = way[on] != LEFT
    return alive & ((trees.feature < 0) | (way == BOTH)), trees.cut, trees.flags


def _merged(trees: Trees, levels: list[np.ndarray], way: np.ndarray) -> np.ndarray:
    """The ways, LEFT also for splits whose two sides are equal."""
    for seed in _SEEDS:
        number, made = _numbered(trees, levels, way, seed)
        if np.array_equal(made, way) or _sound(trees, number, made):
            return made
    return way


def _numbered(trees: Trees, levels: list[np.ndarray], way: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    way = way.copy()
    number = mixed(trees.cut.astype(np.uint64) ^ np.uint64(seed))
    own = mixed(trees.feature.astype(np.uint64) ^ (trees.flags.astype(np.uint64) << np.uint64(32)) ^ number)
    for inner in reversed(levels):
        left, right = number[inner + 1], number[trees.right[inner]]
        way[inner[(way[inner] == BOTH) & (left == right)]] = LEFT
        both = mixed(mixed(own[inner] ^ left) + right)
        number[inner] = np.where(way[inner] == BOTH, both, np.where(way[inner] == LEFT, left, right))
    return number, way


def _sound(trees: Trees, number: np.ndarray, way: np.ndarray) -> bool:
    """Whether nodes of one number have the same split and the same numbers below: then their subtrees are equal."""
    nodes = np.flatnonzero((trees.feature < 0) | (way == BOTH))
    nodes = nodes[np.argsort(number[nodes])]
    again = np.flatnonzero(number[nodes[1:]] == number[nodes[:-1]])
    one, other = nodes[again], nodes[again + 1]
    same = (trees.feature[one] == trees.feature[other]) & (trees.cut[one] == trees.cut[other])
    same &= trees.flags[one] == trees.flags[other]
    inner = trees.feature[one] >= 0
    one, other = one[inner & same], other[inner & same]
    below = (number[one + 1] == number[other + 1]) & (number[trees.right[one]] == number[trees.right[other]])
    return bool(same.all() and below.all())


def mixed(x: np.ndarray) -> np.ndarray:
    """uint64 to uint64, one to one, every bit of which depends on all bits of x (splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))

"""Trees to a TreeEnsemble (ai.onnx.ml 5), in the dtype of their leaves.

onnxruntime 1.32 adds leaves in the dtype that it reads, tree after tree, from +0.0, and hashes the members of a set
in double: bit for bit the reference on random forests with sets, ranks and several outputs, as long as one thread
adds. What it does with NaN is left alone: a column that may be missing is read through variants in which missing is a
number.

    low      missing is below every cut                  x <= cut sends it left
    high     missing is above every cut                  x <= cut sends it right
    absent   1.0 where it is missing, 0.0 elsewhere      for x <= inf, which only a missing value fails

A leaf holds one number. Where trees answer several columns, a leaf holds the position of its row in the table of
leaves and each tree has a target of its own; the rows are gathered, and CumSum adds them in tree order. (Repeating
every tree once a column instead: twice the bytes and the time to load for two columns.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from slimml.backends.onnx.program import ML, Attribute, Program
from slimml.backends.onnx.ranks import ranked
from slimml.ir.floats import narrowed
from slimml.ir.forest import IN_SET, MISSING, MISSING_LEFT, Trees
from slimml.ir.narrow import origin_of
from slimml.ir.node import Node
from slimml.ir.ops.models import Forest
from slimml.ir.ops.ranks import Rank

_PLAIN, _LOW, _HIGH, _ABSENT = range(4)
_LEQ, _MEMBER = 0, 6  # nodes_modes of TreeEnsemble
# What a missing rank becomes in a `high` variant; no rank that is there comes close.
_BEYOND = 1 << 30
# What a missing rank becomes; None: the variant tells whether it is missing.
_INSTEAD = {_PLAIN: float(MISSING), _LOW: float(-_BEYOND), _HIGH: float(_BEYOND), _ABSENT: None}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a column of a forest's input comes from: a column of `node`, to be ranked by `rank` first unless None.

    `folded`: splits compare the value itself with the cut that their rank stands for. Otherwise the model ranks the
    value first (see ranks.py), which sets and tables of ranks need, and sums in float32 behind most cuts in double.
    """

    node: Node
    column: int
    rank: Rank | None = None
    folded: bool = False


def sources(forest: Forest) -> dict[int, Source]:
    """The source of every column that a split reads. A Rank is folded into the thresholds where that is exact."""
    trees = forest.trees
    inner = trees.feature >= 0
    in_sets = set(trees.feature[inner & ((trees.flags & IN_SET) != 0)].tolist())
    found = {}
    for column in np.unique(trees.feature[inner]).tolist():
        node, at = origin_of(forest.inputs[0], column)
        found[column] = Source(node, at)
        if isinstance(node, Rank) and node.source.dtype.startswith("float"):
            folded = column not in in_sets and _keeps_ranks(node, at) and _compares(node, at, trees.dtype)
            found[column] = Source(node.inputs[0], at, node, folded)
    return found


def _compares(rank: Rank, column: int, dtype: np.dtype) -> bool:
    """Whether numbers of `dtype` tell what the cuts of a column tell: as they are, or rounded."""
    own = rank.cuts[rank.offsets[column] : rank.offsets[column + 1]]
    return own.dtype in (np.float32, dtype) or narrowed(own) is not None


def _keeps_ranks(rank: Rank, column: int) -> bool:
    """Whether the table of a column, if there is one, leaves every rank as it is."""
    own = rank.table[rank.offsets[column] + column : rank.offsets[column + 1] + column + 1]
    return np.array_equal(own, np.arange(len(own)))


def reads(node: Node) -> tuple[Node, ...]:
    """What a node reads once ranks are folded into forests."""
    if not isinstance(node, Forest):
        return node.inputs
    found = tuple(dict.fromkeys(s.node for s in sources(node).values()))
    if found:
        return found
    # Single leaves: only the number of rows is read, and any block in front tells it.
    only = node.inputs[0]
    return only.inputs if isinstance(only, Rank) else (only,)


@dataclass(frozen=True, slots=True, eq=False)
class _Splits:
    """The inner nodes: which feature each tests and how. `features` are (column of the forest, variant)."""

    features: list[tuple[int, int]]
    feature: np.ndarray
    threshold: np.ndarray
    members: list[np.ndarray]
    mode: np.ndarray


def emit(program: Program, forest: Forest, block: Callable[[Node], str]) -> str:
    """The sums of a forest, (n, k) in the dtype of its leaves; `block` names the tensor of a node."""
    found = sources(forest)
    splits = _splits(forest, found)
    features = _features(program, forest, found, splits.features, block)
    trees = _with_base(forest.trees)
    vector = len(trees.base) > 1 and not len(trees.targets)
    attributes = _ensemble(trees, splits, vector)
    answer = program.op("TreeEnsemble", features, domain=ML, **attributes)
    if not vector:
        return answer
    rows = program.op("Cast", answer, to=7)
    terms = program.op("Gather", program.constant(trees.values), rows)
    added = program.op("CumSum", terms, program.constant(np.array(1, dtype=np.int64)))
    return program.op("Gather", added, program.constant(np.array(trees.count - 1, dtype=np.int64)), axis=1)


def _splits(forest: Forest, found: dict[int, Source]) -> _Splits:
    trees = forest.trees
    at = np.flatnonzero(trees.feature >= 0)
    column, cut = trees.feature[at], trees.cut[at]
    in_set, left = (trees.flags[at] & IN_SET) != 0, (trees.flags[at] & MISSING_LEFT) != 0
    threshold = _thresholds(found, column, np.where(in_set, 0, cut))
    may_miss = np.zeros(max(found, default=0) + 1, dtype=bool)
    may_miss[list(found)] = [forest.source.domains[c].missing for c in found]
    # A missing value joins the set as one more member, or is no member as it is.
    variant = np.where(in_set, np.where(left, _HIGH, _LOW), np.where(left, _LOW, _HIGH))
    always = (threshold == np.inf) & ~in_set & ~left
    threshold = np.where(always & may_miss[column], 0.5, threshold)
    variant = np.where(may_miss[column], np.where(always, _ABSENT, variant), _PLAIN)
    keys, feature = np.unique(column.astype(np.int64) * 4 + variant, return_inverse=True)
    members = [_members(trees.sets[c], missing=bool(m)) for c, m in zip(cut[in_set], (left & may_miss[column])[in_set])]
    # A set without members sends everything right, as a cut below every rank does: onnxruntime reads past an empty set.
    empty = np.zeros(len(at), dtype=bool)
    empty[in_set] = [len(m) == 0 for m in members]
    return _Splits(
        [(int(k) // 4, int(k) % 4) for k in keys],
        feature,
        np.where(empty, -np.inf, threshold),
        [m for m in members if len(m)],
        np.where(in_set & ~empty, _MEMBER, _LEQ).astype(np.uint8),
    )


def _thresholds(found: dict[int, Source], column: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """A rank's own number, or the cut of the raw column that it stands for (inf beyond the last one)."""
    threshold: np.ndarray = np.minimum(cut, _BEYOND - 1).astype(np.float64)
    for c, source in found.items():
        if source.rank is not None and source.folded:
            begin, end = source.rank.offsets[source.column : source.column + 2]
            table = np.append(source.rank.cuts[begin:end].astype(np.float64), np.inf)
            here = column == c
            threshold[here] = table[np.minimum(cut[here], len(table) - 1)]
    return threshold


def _members(words: np.ndarray, *, missing: bool) -> np.ndarray:
    inside = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).astype(np.float64)
    return np.concatenate([inside, [float(_BEYOND)]]) if missing else inside


def _features(
    program: Program,
    forest: Forest,
    found: dict[int, Source],
    wanted: list[tuple[int, int]],
    block: Callable[[Node], str],
) -> str:
    """The matrix that the ensemble reads: one column per feature, in double."""
    if not wanted:
        # Only the number of rows matters. The block may have no columns at all: a sum over none is a column too.
        whole = program.op("Cast", block(reads(forest)[0]), to=11)
        axis = program.constant(np.array([1], dtype=np.int64))
        return _as_read(program, forest, program.op("ReduceSum", whole, axis, keepdims=1), 1)
    groups: dict[tuple[Node, Rank | None], dict[int, list[int]]] = {}
    for number, (column, variant) in enumerate(wanted):
        source = found[column]
        group = groups.setdefault((source.node, None if source.folded else source.rank), {})
        group.setdefault(variant, []).append(number)
    parts, order = [], []
    for (node, rank), variants in groups.items():
        columns = sorted({found[wanted[i][0]].column for numbers in variants.values() for i in numbers})
        value = _columns(program, block(node), columns, node.type.width)
        value = value if node.type.dtype == "float64" else program.op("Cast", value, to=11)
        of = {c: i for i, c in enumerate(columns)}
        at = {variant: [of[found[wanted[i][0]].column] for i in numbers] for variant, numbers in variants.items()}
        if rank is not None:
            asked = [(i, _INSTEAD[variant]) for variant, own in at.items() for i in own]
            parts.append(ranked(program, rank, value, columns, asked))
        for variant, own in at.items():
            if rank is None:
                one = _columns(program, value, own, len(columns))
                parts.append(_variant(program, one, variant, ranked=not node.type.dtype.startswith("float")))
            order += variants[variant]
    joined = program.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if order != sorted(order):
        joined = program.op("Gather", joined, program.constant(np.argsort(order)), axis=1)
    return _as_read(program, forest, joined, len(wanted))


def _as_read(program: Program, forest: Forest, features: str, width: int) -> str:
    if forest.trees.dtype == np.float32:
        # Exact: ranks are small, and cuts are only folded where rounding to float32 crosses none.
        features = program.op("Cast", features, to=1)
    # The ensemble reads features by number and checks none: here the width is written down, for the loader to hold
    # against those numbers and for the runtime to hold the rows to.
    return program.op("Reshape", features, program.constant(np.array([0, width], dtype=np.int64)))


def _columns(program: Program, name: str, columns: list[int], width: int) -> str:
    """Some columns of a block."""
    if columns == list(range(width)):
        return name
    return program.op("Gather", name, program.constant(np.array(columns, dtype=np.int64)), axis=1)


def _variant(program: Program, value: str, variant: int, *, ranked: bool) -> str:
    if variant == _PLAIN:
        return value
    missing = program.op("Less", value, program.constant(np.array(0.0))) if ranked else program.op("IsNaN", value)
    if variant == _ABSENT:
        return program.op("Cast", missing, to=11)
    beyond = float(_BEYOND) if ranked else np.inf
    substitute = program.constant(np.array(beyond if variant == _HIGH else -beyond))
    return program.op("Where", missing, substitute, value)


def _with_base(trees: Trees) -> Trees:
    """The forest with the base as leading trees of one leaf: the ensemble starts at +0.0, the original at the base."""
    outputs = np.flatnonzero(trees.base) if len(trees.targets) else np.flatnonzero([np.any(trees.base)])
    count = len(outputs)
    if not count:
        return trees
    values = np.concatenate([trees.values, trees.base[outputs][:, None] if len(trees.targets) else trees.base[None]])
    first = len(trees.values) + np.arange(count)

    def led(column: np.ndarray, by: np.ndarray | int) -> np.ndarray:
        return np.concatenate([np.full(count, by, dtype=column.dtype), column])

    return Trees(
        feature=led(trees.feature, -1),
        cut=led(trees.cut, first),
        right=led(np.where(trees.leaf, 0, trees.right + count).astype(np.int32), 0),
        flags=led(trees.flags, 0),
        roots=np.concatenate([np.arange(count), trees.roots + count]).astype(np.int32),
        values=values,
        sets=trees.sets,
        targets=led(trees.targets, outputs) if len(trees.targets) else trees.targets,
        base=trees.base,
    )


def _ensemble(trees: Trees, splits: _Splits, vector: bool) -> dict[str, Attribute]:
    """The attributes of the operator. Inner nodes and leaves are numbered apart."""
    leaf = trees.leaf
    tree = np.repeat(np.arange(trees.count), trees.ends - trees.roots)[leaf]
    target = tree if vector else (trees.targets[tree] if len(trees.targets) else np.zeros(len(tree), dtype=np.int64))
    # Leaves of one tree (or one target) that hold the same value are one leaf.
    rows, number = np.unique(target.astype(np.int64) * len(trees.values) + trees.cut[leaf], return_inverse=True)
    place = np.cumsum(~leaf) - 1
    place[leaf] = number
    at = np.flatnonzero(~leaf)
    true, false = at + 1, trees.right[at]
    lone = trees.roots[leaf[trees.roots]]
    roots = place[trees.roots]
    # A tree of one leaf is a split both of whose branches are that leaf.
    roots[leaf[trees.roots]] = len(at) + np.arange(len(lone))
    ends, zeros, ones = place[lone], np.zeros(len(lone), dtype=np.int64), np.ones(len(lone), dtype=np.int64)
    value = (rows % len(trees.values)).astype(np.float64) if vector else trees.values[rows % len(trees.values), 0]
    dtype = trees.dtype
    attributes: dict[str, Attribute] = {
        "aggregate_function": 1,
        "leaf_targetids": (rows // len(trees.values)).tolist(),
        "leaf_weights": value.astype(dtype),
        "n_targets": trees.count if vector else len(trees.base),
        "nodes_falseleafs": np.concatenate([leaf[false], ones]).astype(np.int64).tolist(),
        "nodes_falsenodeids": np.concatenate([place[false], ends]).tolist(),
        "nodes_featureids": np.concatenate([splits.feature, zeros]).tolist(),
        "nodes_modes": np.concatenate([splits.mode, np.full(len(lone), _LEQ, dtype=np.uint8)]),
        "nodes_splits": np.concatenate([splits.threshold, np.zeros(len(lone))]).astype(dtype),
        "nodes_trueleafs": np.concatenate([leaf[true], ones]).astype(np.int64).tolist(),
        "nodes_truenodeids": np.concatenate([place[true], ends]).tolist(),
        "post_transform": 0,
        "tree_roots": roots.tolist(),
    }
    if splits.members:
        members = np.concatenate([np.append(m, np.nan) for m in splits.members])
        attributes["membership_values"] = members.astype(dtype)
    return attributes

"""The trees of an XGBoost model in flat arrays, checked: whatever is not reachable from a root is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError

# Codes beyond this are no categories to XGBoost (OutOfRangeCat of common/categorical.h).
_MOST_CATEGORIES = 1 << 24
_NODE_FIELDS = ("left_children", "right_children", "split_indices", "default_left", "split_conditions")


@dataclass(frozen=True, slots=True, eq=False)
class TreeArrays:
    """The nodes of T trees one after another, n in all.

    `left`, `right`  int64 (n,), counted over all trees; -1 at a leaf
    `feature`        int64 (n,); -1 at a leaf
    `cut`            float32 (n,): left if the value is below it
    `default_left`   bool (n,): where a missing value goes
    `values`         float32 (n, w): read at leaves
    `roots`          int64 (T,); `group` int64 (T,): the output that a tree adds to (w = 1)
    `sets`           node -> the category codes, rising, that go right
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    cut: np.ndarray
    default_left: np.ndarray
    values: np.ndarray
    roots: np.ndarray
    group: np.ndarray
    sets: dict[int, np.ndarray]

    @property
    def count(self) -> int:
        """Number of trees."""
        return len(self.roots)


def bad(what: str, tree: int | None = None) -> CorruptInputError:
    """The error for a model that contradicts itself."""
    where = "XGBoost model" if tree is None else f"XGBoost model, tree {tree}"
    return CorruptInputError(what, where=where, hint="The file is damaged, or made to crash whoever uses it.")


def tree_arrays(trees: list[Any], groups: Any, features: int, outputs: int) -> TreeArrays:
    """The trees of a document. Raises CorruptInputError."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _NODE_FIELDS}
    values: list[np.ndarray] = []
    sizes: list[int] = []
    sets: dict[int, np.ndarray] = {}
    start = 0
    for number, tree in enumerate(trees):
        if not isinstance(tree, dict):
            raise bad("it is no tree", number)
        own = [_numbers(tree, name, number) for name in _NODE_FIELDS]
        if not len(own[0]) or len({len(c) for c in own}) > 1:
            raise bad("its lists differ in length", number)
        for name, column in zip(_NODE_FIELDS, own, strict=True):
            columns[name].append(column)
        values.append(_leaf_values(tree, own, number))
        sets.update({start + node: members for node, members in _sets(tree, len(own[0]), number)})
        sizes.append(len(own[0]))
        start += len(own[0])
    if len({v.shape[1] for v in values}) > 1 or (values and values[0].shape[1] not in (1, outputs)):
        raise bad("its leaves are not as wide as its outputs")
    joined = {name: np.concatenate([np.zeros(0), *parts]) for name, parts in columns.items()}
    group = _group(groups, len(trees), outputs)
    return _reachable(joined, values, np.array(sizes, dtype=np.int64), group, sets, features)


def _numbers(tree: dict[str, Any], name: str, number: int) -> np.ndarray:
    column = tree.get(name)
    if isinstance(column, list):
        if not all(type(v) in (int, float, bool) for v in column):
            raise bad(f"its {name} are no list of numbers", number)
        try:
            column = np.array(column, dtype=np.float64)
        except OverflowError:
            raise bad(f"its {name} are too large", number) from None
    if not isinstance(column, np.ndarray) or column.ndim != 1:
        raise bad(f"its {name} are no list of numbers", number)
    return column


def _leaf_values(tree: dict[str, Any], own: list[np.ndarray], number: int) -> np.ndarray:
    """One row a node: the leaf's number, or (multi_strategy="multi_output_tree") its numbers."""
    parameters = tree.get("tree_param")
    wide = str(parameters.get("size_leaf_vector", "0")) if isinstance(parameters, dict) else "0"
    width = int(wide) if wide.isascii() and wide.isdigit() and len(wide) < 8 else -1
    if width < 0:
        raise bad(f"its leaves are {wide!r:.20} wide", number)
    count = len(own[0])
    if width <= 1:
        return own[4].astype(np.float32)[:, None]
    if "leaf_weights" in tree:  # from 3.2 on, and a leaf's right child is its row in there
        table = _numbers(tree, "leaf_weights", number)
        if len(table) % width:
            raise bad("its leaves are not as wide as it says", number)
        rows = np.where(own[0] < 0, own[1], 0)
        if len(table) == 0 or not ((rows >= 0) & (rows < len(table) // width)).all():
            raise bad("a leaf has no values", number)
        return np.asarray(table.reshape(-1, width).astype(np.float32)[rows.astype(np.int64)])
    table = _numbers(tree, "base_weights", number)
    if len(table) != count * width:
        raise bad("its leaves are not as wide as it says", number)
    return table.astype(np.float32).reshape(count, width)


def _sets(tree: dict[str, Any], count: int, number: int) -> list[tuple[int, np.ndarray]]:
    """(node, codes that go right) for every split on categories."""
    if "split_type" not in tree:  # appears in 1.3
        return []
    kind = _numbers(tree, "split_type", number)
    if len(kind) != count:
        raise bad("its lists differ in length", number)
    at, begin, size = (
        _numbers(tree, f"categories_{name}", number).astype(np.int64) for name in ("nodes", "segments", "sizes")
    )
    codes = _numbers(tree, "categories", number) if len(at) else np.zeros(0)
    if not len(at) == len(begin) == len(size) or len(np.unique(at)) < len(at):
        raise bad("its categories differ in length", number)
    if not np.array_equal(np.flatnonzero(kind != 0), np.sort(at)):
        raise bad("a split on categories has no set of categories", number)
    if ((begin < 0) | (size < 0) | (begin + size > len(codes))).any():
        raise bad("a set of categories lies outside of their list", number)
    if not ((codes >= 0) & (codes < _MOST_CATEGORIES) & (codes == np.floor(codes))).all():
        raise bad("a category is no code", number)
    whole = codes.astype(np.int64)
    return [(n, np.unique(whole[b : b + s])) for n, b, s in zip(at.tolist(), begin.tolist(), size.tolist())]


def _group(groups: Any, count: int, outputs: int) -> np.ndarray:
    if isinstance(groups, list) and all(type(g) is int and 0 <= g < outputs for g in groups):
        groups = np.array(groups, dtype=np.int64)
    if not isinstance(groups, np.ndarray) or groups.shape != (count,):
        raise bad("its trees have no list of outputs")
    if count and not ((groups >= 0) & (groups < outputs)).all():
        raise bad("a tree adds to an output that is not there")
    return groups.astype(np.int64)


def _reachable(
    nodes: dict[str, np.ndarray],
    values: list[np.ndarray],
    sizes: np.ndarray,
    group: np.ndarray,
    sets: dict[int, np.ndarray],
    features: int,
) -> TreeArrays:
    """The nodes that hang on a root, each once, in their order: pruning leaves others behind (num_deleted)."""
    roots = np.cumsum(sizes) - sizes
    tree = np.repeat(np.arange(len(sizes)), sizes)
    leaf = nodes["left_children"] < 0
    shift = roots[tree]
    seen = np.zeros(len(tree), dtype=bool)
    level, visits = roots, 0
    while len(level):
        visits += len(level)
        if visits > len(tree):
            raise bad("a node has two parents")
        seen[level] = True
        inner = level[~leaf[level]]
        level = np.concatenate([_children(nodes[f"{side}_children"], inner, tree, sizes, shift)
                                for side in ("left", "right")])  # fmt: skip
    if visits != np.count_nonzero(seen):
        raise bad("a node has two parents")
    inner = seen & ~leaf
    feature, cut = nodes["split_indices"], nodes["split_conditions"].astype(np.float32)
    wrong = inner & ~((feature >= 0) & (feature < features))
    if wrong.any():
        raise bad("a split reads a feature that the model does not have", int(tree[np.argmax(wrong)]))
    numeric = inner.copy()
    numeric[list(sets)] = False
    if np.isnan(cut[numeric]).any():
        raise bad("a split's threshold is NaN", int(tree[numeric][np.argmax(np.isnan(cut[numeric]))]))
    place = np.cumsum(seen) - 1

    def moved(side: str) -> np.ndarray:
        child = np.where(inner, nodes[f"{side}_children"] + shift, 0).astype(np.int64)
        return np.asarray(np.where(inner, place[child], -1)[seen])

    width = values[0].shape[1] if values else 1
    return TreeArrays(
        left=moved("left"),
        right=moved("right"),
        feature=np.where(inner, feature, -1)[seen].astype(np.int64),
        cut=cut[seen],
        default_left=nodes["default_left"][seen] != 0,
        values=np.concatenate([np.zeros((0, width), np.float32), *values])[seen],
        roots=place[roots] if len(roots) else roots,
        group=group,
        sets={int(place[n]): members for n, members in sets.items() if inner[n]},
    )


def _children(
    child: np.ndarray, inner: np.ndarray, tree: np.ndarray, sizes: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    own = child[inner]
    wrong = ~((own > 0) & (own < sizes[tree[inner]]))
    if wrong.any():
        raise bad("a node's child is outside of the tree", int(tree[inner][np.argmax(wrong)]))
    return np.asarray((own + shift[inner]).astype(np.int64))

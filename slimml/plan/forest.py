"""Trees as columns of the smallest types, and back.

What preorder already says is not stored: the right child of a node follows from where the leaves are. Cuts stand
sorted by the column that they cut, numbers of more than one byte as one plane per byte, so that a stock compressor
finds like beside like.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from slimml.artifact.tensors import Tensor
from slimml.errors import ArtifactCorruptError
from slimml.ir.forest import IN_SET, MISSING_LEFT, Trees

_MAX_NODES = 2**31 - 1


def pack(trees: Trees) -> dict[str, np.ndarray]:
    """The columns of a forest, by name."""
    inner = trees.feature >= 0
    order = np.argsort(trees.feature[inner], kind="stable")
    flags = trees.flags[inner]
    return {
        "feature": planes((trees.feature + 1).astype(np.uint32)),
        "cut": planes(trees.cut[inner][order].astype(np.uint32)),
        "leaf": planes(trees.cut[~inner].astype(np.uint32)),
        # Forests that never saw a missing value have no flags at all.
        "missing_left": _bits(flags & MISSING_LEFT != 0),
        "in_set": _bits(flags & IN_SET != 0),
        "sizes": np.diff(np.append(trees.roots, trees.nodes)).astype(np.uint32),
        "values": _float_planes(trees.values),
        "sets": trees.sets,
        "targets": trees.targets,
        "base": trees.base,
    }


def unpack(columns: Mapping[str, Tensor]) -> Trees:
    """The forest of those columns. Raises ArtifactCorruptError; Trees.check still has to follow."""
    arrays = {name: np.asarray(t.data).reshape(t.shape) for name, t in columns.items()}
    expected = {"feature", "cut", "leaf", "missing_left", "in_set", "sizes", "values", "sets", "targets", "base"}
    if set(arrays) != expected:
        raise ArtifactCorruptError("a forest lacks columns, or has some that it should not have")
    feature = unplanes(arrays["feature"]).astype(np.int64) - 1
    inner = feature >= 0
    cut = np.zeros(len(feature), dtype=np.int64)
    flags = np.zeros(len(feature), dtype=np.uint8)
    count = int(inner.sum())
    cuts, leaf_rows = unplanes(arrays["cut"]), unplanes(arrays["leaf"])
    _require(len(cuts) == count and len(leaf_rows) == len(feature) - count, "columns of a forest differ in length")
    sorted_cuts = np.empty(count, dtype=np.int64)
    sorted_cuts[np.argsort(feature[inner], kind="stable")] = cuts
    cut[inner], cut[~inner] = sorted_cuts, leaf_rows
    flags[inner] = MISSING_LEFT * _unbits(arrays["missing_left"], count) | IN_SET * _unbits(arrays["in_set"], count)
    sizes = arrays["sizes"].astype(np.int64)
    _require(sizes.ndim == 1 and len(sizes) and sizes.min() > 0, "a forest has an empty tree")
    _require(sizes.max() <= len(feature) <= _MAX_NODES, "the trees of a forest do not add up to its nodes")
    _require(sizes.sum() == len(feature), "the trees of a forest do not add up to its nodes")
    _require(max(feature.max(), cut.max()) < 2**31, "a node of a forest holds too large a number")
    roots = np.cumsum(sizes) - sizes
    return Trees(
        feature=feature.astype(np.int32),
        cut=cut.astype(np.int32),
        right=right_children(inner, roots),
        flags=flags,
        roots=roots.astype(np.int32),
        values=_float_unplanes(arrays["values"]),
        sets=arrays["sets"],
        targets=arrays["targets"],
        base=arrays["base"],
    )


def right_children(inner: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """The right child of every node of trees in preorder, from which nodes are inner; 0 for leaves; int32 (n,).

    Let h(i) be inner nodes minus leaves before node i. A left subtree holds one leaf more than inner nodes, so the
    right child of i is the first later node with h equal to h(i): the next one in a stable sort by h.
    """
    steps = np.where(inner, 1, -1)
    before = np.cumsum(steps) - steps
    # Each tree lowers h by one. Undoing that keeps h small, hence the sort one by radix.
    tree = np.zeros(len(inner), dtype=np.int64)
    tree[roots[1:]] = 1
    height = before + np.cumsum(tree)
    _require(height.min() >= 0, "a tree of the forest ends before its nodes do")
    narrow = height.astype(np.int16 if height.max() < 2**15 else np.int32)
    order = np.argsort(narrow, kind="stable")
    following = np.zeros(len(inner), dtype=np.int64)
    following[order[:-1]] = np.where(narrow[order[1:]] == narrow[order[:-1]], order[1:], 0)
    return np.where(inner, following, 0).astype(np.int32)


def planes(values: np.ndarray) -> np.ndarray:
    """uint32 (n,) as uint8 (b, n), high byte first, without planes that are all zero (at least one is kept)."""
    width = max(1, (int(values.max(initial=0)).bit_length() + 7) // 8)
    return np.stack([(values >> np.uint32(8 * i)).astype(np.uint8) for i in reversed(range(width))])


def unplanes(columns: np.ndarray) -> np.ndarray:
    """The inverse of `planes`: uint32 (n,)."""
    _require(columns.dtype == np.uint8 and columns.ndim == 2 and 1 <= len(columns) <= 4, "a column of odd planes")
    values = np.zeros(columns.shape[1], dtype=np.uint32)
    for plane in columns:
        values = (values << np.uint32(8)) | plane
    return values


def _float_planes(values: np.ndarray) -> np.ndarray:
    width = values.dtype.itemsize
    flat = np.ascontiguousarray(values, dtype=f"<f{width}")
    return np.ascontiguousarray(np.moveaxis(flat.view(np.uint8).reshape(*values.shape, width), -1, 0))


def _float_unplanes(columns: np.ndarray) -> np.ndarray:
    _require(columns.dtype == np.uint8 and columns.ndim == 3 and len(columns) in (4, 8), "a table of odd planes")
    return np.ascontiguousarray(np.moveaxis(columns, 0, -1)).view(f"<f{len(columns)}")[..., 0]


def _bits(mask: np.ndarray) -> np.ndarray:
    return np.packbits(mask) if mask.any() else np.zeros(0, dtype=np.uint8)


def _unbits(bits: np.ndarray, count: int) -> np.ndarray:
    if not bits.size:
        return np.zeros(count, dtype=np.uint8)
    _require(bits.dtype == np.uint8 and bits.shape == ((count + 7) // 8,), "flags of odd length")
    return np.unpackbits(bits, count=count)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ArtifactCorruptError(message)

"""Node arrays of trees: which of their bytes a row's way through the tree asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.analysis.unread import FIELDS, INNER, PADDING
from slimml.ingest.record import Record


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an array: what it is, its bytes in memory, and why nothing reads it ("" where something may)."""

    name: str
    bytes: int
    unread: str = ""


@dataclass(slots=True)
class Forest:
    """How many trees a step holds, and how large they are."""

    trees: int = 0
    nodes: int = 0
    leaves: int = 0
    depth: int = 0

    def add(self, nodes: int, leaves: int, depth: int) -> None:
        """One tree more."""
        self.trees += 1
        self.nodes += nodes
        self.leaves += leaves
        self.depth = max(self.depth, depth)

    def to_json(self) -> dict[str, int]:
        """A JSON-ready dict."""
        return {"trees": self.trees, "nodes": self.nodes, "leaves": self.leaves, "depth": self.depth}


def shares(holder: Any, attribute: str, value: Any) -> list[Share]:
    """The parts of an array whose bytes are not all alike to prediction; none for any other value."""
    if type(value) is not np.ndarray or type(holder) is not Record:
        return []
    if value.dtype.names:
        return _fields(value, FIELDS.get((holder.name, attribute), {}))
    if holder.name == "Tree" and attribute == "values":
        return _values(value, _leaves(holder))
    return []


def _fields(nodes: np.ndarray, reasons: dict[str, str]) -> list[Share]:
    found, names = [], nodes.dtype.names or ()
    for name in names:
        held = nodes.size * nodes.dtype[name].itemsize
        if name == "value" and "is_leaf" in names:
            inner = int((nodes["is_leaf"] == 0).sum()) * nodes.dtype[name].itemsize
            found += [Share("value of leaves", held - inner), Share("value of inner nodes", inner, INNER)]
        else:
            found.append(Share(name, held, reasons.get(name, "")))
    rest = nodes.nbytes - sum(s.bytes for s in found)
    return [*found, Share("(padding)", rest, PADDING)] if rest > 0 else found


def _values(values: np.ndarray, leaves: np.ndarray | None) -> list[Share]:
    if leaves is None or not len(values) or len(leaves) != len(values):
        return []
    per_node = values.nbytes // len(values)
    inner = int(len(values) - leaves.sum())
    return [Share("leaves", values.nbytes - inner * per_node), Share("inner nodes", inner * per_node, INNER)]


def _leaves(tree: Record) -> np.ndarray | None:
    """Which nodes of a Tree are leaves; None where its node array is not as expected."""
    nodes = tree.get("nodes")
    if type(nodes) is not np.ndarray or "left_child" not in (nodes.dtype.names or ()):
        return None
    leaves: np.ndarray = nodes["left_child"] == -1
    return leaves


def count_tree(forest: Forest, record: Record) -> None:
    """Add a tree of scikit-learn, if `record` is one."""
    nodes = record.get("nodes")
    if type(nodes) is not np.ndarray or not nodes.dtype.names:
        return
    names = nodes.dtype.names
    if record.name == "Tree" and "left_child" in names:
        depth = record.get("max_depth")
        known = isinstance(depth, int | np.integer)
        forest.add(len(nodes), int((nodes["left_child"] == -1).sum()), int(depth) if known else 0)
    elif record.name == "TreePredictor" and {"is_leaf", "depth"} <= set(names):
        deepest = int(nodes["depth"].max()) if len(nodes) else 0
        forest.add(len(nodes), int((nodes["is_leaf"] != 0).sum()), deepest)

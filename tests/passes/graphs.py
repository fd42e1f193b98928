"""Evaluating a graph before and after a pass on the same raw rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.errors import InputError
from slimml.ir.csr import Csr
from slimml.ir.graph import Graph, evaluate
from slimml.ir.ops.columns import Input

Table = dict[int, np.ndarray]


def table_of(blocks: dict[Input, np.ndarray]) -> Table:
    """The raw columns, by their position in the schema."""
    return {c: block[:, i] for node, block in blocks.items() for i, c in enumerate(node.columns)}


def blocks_of(graph: Graph, table: Table, at: np.ndarray) -> dict[Input, np.ndarray]:
    """The rows `at` as the graph's inputs take them."""
    out = {}
    for node in graph.inputs():
        block = np.empty((len(at), len(node.columns)), dtype=node.type.dtype)
        for i, c in enumerate(node.columns):
            block[:, i] = table[c][at]
        out[node] = block
    return out


def values(graph: Graph, table: Table, at: np.ndarray) -> Any:
    """The values of all nodes on the rows `at`; None where one of them is refused."""
    try:
        return evaluate([n for o in graph.outputs for n in o.nodes], blocks_of(graph, table, at))
    except InputError:
        return None


def taken(graph: Graph, table: Table, count: int) -> np.ndarray:
    """Which rows the graph takes, by halving the batches that it refuses."""
    mask = np.zeros(count, dtype=bool)
    stack = [np.arange(count)]
    while stack:
        at = stack.pop()
        if values(graph, table, at) is not None:
            mask[at] = True
        elif len(at) > 1:
            stack += [at[: len(at) // 2], at[len(at) // 2 :]]
    return mask


def plain(value: Any) -> tuple[np.ndarray, ...]:
    """A value's arrays: of csr the stored entries too, since what a caller gets back holds them."""
    return (value.data, value.indices, value.indptr) if isinstance(value, Csr) else (value,)


def same_bits(a: Any, b: Any) -> bool:
    """Whether two values have the same layout, dtype, shape and bits (all NaN are one)."""
    if type(a) is not type(b):
        return False
    for x, y in zip(plain(a), plain(b), strict=True):
        if x.dtype != y.dtype or x.shape != y.shape:
            return False
        if x.dtype.kind == "f":
            whole = np.dtype(f"i{x.dtype.itemsize}")
            if not ((x.copy().view(whole) == y.copy().view(whole)) | (np.isnan(x) & np.isnan(y))).all():
                return False
        elif not all(
            p == q or (p != p and q != q) for p, q in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
        ):
            return False
    return True

"""The forest of a graph as a Treelite checkpoint (`-o model.tl`), for FIL on GPUs and other readers of Treelite.

Such a file holds trees and nothing in front of them: the forest has to read raw number columns, at most narrowed to
float32. Its features are all columns of the schema in order, missing values are NaN. What stands behind the forest
goes along where Treelite has an exact word for it: the average, a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from slimml.backends.base import Refusal
from slimml.errors import NoBackendError
from slimml.ir.forest import IN_SET
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Input, Select
from slimml.ir.ops.heads import Sigmoid
from slimml.ir.ops.models import Forest
from slimml.ir.ops.numeric import Divide, Guard
from slimml.ir.ops.ranks import Rank

_MOVES = (Select, Concat, Guard, Cast)


@dataclass(frozen=True, slots=True)
class _Raw:
    """A column of a forest traced to the raw column `number` of the schema; `narrowed`: through float32 on the way."""

    number: int
    rank: Rank
    column: int
    narrowed: bool


def export_treelite(graph: Graph) -> bytes:
    """The checkpoint. Raises NoBackendError where the file could not say what the graph means."""
    refusal = export_refusal(graph)
    if refusal is not None:
        raise NoBackendError(
            f"a Treelite file cannot express {refusal.reason}",
            where=refusal.origin,
            hint="Write a .slim or .onnx file.",
        )
    from slimml.runtime.engines.treelite import model_of

    forest = _forests(graph)[0]
    trees = forest.trees
    inner = trees.feature >= 0
    feature, thresholds = trees.feature.copy(), np.zeros(trees.nodes)
    for column, raw in ((c, r) for c, r in _raws(forest).items() if r is not None):
        here = inner & (trees.feature == column)
        feature[here] = raw.number
        thresholds[here] = _ends(raw, trees.dtype == np.float64)[np.minimum(trees.cut[here], _count(raw))]
    # The columns must outlive the model: it reads their memory.
    model, _columns = model_of(replace(trees, feature=feature), len(graph.schema.columns), thresholds)
    header = model.get_header_accessor()
    answered = answered_node(graph)
    header.set_field("average_tree_output", np.array([isinstance(answered, Divide)], dtype=np.uint8))
    if isinstance(answered, Sigmoid):
        header.set_field("postprocessor", "sigmoid" if len(trees.base) == 1 else "multiclass_ova")
    data: bytes = model.serialize_bytes()
    return data


def export_refusal(graph: Graph) -> Refusal | None:
    """What a Treelite file cannot say, or None."""
    forests = _forests(graph)
    if len(forests) != 1:
        return Refusal(f"{len(forests)} forests; it holds exactly one")
    forest = forests[0]
    if any(raw is None for raw in _raws(forest).values()):
        return Refusal("what stands in front of the forest", forest.origin)
    if ((forest.trees.flags & IN_SET) != 0).any():
        return Refusal("sets of ranks of a raw column", forest.origin)
    if forest.trees.dtype == np.float32 and any(r.rank.source.dtype != "float32" for r in _raws(forest).values() if r):
        return Refusal("sums in float32 behind comparisons in double", forest.origin)
    return None


def _forests(graph: Graph) -> list[Forest]:
    return [n for n in graph.nodes() if isinstance(n, Forest)]


def _raws(forest: Forest) -> dict[int, _Raw | None]:
    inner = forest.trees.feature >= 0
    return {c: _raw(forest.inputs[0], c) for c in np.unique(forest.trees.feature[inner]).tolist()}


def _raw(node: Node, column: int) -> _Raw | None:
    rank, own, narrowed = None, 0, False
    while isinstance(node, Rank | Select | Concat | Guard | Cast):
        if isinstance(node, Rank):
            if rank is not None or len(node.table) or not node.source.dtype.startswith("float"):
                return None
            rank, own = node, column
        if isinstance(node, Cast):
            if node.dtype not in ("float32", "float64"):
                return None
            narrowed = narrowed or node.dtype == "float32"
        if isinstance(node, Concat):
            at = next(i for i, _ in enumerate(node.inputs) if column < sum(x.type.width for x in node.inputs[: i + 1]))
            node, column = node.inputs[at], column - sum(x.type.width for x in node.inputs[:at])
            continue
        column = int(node.index[column]) if isinstance(node, Select) else column
        node = node.inputs[0]
    if rank is None or not isinstance(node, Input) or node.kind != "number":
        return None
    return _Raw(node.columns[column], rank, own, narrowed)


def _count(raw: _Raw) -> int:
    return int(raw.rank.offsets[raw.column + 1] - raw.rank.offsets[raw.column])


def _ends(raw: _Raw, double: bool) -> np.ndarray:
    """The largest number that each cut still sends left, and infinity for ranks beyond the last cut.

    `double`: whether the file compares doubles; one that compares float32 narrows its rows as the original does.
    """
    begin, end = raw.rank.offsets[raw.column : raw.column + 2]
    cuts = raw.rank.cuts[begin:end].astype(np.float64)
    if raw.narrowed and double:
        # A double goes left where it rounds to a float32 that does: up to the middle to the next float32, the middle
        # itself where it rounds down (ties go to the even one).
        with np.errstate(over="ignore"):
            low = cuts.astype(np.float32)
            above = np.nextafter(low, np.float32(np.inf)).astype(np.float64)
            above = np.where(np.isinf(above), 2.0**128, above)
            middle = low.astype(np.float64) / 2 + above / 2
            cuts = np.where(middle.astype(np.float32) == low, middle, np.nextafter(middle, -np.inf))
    return np.append(cuts, np.inf)


def answered_node(graph: Graph) -> Node:
    """What the file answers: the forest's sums, their average, or a sigmoid of them.

    A softmax stays outside: treelite 4.8.1 rounds it to float32, and the sums are exact.
    """
    forest = _forests(graph)[0]
    behind = [n for n in graph.nodes() if forest in n.inputs]
    for node in behind:
        if isinstance(node, Divide) and (node.value == forest.trees.count).all() and not forest.trees.base.any():
            return node
    return next((n for n in behind if isinstance(n, Sigmoid)), forest)

"""The treelite engine: forests run by GTIL, the rest of the plan by the portable executor.

The artifact holds the forest as plain validated arrays; a treelite model is rebuilt from them in memory. Treelite's own
`deserialize` never sees a byte of a file.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slimml._optional import require
from slimml.runtime.engines.portable import PortableEngine

if TYPE_CHECKING:
    import numpy as np

    from slimml.ir.forest import Trees
    from slimml.ir.node import Node

Columns = dict[str, "np.ndarray"]

# treelite/enum/tree_node_type.h and operator.h: TreeNodeType::kNumericalTestNode, kCategoricalTestNode, Operator::kLE
_NUMERICAL, _CATEGORICAL, _LESS_OR_EQUAL = 1, 2, 3


class TreeliteEngine(PortableEngine):
    """The portable executor with GTIL for the forests. One thread a call unless `threads` says otherwise."""

    def kernel(self, node: Node) -> Callable[..., Any]:
        """GTIL for a Forest, the reference for any other op."""
        from slimml.ir.ops.models import Forest

        if not isinstance(node, Forest):
            return super().kernel(node)
        return Gtil(node.trees, node.source.width, self.threads or 1)


class Gtil:
    """What Forest.evaluate does, by GTIL. It adds row by row in the order of the trees, whatever the threads."""

    def __init__(self, trees: Trees, width: int, threads: int) -> None:
        import numpy as np

        require("treelite", "treelite")
        self._outputs = len(trees.base)
        self._dtype = trees.dtype
        self._model, self._columns = model_of(trees, width, trees.cut.astype(np.float64))
        self._threads = _allowed(self._model, threads)

    def __call__(self, ranks: np.ndarray) -> np.ndarray:
        """Ranks int32 (n, width), -1 is missing, to sums (n, k) in the dtype of the leaves."""
        import numpy as np
        from treelite import gtil

        from slimml.ir.forest import MISSING

        block = ranks.astype(self._dtype)
        block[ranks == MISSING] = np.nan
        sums: np.ndarray = gtil.predict(self._model, block, nthread=self._threads, pred_margin=True)
        return sums.reshape(len(ranks), self._outputs)


def _allowed(model: Any, threads: int) -> int:
    """As many threads, or all there are (-1) where OpenMP was told to use fewer: treelite refuses the call then."""
    import numpy as np
    from treelite import TreeliteError, gtil

    if threads > 1:
        try:
            gtil.predict(model, np.zeros((1, model.num_feature), model.input_type), nthread=threads, pred_margin=True)
        except TreeliteError:
            return -1
    return threads


def model_of(trees: Trees, width: int, thresholds: np.ndarray) -> tuple[Any, Columns]:
    """A treelite model that sums the leaves in their dtype, base first; `thresholds` (n,) for the numeric splits.

    The model reads the columns that come with it, and they must live as long as it does: treelite's setter of a field
    takes the memory as it is (treelite 4.8.1, whose own Python wrapper keeps it alive by never letting go of it).
    GTIL starts at +0.0 and adds its own base scores last, so the base goes in as leading trees of one leaf.
    """
    leading = _leading(trees)
    model = _skeleton(len(trees.base), width, leading, trees)
    columns = _columns(trees, thresholds)
    spans = _tree_spans(trees, columns)
    for number in range(trees.count):
        for name, column in columns.items():
            begin, end = spans.get(name, spans["node"])[number]
            _set_field(model, len(leading) + number, name, column[begin:end])
    return model, columns


def _leading(trees: Trees) -> list[tuple[int, list[float]]]:
    base = trees.base.tolist()
    if not any(base):
        return []
    if len(trees.targets):
        return [(k, [b]) for k, b in enumerate(base) if b]
    return [(-1, base)]


def _skeleton(outputs: int, width: int, leading: list[tuple[int, list[float]]], trees: Trees) -> Any:
    from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

    count = len(leading) + trees.count
    vector = outputs > 1 and not len(trees.targets)
    classes = [t for t, _ in leading] + (trees.targets.tolist() or [-1] * trees.count)
    builder: Any = ModelBuilder(
        threshold_type=trees.dtype.name,
        leaf_output_type=trees.dtype.name,
        metadata=Metadata(
            num_feature=width,
            task_type="kMultiClf" if outputs > 1 else "kRegressor",
            average_tree_output=False,
            num_target=1,
            num_class=[outputs],
            leaf_vector_shape=(1, outputs if vector else 1),
        ),
        tree_annotation=TreeAnnotation(
            num_tree=count, target_id=[0] * count, class_id=classes if outputs > 1 else [0] * count
        ),
        postprocessor=PostProcessorFunc(name="identity_multiclass" if outputs > 1 else "identity"),
        base_scores=[0.0] * outputs,
    )
    values = [v for _, v in leading] + [[0.0] * (outputs if vector else 1)] * trees.count
    for value in values:
        builder.start_tree()
        builder.start_node(0)
        builder.leaf(value if vector else value[0])
        builder.end_node()
        builder.end_tree()
    return builder.commit()


def _in_set(trees: Trees) -> np.ndarray:
    from slimml.ir.forest import IN_SET

    in_set: np.ndarray = (trees.flags & IN_SET) != 0
    return in_set


def _columns(trees: Trees, thresholds: np.ndarray) -> Columns:
    """Every field of all trees, tree after tree. Children and lists are counted from the tree's own beginning."""
    import numpy as np

    from slimml.ir.forest import MISSING_LEFT

    number = trees.dtype.name
    leaf, in_set, nodes = trees.leaf, _in_set(trees), np.arange(trees.nodes)
    root = np.repeat(trees.roots, trees.ends - trees.roots)
    values = trees.values[trees.cut[leaf]]
    members = _members(trees)
    lists = [members[c] for c in trees.cut[in_set].tolist()]
    vector = len(trees.base) > 1 and not len(trees.targets)
    leaf_value = np.zeros(trees.nodes)
    leaf_value[leaf] = values[:, 0]
    begin, end = _spans(trees, leaf, np.full(len(values), trees.values.shape[1] if vector else 0))
    first, last = _spans(trees, in_set, np.array([len(m) for m in lists], dtype=np.int64))
    columns = {
        "num_nodes": (trees.ends - trees.roots, "int32"),
        "has_categorical_split": (np.logical_or.reduceat(in_set, trees.roots), "uint8"),
        "node_type": (np.where(leaf, 0, np.where(in_set, _CATEGORICAL, _NUMERICAL)), "int8"),
        "cleft": (np.where(leaf, -1, nodes + 1 - root), "int32"),
        "cright": (np.where(leaf, -1, trees.right - root), "int32"),
        "split_index": (trees.feature, "int32"),
        "default_left": ((trees.flags & MISSING_LEFT) != 0, "uint8"),
        "leaf_value": (leaf_value, number),
        "threshold": (np.where(leaf | in_set, 0.0, thresholds), number),
        "cmp": (np.where(leaf | in_set, 0, _LESS_OR_EQUAL), "int8"),
        "category_list_right_child": (np.zeros(trees.nodes), "uint8"),
        "leaf_vector": (values.ravel() if vector else np.zeros(0), number),
        "leaf_vector_begin": (begin, "uint64"),
        "leaf_vector_end": (end, "uint64"),
        "category_list": (np.concatenate(lists) if lists else np.zeros(0), "uint32"),
        "category_list_begin": (first, "uint64"),
        "category_list_end": (last, "uint64"),
    }
    return {name: np.ascontiguousarray(column, dtype) for name, (column, dtype) in columns.items()}


def _spans(trees: Trees, mask: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each node's part of its tree's list begins and ends, given the lengths for the nodes in `mask`."""
    import numpy as np

    own = np.zeros(trees.nodes, dtype=np.int64)
    own[mask] = lengths
    end = np.cumsum(own)
    begin = end - own
    start = np.repeat(begin[trees.roots], trees.ends - trees.roots)
    return begin - start, end - start


def _tree_spans(trees: Trees, columns: Columns) -> dict[str, list[tuple[int, int]]]:
    """Which stretch of a column belongs to each tree: by node, by tree, or by the lengths of a list."""
    import numpy as np

    last = trees.ends - 1
    sizes = {
        "node": trees.ends - trees.roots,
        "leaf_vector": columns["leaf_vector_end"][last].astype(np.int64),
        "category_list": columns["category_list_end"][last].astype(np.int64),
    }
    spans = {n: list(zip((np.cumsum(s) - s).tolist(), np.cumsum(s).tolist(), strict=True)) for n, s in sizes.items()}
    single = [(t, t + 1) for t in range(trees.count)]
    return spans | {"num_nodes": single, "has_categorical_split": single}


def _members(trees: Trees) -> list[np.ndarray]:
    """The ranks in each set."""
    import numpy as np

    return [np.flatnonzero(np.unpackbits(s.view(np.uint8), bitorder="little")) for s in trees.sets]


class _Frame(ctypes.Structure):
    """TreelitePyBufferFrame of treelite/c_api.h."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("format", ctypes.c_char_p),
        ("itemsize", ctypes.c_size_t),
        ("nitem", ctypes.c_size_t),
    )


def _set_field(model: Any, tree: int, name: str, values: np.ndarray) -> None:
    # The C function itself: treelite's Python wrapper of it never lets go of the arrays.
    from treelite.core import _LIB, _check_call

    frame = _Frame(values.ctypes.data, values.data.format.encode(), values.itemsize, len(values))
    _check_call(_LIB.TreeliteSetTreeField(model.handle, ctypes.c_uint64(tree), name.encode(), frame))

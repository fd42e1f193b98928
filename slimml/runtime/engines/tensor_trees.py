"""Trees as Hummingbird's tensor programs: GEMM, perfect traversal, traversal.

The programs are Hummingbird's own classes and do Hummingbird's own arithmetic; their tensors are made here, all nodes
at once, where its converters walk fitted estimators node by node. Two things make the answers exact. Every split is put
as `integer <= integer`: on ranks, on ranks whose missing values stand above every cut, or on 0 and 1 for membership in
a set. And what stands in a leaf is the leaf's own number, so that values are added outside, in the original's order.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from slimml._optional import require

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from slimml.ir.forest import Trees

Tensor = Any  # torch.Tensor: torch is imported by the engine that needs it

# GEMM and perfect trees are padded to the largest tree; beyond this many bytes the plain traversal, which is not.
_PADDED = 256 << 20
# What a missing rank becomes where it goes right.
_BEYOND = 2**31 - 1


class TreeProgram:
    """Ranks int32 (n, width), -1 is missing, to the leaf that each row reaches in each tree: int64 (n, T)."""

    def __init__(self, trees: Trees, device: str) -> None:
        self.block, column, cut = _block(trees, device)
        self.strategy = strategy_of(trees, int(column.max(initial=0)) + 1)
        self._leaves = _BUILDERS[self.strategy](trees, column, cut, device)

    def __call__(self, ranks: Tensor) -> Tensor:
        """Inside of `torch.inference_mode`."""
        leaves: Tensor = self._leaves(self.block(ranks))
        return leaves


def strategy_of(trees: Trees, width: int) -> str:
    """gemm, perf_tree_trav or tree_trav: by depth as Hummingbird chooses, as long as padding stays in proportion."""
    commons = require("hummingbird.ml.operator_converters._tree_commons", "hummingbird")
    depth = max(1, trees.depth())
    name: str = commons.get_tree_implementation_by_config_or_depth({}, depth).name
    splits = 2**depth - 1
    padded = {"gemm": trees.count * splits * (8 * width + 8 * splits), "perf_tree_trav": trees.count * splits * 32}
    return name if padded.get(name, 0) <= _PADDED else "tree_trav"


def _block(trees: Trees, device: str) -> tuple[Callable[[Tensor], Tensor], np.ndarray, np.ndarray]:
    """What makes of ranks the block that splits read; and each split's column of it and its cut, int64 (n,) both."""
    import numpy as np

    from slimml.ir.forest import IN_SET, MISSING_LEFT

    inner = np.flatnonzero(trees.feature >= 0)
    feature, rows = trees.feature[inner].astype(np.int64), trees.cut[inner].astype(np.int64)
    left, in_set = (trees.flags[inner] & MISSING_LEFT) != 0, (trees.flags[inner] & IN_SET) != 0
    width = int(feature.max(initial=0)) + 1
    # One number per kind of column, from which the kind can be read again: plain ones first.
    kinds = np.where(in_set, 2 * width + (rows * width + feature) * 2 + ~left, feature * 2 + ~left)
    kinds, number = np.unique(kinds, return_inverse=True)
    column, cut = np.zeros(trees.nodes, dtype=np.int64), np.zeros(trees.nodes, dtype=np.int64)
    column[inner] = number
    cut[inner] = np.where(in_set, 0, np.minimum(rows, _BEYOND - 1))
    return _Block(trees, kinds[kinds < 2 * width], kinds[kinds >= 2 * width] - 2 * width, width, device), column, cut


class _Block:
    """Ranks (n, p) to int32 (n, q): ranks by column and direction of missing values, then 0 (in) and 1 by set."""

    def __init__(self, trees: Trees, plain: np.ndarray, members: np.ndarray, width: int, device: str) -> None:
        import numpy as np

        self._source, self._right = tensor(plain // 2, device), tensor(plain % 2 == 1, device)
        self._set_source, self._set_right = tensor(members // 2 % width, device), tensor(members % 2, device, "int32")
        bits = np.unpackbits(np.ascontiguousarray(trees.sets).view(np.uint8), axis=1, bitorder="little")
        # A rank beyond the set's bits is in no set.
        outside = np.concatenate([1 - bits, np.ones((len(bits), 1), dtype=np.uint8)], axis=1)
        self._last = outside.shape[1] - 1
        self._outside = tensor(outside.ravel(), device)
        self._begin = tensor(members // 2 // width * outside.shape[1], device)

    def __call__(self, ranks: Tensor) -> Tensor:
        import torch

        plain = ranks.index_select(1, self._source)
        block = plain.masked_fill((plain < 0) & self._right, _BEYOND)
        if len(self._set_source):
            rank = ranks.index_select(1, self._set_source).long()
            outside = self._outside[self._begin + rank.clamp(0, self._last)].int()
            block = torch.cat([block, torch.where(rank < 0, self._set_right, outside)], dim=1)
        # A forest without a single split still has programs that read a column.
        return block if block.shape[1] else ranks.new_zeros((len(ranks), 1))


def tensor(array: np.ndarray, device: str, dtype: str | None = None) -> Tensor:
    """A copy of an array on the device."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(array, dtype=dtype or array.dtype, order="C")).to(device)


# ------------------------------------------------------------------------------------------------------ strategies


def _traversal(trees: Trees, column: np.ndarray, cut: np.ndarray, device: str) -> Callable[[Tensor], Tensor]:
    """Hummingbird's TreeTraversal, on nodes that stand tree after tree without padding. A leaf is its own child."""
    import numpy as np

    own = np.arange(trees.nodes) - np.repeat(trees.roots, trees.ends - trees.roots)
    root = np.arange(trees.nodes) - own
    program = _stub("TreeTraversalTreeImpl", trees.depth())
    program.num_trees = trees.count
    _fill(program, device, lefts=(np.where(trees.leaf, own, own + 1), "int32"),
          rights=(np.where(trees.leaf, own, trees.right - root), "int32"), features=(column, "int64"),
          thresholds=(cut, "int32"), values=(np.arange(trees.nodes)[:, None], "int64"),
          nodes_offset=(trees.roots[None, :], "int64"))  # fmt: skip
    return lambda block: program.forward(block)[:, :, 0]


def _perfect(trees: Trees, column: np.ndarray, cut: np.ndarray, device: str) -> Callable[[Tensor], Tensor]:
    """Hummingbird's PerfectTreeTraversal: every tree filled up to the same depth, a leaf repeated below itself.

    Of two children the right one stands first: the answer to `<=`, 0 or 1, is added to the position.
    """
    import numpy as np
    import torch

    depth = max(1, trees.depth())
    program = _stub("PerfectTreeTraversalTreeImpl", depth)
    program.num_trees = trees.count
    at, levels = trees.roots.astype(np.int64), []
    for _ in range(depth):
        levels.append(at)
        leaf = trees.leaf[at]
        at = np.stack([np.where(leaf, at, trees.right[at]), np.where(leaf, at, at + 1)], axis=1).ravel()
    _fill(program, device, root_nodes=(column[levels[0]], "int64"), root_biases=(cut[levels[0]], "int32"),
          tree_indices=(2 * np.arange(trees.count), "int64"), leaf_nodes=(at[:, None], "int64"))  # fmt: skip
    program.nodes = torch.nn.ParameterList(_fixed(column[level], device, "int64") for level in levels[1:])
    program.biases = torch.nn.ParameterList(_fixed(cut[level], device, "int32") for level in levels[1:])
    return lambda block: program.forward(block)[:, :, 0]


def _gemm(trees: Trees, column: np.ndarray, cut: np.ndarray, device: str) -> Callable[[Tensor], Tensor]:
    """Hummingbird's GEMM: all splits at once, then for each leaf whether every split on its path went its way.

    The first product picks ranks and the last one leaf numbers, both in double, so that nothing is rounded whatever
    precision torch has been told to multiply float32 in. Between them stand only 0, 1, -1 and sums of a few of these.
    """
    import numpy as np

    leaf, tree = trees.leaf, np.repeat(np.arange(trees.count), trees.ends - trees.roots)
    split_at, leaf_at = (_position(mask, trees.roots, tree) for mask in (~leaf, leaf))
    splits, ends = max(1, int(split_at.max(initial=-1)) + 1), int(leaf_at.max()) + 1
    pick = np.zeros((trees.count, splits, int(column.max(initial=0)) + 1))
    bias = np.zeros((trees.count, splits))
    paths, turns = np.zeros((trees.count, ends, splits)), np.zeros((trees.count, ends))
    numbers = np.zeros((trees.count, 1, ends))
    inner, at = np.flatnonzero(~leaf), np.flatnonzero(leaf)
    pick[tree[inner], split_at[inner], column[inner]] = 1
    bias[tree[inner], split_at[inner]] = cut[inner]
    numbers[tree[at], 0, leaf_at[at]] = at
    parent = np.full(trees.nodes, -1, dtype=np.int64)
    parent[inner + 1], parent[trees.right[inner]] = inner, inner
    below = at
    for _ in range(trees.depth()):
        above = parent[below]
        here = above >= 0
        went_left = here & (below == above + 1)
        paths[tree[at[here]], leaf_at[at[here]], split_at[above[here]]] = np.where(went_left[here], 1, -1)
        turns[tree[at], leaf_at[at]] += went_left
        below = np.where(here, above, below)
    program = _stub("GEMMTreeImpl", 1)
    program.n_trees, program.hidden_one_size, program.hidden_two_size = trees.count, splits, ends
    _fill(program, device, weight_1=(pick.reshape(trees.count * splits, -1), "float64"),
          bias_1=(bias.reshape(-1, 1), "float64"), weight_2=(paths, "float32"),
          bias_2=(turns.reshape(-1, 1), "float32"), weight_3=(numbers, "float64"))  # fmt: skip
    return lambda block: program.forward(block.double())[:, 0].t().long()


_BUILDERS = {"gemm": _gemm, "perf_tree_trav": _perfect, "tree_trav": _traversal}


def _position(mask: np.ndarray, roots: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """For the nodes in `mask`, how many such nodes of their tree stand before them; -1 for the others."""
    import numpy as np

    before = np.cumsum(mask) - mask
    return np.where(mask, before - before[roots][tree], -1)


def _stub(name: str, depth: int) -> Any:
    """One of Hummingbird's programs, for a single tree of two leaves: its parts are replaced by `_fill`."""
    import numpy as np

    module = require("hummingbird.ml.operator_converters._tree_implementations", "hummingbird")
    commons = require("hummingbird.ml.operator_converters._tree_commons", "hummingbird")
    operator = SimpleNamespace(full_name=name, inputs=(), outputs=())
    config = {"tree_op_precision_dtype": "float64"}
    lists = [1, -1, -1], [2, -1, -1], [0, 0, 0], [0.0, 0.0, 0.0], np.zeros((3, 1))
    if name == "GEMMTreeImpl":
        weights = commons.get_parameters_for_gemm_common(*lists, 1)
        return getattr(module, name)(operator, [weights], 1, None, 1, extra_config=config)
    nodes = commons.get_parameters_for_tree_trav_common(*lists)
    program = getattr(module, name)(operator, [nodes], 1, 1, None, 1, extra_config=config)
    program.max_tree_depth = depth
    return program


def _fill(program: Any, device: str, **parts: tuple[np.ndarray, str]) -> None:
    for name, (array, dtype) in parts.items():
        setattr(program, name, _fixed(array, device, dtype))


def _fixed(array: np.ndarray, device: str, dtype: str) -> Any:
    import torch

    return torch.nn.Parameter(tensor(array, device, dtype), requires_grad=False)

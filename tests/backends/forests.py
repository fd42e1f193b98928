"""Random forests, and rows of ranks that reach every kind of split."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from slimml.ir.forest import IN_SET, MISSING, MISSING_LEFT, Trees


def random_trees(
    seed: int,
    *,
    count: int = 5,
    depth: int = 4,
    width: int = 3,
    cuts: int = 6,
    outputs: int = 1,
    targets: bool = False,
    missing: bool = True,
    sets: int = 0,
    base: float | None = 0.5,
    dtype: str = "float64",
) -> Trees:
    """A forest whose splits, directions, sets and leaves are drawn from `seed`; `sets` is the number of sets."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[int]] = {name: [] for name in ("feature", "cut", "right", "flags")}
    roots = []
    for _ in range(count):
        roots.append(len(columns["feature"]))
        _grow(rng, columns, depth, width, cuts, missing, sets)
    feature = np.array(columns["feature"], dtype=np.int32)
    values = rng.normal(size=(max(1, int((feature < 0).sum()) // 2), 1 if targets else outputs))
    values[rng.random(values.shape) < 0.1] = 0.0
    cut = np.array(columns["cut"], dtype=np.int32)
    cut[feature < 0] = rng.integers(0, len(values), (feature < 0).sum())
    words = cuts // 32 + 1
    return Trees(
        feature=feature,
        cut=cut,
        right=np.array(columns["right"], dtype=np.int32),
        flags=np.array(columns["flags"], dtype=np.uint8),
        roots=np.array(roots, dtype=np.int32),
        values=values.astype(dtype),
        sets=rng.integers(0, 2**32, (sets, words), dtype=np.uint32),
        targets=rng.integers(0, outputs, count).astype(np.int32) if targets else np.zeros(0, dtype=np.int32),
        base=(rng.normal(size=outputs) if base is None else np.full(outputs, base)).astype(dtype),
    )


def _grow(rng, columns, depth, width, cuts, missing, sets) -> None:
    """Append one tree in preorder; an explicit stack of (depth left, node whose right child this is)."""
    stack = [(depth, -1)]
    while stack:
        left, parent = stack.pop()
        at = len(columns["feature"])
        if parent >= 0:
            columns["right"][parent] = at
        leaf = left == 0 or rng.random() < 0.15
        in_set = not leaf and sets > 0 and rng.random() < 0.4
        columns["feature"].append(-1 if leaf else int(rng.integers(width)))
        columns["cut"].append(0 if leaf else int(rng.integers(sets if in_set else cuts)))
        columns["right"].append(0)
        goes_left = not leaf and missing and rng.random() < 0.5
        columns["flags"].append(int(IN_SET) * in_set + int(MISSING_LEFT) * goes_left)
        if not leaf:
            stack += [(left - 1, at), (left - 1, -1)]


def random_ranks(seed: int, trees: Trees, width: int, rows: int, *, missing: bool = True) -> np.ndarray:
    """Ranks from -1 (where missing) to beyond every cut and set."""
    rng = np.random.default_rng(seed)
    inner = trees.feature >= 0
    high = max(int(trees.cut[inner].max(initial=0)) + 2, trees.sets.shape[1] * 32 + 2 if len(trees.sets) else 0)
    return rng.integers(MISSING if missing else 0, high, (rows, width)).astype(np.int32)


shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "count": st.integers(1, 9),
        "depth": st.integers(0, 6),
        "width": st.integers(1, 5),
        "cuts": st.sampled_from([1, 3, 29, 30, 31, 32, 33, 70]),
        "outputs": st.integers(1, 4),
        "targets": st.booleans(),
        "missing": st.booleans(),
        "sets": st.sampled_from([0, 0, 3]),
        "base": st.sampled_from([0.0, 0.1, None]),
        "dtype": st.sampled_from(["float64", "float32"]),
    }
)

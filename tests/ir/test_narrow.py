"""A narrowed node computes the columns that it was narrowed to, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

from slimml.ir.graph import evaluate
from slimml.ir.narrow import narrowed
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Concat, Input, Select
from slimml.ir.ops.numeric import Add, FillMissing, Guard, IsMissing
from slimml.schema import NUMBER

X = Input(kind=NUMBER, columns=(0, 1, 2))


def table() -> Node:
    """Six columns: three guarded numbers, filled and shifted, beside where they are missing."""
    guard = Guard(inputs=(X,), low=np.full(3, -9.0), high=np.full(3, 9.0), missing=np.ones(3, dtype=bool))
    filled = FillMissing(inputs=(guard,), sentinel=float("nan"), fill=(1.0, 2.0, 3.0))
    shifted = Add(inputs=(filled,), value=np.array([0.5, 0.25, 0.125]))
    turned = Select(inputs=(IsMissing(inputs=(guard,), sentinel=float("nan")),), index=np.array([2, 0, 1]))
    return Concat(inputs=(shifted, Cast(inputs=(turned,), dtype="bool")))


@pytest.mark.parametrize("columns", [[], [0], [4, 1], [5, 5, 0], [5, 4, 3, 2, 1, 0]])
def test_a_narrowed_node_computes_its_columns(columns: list[int]):
    rows = np.array([[1.0, np.nan, -2.0], [np.nan, 0.0, np.nan]])
    whole, at = table(), np.array(columns, dtype=np.int64)
    narrow = narrowed(whole, at)
    values = evaluate([whole, narrow], {X: rows})
    np.testing.assert_array_equal(values[narrow], values[whole][:, at])
    assert narrow.type.dtype == whole.type.dtype

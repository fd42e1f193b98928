"""Doubles and floats next to each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.ir.floats import narrowed


@given(st.floats(allow_nan=False), st.integers(-2, 2))
def test_narrowed_cuts_part_every_double_as_before_or_there_are_none(cut, steps):
    with np.errstate(over="ignore"):
        low = np.array([cut]).astype(np.float32)
    for _ in range(abs(steps)):
        low = np.nextafter(low, np.float32(np.inf * steps))
    cuts = np.array([cut]) if steps == 0 else low.astype(np.float64)
    found = narrowed(cuts)
    near = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
    with np.errstate(over="ignore"):
        near = np.concatenate([near, near * (1 + 2e-8), near * (1 - 6e-8)])
    near = np.concatenate([near, [0.0, 1e-46, -1e-46, 1e39, np.inf, -np.inf]])
    if found is not None:
        with np.errstate(over="ignore"):
            assert np.array_equal(near.astype(np.float32) <= found, near <= cuts)


@pytest.mark.parametrize(
    ("cut", "exact"), [(np.nextafter(1 + 2**-24, 0), False), (1 + 2**-24, True), (1.0, False), (0.0, False)]
)
def test_the_last_double_that_rounds_to_a_float_is_its_cut(cut, exact):
    assert (narrowed(np.array([cut])) is not None) is exact

"""What a step function of f(x) is as one of x: every float next to a cut is asked, on both sides."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.floats import from_keys, highest, to_keys
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Input
from slimml.ir.ops.curves import BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER, PowerCurve, QuantileCurve
from slimml.ir.ops.functions import FUNCTIONS, Apply
from slimml.ir.ops.numeric import (
    Add,
    Affine,
    Binarize,
    Clip,
    Divide,
    FillMissing,
    IsMissing,
    Multiply,
    Nudge,
    Subtract,
)
from slimml.ir.ops.splines import Splines
from slimml.passes.folding import cells as folding
from slimml.passes.folding.cells import Cells, Link, UnfoldableError, pulled
from slimml.passes.folding.links import ULPS, link, spline
from slimml.passes.folding.powers import pulled_curve

MAX = float(np.finfo(np.float64).max)
STRANGE = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, MAX, -MAX, 1.0, -1.0, 0.5, 3.0, 1e-30, -7.25, 1e30]
finite = st.floats(-1e308, 1e308)
scales = st.floats(1e-300, 1e300).flatmap(lambda v: st.sampled_from([v, -v]))


def raw(dtype: str = "float64") -> Input:
    return Input(kind="number" if dtype == "float64" else "float32", columns=(0,))


def steps(cuts, missing: int = 7) -> Cells:
    """The rank of y is how many of the cuts are below it."""
    cuts = np.unique(np.asarray(cuts, dtype=np.float64)) + 0.0
    return Cells(cuts, np.arange(len(cuts) + 1, dtype=np.int32), missing, 0)


def probes(cells: Cells, dtype: np.dtype, reach: int = 40) -> np.ndarray:
    """Floats around every cut, those at which floats are strange, and some anywhere."""
    keys = to_keys(cells.cuts.astype(dtype))
    near = (keys[:, None] + np.arange(-reach, reach + 1)).ravel()
    top = highest(dtype)
    spread = np.random.default_rng(0).integers(-top, top, 2000)
    with np.errstate(over="ignore"):
        return np.concatenate([from_keys(np.clip(np.append(near, spread), -top, top), dtype), np.array(STRANGE, dtype)])


def check(node: Node, after: Cells, found: Cells) -> None:
    """Each probe has the rank of its image."""
    x = probes(found, np.dtype(node.source.dtype))
    with np.errstate(all="ignore"):
        y = node.evaluate(x[:, None])[:, 0]
    np.testing.assert_array_equal(found.of(x), after.of(y), err_msg=f"{node}")


def pull(node: Node, after: Cells) -> Cells:
    return pulled(after, link(node, 0), np.dtype(node.source.dtype))


def one(value: float, dtype: str = "float64") -> np.ndarray:
    return np.array([value], dtype=dtype)


def arithmetic(kind: Any, value: float) -> Node:
    return kind(inputs=(raw(),), value=one(value))


@given(st.sampled_from([Add, Subtract]), finite, st.lists(finite, min_size=1, max_size=5))
def test_shifts_move_every_cut_to_the_last_float_on_its_side(kind, value, cuts):
    node = arithmetic(kind, value)
    check(node, steps(cuts), pull(node, steps(cuts)))


@given(st.sampled_from([Multiply, Divide]), scales, st.lists(finite, min_size=1, max_size=5))
def test_scales_move_every_cut_and_negative_ones_turn_the_order_round(kind, value, cuts):
    node = arithmetic(kind, value)
    check(node, steps(cuts), pull(node, steps(cuts)))


@pytest.mark.parametrize("kind", [Add, Subtract, Multiply, Divide])
@pytest.mark.parametrize("value", [0.0, -0.0, np.inf, -np.inf, 5e-324])
def test_operands_that_make_nan_or_infinity_are_followed(kind, value):
    node, after = arithmetic(kind, value), steps([-3.0, 0.0, 2.0])
    try:
        found = pull(node, after)
    except UnfoldableError as reason:
        assert "-0.0 from 0.0" in str(reason) and kind is Divide
        return
    check(node, after, found)


@given(scales, finite, st.lists(finite, min_size=1, max_size=5))
def test_affine_steps_are_followed(scale, shift, cuts):
    node = Affine(inputs=(raw(),), scale=one(scale), shift=one(shift))
    check(node, steps(cuts), pull(node, steps(cuts)))


@given(st.lists(st.floats(-(2.0**127), 2.0**127, width=32), min_size=1, max_size=6))
def test_float32_cuts_become_the_last_doubles_that_round_to_their_side(cuts):
    node = Cast(inputs=(raw(),), dtype="float32")
    found = pull(node, steps(cuts))
    check(node, steps(cuts), found)
    for cut in found.cuts:
        assert np.float32(cut) < np.float32(np.nextafter(cut, np.inf))


def quantiles(seen: list[float], margin: float, dtype: str = "float64") -> Node:
    shares = np.linspace(0, 1, len(seen))
    return QuantileCurve(inputs=(raw(dtype),), quantiles=np.array([seen]), references=shares, margin=margin)


OPS = [
    Clip(inputs=(raw(),), low=-1.5, high=2.25),
    Clip(inputs=(raw("float32"),), low=-0.1, high=0.1),
    Binarize(inputs=(raw(),), threshold=0.3),
    Nudge(inputs=(raw(),), scale=1e-5, shift=1e-8),
    Nudge(inputs=(raw(),), scale=0.3, shift=0.7),
    FillMissing(inputs=(raw(),), sentinel=-1, fill=(2.5,)),
    FillMissing(inputs=(raw("float32"),), sentinel=0.1, fill=(-4.0,)),
    FillMissing(inputs=(raw(),), sentinel=float("nan"), fill=(0.75,)),
    FillMissing(inputs=(raw(),), sentinel=float("nan"), fill=(float("nan"),)),
    FillMissing(inputs=(raw(),), sentinel=0, fill=(float("nan"),)),
    quantiles([-2.0, -1.0, -1.0, 0.1, 7.0], 1e-7),
    quantiles([0.0, 0.1, 0.3, 0.3, 9.5], 0.0, "float32"),
    quantiles([1e12, 1e12, 1e12], 1e-7),
]


@pytest.mark.parametrize("node", OPS, ids=lambda n: f"{type(n).__name__}-{n.source.dtype}")
@given(cuts=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=6))
def test_ops_that_turn_or_jump_are_followed(node, cuts):
    check(node, steps(cuts), pull(node, steps(cuts)))


def test_missing_values_are_told_from_numbers():
    node = IsMissing(inputs=(raw(),), sentinel=float("nan"))
    found = pull(node, steps([0.5]))
    assert (found.cuts.tolist(), found.ranks.tolist(), found.missing) == ([], [0], 1)


def test_imputed_missing_values_have_the_rank_of_their_fill():
    node = FillMissing(inputs=(raw(),), sentinel=float("nan"), fill=(2.0,))
    assert pull(node, steps([1.0, 3.0])).missing == 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_followed_or_named(name, dtype):
    node = Apply(inputs=(raw(dtype),), function=name)
    after = steps(np.array([-2.0, -0.3, 0.0, 0.7, 0.99, 1.5, 3.0, 40.0], dtype=dtype))
    if name in ("sin", "cos", "tan"):
        with pytest.raises(UnfoldableError, match="rises and falls without end"):
            pull(node, after)
        return
    try:
        found = pull(node, after)
    except UnfoldableError as reason:
        assert (name, str(reason)) == ("reciprocal", "tells -0.0 from 0.0")
        return
    check(node, after, found)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", [BOX_COX, YEO_JOHNSON, YEO_JOHNSON_POWER])
@pytest.mark.parametrize("power", [-5.4, -0.5, 0.0, 0.3, 1.0, 2.0, 8.1])
def test_power_curves_are_followed_or_too_flat(kind, power, dtype):
    node = PowerCurve(inputs=(raw(dtype),), kind=kind, lambdas=one(power, dtype))
    after = steps(np.array([-2.0, -0.05, 0.04, 0.11, 1.5], dtype=dtype))
    try:
        found = pull(node, after)
    except UnfoldableError as reason:
        assert "flat" in str(reason) or "zigzags" in str(reason)
        return
    check(node, after, found)


@pytest.mark.parametrize("power", [-5.4, -0.5, 0.0, 0.3, 1.0, 2.0, 8.1])
def test_yeo_johnson_is_followed_function_by_function(power):
    node = PowerCurve(inputs=(raw(),), kind=YEO_JOHNSON, lambdas=one(power))
    after = steps([-2.0, -0.05, 0.0, 0.04, 0.11, 0.18, 1.5])
    check(node, after, pulled_curve(after, node, 0))


@pytest.mark.parametrize("outside", ["constant", "linear"])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_splines_are_followed(outside, degree):
    knots = np.concatenate([np.full(degree, -1.0), [-1.0, 0.25, 1.0, 4.0], np.full(degree, 4.0)])[None]
    node = Splines(inputs=(raw(),), knots=knots, degree=degree, outside=outside, edges=np.array([degree]), spread=False)
    after = steps([0.0, 0.1, 0.24, 0.6, 0.9])
    for column in range(node.each):
        found = pulled(after, spline(node, column), np.dtype(np.float64))
        x = probes(found, np.dtype(np.float64))
        x = x[np.isnan(x) | (np.abs(x) < 1e100)]
        np.testing.assert_array_equal(found.of(x), after.of(node.evaluate(x[:, None])[:, column]))


def test_stored_entries_of_csr_are_followed():
    sparse = Multiply(inputs=(_Sparse(),), value=one(-0.3))
    after = steps([-0.5, 0.4])
    found = pulled(after, link(sparse, 0), np.dtype(np.float64))
    x = probes(found, np.dtype(np.float64))
    y = sparse.evaluate(Csr(x, np.zeros(len(x), np.int64), np.arange(len(x) + 1), 1)).data
    np.testing.assert_array_equal(found.of(x), after.of(y))


def test_entries_that_csr_stores_no_more_are_what_it_does_not_store():
    """What Binarizer drops of a sparse row XGBoost takes for missing, zeros that are stored for 0."""
    sparse = Binarize(inputs=(_Sparse(),), threshold=0.5)
    after = replace(steps([0.0, 0.9]), missing=-1, absent=7)
    found = pulled(after, link(sparse, 0), np.dtype(np.float64))
    np.testing.assert_array_equal(found.of(np.array([-3.0, 0.0, 0.5, 0.6, np.nan])), [7, 7, 7, 2, 7])


def test_rounding_at_the_top_of_a_spline_is_not_overlooked():
    knots = np.array([[-2.0, -2.0, -2.0, -2.0, 0.5, 3.0, 5.5, 5.5, 5.5, 5.5]])
    node = Splines(inputs=(raw(),), knots=knots, degree=3, outside="constant", edges=np.array([3]), spread=False)
    near = 0.5 + np.random.default_rng(0).uniform(-2e-8, 2e-8, 20_000)
    for column in range(node.each):
        turns = spline(node, column).breaks
        for turn in turns[np.isfinite(turns)].tolist():
            x = np.concatenate([near - 0.5 + turn, [turn]])
            seen = np.unique(node.evaluate(x[:, None])[:, column])
            after = steps(seen[-3:-1] if len(seen) > 2 else seen[:1])
            try:
                found = pulled(after, spline(node, column), np.dtype(np.float64))
            except UnfoldableError as reason:
                assert "turns next to a cut" in str(reason) or "flat" in str(reason) or "zigzags" in str(reason)
            else:
                np.testing.assert_array_equal(found.of(x), after.of(node.evaluate(x[:, None])[:, column]))


class _Sparse(Input):
    def __init__(self) -> None:
        super().__init__(kind="number", columns=(0,))

    def infer(self):
        from slimml.ir.types import ValueType

        return ValueType("float64", (Domain(),), "csr")


def bumpy(x: np.ndarray) -> np.ndarray:
    """Rises, but for rounding: every third float is an ulp too high, every seventh two too low."""
    keys = to_keys(x)
    bump = np.where(keys % 3 == 0, 1, 0) - np.where(keys % 7 == 0, 2, 0)
    return np.asarray(from_keys(to_keys(2.0 * x) + bump, x.dtype))


def test_zigzags_around_a_cut_get_ranks_of_their_own():
    def slack(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 3 * np.spacing(np.abs(y))

    after = steps([0.3, 1.1, 2.3, math.pi, 7.7, 19.0])
    found = pulled(after, Link(bumpy, slack=slack), np.dtype(np.float64))
    assert len(found.cuts) > len(after.cuts)
    x = probes(found, np.dtype(np.float64))
    x = x[(np.abs(x) > 1e-300) & (np.abs(x) < 1e300)]
    np.testing.assert_array_equal(found.of(x), after.of(bumpy(x)))
    # Without asking every float around the cut some go the wrong way.
    plain = pulled(after, Link(bumpy), np.dtype(np.float64))
    assert (plain.of(x) != after.of(bumpy(x))).any()


def test_zigzags_wider_than_can_be_asked_are_refused(monkeypatch):
    monkeypatch.setattr(folding, "_SCANNED", 1 << 10)

    def noisy(x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(x - 1) < 1e-6, 1.0 + np.sin(1e13 * (x - 1)), x)

    with pytest.raises(UnfoldableError, match="zigzags farther"):
        pulled(steps([1.0]), Link(noisy, slack=lambda x, y: np.full(x.shape, 1e-6)), np.dtype(np.float64))


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "log2", "log10", "exp2", "sinh", "cosh", "tanh",
                                  "arcsinh", "arccosh", "arctanh", "arcsin", "arccos", "arctan", "cbrt"])  # fmt: skip
def test_numpys_functions_are_within_the_bounds_that_windows_are_made_of(name):
    function = getattr(np, name)
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for dtype, better in ((np.float64, np.longdouble), (np.float32, np.float64)):
            ends = {"exp": 700, "exp2": 1000, "sinh": 700, "cosh": 700, "expm1": 700}.get(name, 1e30)
            ends = min(ends, 80) if dtype == np.float32 else ends
            x = np.concatenate(
                [rng.normal(size=200_000), rng.uniform(-1, 1, 200_000), rng.uniform(-ends, ends, 200_000)]
            )
            x = x.astype(dtype)
            y, true = function(x), function(x.astype(better))
            known = np.isfinite(y) & (np.abs(y) > np.finfo(dtype).tiny)
            off = np.abs(y[known].astype(better) - true[known]) / np.spacing(np.abs(y[known])).astype(better)
            assert off.max() <= ULPS[np.dtype(dtype).name], (dtype, float(off.max()))


def test_a_folded_cut_that_was_solved_for_is_not_the_last_float():
    """`cut * scale + mean` is off by an ulp for some cuts: what the bisection is for."""
    rng = np.random.default_rng(0)
    mean, scale = 38.581646755, 13.64043144
    cuts = rng.normal(size=400)
    node = Subtract(inputs=(raw(),), value=one(mean))
    found = pull(node, pull(Divide(inputs=(node,), value=one(scale)), steps(cuts)))
    solved = np.sort(cuts) * scale + mean
    assert 0 < (found.cuts != solved).sum()
    with np.errstate(all="ignore"):
        x = np.nextafter(found.cuts, np.inf)
        assert ((found.cuts - mean) / scale <= np.sort(cuts)).all() and ((x - mean) / scale > np.sort(cuts)).all()

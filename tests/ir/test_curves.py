"""Curves, products, splines and norms: what contradicts itself is refused before it is computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.columns import Constant, Input
from slimml.ir.ops.curves import PowerCurve, QuantileBack, QuantileCurve
from slimml.ir.ops.functions import Apply
from slimml.ir.ops.numeric import WhereMissing
from slimml.ir.ops.products import Products
from slimml.ir.ops.splines import Splines
from slimml.ir.ops.text import UnitRows

X = Input(kind="number", columns=(0, 1))
KNOTS = np.tile(np.arange(8.0), (2, 1))
WHOLE = np.array([3, 3])
GOOD = {
    "apply": Apply(inputs=(X,), function="log1p"),
    "power": PowerCurve(inputs=(X,), kind="box-cox", lambdas=np.array([0.5, 0.0])),
    "quantile": QuantileCurve(inputs=(X,), quantiles=KNOTS, references=np.linspace(0, 1, 8), margin=0.0),
    "power back": PowerCurve(inputs=(X,), kind="yeo-johnson-back", lambdas=np.array([0.5, 0.0])),
    "quantile back": QuantileBack(inputs=(X,), quantiles=KNOTS, references=np.linspace(0, 1, 8), margin=1e-7),
    "products": Products(inputs=(X,), parent=np.array([-2, -1, -1, 1]), column=np.array([0, 0, 1, 1])),
    "splines": Splines(inputs=(X,), knots=KNOTS, degree=3, outside="constant", edges=WHOLE, spread=True),
    "rows": UnitRows(inputs=(X,), norm="l2"),
}
NAN_ROW = np.array([[0.0] * 8, [0.0, np.nan, *range(6)]])
BAD = [
    ("apply", {"function": "eval"}),
    ("power", {"kind": "cube"}),
    ("power", {"lambdas": np.zeros(3)}),
    ("power", {"lambdas": np.zeros(2, dtype=np.int64)}),
    ("quantile", {"quantiles": KNOTS[:1]}),
    ("quantile", {"quantiles": -KNOTS}),
    ("quantile", {"quantiles": KNOTS[:, :0], "references": np.zeros(0)}),
    ("quantile", {"references": np.linspace(0, 2, 8)}),
    ("quantile", {"references": np.linspace(1, 0, 8)}),
    ("quantile", {"references": np.full(8, np.nan)}),
    ("quantile", {"margin": -1.0}),
    ("quantile", {"margin": float("nan")}),
    ("quantile back", {"quantiles": -KNOTS}),
    ("quantile back", {"quantiles": KNOTS[:1]}),
    ("quantile back", {"quantiles": np.full((2, 8), np.inf)}),
    ("quantile back", {"references": np.linspace(0, 2, 8)}),
    ("quantile back", {"margin": -1.0}),
    ("products", {"parent": np.array([-2, -1, -1, 3])}),
    ("products", {"parent": np.array([-3, -1, -1, 1])}),
    ("products", {"column": np.array([0, 0, 1, 2])}),
    ("products", {"column": np.array([0, 0, 1, -1])}),
    ("products", {"column": np.array([0, 0, 1])}),
    ("products", {"column": np.array([0.0, 0.0, 1.0, 1.0])}),
    ("splines", {"degree": 4}),
    ("splines", {"degree": -1}),
    ("splines", {"degree": 10**9}),
    ("splines", {"knots": KNOTS[:1]}),
    ("splines", {"knots": -KNOTS}),
    ("splines", {"knots": NAN_ROW}),
    ("splines", {"knots": KNOTS.astype(np.float32)}),
    ("splines", {"outside": "mirror"}),
    ("splines", {"outside": "periodic", "degree": 3}),
    ("splines", {"degree": 0}),
    ("splines", {"edges": np.array([3, 4])}),
    ("splines", {"edges": np.array([-1, 3])}),
    ("splines", {"edges": np.array([3])}),
    ("rows", {"norm": "l3"}),
    ("rows", {"least": float("nan")}),
]


@pytest.mark.parametrize(("name", "change"), BAD, ids=[f"{n}-{'-'.join(c)}-{i}" for i, (n, c) in enumerate(BAD)])
def test_fields_that_contradict_each_other_are_refused(name, change):
    with pytest.raises(MalformedGraphError):
        replace(GOOD[name], **change)


def test_gaps_are_one_column_of_the_dtype_of_what_fills_them():
    for inputs in ((X, X), (Input(kind="float32", columns=(0,)), X), (X,)):
        with pytest.raises(MalformedGraphError):
            WhereMissing(inputs=inputs)


@pytest.mark.parametrize("name", GOOD)
def test_curves_take_no_rows_and_whole_blocks(name):
    node = GOOD[name]
    rows = np.abs(np.random.default_rng(0).normal(size=(5, 2)))
    assert node.evaluate(rows[:0]).shape == (0, node.type.width)
    whole = node.evaluate(rows)
    np.testing.assert_array_equal(whole, np.concatenate([node.evaluate(rows[i : i + 1]) for i in range(5)]))
    assert whole.shape == (5, node.type.width) and whole.dtype == np.float64


@pytest.mark.parametrize("scale", [1.0, 1e-310, 1.5e308])
def test_quantiles_so_close_or_far_that_a_slope_overflows_may_make_nan(scale):
    curve = QuantileCurve(
        inputs=(Constant(inputs=(X,), value=np.zeros(1)),), quantiles=np.array([[-1.0, 0.3, 1.0]]) * scale,
        references=np.array([0.0, 0.5, 1.0]), margin=0.0,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        made = np.isnan(curve.evaluate(np.linspace(-1, 1, 99)[:, None] * scale)).any()
    assert curve.type.domains[0].missing == (scale != 1.0)
    assert curve.type.domains[0].missing or not made


@pytest.mark.parametrize("scale", [1.0, 1e-310])
def test_splines_of_knots_so_close_that_a_quotient_overflows_may_make_nan(scale):
    knots = np.array([[-1.0, -1.0, 0.3, 1.0, 1.0]]) * scale
    node = Splines(
        inputs=(Constant(inputs=(X,), value=np.zeros(1)),), knots=knots, degree=1, outside="constant",
        edges=np.array([1]), spread=False,
    )  # fmt: skip
    assert {d.missing for d in node.type.domains} == {scale != 1.0}

"""Error bounds: sound against exact arithmetic, and no wider than what rounding explains."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from slimml.errors import InternalError
from slimml.ir import csr
from slimml.ir.domain import Domain
from slimml.ir.graph import Graph, Output, evaluate
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot
from slimml.ir.ops.columns import Concat, Input, Select
from slimml.ir.ops.heads import ArgMax, Complement, Exp, IsPositive, Log, NormalizeRows, Sigmoid, Softmax
from slimml.ir.ops.models import Linear, LinearTable
from slimml.ir.ops.numeric import Affine, Divide, Subtract, Sum
from slimml.ir.ops.ranks import Rank
from slimml.ir.types import ValueType
from slimml.parity.bound import RULES, added, bounds
from slimml.plan.ops import SPECS
from slimml.schema import Column, Schema

getcontext().prec = 60
WIDTH, CLASSES = 4, 3
numbers = st.floats(-1e6, 1e6)


def schema(width: int = WIDTH) -> Schema:
    return Schema(tuple(Column(f"x{i}") for i in range(width)), named=False)


def graph_of(end: Node, *, labels: tuple[np.ndarray, ...] = ()) -> Graph:
    return Graph(schema(), (Output("predict", (end,), "matrix", labels),))


def bounded(end: Node, x: np.ndarray, **more) -> tuple[np.ndarray, np.ndarray]:
    """The value and the bound of a node."""
    graph = graph_of(end, **more)
    values = evaluate([end], {graph.inputs()[0]: x})
    (bound,) = bounds(graph, values)["predict"]
    value = values[end]
    assert isinstance(value, np.ndarray)
    return value, np.zeros(value.shape) if bound is None else bound


def raw() -> Input:
    return Input(kind="number", columns=tuple(range(WIDTH)))


def linear(x: Node, weights: np.ndarray, bias: np.ndarray) -> Linear:
    return Linear(inputs=(x,), weights=weights, bias=bias)


def exact_linear(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> list[list[Fraction]]:
    sums = []
    for row in x.tolist():
        of_row = []
        for w, b in zip(weights.tolist(), bias.tolist(), strict=True):
            of_row.append(sum((Fraction(p) * Fraction(q) for p, q in zip(row, w, strict=True)), Fraction(b)))
        sums.append(of_row)
    return sums


rows = arrays(np.float64, (3, WIDTH), elements=numbers)
weights_of = arrays(np.float64, (CLASSES, WIDTH), elements=st.floats(-30, 30))
bias_of = arrays(np.float64, CLASSES, elements=st.floats(-30, 30))


@given(rows, weights_of, bias_of)
def test_linear_sums_are_within_their_bound_of_the_exact_sum(x, weights, bias):
    value, bound = bounded(linear(raw(), weights, bias), x)
    for i, row in enumerate(exact_linear(x, weights, bias)):
        for k, exact in enumerate(row):
            assert abs(Fraction(float(value[i, k])) - exact) <= Fraction(float(bound[i, k]))


@given(rows, weights_of, bias_of, arrays(np.float64, (6, CLASSES), elements=numbers), st.integers(0, 2**32))
def test_heads_of_numbers_and_codes_are_within_their_bound_of_the_exact_sum(x, weights, bias, table, seed):
    rng = np.random.default_rng(seed)
    x[rng.random(x.shape) < 0.3] = np.nan
    source, missing = raw(), rng.normal(size=(CLASSES, WIDTH))
    rank = Rank(inputs=(source,), cuts=np.zeros(1), offsets=np.array([0, 1, 1, 1, 1]), table=np.zeros(0, np.int32))
    codes = Select(inputs=(rank,), index=np.array([0, 0]))
    head = LinearTable(
        inputs=(source, codes), weights=weights, bias=bias, gaps=np.arange(WIDTH), missing=missing, table=table,
        offsets=np.array([0, 3, 6]),
    )  # fmt: skip
    value, bound = bounded(head, x)
    present = np.where(np.isnan(x), 0.0, x)
    at = np.where(np.isnan(x[:, 0]), 2, x[:, 0] > 0).astype(int)
    for i, row in enumerate(exact_linear(present, weights, bias)):
        for k, exact in enumerate(row):
            added_up = [*missing[k, np.isnan(x[i])].tolist(), table[at[i], k], table[3 + at[i], k]]
            whole = exact + sum(Fraction(float(t)) for t in added_up)
            assert abs(Fraction(float(value[i, k])) - whole) <= Fraction(float(bound[i, k]))


@given(rows, weights_of, bias_of, arrays(np.float64, WIDTH, elements=numbers), st.integers(0, 2**32))
def test_a_folded_scaler_is_within_both_bounds_of_the_steps(x, weights, bias, mean, seed):
    scale = np.random.default_rng(seed).uniform(0.01, 100, WIDTH)
    # The pass folds no weight into a subnormal number, whose rounding error is not relative.
    assume(not np.any((np.abs(weights / scale) < np.finfo(np.float64).tiny) & (weights != 0)))
    source = raw()
    steps = Divide(inputs=(Subtract(inputs=(source,), value=mean),), value=scale)
    folded = linear(source, weights / scale, bias - (mean / scale) @ weights.T)
    one, bound_one = bounded(linear(steps, weights, bias), x)
    other, bound_other = bounded(folded, x)
    assert (np.abs(one - other) <= bound_one + bound_other).all()


@given(rows, weights_of, bias_of)
def test_softmax_is_within_its_bound_of_the_exact_one(x, weights, bias):
    x = x / 1e4
    value, bound = bounded(Softmax(inputs=(linear(raw(), weights, bias),)), x)
    for i, row in enumerate(exact_linear(x, weights, bias)):
        scores = [Decimal(s.numerator) / Decimal(s.denominator) for s in row]
        raised = [(s - max(scores)).exp() for s in scores]
        for k in range(CLASSES):
            assert abs(Decimal(float(value[i, k])) - raised[k] / sum(raised)) <= Decimal(float(bound[i, k]))


@given(rows, weights_of, bias_of)
def test_log_of_sigmoid_is_within_its_bound_of_the_exact_one(x, weights, bias):
    x = x / 1e4
    one_column = weights[:1], bias[:1]
    value, bound = bounded(Log(inputs=(Sigmoid(inputs=(linear(raw(), *one_column),)),)), x)
    for i, (exact,) in enumerate(exact_linear(x, *one_column)):
        score = Decimal(exact.numerator) / Decimal(exact.denominator)
        log = -(1 + (-score).exp()).ln()
        if np.isfinite(value[i, 0]) and np.isfinite(bound[i, 0]):
            assert abs(Decimal(float(value[i, 0])) - log) <= Decimal(float(bound[i, 0]))


@given(arrays(np.float64, (2, CLASSES), elements=st.floats(-700, 700)), st.integers(0, 2**32))
def test_shares_of_exponentials_are_within_their_bound(x, seed):
    # Inputs moved by as much as their own bound says they may.
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(0, 1, (CLASSES, WIDTH)), np.zeros(CLASSES)
    rows = rng.normal(0, 100, (2, WIDTH))
    shares = NormalizeRows(inputs=(Exp(inputs=(linear(raw(), weights, bias),)),))
    value, bound = bounded(shares, rows)
    for i, row in enumerate(exact_linear(rows, weights, bias)):
        raised = [(Decimal(s.numerator) / Decimal(s.denominator)).exp() for s in row]
        for k in range(CLASSES):
            assert abs(Decimal(float(value[i, k])) - raised[k] / sum(raised)) <= Decimal(float(bound[i, k]))


def test_exact_steps_stay_exact():
    x = np.random.default_rng(0).normal(0, 3, (50, WIDTH))
    steps = Divide(inputs=(Subtract(inputs=(raw(),), value=np.ones(WIDTH)),), value=np.full(WIDTH, 3.0))
    assert (bounded(steps, x)[1] == 0).all()
    one = Select(inputs=(steps,), index=np.array([0]))
    assert (bounded(Complement(inputs=(one,)), x)[1] == 0).all()


def test_a_tie_of_exact_numbers_is_decided():
    x = np.array([[0.5, 0.5, 0.0, 0.0]])
    labels = (np.arange(WIDTH),)
    assert not bounded(ArgMax(inputs=(raw(),)), x, labels=labels)[1].any()


@given(st.floats(0, 1e-12))
def test_a_label_may_change_only_where_its_margin_is_within_rounding(margin):
    weights = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    x = np.array([[1.0 + margin, 1.0, 0, 0], [1.0, 1.0 + margin, 0, 0], [1.0, 2.0, 0, 0]])
    scores = linear(raw(), weights, np.zeros(2))
    fragile = bounded(ArgMax(inputs=(scores,)), x, labels=(np.arange(2),))[1][:, 0]
    reach = 2 * 4 * np.finfo(float).eps
    assert fragile[0] == fragile[1]
    if margin > 4 * reach or margin < reach / 4:
        assert fragile[0] == (margin < reach)
    assert not fragile[2]


def test_a_sign_is_fragile_only_around_zero():
    x = np.array([[1.0, -1.0, 0, 0], [1.0, -1.0 + 1e-9, 0, 0]])
    sign = IsPositive(inputs=(linear(raw(), np.array([[3.3, 3.3, 0, 0]]), np.zeros(1)),))
    assert bounded(sign, x, labels=(np.arange(2),))[1][:, 0].tolist() == [True, False]


def test_terms_that_overflow_have_no_bound():
    x = np.array([[1e308, -1e308, 0.0, 0.0]])
    with np.errstate(all="ignore"):
        _, bound = bounded(linear(raw(), np.array([[10.0, 10.0, 0, 0]]), np.zeros(1)), x)
    assert np.isinf(bound).all()


def test_affine_counts_its_own_two_terms():
    x = np.full((1, WIDTH), 1.0)
    value, bound = bounded(Affine(inputs=(raw(),), scale=np.full(WIDTH, 1e9), shift=np.full(WIDTH, -1e9)), x)
    assert (value == 0).all()
    assert bound[0, 0] == pytest.approx(4 * np.finfo(float).eps * 2e9)


def test_sparse_rows_have_the_bounds_of_dense_ones():
    class Given(Node):
        """A csr block that is handed in."""

        def infer(self) -> ValueType:
            return ValueType("float64", (Domain(),) * WIDTH, "csr")

        def evaluate(self, x: np.ndarray) -> csr.Csr:
            return csr.from_dense(x)

    x = np.random.default_rng(1).normal(0, 1, (9, WIDTH)) * (np.arange(WIDTH) > 1)
    weights, bias = np.random.default_rng(2).normal(0, 1, (2, WIDTH)), np.ones(2)
    dense = bounded(linear(raw(), weights, bias), x)[1]
    sparse = bounded(linear(Given(inputs=(raw(),)), weights, bias), x)[1]
    assert np.allclose(dense, sparse, rtol=1e-12, atol=0)


def test_two_sides_add_up():
    end = linear(raw(), np.ones((1, WIDTH)), np.zeros(1))
    graph = graph_of(end)
    values = evaluate([end], {graph.inputs()[0]: np.ones((2, WIDTH))})
    once = bounds(graph, values)
    (single,), (double,) = once["predict"], added(once, once)["predict"]
    assert single is not None
    assert double is not None
    assert (double == 2 * single).all()


def test_every_op_of_the_plan_has_a_rule():
    # What another engine runs stands in no graph that is evaluated.
    assert set(SPECS) - set(RULES) <= {"OnnxCall", "TreeliteCall"}


def test_an_op_without_a_rule_is_refused_where_its_input_is_not_exact():
    class Cube(Node):
        """y = x ** 3"""

        def infer(self) -> ValueType:
            return self.source

        def evaluate(self, x: np.ndarray) -> np.ndarray:
            return x**3

    with pytest.raises(InternalError, match="Cube"):
        bounded(Cube(inputs=(linear(raw(), np.eye(WIDTH), np.zeros(WIDTH)),)), np.ones((1, WIDTH)))
    assert (bounded(Cube(inputs=(raw(),)), np.ones((1, WIDTH)))[1] == 0).all()


def test_blocks_side_by_side_keep_their_bounds():
    x = np.random.default_rng(3).normal(0, 1, (4, WIDTH))
    source = raw()
    summed = linear(source, np.ones((1, WIDTH)), np.zeros(1))
    value, bound = bounded(Concat(inputs=(source, summed)), x)
    assert value.shape == bound.shape == (4, WIDTH + 1)
    assert (bound[:, :WIDTH] == 0).all()
    assert (bound[:, WIDTH] > 0).all()


def test_a_vote_inside_of_its_bound_counts_as_any_number_that_it_may_be():
    sums = linear(raw(), np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]), np.zeros(2))
    choice = ArgMax(inputs=(sums,))
    codes = Lookup(inputs=(choice,), tables=((0, 1),), refuse=(False,))
    sizes, offsets = np.array([2]), np.array([0, 3])
    votes = OneHot(
        inputs=(codes,), targets=np.array([0, 1, -1], np.int32), offsets=offsets, sizes=sizes, layout="dense"
    )
    x = np.array([[0.1, 0.2, 0.3, 0.4]])
    _, bound = bounded(Sum(inputs=(votes, votes)), x)
    assert (bound >= 2).all() and (bound < 2 + 1e-12).all()
    value, mask = bounded(ArgMax(inputs=(Sum(inputs=(votes, votes)),)), x, labels=(np.arange(2),))
    assert value.tolist() == [[0]] and mask.tolist() == [[True]]
    _, mask = bounded(choice, x)
    assert mask.dtype == bool and mask.all()


@pytest.mark.parametrize("end", [ArgMax, IsPositive])
def test_labels_of_terms_that_overflow_may_be_anything(end: type[Node]) -> None:
    sums = linear(
        raw(), np.ones((1 if end is IsPositive else CLASSES, WIDTH)), np.zeros(1 if end is IsPositive else CLASSES)
    )
    moved = Subtract(inputs=(sums,), value=np.ones(sums.type.width))
    _, unsure = bounded(end(inputs=(moved,)), np.array([[np.inf, -np.inf, 1, 1], [1.0, 2.0, 3.0, 4.0]]))
    assert unsure[0].all()
    assert end is ArgMax or not unsure[1].any()

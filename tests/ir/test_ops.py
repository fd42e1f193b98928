"""Each op's `evaluate` against the plainest Python that says the same."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, special
from sklearn.utils.extmath import softmax

from slimml.errors import InputError
from slimml.ir import csr
from slimml.ir.csr import Csr
from slimml.ir.forest import Trees
from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.categories import Lookup, LowerBound, OneHot, Recode, char_order
from slimml.ir.ops.columns import Cast, Concat, Constant, Dense, Input, Select
from slimml.ir.ops.heads import (
    ArgMax,
    Complement,
    Exp,
    Exp2,
    LogAddExp,
    LogMean,
    NormalizeRows,
    ShareGuard,
    Sigmoid,
    SignedSquare,
    Softmax,
    Softplus,
    WeightedMedian,
)
from slimml.ir.ops.kernels import ExpandedDistances, SquaredDistances
from slimml.ir.ops.models import Linear, LinearForest, LinearTable
from slimml.ir.ops.numeric import Add, Affine, Clip, Divide, FillMissing, Guard, IsMissing, Multiply, Nudge, Subtract
from slimml.ir.ops.ranks import Rank
from slimml.schema import PANDAS_NA

NAN, INF = math.nan, math.inf
anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, 1.0, -1.0, NAN, INF, -INF, 5e-324, 2.0])
)
finite = st.floats(-1e6, 1e6)


def numbers(width: int) -> Input:
    return Input(kind="number", columns=tuple(range(width)))


def objects(width: int) -> Input:
    return Input(kind="category", columns=tuple(range(width)))


def matrix(elements=anything, width=3, rows=5):
    return st.lists(st.lists(elements, min_size=width, max_size=width), min_size=1, max_size=rows).map(np.array)


def cells(rows) -> np.ndarray:
    out = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        out[i, :] = row
    return out


def equal(a, b) -> None:
    np.testing.assert_array_equal(np.signbit(a), np.signbit(b)) if np.asarray(a).dtype.kind == "f" else None
    np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------------------------------- ranks


@given(st.lists(st.lists(anything.filter(lambda v: v == v), max_size=6), min_size=3, max_size=3), st.data())
def test_rank_counts_the_cuts_below_a_value(lists, data):
    columns = [np.unique(np.array(c, dtype=float) + 0.0) for c in lists]
    cuts = np.concatenate(columns)
    near = np.concatenate([cuts, np.nextafter(cuts, INF), np.nextafter(cuts, -INF), [0.0]])
    x = data.draw(matrix(st.one_of(anything, st.sampled_from(near.tolist()))))
    offsets = np.cumsum([0] + [len(c) for c in columns])
    table = np.zeros(0, np.int32)
    if data.draw(st.booleans()):
        table = np.array(
            data.draw(st.lists(st.integers(-1, 9), min_size=len(cuts) + 3, max_size=len(cuts) + 3)), np.int32
        )
    got = Rank(inputs=(numbers(3),), cuts=cuts, offsets=offsets, table=table).evaluate(x)
    assert got.dtype == np.int32
    for i, row in enumerate(x.tolist()):
        for c, value in enumerate(row):
            rank = sum(cut < value for cut in columns[c].tolist())
            if len(table):
                rank = table[offsets[c] + c + rank]
            assert got[i, c] == (-1 if value != value else rank)


def test_rank_refuses_tables_that_do_not_fit():
    good: dict[str, Any] = {
        "cuts": np.array([1.0, 2.0, 0.5]),
        "offsets": np.array([0, 2, 3]),
        "table": np.zeros(0, np.int32),
    }
    Rank(inputs=(numbers(2),), **good)
    bad: dict[str, Any]
    for bad in (
        {"cuts": np.array([2.0, 1.0, 0.5])}, {"cuts": np.array([1.0, 1.0, 0.5])}, {"cuts": np.array([1.0, NAN, 0.5])},
        {"cuts": good["cuts"].astype(np.float32)}, {"offsets": np.array([0, 4, 3])}, {"offsets": np.array([1, 2, 3])},
        {"offsets": np.array([0, 3])}, {"table": np.zeros(4, np.int32)}, {"table": np.full(5, -2, np.int32)},
    ):  # fmt: skip
        with pytest.raises(MalformedGraphError):
            Rank(inputs=(numbers(2),), **{**good, **bad})


# -------------------------------------------------------------------------------------------------------- categories

scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, NAN, "a", "b", "", "1"]))


def same(a, b) -> bool:
    return a == b or (a != a and b != b)


@given(st.lists(scalars, max_size=6), st.lists(st.one_of(scalars, st.text(max_size=2)), min_size=1, max_size=8))
def test_lookup_finds_values_as_python_compares_them(table, column):
    table = [v for i, v in enumerate(table) if not any(same(v, w) for w in table[:i])]
    got = Lookup(inputs=(objects(1),), tables=(tuple(table),), refuse=(False,)).evaluate(cells([[v] for v in column]))
    expected = [next((i for i, t in enumerate(table) if same(t, v)), len(table)) for v in column]
    assert got[:, 0].tolist() == expected


@given(st.lists(st.one_of(anything, st.booleans(), st.integers(-3, 3)), max_size=6), matrix(width=1, rows=8), st.data())
def test_lookup_finds_numbers_in_blocks_of_numbers(table, x, data):
    table = [v for i, v in enumerate(table) if not any(same(v, w) for w in table[:i])]
    x = np.concatenate([x, [[v] for v in map(float, table)]]) if table else x
    got = Lookup(inputs=(numbers(1),), tables=(tuple(table),), refuse=(False,)).evaluate(x)
    expected = [next((i for i, t in enumerate(table) if same(t, v)), len(table)) for v in x[:, 0].tolist()]
    assert got[:, 0].tolist() == expected


@given(st.lists(st.text(max_size=3), max_size=6, unique=True), st.lists(st.text(max_size=3), min_size=1, max_size=8))
def test_lower_bound_finds_the_next_name_in_the_order_of_signed_chars(names, column):
    table = tuple(sorted(names, key=char_order))
    column = [*column, *table, None, NAN, PANDAS_NA, 3]
    got = LowerBound(inputs=(objects(1),), tables=(table,), refuse=(False,)).evaluate(cells([[v] for v in column]))
    for value, code in zip(column, got[:, 0].tolist(), strict=True):
        if isinstance(value, str):
            below = sum(
                [b - 256 * (b > 127) for b in t.encode()] < [b - 256 * (b > 127) for b in value.encode()] for t in table
            )
            assert code == (below if below < len(table) else len(table) + 2)
    assert got[-4:, 0].tolist() == [len(table), len(table), len(table) + 1, len(table) + 2]


@given(st.sets(st.integers(-9, 9), max_size=5), st.lists(st.integers(-12, 12), min_size=1, max_size=8))
def test_lower_bound_finds_the_next_integer(numbers, column):
    table = tuple(sorted(numbers))
    values = [*column, *map(float, column), 0.5, "a", True]
    got = LowerBound(inputs=(objects(1),), tables=(table,), refuse=(False,)).evaluate(cells([[v] for v in values]))
    at = np.searchsorted(np.array(table, dtype=int), column)
    at = np.where(at < len(table), at, len(table) + 2).tolist()
    assert got[:, 0].tolist() == [*at, *at, *[len(table) + 2] * 3]


def test_lower_bound_refuses_what_is_beyond_its_table():
    node = LowerBound(inputs=(objects(2),), tables=(("a", "c"), (1, 5)), refuse=(True, False))
    assert node.evaluate(cells([["b", 9], [None, 2]])).tolist() == [[1, 4], [2, 1]]
    for value in ("d", 1, b"a"):
        with pytest.raises(InputError, match="beyond those of training"):
            node.evaluate(cells([[value, 1]]))


@pytest.mark.parametrize(
    "table", [("b", "a"), ("a", "a"), ("a", 1), (1, "a"), (2, 1), (True,), (0.5,), (None,), (NAN,)]
)
def test_a_table_that_is_not_in_order_is_no_lower_bound(table):
    with pytest.raises(MalformedGraphError):
        LowerBound(inputs=(objects(1),), tables=(table,), refuse=(False,))


def test_lookup_refuses_what_is_not_in_its_table():
    lookup = Lookup(inputs=(objects(2),), tables=(("a",), ("a", NAN)), refuse=(True, False))
    assert lookup.evaluate(cells([["a", "x"], ["a", NAN]])).tolist() == [[0, 2], [0, 1]]
    for value in ("b", None, NAN, 1):
        with pytest.raises(InputError, match="unknown category"):
            lookup.evaluate(cells([["a", "a"], [value, "a"]]))


@given(st.data())
def test_recode_and_one_hot_place_every_code(data):
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    tables = tuple(tuple(range(n)) for n in sizes)
    codes = Lookup(inputs=(objects(len(sizes)),), tables=tables, refuse=(False,) * len(sizes))
    offsets = np.cumsum([0] + [n + 1 for n in sizes])
    rows = np.array(
        data.draw(st.lists(st.tuples(*(st.integers(0, n) for n in sizes)), min_size=1, max_size=6)), np.int32
    )
    values = np.arange(offsets[-1]) * 1.5
    recoded = Recode(inputs=(codes,), values=values, offsets=offsets).evaluate(rows)
    assert recoded.tolist() == [[values[offsets[c] + k] for c, k in enumerate(row)] for row in rows]
    groups = [data.draw(st.integers(0, n + 1)) for n in sizes]
    targets = [data.draw(st.integers(-1, g - 1)) for n, g in zip(sizes, groups, strict=True) for _ in range(n + 1)]
    shared: dict[str, Any] = {
        "targets": np.array(targets, np.int32),
        "offsets": offsets,
        "sizes": np.array(groups, np.int64),
    }
    dense = OneHot(inputs=(codes,), **shared).evaluate(rows)
    thin: Any = OneHot(inputs=(codes,), layout="csr", **shared).evaluate(rows)
    expected = np.zeros((len(rows), sum(groups)))
    for i, row in enumerate(rows.tolist()):
        for c, k in enumerate(row):
            if targets[offsets[c] + k] >= 0:
                expected[i, sum(groups[:c]) + targets[offsets[c] + k]] = 1
    np.testing.assert_array_equal(dense, expected)
    np.testing.assert_array_equal(thin.toarray(), expected)
    assert len(thin.data) == expected.sum()


# ------------------------------------------------------------------------------------------------ missing and guards


@pytest.mark.parametrize("sentinel", [NAN, -1.0, -1, 0, INF])
@given(x=matrix())
def test_missing_numbers_are_found_and_filled(sentinel, x):
    mask = IsMissing(inputs=(numbers(3),), sentinel=sentinel).evaluate(x)
    filled = FillMissing(inputs=(numbers(3),), sentinel=sentinel, fill=(7.5, -0.0, 3)).evaluate(x)
    for i, row in enumerate(x.tolist()):
        for c, value in enumerate(row):
            assert mask[i, c] == same(value, sentinel)
            equal(filled[i, c], np.float64((7.5, -0.0, 3.0)[c]) if same(value, sentinel) else np.float64(value))


@pytest.mark.parametrize("sentinel", [NAN, None, "a", 1])
@given(rows=st.lists(st.tuples(scalars, scalars), min_size=1, max_size=6))
def test_missing_objects_are_found_and_filled(sentinel, rows):
    x = cells(rows)
    mask = IsMissing(inputs=(objects(2),), sentinel=sentinel).evaluate(x)
    filled = FillMissing(inputs=(objects(2),), sentinel=sentinel, fill=("f", 2)).evaluate(x)
    for i, row in enumerate(rows):
        for c, value in enumerate(row):
            missing = value is None if sentinel is None else same(value, sentinel)
            assert mask[i, c] == missing
            assert same(filled[i, c], ("f", 2)[c] if missing else value)


@given(
    matrix(width=2),
    st.lists(st.tuples(anything, anything), min_size=2, max_size=2),
    st.lists(st.booleans(), min_size=2, max_size=2),
)
def test_guard_takes_rows_inside_of_its_bounds(x, ends, missing):
    low, high = (np.array([e[k] for e in ends]) for k in (0, 1))
    guard = Guard(inputs=(numbers(2),), low=low, high=high, missing=np.array(missing))
    fine = all((v != v and missing[c]) or low[c] <= v <= high[c] for row in x.tolist() for c, v in enumerate(row))
    if fine:
        assert guard.evaluate(x) is x
    else:
        with pytest.raises(InputError):
            guard.evaluate(x)


def test_guard_names_row_column_and_value():
    guard = Guard(inputs=(numbers(2),), low=-np.ones(2), high=np.ones(2), missing=np.zeros(2, bool), names=("a", "b"))
    with pytest.raises(InputError, match=r"row 1 has 7\.0.*'b'"):
        guard.evaluate(np.array([[0.0, 1.0], [1.0, 7.0]]))
    with pytest.raises(InputError, match=r"row 0 has a missing value \(NaN\) in 'a'"):
        guard.evaluate(np.array([[NAN, 1.0]]))


def test_guard_on_csr_looks_at_what_is_stored():
    node = Concat(inputs=(numbers(2),), layout="csr")
    guard = Guard(inputs=(node,), low=-np.ones(2), high=np.ones(2), missing=np.array([True, False]))
    guard.evaluate(csr.from_dense(np.array([[NAN, 0.0], [0.0, 1.0]])))
    for bad in ([[0.0, NAN]], [[2.0, 0.0]], [[INF, 0.0]]):
        with pytest.raises(InputError):
            guard.evaluate(csr.from_dense(np.array(bad)))


def test_guard_on_objects_refuses_missing_ones_alone():
    guard = Guard(inputs=(objects(2),), low=np.full(2, -INF), high=np.full(2, INF), missing=np.array([True, False]))
    guard.evaluate(cells([[NAN, "a"], [None, None]]))
    with pytest.raises(InputError, match="missing"):
        guard.evaluate(cells([["a", NAN]]))


# ------------------------------------------------------------------------------------------- arithmetic and movement


@given(matrix(), st.lists(anything, min_size=3, max_size=3))
def test_arithmetic_is_that_of_doubles(x, operand):
    value = np.array(operand)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind, plain in ((Add, np.add), (Subtract, np.subtract), (Multiply, np.multiply), (Divide, np.divide)):
            equal(kind(inputs=(numbers(3),), value=value).evaluate(x), plain(x, value))
        equal(Affine(inputs=(numbers(3),), scale=value, shift=value).evaluate(x), x * value + value)
        nudged = Nudge(inputs=(numbers(3),), scale=0.25, shift=1e-3).evaluate(x)
        equal(nudged, x + (1e-3 + 0.25 * np.abs(x)))
        clipped = Clip(inputs=(numbers(3),), low=-1.0, high=2.0).evaluate(x)
        np.testing.assert_array_equal(clipped, np.where(x < -1, -1, np.where(x > 2, 2, x)))


thin_cells = st.one_of(st.just(0.0), st.just(0.0), anything)


@given(matrix(thin_cells, width=4), matrix(thin_cells, width=2), st.lists(st.integers(0, 3), max_size=6))
def test_blocks_move_the_same_dense_and_sparse(x, y, index):
    y = np.resize(y, (len(x), 2))
    picked = np.array(index, dtype=np.int64)
    equal(Select(inputs=(numbers(4),), index=picked).evaluate(x), x[:, picked])
    whole = np.concatenate([x, y], axis=1)
    equal(Concat(inputs=(numbers(4), numbers(2))).evaluate(x, y), whole)
    thin: Any = Concat(inputs=(numbers(4), numbers(2)), layout="csr").evaluate(x, csr.from_dense(y))
    np.testing.assert_array_equal(thin.toarray(), whole)
    np.testing.assert_array_equal(csr.from_dense(x).select(picked).toarray(), x[:, picked])
    node = Concat(inputs=(numbers(4),), layout="csr")
    np.testing.assert_array_equal(Dense(inputs=(node,)).evaluate(csr.from_dense(x)), x)
    assert Constant(inputs=(node,), value=np.array([1.5])).evaluate(csr.from_dense(x)).tolist() == [[1.5]] * len(x)


@given(matrix(thin_cells, width=4), matrix(finite, width=4, rows=2))
def test_csr_agrees_with_scipy(x, weights):
    ours, theirs = csr.from_dense(x), sparse.csr_matrix(x)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ours.matmul(weights.T), theirs @ weights.T)
    twice = Csr(np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2]), 3)
    assert twice.toarray().tolist() == [[0.0, 3.0, 0.0]]


@given(matrix())
def test_cast_rounds_as_numpy_does(x):
    with np.errstate(all="ignore"):
        equal(Cast(inputs=(numbers(3),), dtype="float32").evaluate(x), x.astype(np.float32))
    back = Cast(inputs=(Cast(inputs=(numbers(3),), dtype="object"),), dtype="float64")
    equal(back.evaluate(x.astype(object)), x)


@pytest.mark.parametrize("value", ["x", "", (1,), 10**400])
def test_objects_that_are_no_numbers_are_refused_by_a_cast(value):
    with pytest.raises(InputError):
        Cast(inputs=(objects(1),), dtype="float64").evaluate(cells([[value]]))


# ------------------------------------------------------------------------------------------------------------- heads


@given(st.lists(st.one_of(st.floats(-800, 800), anything), min_size=1, max_size=200))
def test_sigmoid_has_the_bits_of_scipys(x):
    column = np.array(x)[:, None]
    equal(Sigmoid(inputs=(numbers(1),)).evaluate(column), special.expit(column))


def test_sigmoid_has_the_bits_of_scipys_over_its_whole_range():
    rng = np.random.default_rng(0)
    wide = np.concatenate([rng.uniform(-750, 750, 50_000), rng.normal(0, 3, 50_000), np.geomspace(1e-320, 1e3, 999)])
    equal(Sigmoid(inputs=(numbers(1),)).evaluate(wide[:, None])[:, 0], special.expit(wide))


@given(matrix(st.floats(-1e300, 1e300)))
def test_softmax_has_the_bits_of_sklearns(x):
    with np.errstate(all="ignore"):
        equal(Softmax(inputs=(numbers(3),)).evaluate(x), softmax(x))


@given(matrix(st.floats(0, 1)))
def test_rows_are_normalized_and_empty_ones_become_uniform(x):
    got = NormalizeRows(inputs=(numbers(3),)).evaluate(x)
    for row, answer in zip(x, got, strict=True):
        np.testing.assert_array_equal(answer, row / row.sum() if row.sum() else np.full(3, 1 / 3))


@given(matrix())
def test_first_largest_column_wins(x):
    assert ArgMax(inputs=(numbers(3),)).evaluate(x)[:, 0].tolist() == [int(np.argmax(row)) for row in x]
    pair = Complement(inputs=(numbers(1),)).evaluate(x[:, :1])
    equal(pair, np.column_stack([1 - x[:, 0], x[:, 0]]))


@given(matrix(finite), matrix(finite, rows=2))
def test_linear_is_a_sum_of_products(x, weights):
    bias = np.arange(len(weights)) + 0.5
    got = Linear(inputs=(numbers(3),), weights=weights, bias=bias).evaluate(x)
    terms = np.abs(x)[:, None, :] * np.abs(weights)[None, :, :]
    room = 4 * np.finfo(float).eps * (terms.sum(axis=2) + np.abs(bias)) + 1e-320
    exact = [
        [math.fsum([*(a * b for a, b in zip(r, w, strict=True)), k]) for w, k in zip(weights, bias, strict=True)]
        for r in x
    ]
    assert (np.abs(got - np.array(exact)) <= room).all()


def _linear_table(**changes) -> LinearTable:
    """Two numbers of which the second may be missing, a code of two, and a rank of one cut that may be missing."""
    x = numbers(2)
    code = Lookup(inputs=(objects(1),), tables=(("a", "b"),), refuse=(False,))
    cut = Rank(
        inputs=(Select(inputs=(x,), index=np.array([0])),),
        cuts=np.array([0.5]), offsets=np.array([0, 1]), table=np.zeros(0, np.int32),
    )  # fmt: skip
    given: dict[str, Any] = {
        "weights": np.array([[2.0, 3.0], [0.0, -1.0]]),
        "bias": np.array([0.25, 0.5]),
        "gaps": np.array([1]),
        "missing": np.array([[10.0], [20.0]]),
        "table": np.arange(12.0).reshape(6, 2),
        "offsets": np.array([0, 3, 6]),
    }
    return LinearTable(inputs=(x, Concat(inputs=(code, cut))), **given | changes)


def test_linear_table_adds_products_what_is_missing_and_rows():
    node = _linear_table()
    x = np.array([[1.0, 2.0], [1.0, NAN], [NAN, 1.0]])
    # The last row of a column is that of a missing code.
    got = node.evaluate(x, np.array([[0, 0], [2, 1], [1, -1]], np.int32))
    assert got[:2].tolist() == [
        [2 + 6 + 0.25 + 0 + 6, 0 - 2 + 0.5 + 1 + 7],
        [2 + 10 + 0.25 + 4 + 8, 0 + 20 + 0.5 + 5 + 9],
    ]
    assert np.isnan(got[2]).all()
    assert node.rows(np.array([[1, -1]], np.int32), node.table).tolist() == [[2 + 10, 3 + 11]]
    assert node.evaluate(np.zeros((0, 2)), np.zeros((0, 2), np.int32)).shape == (0, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": np.zeros((2, 3))},
        {"weights": np.zeros((1, 2))},
        {"weights": np.zeros((2, 2), np.float32)},
        {"bias": np.zeros((2, 1))},
        {"bias": np.zeros(0), "weights": np.zeros((0, 2)), "missing": np.zeros((0, 1)), "table": np.zeros((6, 0))},
        {"gaps": np.array([2])},
        {"gaps": np.array([-1])},
        {"gaps": np.array([1, 1]), "missing": np.zeros((2, 2))},
        {"gaps": np.array([1], np.int32)},
        {"missing": np.array([[NAN], [0.0]])},
        {"missing": np.array([[INF], [0.0]])},
        {"missing": np.zeros((2, 2))},
        {"table": np.zeros((5, 2))},
        {"table": np.zeros(6)},
        {"offsets": np.array([0, 2, 6])},
        {"offsets": np.array([0, 4, 6])},
        {"offsets": np.array([0, 3, 2, 6])},
        {"offsets": np.array([1, 3, 6])},
        {"inputs": ()},
        {"inputs": (numbers(2), numbers(2))},
        {"inputs": (numbers(2),)},
        {"inputs": (numbers(2), Cast(inputs=(numbers(2),), dtype="int32"))},
    ],
)
def test_linear_table_that_contradicts_itself_is_refused(changes):
    with pytest.raises(MalformedGraphError):
        replace(_linear_table(), **changes)


def test_serial_exponentials_are_those_of_the_c_library_added_in_order():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 30, (500, 11)), rng.uniform(-800, 800, (100, 11))])
    raised = [[_c_exp(v - max(row)) for v in row] for row in x.tolist()]
    expected = [[v / _added(row) for v in row] for row in raised]
    equal(Softmax(inputs=(numbers(11),), serial=True).evaluate(x), np.array(expected))
    equal(Exp(inputs=(numbers(11),), serial=True).evaluate(x), np.array([[_c_exp(v) for v in r] for r in x.tolist()]))
    softened = [[math.log1p(_c_exp(v)) for v in row] for row in x.tolist()]
    equal(Softplus(inputs=(numbers(11),)).evaluate(x), np.array(softened))


def _c_exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _added(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@given(matrix(finite))
def test_signed_squares_keep_their_sign(x):
    with np.errstate(all="ignore"):
        equal(SignedSquare(inputs=(numbers(3),)).evaluate(x), np.copysign(x * x, x))


def _linear_forest(**changes):
    """One split on column 0 of the ranks; left 2 + 3 a - b, right 5, or 7 and 8 where a or b is missing."""
    trees = Trees(
        feature=np.array([0, -1, -1], np.int32), cut=np.array([0, 0, 1], np.int32), right=np.array([2, 0, 0], np.int32),
        flags=np.zeros(3, np.uint8), roots=np.zeros(1, np.int32), values=np.array([[7.0], [8.0]]),
        sets=np.zeros((0, 1), np.uint32), targets=np.zeros(1, np.int32), base=np.array([0.5]))  # fmt: skip
    x = numbers(2)
    rank = Rank(inputs=(x,), cuts=np.zeros(1), offsets=np.array([0, 1, 1]), table=np.zeros(0, np.int32))
    fields = {"const": np.array([2.0, 5.0]), "starts": np.array([0, 2, 2]), "columns": np.array([0, 1]),
              "weights": np.array([3.0, -1.0]), "small": 1e-3}  # fmt: skip
    return LinearForest(inputs=(rank, x), trees=trees, **{**fields, **changes})


def test_linear_leaves_answer_their_function_or_their_value_where_something_is_missing():
    node = _linear_forest()
    x = np.array([[-1.0, 4.0], [-1e-4, 2.0], [-1.0, np.nan], [1.0, np.nan], [-np.inf, 0.0]])
    got = node.evaluate(node.inputs[0].evaluate(x), x)[:, 0]
    assert got.tolist() == [0.5 + 2 - 3 - 4, 0.5 + 2 - 2, 0.5 + 7, 0.5 + 5, -np.inf]


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": np.array([0, 2])},
        {"columns": np.array([0, -1])},
        {"columns": np.array([0])},
        {"starts": np.array([0, 3, 2])},
        {"starts": np.array([0, 2])},
        {"const": np.zeros(1)},
        {"weights": np.zeros(2, np.float32)},
        {"small": float("nan")},
    ],
)
def test_linear_leaves_that_contradict_themselves_are_refused(changes):
    with pytest.raises(MalformedGraphError):
        _linear_forest(**changes)


@given(matrix(finite), st.lists(st.floats(0.1, 9), min_size=3, max_size=3))
def test_a_weighted_median_is_where_the_weights_reach_half(x, weights):
    (got,) = WeightedMedian(inputs=(numbers(3),), weights=np.array(weights)).evaluate(x).T
    for row, median in zip(x.tolist(), got.tolist(), strict=True):
        below = sum(w for v, w in zip(row, weights, strict=True) if v < median)
        up_to = sum(w for v, w in zip(row, weights, strict=True) if v <= median)
        half = sum(weights) / 2
        assert below <= half * (1 + 1e-12) and up_to >= half * (1 - 1e-12)


@pytest.mark.parametrize("weights", [np.ones(2), np.ones((1, 3)), np.ones(3, dtype=np.float32)])
def test_weights_that_fit_no_column_are_refused(weights):
    with pytest.raises(MalformedGraphError):
        WeightedMedian(inputs=(numbers(3),), weights=weights)


@given(matrix(finite))
def test_powers_of_two_and_logarithms_of_means(x):
    equal(Exp2(inputs=(numbers(3),)).evaluate(x), np.power(2.0, x))
    with np.errstate(divide="ignore"):
        equal(LogMean(inputs=(numbers(3),), terms=4).evaluate(np.abs(x)), np.log(np.abs(x)))
    with pytest.raises(MalformedGraphError):
        LogMean(inputs=(numbers(3),), terms=0)


@given(matrix(finite))
def test_logarithms_are_added_as_numpy_adds_them(x):
    a, b = numbers(3), numbers(3)
    none = np.full_like(x, -np.inf)
    equal(LogAddExp(inputs=(a, b, b)).evaluate(x, -x, none), np.logaddexp(x, -x))
    equal(LogAddExp(inputs=(a, b)).evaluate(none, none), none)
    for inputs in ((), (numbers(3), numbers(2))):
        with pytest.raises(MalformedGraphError):
            LogAddExp(inputs=inputs)


def test_rows_are_told_by_whether_they_look_like_shares():
    shares, others = np.array([[0.25, 0.75 + 9e-6], [0.0, 1.0]]), np.array([[0.25, 0.75 + 2e-5], [-1e-300, 1.0]])
    for node, own, odd in ((True, shares, others), (False, others, shares)):
        guard = ShareGuard(inputs=(numbers(2),), shares=node)
        equal(guard.evaluate(own), own)
        for row in odd:
            with pytest.raises(InputError):
                guard.evaluate(np.vstack([own, row]))


@given(matrix(finite))
def test_distances_that_are_expanded_are_those_that_are_not_but_for_rounding(x):
    points = np.array([[0.0, 1.0, 2.0], [-3.0, 0.5, 1e3]])
    plain, other = (op(inputs=(numbers(3),), points=points).evaluate(x) for op in (SquaredDistances, ExpandedDistances))
    np.testing.assert_allclose(other, plain, rtol=1e-9, atol=1e-12 * (np.square(x).sum() + 1e6))
    assert (other >= 0).all()
    with pytest.raises(MalformedGraphError):
        ExpandedDistances(inputs=(numbers(2),), points=points)

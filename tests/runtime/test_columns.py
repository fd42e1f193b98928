"""The same rows give the same blocks from every container, and what the original refuses is refused by name."""

from __future__ import annotations

import datetime
import decimal
import math
import pickle
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from slimml.errors import InputError
from slimml.runtime.columns import RowReader, Rows, read_rows
from slimml.runtime.values import NAN
from slimml.schema import CATEGORY, MISSING, PANDAS_NA, TEXT, Column, Schema

TABLE = Schema((Column("age"), Column("job", CATEGORY, "object"), Column("pay"), Column("town", CATEGORY, "object")))
NUMBERS = Schema((Column("x0"), Column("x1")), named=False)
NAMED = Schema((Column("a"), Column("b")))
DOCUMENTS = Schema((Column("x0", TEXT, "str"),), named=False)
PARTLY = Schema((Column("a"), Column("b", read=False), Column("c", CATEGORY), Column("d", CATEGORY, read=False)))

cells = st.one_of(st.none(), st.floats(), st.integers(-(2**70), 2**70), st.booleans())
labels = st.one_of(st.none(), st.text(max_size=3), st.just(math.nan))
rows_of_table = st.lists(st.tuples(cells, labels, cells, labels), min_size=1, max_size=5)


def same(left: Rows, right: Rows) -> bool:
    """Equal bits, and equal values of equal types (NaN by identity, as a dict would find it)."""

    def key(rows: Rows) -> list[Any]:
        return [[(type(v), id(v) if v is NAN else v) for v in row] for row in rows.objects.tolist()]

    return (
        np.array_equal(np.isnan(left.numbers), np.isnan(right.numbers))
        and np.array_equal(np.nan_to_num(left.numbers), np.nan_to_num(right.numbers))
        and np.array_equal(np.signbit(np.nan_to_num(left.numbers)), np.signbit(np.nan_to_num(right.numbers)))
        and key(left) == key(right)
    )


def dicts(rows: list[tuple[Any, ...]], schema: Schema = TABLE) -> list[dict[str, Any]]:
    return [dict(zip(schema.names, row)) for row in rows]


@given(rows_of_table)
def test_rows_of_python_values_agree(rows):
    expected = read_rows(dicts(rows), TABLE)
    array = np.empty((len(rows), 4), dtype=object)
    array[:] = [list(row) for row in rows]
    shuffled = [{"extra": 1, **dict(reversed(row.items()))} for row in dicts(rows)]
    for data in (rows, list(map(list, rows)), tuple(rows), array, shuffled, [MappingProxyType(r) for r in dicts(rows)]):
        assert same(read_rows(data, TABLE), expected)
    assert expected.count == len(rows)
    assert not expected.single
    assert expected.numbers.shape == expected.objects.shape == (len(rows), 2)
    for i, row in enumerate(rows):
        for data in (
            dicts(rows)[i],
            list(row),
            row,
            OrderedDict(dicts(rows)[i]),
            {**dicts(rows)[i], "extra": object()},
        ):
            one = read_rows(data, TABLE)
            assert one.single
            assert one.number_list is not None
            assert list(map(type, one.number_list)) == [float, float]
            assert same(one, read_rows([row], TABLE))


@given(rows_of_table)
def test_frames_of_objects_agree_with_dicts(rows):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([list(row) for row in rows], columns=list(TABLE.names), dtype=object)
    expected = read_rows(dicts(rows), TABLE)
    assert same(read_rows(frame, TABLE), expected)
    assert same(read_rows(frame[["town", "pay", "job", "age"]].assign(extra=1), TABLE), expected)


@given(st.lists(st.tuples(st.floats(), st.sampled_from(["x", "y", ""]), st.integers(-9, 9)), min_size=1, max_size=4))
def test_tables_of_every_library_agree(rows):
    pd, pl, pa = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
    schema = Schema((Column("f"), Column("s", CATEGORY), Column("i")))
    frame = pd.DataFrame(rows, columns=["f", "s", "i"]).astype({"s": object})
    expected = read_rows(dicts(rows, schema), schema)
    frames = [frame.astype({"s": s, "f": f, "i": i}) for s, f, i in [
        ("str", "float64", "int8"), ("category", "float64", "Int64"), ("string", "Float64", "int64[pyarrow]"),
        (pd.ArrowDtype(pa.string()), "double[pyarrow]", "int64"), (object, object, object), ("str", "float64", "str"),
    ]]  # fmt: skip
    arrow = pa.table({name: pa.array(frame[name].tolist(), from_pandas=False) for name in frame})
    others = [pl.DataFrame(rows, schema=["f", "s", "i"], orient="row"), arrow, *arrow.to_batches()]
    for data in [*frames, *others]:
        assert same(read_rows(data, schema), expected), data


@given(st.lists(st.tuples(st.floats(width=32), st.floats(width=32)), min_size=1, max_size=4))
def test_arrays_of_every_number_agree(rows):
    sparse = pytest.importorskip("scipy.sparse")
    doubles = np.array(rows, dtype=np.float64)
    expected = read_rows([list(row) for row in rows], NUMBERS)
    for data in (
        doubles,
        np.asfortranarray(doubles),
        doubles.astype(np.float32),
        doubles.astype(">f8"),
        doubles.astype(object),
    ):
        assert same(read_rows(data, NUMBERS), expected)
        assert read_rows(data, NUMBERS).numbers.flags.c_contiguous
        assert read_rows(data, NUMBERS).numbers.dtype == np.float64
    positive = abs(doubles)  # a sparse matrix may drop -0.0
    for form in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
        assert same(read_rows(form(positive), NUMBERS), read_rows(positive, NUMBERS))


def test_a_double_array_is_not_copied():
    array = np.ones((3, 2))
    assert np.shares_memory(read_rows(array, NUMBERS).numbers, array)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.int64, np.float16, np.float64])
def test_numeric_arrays_give_python_categories(dtype):
    rows = read_rows(np.ones((2, 4), dtype), TABLE)
    assert rows.objects.tolist() == [[1, 1], [1, 1]]
    assert {type(v) for v in rows.objects.ravel()} <= {bool, int, float}


def test_numbers_convert_as_numpy_does():
    values = [2**53 + 1, 2**64 + 2**11, True, "1.5", " 2 ", "1_0", "-inf", b"1", decimal.Decimal("0.1"), Fraction(1, 3)]
    values += [np.float32(0.1), np.int8(-3), np.bool_(True), None, math.nan]
    expected = [2.0**53, 2.0**64, 1.0, 1.5, 2.0, 10.0, -math.inf, 1.0, 0.1, 1 / 3]
    expected += [float(np.float32(0.1)), -3.0, 1.0, math.nan, math.nan]
    schema = Schema((Column("a"),))
    np.testing.assert_array_equal(read_rows([[v] for v in values], schema).numbers[:, 0], expected)
    for value, number in zip(values, expected):
        np.testing.assert_array_equal(read_rows({"a": value}, schema).number_list, [number])


BAD_NUMBERS = [
    "",
    "abc",
    "0x10",
    1j,
    np.complex64(1j),
    np.complex128(1j),
    datetime.date(2020, 1, 1),
    10**400,
    [1],
    object(),
]
BAD_NUMBERS += [np.datetime64("2020-01-01"), np.timedelta64(1, "D"), np.array([1.0]), np.array([1.0, 2.0]), {}, "١x"]


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda v: type(v).__name__)
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_what_is_no_number_is_refused_with_its_place(value):
    with pytest.raises(InputError, match="column 'pay', row 1"):
        read_rows([{**BASE}, {**BASE, "pay": value}], TABLE)
    if not isinstance(value, np.complexfloating):
        with pytest.raises(InputError, match="column 'pay'"):
            read_rows({**BASE, "pay": value}, TABLE)


BASE = {"age": 39, "job": "clerk", "pay": 1.5, "town": None}


def test_categories_are_python_values_that_a_dict_finds():
    values = [
        "a",
        np.str_("a"),
        1,
        np.int64(1),
        1.0,
        np.float64(1),
        np.True_,
        None,
        math.nan,
        np.float32("nan"),
        ("t", 1),
    ]
    got = read_rows([[0, v, 0, ""] for v in values], TABLE).objects[:, 0].tolist()
    assert got == ["a", "a", 1, 1, 1.0, 1.0, True, None, NAN, NAN, ("t", 1)]
    assert [type(v).__module__ for v in got] == ["builtins"] * len(got)
    assert {NAN: 7}[got[8]] == {NAN: 7}[got[9]] == 7
    for value, expected in zip(values, got):
        one = read_rows({**BASE, "job": value}, TABLE).object_list
        assert one is not None
        assert one[0] is expected or (type(one[0]), one[0]) == (type(expected), expected)


def test_missing_values_of_pandas_are_what_scikit_learn_sees():
    pd = pytest.importorskip("pandas")
    schema = Schema((Column("n"), Column("c", CATEGORY)))
    expected: list[tuple[Any, Any]] = [
        (pd.array(["x", None], dtype="str"), NAN),
        (pd.array(["x", None], dtype="string"), PANDAS_NA),
        (pd.Categorical(["x", None]), NAN),
        (pd.Series(["x", None], dtype=object), None),
        (pd.Series(["x", np.nan], dtype=object), NAN),
        (pd.Series(["x", pd.NA], dtype=object), PANDAS_NA),
        (pd.array([1, None], dtype="Int64"), NAN),
        (pd.array([True, None], dtype="boolean"), NAN),
        (np.array([1.0, np.nan]), NAN),
    ]
    for column, missing in expected:
        frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "c": column})
        for part in (frame, frame[1:]):  # one row takes another way
            assert read_rows(part, schema).objects[-1, 0] is missing, column
            assert math.isnan(read_rows(part, schema).numbers[-1, 0])
    assert read_rows({"n": pd.NA, "c": pd.NA}, schema).object_list == [PANDAS_NA]
    assert math.isnan(read_rows({"n": pd.NA, "c": "x"}, schema).numbers[0, 0])
    assert pickle.loads(pickle.dumps(PANDAS_NA)) is PANDAS_NA


def test_numbers_of_an_array_are_codes_where_the_model_takes_them_so():
    pd = pytest.importorskip("pandas")
    schema = Schema((Column("c", CATEGORY, codes=(3, 5)), Column("s", CATEGORY, codes=("x", "y"))), sparse=MISSING)
    array = np.array([[0, 1], [1.9, 0], [-0.5, 7], [np.nan, 1 - 1e-12]])
    expected = [[3, "y"], [5, "x"], [PANDAS_NA, PANDAS_NA], [NAN, "y"]]
    for rows in (array, array.tolist()):
        assert read_rows(rows, schema).objects.tolist() == expected
    assert [read_rows(row, schema).object_list for row in array.tolist()] == expected
    assert read_rows([1, "x"], schema).object_list == [5, "x"]
    frame = pd.DataFrame({"c": pd.Categorical([5, 3]), "s": pd.Categorical(["x", "y"])})
    for rows in (frame, frame.to_dict("records"), frame.set_axis([0, 1], axis=1)):
        assert read_rows(rows, schema).objects.tolist() == [[5, "x"], [3, "y"]]
    stored = sparse.csr_matrix((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 1, 2])), shape=(2, 2))
    assert read_rows(stored, schema).objects.tolist() == [[3, NAN], [NAN, "y"]]
    for rows, of in ((array, Schema((Column("c", CATEGORY, codes=()), Column("n")))), ([[np.inf, 0.0]], schema)):
        with pytest.raises(InputError, match="column 'c', row 0: the number"):
            read_rows(rows, of)


def test_big_integer_categories_keep_every_digit():
    pd = pytest.importorskip("pandas")
    schema = Schema((Column("n"), Column("c", CATEGORY)))
    frame = pd.DataFrame({"n": [0.5], "c": [2**53 + 1]})
    assert read_rows(frame, schema).objects[0, 0] == 2**53 + 1


def test_missing_values_of_polars_and_arrow():
    pl, pa = map(pytest.importorskip, ("polars", "pyarrow"))
    schema = Schema((Column("n"), Column("b"), Column("s", CATEGORY), Column("d", CATEGORY), Column("m")))
    values = {"n": [1, None], "b": [True, None], "s": ["x", None], "m": [decimal.Decimal("1.5"), None]}
    polars = pl.DataFrame(values).with_columns(d=pl.Series(["x", None], dtype=pl.Categorical))
    arrow = pa.table({**values, "d": pa.array(["x", None]).dictionary_encode()})
    for data in (polars, arrow, arrow.to_batches()[0]):
        rows = read_rows(data, schema)
        assert rows.objects.tolist() == [["x", "x"], [None, None]]
        np.testing.assert_array_equal(rows.numbers, [[1, 1, 1.5], [np.nan] * 3])


def test_one_row_and_several_are_told_apart():
    assert read_rows([1, 2], NUMBERS).single
    assert read_rows((1, 2), NUMBERS).single
    assert read_rows(ROW(1, 2), NUMBERS).single
    assert read_rows({"x0": 1, "x1": 2}, NUMBERS).single
    assert not read_rows([[1, 2]], NUMBERS).single
    assert not read_rows([{"x0": 1, "x1": 2}], NUMBERS).single
    assert not read_rows(np.ones((1, 2)), NUMBERS).single
    assert not read_rows([np.ones(2)], NUMBERS).single
    assert read_rows(["clerk", "1", "2", "x"], STRINGS).single


ROW = namedtuple("ROW", ["a", "b"])
STRINGS = Schema(tuple(Column(name, CATEGORY) for name in "abcd"))


def test_documents_of_a_text_model():
    pd, pl, pa = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
    docs = ["a b", "", "ü"]
    one = read_rows("a b", DOCUMENTS)
    assert (one.single, one.object_list, one.number_list) == (True, ["a b"], [])
    assert read_rows({"x0": "a b"}, DOCUMENTS).single
    many = [docs, tuple(docs), np.array(docs), np.array(docs, object), pd.Series(docs), pd.Index(docs), pl.Series(docs)]
    many += [
        pa.array(docs),
        pa.chunked_array([docs]),
        pd.DataFrame({"t": docs}),
        [[d] for d in docs],
        [{"x0": d} for d in docs],
    ]
    many += [[d.encode() for d in docs], np.array(docs)[:, None]]
    for data in many:
        rows = read_rows(data, DOCUMENTS)
        assert not rows.single
        assert rows.objects.tolist() == [[d] for d in docs]
        assert {type(v) for v in rows.objects.ravel()} == {str}
    bad: list[Any] = [
        ["a", None],
        ["a", math.nan],
        ["a", 1],
        [b"\xff"],
        pd.Series(["a", None]),
        np.ones(2),
        {"x0": None},
        [],
    ]
    for data in bad:
        with pytest.raises(InputError):
            read_rows(data, DOCUMENTS)


def test_text_beside_other_columns():
    schema = Schema((Column("t", TEXT), Column("n"), Column("c", CATEGORY)))
    assert read_rows({"t": b"doc", "n": 1, "c": b"x"}, schema).object_list == ["doc", b"x"]
    assert read_rows([["doc", 1, None]], schema).objects.tolist() == [["doc", None]]
    for data in ({"t": None, "n": 1, "c": 1}, [{"t": 3, "n": 1, "c": 1}]):
        with pytest.raises(InputError, match="column 't'"):
            read_rows(data, schema)


def test_columns_that_are_not_read():
    full = {"a": 1, "b": "anything", "c": "x", "d": []}
    for strict in (True, False):
        rows = read_rows(full, PARTLY, strict=strict)
        assert (rows.number_list, rows.object_list) == ([1.0], ["x"])
        assert read_rows([full], PARTLY, strict=strict).numbers.tolist() == [[1.0]]
    lean = {"a": 1, "c": "x"}
    assert read_rows(lean, PARTLY, strict=False).object_list == ["x"]
    assert read_rows([lean, full], PARTLY, strict=False).objects.tolist() == [["x"], ["x"]]
    for data in (lean, [lean], [full, lean]):
        with pytest.raises(InputError, match="'b'"):
            read_rows(data, PARTLY)
    with pytest.raises(InputError, match="3 features"):
        read_rows([1, "x", 2], PARTLY, strict=False)


def test_missing_columns_are_all_named():
    pd = pytest.importorskip("pandas")
    part = {"age": 1, "town": "x"}
    invents = defaultdict(int, part)
    for data in (part, [part], [{**BASE}, part], invents, pd.DataFrame([part]), pd.DataFrame([part, part])):
        for strict in (True, False):
            with pytest.raises(InputError, match=r"'job'.*'pay'"):
                read_rows(data, TABLE, strict=strict)
    assert "job" not in invents


@pytest.mark.parametrize("rows", [1, 3])
def test_names_decide_as_in_scikit_learn(rows):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"b": [2.0] * rows, "a": [1.0] * rows})
    first = [1.0, 2.0]
    assert read_rows(frame, NAMED).numbers[0].tolist() == first
    assert read_rows(frame, NUMBERS).numbers[0].tolist() == first[::-1]
    assert read_rows(frame.set_axis([0, 1], axis=1), NAMED).numbers[0].tolist() == first[::-1]
    assert read_rows(frame.to_numpy(), NAMED).numbers[0].tolist() == first[::-1]
    with pytest.raises(InputError, match="string names"):
        read_rows(frame.set_axis(["a", 1], axis=1), NAMED)
    doubled = pd.concat([frame, frame[["a"]]], axis=1)
    with pytest.raises(InputError, match="more than one column is named 'a'"):
        read_rows(doubled, NAMED)
    extra = pd.concat([frame.assign(z=1), frame.assign(z=1)[["z"]]], axis=1)
    assert read_rows(extra, NAMED).numbers[0].tolist() == first
    with pytest.raises(InputError, match="3 features"):
        read_rows(doubled, NUMBERS)


def test_shapes_that_are_no_rows_are_refused():
    pd, pl = map(pytest.importorskip, ("pandas", "polars"))
    bad: dict[str, list[Any]] = {
        "3 features": [np.ones((2, 3)), [1, 2, 3], [[1, 2, 3]], (1, 2, 3)],
        "1D array": [np.ones(2), np.array(["a", "b"])],
        "0 sample": [[], (), np.empty((0, 2)), pd.DataFrame({"x0": [], "x1": []}), pl.DataFrame({"x0": [], "x1": []})],
        "scalar array": [np.float64(3), np.array(3)],
        "dim 3": [np.ones((1, 2, 2))],
        "2-dimensional": [pd.Series([1.0, 2.0]), pl.Series([1.0, 2.0]), pd.Index([1, 2])],
        "matrix": [np.asmatrix(np.ones((1, 2)))],
        "dtype": [np.zeros(2, [("a", "f8"), ("b", "f8")]), np.ones((1, 2), complex), np.ones((1, 2), "M8[D]")],
        "row 1": [[[1, 2], [1]], [[1, 2], "ab"], [[1, 2], None], [[1, 2], {1, 2}], [{"x0": 1, "x1": 2}, [1, 2]]],
        "text model": ["ab", b"ab"],
        "collect": [pl.LazyFrame({"x0": [1], "x1": [1]})],
        "cannot read": [3, None, {1, 2}, iter([]), object(), len],
    }
    for message, cases in bad.items():
        for data in cases:
            with pytest.raises(InputError, match=message):
                read_rows(data, NUMBERS)


@pytest.mark.parametrize("rows", [1, 2])
def test_dates_in_a_frame_are_refused_by_column(rows):
    pd, pa = map(pytest.importorskip, ("pandas", "pyarrow"))
    days = pd.to_datetime(["2020-01-01"] * rows)
    for data in (pd.DataFrame({"a": [1.0] * rows, "b": days}), pa.table({"a": [1.0] * rows, "b": list(days)})):
        with pytest.raises(InputError, match="column 'b'"):
            read_rows(data, NAMED)


def test_unhashable_categories_are_refused():
    values: list[Any] = [[1], {}, np.ones(2)]
    for value in values:
        for data in ({**BASE, "job": value}, [{**BASE, "job": value}]):
            with pytest.raises(InputError, match="column 'job'"):
                read_rows(data, TABLE)


def test_a_reader_serves_many_calls_and_leaves_the_data_alone():
    reader = RowReader(TABLE)
    row = dict(BASE)
    assert [reader.read(row).object_list for _ in range(3)] == [["clerk", None]] * 3
    assert row == BASE


def test_one_row_wakes_no_numpy():
    code = """
import sys
from slimml.runtime.columns import RowReader
from slimml.schema import Column, Schema
reader = RowReader(Schema((Column("a"), Column("b", "category"))))
for row in ({"a": 1, "b": "x"}, [1, None], (None, "x"), {"a": "2", "b": float("nan")}):
    assert reader.read(row).single
try:
    reader.read({"a": "x", "b": 1})
except ValueError:
    pass
assert not {"numpy", "pandas", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_str_of_digits_is_no_number_that_is_compared_as_it_comes():
    schema = Schema((Column("c", compared=True), Column("n")))
    assert Schema.from_json(schema.to_json()) == schema
    reader = RowReader(schema)
    good = (
        {"c": 1, "n": "2"},
        [{"c": 1, "n": "2"}, {"c": None, "n": 3}],
        [[True, "2"]],
        pd.DataFrame({"c": [1], "n": ["2"]}),
    )
    for rows in good:
        assert reader.read(rows).count
    bad = ({"c": "1", "n": 2}, [{"c": 1, "n": 2}, {"c": "1", "n": 2}], [["1", 2]], np.array([["1", "2"]]))
    for rows in (*bad, pd.DataFrame({"c": ["1"], "n": [2]}), pd.DataFrame({"c": ["1", 1], "n": [2, 3]})):
        with pytest.raises(InputError, match="none of the numbers"):
            reader.read(rows)


def test_a_column_of_numbers_holds_no_category_that_is_compared_as_it_comes():
    """Not even NaN: numpy.isnan of a table of objects raises in the original (utils/_encode.py, _check_unknown)."""
    schema = Schema((Column("c", CATEGORY, "object", compared=True), Column("n")))
    assert Schema.from_json(schema.to_json()) == schema
    reader = RowReader(schema)
    frame = pd.DataFrame({"c": ["a", "b"], "n": [1, 2]})
    taken = (
        frame,
        frame.iloc[:1],
        frame.assign(c=[None, np.nan]).astype({"c": object}),
        frame.astype({"c": "category"}),
    )
    for rows in (*taken, {"c": math.nan, "n": 1}, [{"c": None, "n": 1}], [["a", 1], [5, 2]]):
        assert reader.read(rows).count
    for values in ([np.nan, np.nan], [1, 2], [True, False], pd.array([None, None], dtype="Int64")):
        rows = frame.assign(c=values)
        for some in (rows, rows.iloc[:1], rows.iloc[:1].assign(n="1")):
            with pytest.raises(InputError, match="a column of"):
                reader.read(some)
    with pytest.raises(InputError, match="a column of"):
        reader.read(np.ones((2, 2)))

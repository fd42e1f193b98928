"""Tables: CSV by pandas' rules with and without pandas, other formats, what Python callers hold, declared schemas."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slimml.errors import InputError, MissingDependencyError, UsageError
from slimml.ir.domain import Domain
from slimml.tables import Table, from_any, read_schema, read_table, write_table
from slimml.tables.csv_text import MISSING, column, parse_csv
from slimml.tables.write import csv_text
from tests.shared import ROOT


def same(a: Any, b: Any) -> bool:
    """Equal values of the same type; NaN equals NaN, and the sign of zero counts."""
    if isinstance(a, float) and isinstance(b, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


def same_column(a: np.ndarray, b: Any) -> bool:
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a.tolist(), list(b), strict=True))


def as_pandas(text: str) -> Table:
    pd = pytest.importorskip("pandas", minversion="3", reason="the rules are those of pandas 3")
    with warnings.catch_warnings():  # float_precision is on its way out: exact will be the default
        warnings.simplefilter("ignore")
        return from_any(pd.read_csv(io.StringIO(text), float_precision="round_trip", low_memory=False))


def assert_as_pandas(text: str) -> None:
    ours, theirs = parse_csv(text), as_pandas(text)
    assert ours.names == theirs.names
    assert ours.dtypes == theirs.dtypes
    assert all(same_column(ours.columns[n], theirs.columns[n].tolist()) for n in ours.names)


FIELDS = st.one_of(
    st.sampled_from(sorted(MISSING)),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats().map(repr),
    st.sampled_from(
        "True False TRUE tRue true 1_0 0x10 1e5 1e .5 5. . - + +7 inf -Inf +INFINITY ١ 1d5 00012 --5".split()
    ),
    st.sampled_from([" ", " 6 ", "7\t", "5e 3", "- 5", " inf", " True", "a,b", 'say "x"', "two\nlines", "é", "NA "]),
    st.text(alphabet="ab01.-e ", max_size=4),
)


@given(st.lists(FIELDS, min_size=1, max_size=6))
@example(["9007199254740993", "NA"])
@example(["-0", "1E5"])
@example(["1e400", "1e-400"])
@example(["0.1", "0.30000000000000004", "5e-324", "1.7976931348623157e308"])
def test_a_csv_column_is_what_pandas_reads(fields: list[str]):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["a", "b"])
    writer.writerows([f, "1"] for f in fields)
    assert_as_pandas(out.getvalue())


@pytest.mark.parametrize(
    "text",
    [
        "a,a,a\n1,2,3\n",
        "a,a.1,a\n1,2,3\n",
        "a,,b\n1,2,3\n",
        "\n\na,b\n\n1\n  \n2,3\n",
        'a\n\n""\n1\n',
        "a,b\n1,\n",
        "a, b\n1, x\n",
        'a,b\n"x ""q"" y","l1\nl2"\n',
        'a\nx"y"z\n"p"q\n',
        '"1","2"\n"3","NA"\n',
        "a,b\r\n1,2\r\n",
        "a,b\n1,2",
    ],
)
def test_layout_is_read_as_pandas_reads_it(text: str):
    assert_as_pandas(text)


@pytest.mark.parametrize("name", ["adult", "diamonds", "housing", "sms", "telco"])
def test_real_tables_are_what_pandas_reads(shared: Path, name: str):
    assert_as_pandas((shared / "data" / f"{name}.csv").read_text(encoding="utf-8"))


def test_integers_beyond_int64_are_floats():
    for fields in (["9223372036854775808", "1"], ["-99999999999999999999"], ["18446744073709551616", "NA"]):
        values, dtype = column(fields)
        assert dtype == "float64"
        assert values[0] == float(fields[0])


def test_a_row_longer_than_the_header_is_named():
    with pytest.raises(InputError, match="line 4: 3 fields where the header has 2"):
        parse_csv("a,b\n1,2\n\n3,4,5\n")


def test_an_open_quote_is_named():
    with pytest.raises(InputError, match="line 3: a quote opens"):
        parse_csv('a,b\n1,2\n"3,4\n5,6\n')


def test_documents_of_any_length_are_read():
    assert parse_csv("a\n" + "x" * 200_000 + "\n").columns["a"][0] == "x" * 200_000


def test_a_header_alone_is_a_table_of_no_rows():
    table = parse_csv("a,b\n")
    assert (table.names, len(table)) == (("a", "b"), 0)


def test_csv_reads_the_same_without_pandas(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffa,b,c\n1,x,NA\n2.5,"y,z",true\n'.encode())
    code = (
        "import sys; sys.modules['pandas'] = sys.modules['pyarrow'] = None\n"
        "from slimml.tables import read_table\n"
        f"t = read_table({str(path)!r}); print(t.names, t.dtypes, [c.tolist() for c in t.columns.values()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    table = read_table(path)
    assert done.stdout.strip() == f"{table.names} {table.dtypes} {[c.tolist() for c in table.columns.values()]}"
    assert table.dtypes == {"a": "float64", "b": "str", "c": "object"}


MIXED = Table(
    ("n", "f", "b", "s"),
    {
        "n": np.array([1, 2, 3]),
        "f": np.array([0.1, math.nan, -0.0]),
        "b": np.array([True, False, True]),
        "s": np.array(["x", math.nan, 'y,"z"'], dtype=object),
    },
    {"n": "int64", "f": "float64", "b": "bool", "s": "str"},
)


def assert_equal(a: Table, b: Table) -> None:
    assert (a.names, a.dtypes) == (b.names, b.dtypes)
    assert all(same_column(a.columns[n], b.columns[n].tolist()) for n in a.names)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".feather", ".arrow"])
def test_a_written_table_reads_back(tmp_path: Path, ending: str):
    if ending != ".csv":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"t{ending}"
    write_table(path, MIXED)
    assert_equal(read_table(path), MIXED)


def test_the_content_tells_the_format_and_not_the_ending(tmp_path: Path):
    pytest.importorskip("pyarrow")
    write_table(tmp_path / "t.parquet", MIXED)
    (tmp_path / "t.parquet").rename(tmp_path / "t.csv")
    assert_equal(read_table(tmp_path / "t.csv"), MIXED)


def test_an_arrow_stream_is_read(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": pa.array([1, None]), "c": pa.array(["x", None]).dictionary_encode()})
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as stream:
        stream.write_table(table)
    read = read_table(tmp_path / "t.arrow")
    assert read.dtypes == {"a": "float64", "c": "category"}
    assert same_column(read.columns["c"], ["x", math.nan])


def test_the_index_of_a_pandas_frame_is_no_column(tmp_path: Path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [1, 2]}, index=[7, 9]).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").names == ("a",)


def test_npy_matrices_vectors_and_structured_arrays_are_read(tmp_path: Path):
    np.save(tmp_path / "m.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    np.save(tmp_path / "v.npy", np.array(["a", "b"]))
    np.save(tmp_path / "s.npy", np.array([(1, 2.5)], dtype=[("p", "i4"), ("q", "f8")]))
    matrix, vector, named = (read_table(tmp_path / f"{n}.npy") for n in "mvs")
    assert (matrix.names, matrix.named, matrix.dtypes["x2"]) == (("x0", "x1", "x2"), False, "float64")
    assert (vector.names, vector.dtypes["x0"]) == (("x0",), "str")
    assert (named.names, named.named, named.dtypes) == (("p", "q"), True, {"p": "int64", "q": "float64"})


def test_npy_is_written_as_vector_matrix_or_structured_array(tmp_path: Path):
    numbers = Table(("a", "b"), {"a": np.array([1.5]), "b": np.array([2.5])}, {"a": "float64", "b": "float64"})
    write_table(tmp_path / "m.npy", numbers)
    assert np.load(tmp_path / "m.npy").tolist() == [[1.5, 2.5]]
    write_table(tmp_path / "v.npy", numbers.drop("a"))
    assert np.load(tmp_path / "v.npy").tolist() == [2.5]
    write_table(tmp_path / "s.npy", MIXED.drop("s"))
    assert np.load(tmp_path / "s.npy").dtype.names == ("n", "f", "b")
    with pytest.raises(UsageError, match="column 's' mixes kinds"):
        write_table(tmp_path / "no.npy", MIXED)


def test_an_npy_file_with_a_pickle_inside_is_refused_unread(tmp_path: Path):
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="pickled Python objects"):
        read_table(tmp_path / "o.npy")


def test_an_npy_header_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    (tmp_path / "h.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))
    with pytest.raises(InputError, match="not a sound NPY file"):
        read_table(tmp_path / "h.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x80\x04K\x01.", "looks like a pickle"),
        (b"PK\x03\x04rest", "looks like a zip file"),
        (b"\x1f\x8brest", "looks like a gzip file"),
        (b'{"a": 1}', "looks like JSON"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"a,b\n\xe9,1\n", "nor UTF-8 text"),
        (b"\n\n", "no table"),
        (b"PAR1 but no more", "pyarrow cannot read it"),
        (b"ARROW1\x00\x00nothing", "pyarrow cannot read it"),
        (b"\x93NUMPY\x01\x00", "not a sound NPY file"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, content: bytes, message: str):
    if b"PAR1" in content or b"ARROW1" in content:
        pytest.importorskip("pyarrow")
    path = tmp_path / "data.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path):
    with pytest.raises(UsageError, match="No such file"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(UsageError, match="not a regular file"):
        read_table(tmp_path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"slimml\[data\]"):
        read_table(tmp_path / "t.parquet")


def test_an_ending_that_picks_no_format_is_refused_and_nothing_written(tmp_path: Path):
    with pytest.raises(UsageError, match="does not end in"):
        write_table(tmp_path / "t.xlsx", MIXED)
    assert list(tmp_path.iterdir()) == []


def test_csv_text_holds_every_digit_and_nothing_for_the_missing():
    assert csv_text(MIXED) == 'n,f,b,s\n1,0.1,True,x\n2,,False,\n3,-0.0,True,"y,""z"""\n'


def test_frames_keep_their_dtypes():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"i": [1, 2], "f": [0.5, None], "o": ["x", None], "b": [True, False]})
    frame["o"] = frame["o"].astype(object)
    frame["c"] = pd.Categorical(["x", None])
    frame["n"] = pd.array([1, None], dtype="Int64")
    frame["w"] = pd.array([1, 2], dtype="Int64")
    frame["m"] = pd.array([True, None], dtype="boolean")
    table = from_any(frame)
    expected = {"i": "int64", "f": "float64", "o": "object", "b": "bool", "c": "category"}
    assert table.dtypes == expected | {"n": "float64", "w": "int64", "m": "float64"}
    assert same_column(table.columns["c"], ["x", math.nan])
    assert same_column(table.columns["m"], [1.0, math.nan])
    assert table.named


def test_a_frame_without_string_names_is_known_by_position():
    pd = pytest.importorskip("pandas")
    table = from_any(pd.DataFrame(np.eye(2)))
    assert (table.names, table.named) == (("x0", "x1"), False)
    with pytest.raises(InputError, match="no strings"):
        from_any(pd.DataFrame({"a": [1], 2: [3]}))


def test_other_containers_become_tables():
    pl = pytest.importorskip("polars")
    expected = Table(
        ("a", "s"),
        {"a": np.array([1, 2]), "s": np.array(["x", "y"], dtype=object)},
        {"a": "int64", "s": "str"},
    )
    rows = [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}]
    for data in (rows, {"a": [1, 2], "s": ["x", "y"]}, pl.DataFrame(rows), expected):
        assert_equal(from_any(data), expected)


def test_rows_of_dicts_may_lack_keys_and_keep_none():
    table = from_any([{"a": 1, "s": "x"}, {"s": None}])
    assert table.dtypes == {"a": "float64", "s": "object"}
    assert same_column(table.columns["a"], [1.0, math.nan])
    assert table.columns["s"].tolist() == ["x", None]


def test_lists_of_lists_are_known_by_position_and_must_not_be_ragged():
    assert from_any([[1, "x"], [2.5, "y"]]).dtypes == {"x0": "float64", "x1": "str"}
    with pytest.raises(InputError, match="row 1 has 1"):
        from_any([[1, 2], [1]])


@pytest.mark.parametrize("data", [3, "no such file.csv", np.zeros((2, 2, 2)), [1, 2], [], np.zeros(2, dtype="M8[s]")])
def test_what_holds_no_rows_is_refused(data: Any):
    with pytest.raises((InputError, UsageError)):
        from_any(data)


def test_drop_and_take():
    table = MIXED.drop("f").take(np.array([2, 0]))
    assert table.names == ("n", "b", "s")
    assert table.columns["n"].tolist() == [3, 1]
    with pytest.raises(InputError, match="no column 'z'"):
        MIXED.drop("z")


AGE = {"kind": "number", "integer": True, "low": 0, "high": 120, "missing": False}


def test_a_schema_is_json_or_toml(tmp_path: Path):
    (tmp_path / "s.json").write_text(json.dumps({"columns": {"age": AGE, "job": {"kind": "category"}}}))
    toml = '[columns.age]\nkind = "number"\ninteger = true\nlow = 0\nhigh = 120\nmissing = false\n'
    (tmp_path / "s.toml").write_text(toml + '[columns.job]\nkind = "category"\n')
    expected = {
        "age": Domain(kind="number", integer=True, low=0.0, high=120.0, missing=False),
        "job": Domain(kind="category"),
    }
    assert read_schema(tmp_path / "s.json") == read_schema(tmp_path / "s.toml") == expected
    assert read_schema({"columns": {"age": AGE, "job": {"kind": "category"}}}) == expected


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("[[", "neither JSON nor TOML"),
        ("{}", "exactly one key"),
        ('{"columns": {"age": 3}}', "column 'age': kind must be one of"),
        ('{"columns": {"age": {"kind": "float"}}}', "kind must be one of"),
        ('{"columns": {"age": {"kind": "number", "max": 3}}}', "unknown: max"),
        ('{"columns": {"age": {"kind": "category", "low": 3}}}', "a category has no low"),
        ('{"columns": {"age": {"kind": "number", "low": "3"}}}', "low must be a number"),
        ('{"columns": {"age": {"kind": "number", "integer": 1}}}', "integer must be true or false"),
        ('{"columns": {"age": {"kind": "number", "low": 3, "high": 2}}}', "above high"),
        ("[" * 100_000, "neither JSON nor TOML"),
    ],
)
def test_a_malformed_schema_is_refused_by_column_and_field(tmp_path: Path, schema: str, message: str):
    path = tmp_path / "schema"
    path.write_text(schema)
    with pytest.raises(UsageError, match=message):
        read_schema(path)

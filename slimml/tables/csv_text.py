"""CSV text to a table: by one set of rules, whether or not pandas is installed.

The rules are those of `pandas.read_csv` with its defaults (what counts as missing, what is an integer, a float, a
bool; duplicate names; blank lines), as tests compare, but for three cases: decimals are read to the nearest double
(pandas: `float_precision="round_trip"`); integers beyond int64 are floats; and a row with more fields than the header
is an error, where pandas may take the first column for an index.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence

import numpy as np

from slimml.errors import InputError
from slimml.tables.infer import Typed, objects
from slimml.tables.table import Table, assemble

# pandas/_libs/parsers.pyx, STR_NA_VALUES
MISSING = frozenset(
    ",#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,None,n/a,nan,null".split(",")
)
# What Python's int() and float() may be shown: they would also take 1_000 and the digits of other scripts.
_NUMERIC = re.compile(r"[0-9+\-.eE \t\v\f]*")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_BOOLS = {"true": True, "false": False}
_TURNED = 4096  # rows that are turned into columns at once: as many as a processor's cache holds
_FIELD_LIMIT = 1 << 30  # documents are longer than the csv module's 128 KiB


def parse_csv(text: str) -> Table:
    """A table from CSV text with a header line. Raises InputError, which names the line."""
    lines = list(io.StringIO(text, newline=""))
    rows = _rows(lines)
    if not rows:
        raise InputError("the file holds no table: it has no header line", hint="the first line names the columns")
    header, *rows = rows
    width = len(header)
    lengths = set(map(len, rows))
    if max(lengths, default=0) > width:
        raise _too_long(lines, width)
    if lengths - {width}:
        rows = [row + [""] * (width - len(row)) for row in rows]
    return assemble(_distinct(header), [column(values) for values in _columns(rows, width)])


def _rows(lines: Sequence[str]) -> list[list[str]]:
    limit = csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(lines)
    rows, begin, end = [], 0, 0
    try:
        for row in reader:
            begin, end = end, reader.line_num
            if row and not _blank(row):
                rows.append(row)
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", where=f"line {reader.line_num}") from None
    finally:
        csv.field_size_limit(limit)
    _refuse_open_quote(lines[begin:], begin + 1)
    return rows


def _columns(rows: Sequence[list[str]], width: int) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in range(width)]
    for start in range(0, len(rows), _TURNED):
        for whole, part in zip(columns, zip(*rows[start : start + _TURNED], strict=True), strict=True):
            whole += part
    return columns


def _blank(row: list[str]) -> bool:
    return len(row) == 1 and row[0] != "" and not row[0].strip(" \t")


def _refuse_open_quote(last: Sequence[str], number: int) -> None:
    """The csv module takes all that follows an open quote for one field, and says so only when it is strict."""
    try:
        list(csv.reader(last, strict=True))
    except csv.Error as error:
        if "end of data" in str(error):
            what = "a quote opens in the row that starts here and never closes"
            raise InputError(what, where=f"line {number}", hint='a quote inside a field is written ""') from None


def _too_long(lines: Sequence[str], width: int) -> InputError:
    reader = csv.reader(lines)
    number = 1
    for row in reader:
        if len(row) > width:
            return InputError(
                f"{len(row)} fields where the header has {width}",
                where=f"line {number}",
                hint="every column needs a name in the header line; put fields that hold commas in quotes",
            )
        number = reader.line_num + 1
    raise AssertionError("no row is longer than the header")


def _distinct(header: Sequence[str]) -> tuple[str, ...]:
    """The names, made different as pandas does: a, a.1, a.2; a column without name is `Unnamed: <position>`."""
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    taken, out = set(names), []
    seen: dict[str, int] = {}
    for name in names:
        count = seen.get(name, 0)
        new = name
        while count and (new := f"{name}.{count}") in taken:
            count += 1
        taken.add(new)
        seen[name] = count + 1
        out.append(new)
    return tuple(out)


def column(values: Sequence[str]) -> Typed:
    """A typed column of fields."""
    missing = not MISSING.isdisjoint(values)
    present = [v for v in values if v not in MISSING] if missing else values
    if not present:
        return np.full(len(values), math.nan), "float64"
    if not missing and (whole := _integers(present)) is not None:
        return whole, "int64"
    if (floats := _floats(present)) is not None:
        return (_spread(values, floats) if missing else floats), "float64"
    if all(v.lower() in _BOOLS for v in set(present)):
        if not missing:
            return np.array([_BOOLS[v.lower()] for v in values], dtype=bool), "bool"
        return objects([math.nan if v in MISSING else _BOOLS[v.lower()] for v in values]), "object"
    return objects([math.nan if v in MISSING else v for v in values] if missing else values), "str"


def _integers(fields: Sequence[str]) -> np.ndarray | None:
    if not _NUMERIC.fullmatch("".join(fields)):
        return None
    try:
        return np.array(list(map(int, fields)), dtype=np.int64)
    except (ValueError, OverflowError):
        return None


def _floats(fields: Sequence[str]) -> np.ndarray | None:
    if not _NUMERIC.fullmatch("".join(fields)) and not all(
        _NUMERIC.fullmatch(v) or _INFINITE.fullmatch(v) for v in set(fields)
    ):
        return None
    try:
        return np.array(list(map(float, fields)), dtype=np.float64)
    except ValueError:
        return None


def _spread(values: Sequence[str], floats: np.ndarray) -> np.ndarray:
    out = np.full(len(values), math.nan)
    out[np.array([v not in MISSING for v in values])] = floats
    return out

"""The columns a model takes: names, kinds, dtypes. Standard library only: the runtime stands on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from slimml.errors import ArtifactCorruptError, InputError

NUMBER, CATEGORY, TEXT = "number", "category", "text"
KINDS = (NUMBER, CATEGORY, TEXT)
# What the original makes of the integers of an array, where it does not refuse or differ from step to step.
FLOAT64, FLOAT32 = "float64", "float32"
# What the original takes a cell for that a sparse matrix does not store; or it answers no sparse rows, or otherwise.
ZERO, MISSING, REFUSED = "zero", "missing", "refused"


class _PandasNA:
    """Stands for `pandas.NA` among categories: hashable, and equal to nothing but itself.

    scikit-learn's encoders neither take pandas.NA for None or NaN nor for a category they know, and its imputers
    raise on it. (In nullable integer, float and boolean columns it arrives as NaN, there as here.)
    """

    def __ne__(self, other: object) -> bool:
        # What looks for missing values asks `x != x`, and the original's imputers raise there too.
        what = "pandas.NA in a column that is imputed: the original raises here too"
        raise InputError(what, hint="turn pandas.NA into None or NaN, as the training rows had it")

    def __repr__(self) -> str:
        return "pandas.NA"

    def __reduce__(self) -> str:
        return "PANDAS_NA"


PANDAS_NA = _PandasNA()


@dataclass(frozen=True, slots=True)
class Column:
    """One raw input column.

    `kind`      number (arrives as float64), category (any hashable value, missing allowed) or text (str)
    `dtype`     the dtype name the original was shown ("int64", "float64", "bool", "object", "str"), for documentation
    `read`      whether the compiled model reads it; an unread one may be left out with `strict=False`
    `codes`     of a category: what the numbers 0, 1, ... stand for in rows without names (arrays, lists); None where a
                number is a category like any other, empty where it may mean the one or the other and is refused
    `compared`  a step compares the values as they come: among numbers a str of digits is none, and a category is in no
                column of numbers
    `declared`  what the user said of a number, which folding counts on: whether it is whole, the least, the most, and
                whether it may be missing
    """

    name: str
    kind: str = NUMBER
    dtype: str = "float64"
    read: bool = True
    codes: tuple[str | int | float, ...] | None = None
    compared: bool = False
    declared: tuple[bool, float, float, bool] | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns in the original's order.

    `named`   whether the original was fitted on named columns
    `sparse`  what stands where a sparse matrix stores nothing: zero, missing; refused where none may come
    `spaced`  whether "_" in a name may stand for a space in the caller's own
    `flat`    whether the original takes its one column as a vector: a list of values, or a 1-D array, is many rows
    `integers`  what those of an array are read as: float64, float32; refused where it matters and steps disagree
    """

    columns: tuple[Column, ...]
    named: bool = True
    sparse: str = ZERO
    spaced: bool = False
    flat: bool = False
    integers: str = FLOAT64

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        columns = [_column_json(c) for c in self.columns]
        rare: dict[str, Any] = {name: True for name in ("spaced", "flat") if getattr(self, name)}
        rare |= {"integers": self.integers} if self.integers != FLOAT64 else {}
        return {"named": self.named, "sparse": self.sparse, **rare, "columns": columns}

    @classmethod
    def from_json(cls, value: object) -> Schema:
        """Read back `to_json`, trusting nothing. Raises ArtifactCorruptError."""
        if not isinstance(value, Mapping) or not isinstance(value.get("columns"), list):
            raise ArtifactCorruptError("the schema is not an object with a list of columns")
        if not isinstance(value.get("named"), bool):
            raise ArtifactCorruptError("the schema does not say whether its columns are named")
        if value.get("sparse") not in (ZERO, MISSING, REFUSED):
            raise ArtifactCorruptError("the schema does not say whether its rows may be sparse")
        integers = value.get("integers", FLOAT64)
        if integers not in (FLOAT64, FLOAT32, REFUSED):
            raise ArtifactCorruptError("the schema does not say what integers are read as")
        columns = tuple(_column(c) for c in value["columns"])
        flat = value.get("flat", False)
        if flat is not False and (flat is not True or len(columns) != 1):
            raise ArtifactCorruptError("the schema does not say whether its one column is a vector")
        if len({c.name for c in columns}) != len(columns):
            raise ArtifactCorruptError("the schema names a column twice")
        return cls(columns, value["named"], value["sparse"], value.get("spaced") is True, flat, integers)


def respelled(given: Iterable[Any], known: Collection[str]) -> list[Any]:
    """A caller's names as a `spaced` schema has them: with "_" for a space, where they are not among its own."""
    return [n.replace(" ", "_") if isinstance(n, str) and n not in known else n for n in given]


def _column_json(column: Column) -> dict[str, Any]:
    plain = {"name": column.name, "kind": column.kind, "dtype": column.dtype, "read": column.read}
    rare: dict[str, Any] = {"compared": True} if column.compared else {}
    if column.declared is not None:
        integer, low, high, missing = column.declared
        ends = {name: end for name, end in (("low", low), ("high", high)) if isfinite(end)}
        rare["declared"] = {"integer": integer, "missing": missing, **ends}
    return plain | rare if column.codes is None else plain | rare | {"codes": list(column.codes)}


def _column(value: object) -> Column:
    plain, rare = {"name", "kind", "dtype", "read"}, {"codes", "compared", "declared"}
    if not isinstance(value, Mapping) or set(value) - rare != plain:
        raise ArtifactCorruptError("a column of the schema does not have exactly name, kind, dtype, read")
    name, kind, dtype, read = value["name"], value["kind"], value["dtype"], value["read"]
    if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(read, bool) and kind in KINDS):
        raise ArtifactCorruptError(f"column {name!r} of the schema is malformed")
    compared = value.get("compared", False)
    if compared is not False and (compared is not True or kind == TEXT):
        raise ArtifactCorruptError(f"column {name!r} of the schema is compared with nothing")
    codes = value.get("codes")
    if codes is not None and not (
        kind == CATEGORY and isinstance(codes, list) and all(type(c) in (str, int, float) for c in codes)
    ):
        raise ArtifactCorruptError(f"the codes of column {name!r} of the schema are malformed")
    declared = _declared(value["declared"], name, kind) if "declared" in value else None
    return Column(name, kind, dtype, read, None if codes is None else tuple(codes), compared, declared)


def _declared(value: object, name: str, kind: str) -> tuple[bool, float, float, bool]:
    if isinstance(value, Mapping) and kind == NUMBER and set(value) - {"low", "high"} == {"integer", "missing"}:
        integer, missing = value["integer"], value["missing"]
        low, high = value.get("low", -inf), value.get("high", inf)
        numbers = all(type(end) in (int, float) for end in (low, high))
        if isinstance(integer, bool) and isinstance(missing, bool) and numbers and float(low) <= float(high):
            return integer, float(low), float(high), missing
    raise ArtifactCorruptError(f"what was declared of column {name!r} of the schema is malformed")

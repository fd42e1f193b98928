"""One value, or one column of values, as the model takes it: a double, a category, a text. Standard library alone."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from slimml.errors import InputError
from slimml.schema import PANDAS_NA

# The one NaN among categories: a dict finds it by identity, which no other NaN would be.
NAN = math.nan

_PLAIN_NUMBERS = {float, int, bool}
_PLAIN_CATEGORIES = {str, int, bool, type(None)}


def place(column: str, row: int | None) -> str:
    """Where a value is, for messages."""
    return f"column {column!r}" if row is None else f"column {column!r}, row {row}"


def is_pandas_na(value: object) -> bool:
    """Whether `value` is pandas.NA, told without importing pandas."""
    return type(value).__name__ == "NAType"


def number(value: Any, column: str, row: int | None = None) -> float:
    """`value` as the double that numpy makes of it; None and pandas.NA are NaN. Raises InputError."""
    if value is None or is_pandas_na(value):
        return NAN
    try:
        # float() would take an array of one value, and drop an imaginary part with no more than a warning.
        if isinstance(value, complex) or bool(getattr(value, "ndim", 0)) or type(value).__name__.startswith("complex"):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        kind = f"the str {value!r:.80}" if isinstance(value, str) else f"{value!r:.80} ({type(value).__name__})"
        hint = "pass a number, a numeric str, or None for a missing value"
        raise InputError(f"could not convert to a number: {kind}", where=place(column, row), hint=hint) from None


def numbers(values: Sequence[Any], column: str) -> list[float]:
    """A column of `number`."""
    if set(map(type, values)) <= _PLAIN_NUMBERS:
        try:
            return list(map(float, values))
        except OverflowError:
            pass  # an int beyond all doubles: below it is named
    return [number(value, column, row) for row, value in enumerate(values)]


def refuse_texts(values: Sequence[Any], column: str) -> None:
    """Raise InputError where a column of numbers that are compared as they come holds a str, which equals none."""
    for row, value in enumerate(values):
        if isinstance(value, (str, bytes)):
            what = f"the {type(value).__name__} {value!r:.80} is none of the numbers that the model was fitted on"
            hint = "pass a number: the original takes no str for one here"
            raise InputError(what, where=place(column, row if len(values) > 1 else None), hint=hint)


def category(value: Any, column: str, row: int | None = None) -> Any:
    """`value` as a dict key that equals what the model was fitted on: numpy scalars become Python's, NaN is `NAN`,
    pandas.NA is `PANDAS_NA`, None stays. Raises InputError for what has no hash.
    """
    kind = type(value)
    if kind in _PLAIN_CATEGORIES:
        return value
    if kind.__module__ == "numpy" and getattr(value, "ndim", 1) == 0 and value.dtype.kind not in "mMV":
        value = value.item()
    if isinstance(value, float):
        return value if value == value else NAN
    if is_pandas_na(value):
        return PANDAS_NA
    try:
        hash(value)
    except TypeError:
        what = f"a {type(value).__name__} is no category: {value!r:.80}"
        raise InputError(what, where=place(column, row), hint="pass a str, a number, a bool or None") from None
    return value


def coded(value: Any, codes: Sequence[Any], column: str, row: int | None = None) -> Any:
    """The category that a number of an array stands for: the one at that place, as XGBoost truncates float32; beyond
    them an unknown one. What is no number is the category itself. Raises InputError.
    """
    value = category(value, column, row)
    if not isinstance(value, (int, float)) or value != value:
        return value
    if not codes or math.isinf(value):
        what = f"the number {value!r:.40} in a column of categories, in rows without names"
        hint = "pass a DataFrame or dicts, with the categories themselves"
        raise InputError(what, where=place(column, row), hint=hint)
    at = int(array("f", [value])[0]) if 0 <= value < len(codes) else len(codes)
    return codes[at] if at < len(codes) else PANDAS_NA


def categories(values: Iterable[Any], column: str) -> list[Any]:
    """A column of `category`."""
    values = values if isinstance(values, list) else list(values)
    if set(map(type, values)) <= _PLAIN_CATEGORIES:
        return values
    return [category(value, column, row) for row, value in enumerate(values)]


def text(value: Any, column: str, row: int | None = None) -> str:
    """`value` as a document; bytes are decoded as UTF-8. Raises InputError for anything else, missing values included
    (as the vectorizers do).
    """
    if isinstance(value, str):
        return value if type(value) is str else str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8 ({error})", where=place(column, row), hint="decode it first") from None
    what = f"a document must be a str, not {value!r:.80} ({type(value).__name__})"
    raise InputError(what, where=place(column, row), hint='pass "" for an empty document')


def texts(values: Iterable[Any], column: str) -> list[str]:
    """A column of `text`."""
    return [value if type(value) is str else text(value, column, row) for row, value in enumerate(values)]

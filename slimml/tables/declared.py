"""The --schema FILE: what the user declares about columns. A declaration is a promise that answers may rely on.

[columns.age]                       {"columns": {"age": {"kind": "number", "integer": true, "low": 0}}}
kind = "number"    # or category, text
integer = true     # every value is whole
low = 0            # closed bounds
high = 120
missing = false    # no value is missing
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from slimml.errors import UsageError
from slimml.ir.domain import Domain
from slimml.schema import KINDS, NUMBER, TEXT

_FORM = 'a schema is JSON or TOML: {"columns": {"age": {"kind": "number", "integer": true, "low": 0}}}'
_FIELDS = ("kind", "integer", "low", "high", "missing")


def read_schema(source: str | PathLike[str] | Mapping[str, Any]) -> dict[str, Domain]:
    """What a JSON or TOML file (or the dict it would hold) declares, by column.

    Raises UsageError, which names the column and the field.
    """
    where = "schema" if isinstance(source, Mapping) else os.fspath(source)
    document = source if isinstance(source, Mapping) else _read(where)
    columns = document.get("columns") if isinstance(document, Mapping) else None
    if not isinstance(columns, Mapping) or set(document) != {"columns"}:
        raise UsageError("the schema has not exactly one key, `columns`", where=where, hint=_FORM)
    return {name: _domain(name, value, where) for name, value in columns.items()}


def _read(where: str) -> Any:
    try:
        return _parse(Path(where).read_text(encoding="utf-8-sig"), where)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {where}: {reason}", hint=_FORM) from None


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and TOMLDecodeError are ValueErrors
        raise UsageError(f"neither JSON nor TOML: {error}", where=where, hint=_FORM) from None


def _domain(name: str, value: Any, file: str) -> Domain:
    where = f"{file}, column {name!r}"
    if not isinstance(value, Mapping) or value.get("kind") not in KINDS:
        raise UsageError("kind must be one of: " + ", ".join(KINDS), where=where, hint=_FORM)
    if odd := sorted(set(value) - set(_FIELDS)):
        raise UsageError(f"unknown: {', '.join(odd)}", where=where, hint=f"the fields are: {', '.join(_FIELDS)}")
    kind = value["kind"]
    if kind != NUMBER and (odd := sorted({"integer", "low", "high"} & set(value))):
        raise UsageError(f"a {kind} has no {', '.join(odd)}", where=where, hint="these describe numbers")
    for field in ("integer", "missing"):
        if not isinstance(value.get(field, False), bool):
            raise UsageError(f"{field} must be true or false", where=where)
    low, high = _bound(value, "low", -math.inf, where), _bound(value, "high", math.inf, where)
    if low > high:
        raise UsageError(f"low {low} is above high {high}", where=where)
    missing = value.get("missing", kind != TEXT)
    return Domain(kind=kind, integer=value.get("integer", False), low=low, high=high, missing=missing)


def _bound(value: Mapping[str, Any], field: str, default: float, where: str) -> float:
    bound = value.get(field, default)
    if isinstance(bound, bool) or not isinstance(bound, (int, float)) or bound != bound:
        raise UsageError(f"{field} must be a number", where=where)
    return float(bound)

"""Parquet, Feather and Arrow files, through pyarrow."""

from __future__ import annotations

import json
import math
from io import BytesIO
from os import PathLike
from typing import Any

import numpy as np

from slimml._optional import require
from slimml.errors import InputError
from slimml.tables.infer import Typed, objects, typed, typed_array
from slimml.tables.table import Table, assemble

PARQUET, ARROW, FEATHER_1, STREAM = b"PAR1", b"ARROW1", b"FEA1", b"\xff\xff\xff\xff"


def read_arrow(path: str | PathLike[str], head: bytes) -> Table:
    """The table in a file that starts with `head`. Raises InputError, MissingDependencyError."""
    arrow = require("pyarrow", "data")
    try:
        return from_arrow(_load(path, head))
    except (arrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(error.what, where=str(path), hint=error.hint) from None
        raise InputError(f"pyarrow cannot read it: {error}", where=str(path), hint="write the file again") from None


def _load(path: str | PathLike[str], head: bytes) -> Any:
    if head.startswith(PARQUET):
        parquet = require("pyarrow.parquet", "data")
        # Not read_table: that would read `a=1` in a folder's name as a column.
        with parquet.ParquetFile(path) as file:
            return file.read()
    if head.startswith(STREAM):
        ipc = require("pyarrow.ipc", "data")
        with open(path, "rb") as file, ipc.open_stream(file) as stream:
            return stream.read_all()
    return require("pyarrow.feather", "data").read_table(path)


def from_arrow(table: Any) -> Table:
    """A pyarrow Table; the index that a pandas frame left in it is no column."""
    index = _index_columns(table.schema.metadata or {})
    names = tuple(n for n in table.schema.names if n not in index)
    return assemble(names, [_column(table.column(i)) for i, n in enumerate(table.schema.names) if n not in index])


def _index_columns(metadata: dict[bytes, bytes]) -> set[str]:
    try:
        described = json.loads(metadata.get(b"pandas", b"{}"))
    except ValueError:
        return set()
    listed = described.get("index_columns", []) if isinstance(described, dict) else []
    return {n for n in listed if isinstance(n, str)} if isinstance(listed, list) else set()


def _column(values: Any) -> Typed:
    kind = str(values.type)
    if kind.startswith("dictionary"):
        return objects([math.nan if v is None else v for v in values.to_pylist()]), "category"
    if kind.startswith(("int", "uint")):
        whole = values.null_count == 0
        array = values.to_numpy()
        return typed_array(array) if whole else (array.astype(np.float64), "float64")
    if kind in ("float", "double", "halffloat"):
        return values.to_numpy().astype(np.float64), "float64"
    if kind == "bool" and values.null_count == 0:
        return values.to_numpy().astype(bool), "bool"
    listed = values.to_pylist()
    if "string" in kind and "<" not in kind:
        return objects([math.nan if v is None else v for v in listed]), "str"
    return typed(listed) if kind == "null" else (objects(listed), "object")


def encode_arrow(table: Table, ending: str) -> bytes:
    """The bytes of a file: ending .parquet, or .feather and .arrow. Raises MissingDependencyError, InputError."""
    arrow = require("pyarrow", "data")
    try:
        made = arrow.table({n: arrow.array(table.columns[n].tolist(), from_pandas=True) for n in table.names})
    except arrow.ArrowException as error:
        hint = "write .csv, which holds columns of mixed kinds"
        raise InputError(f"{ending} cannot hold these answers: {error}", hint=hint) from None
    out = BytesIO()
    if ending == ".parquet":
        require("pyarrow.parquet", "data").write_table(made, out)
    else:
        require("pyarrow.feather", "data").write_feather(made, out)
    return out.getvalue()

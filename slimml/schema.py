"""The columns a model takes: names, kinds, dtypes. Standard library only: the runtime stands on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slimml.errors import ArtifactCorruptError

NUMBER, CATEGORY, TEXT = "number", "category", "text"
KINDS = (NUMBER, CATEGORY, TEXT)


@dataclass(frozen=True, slots=True)
class Column:
    """One raw input column.

    `kind`      number (arrives as float64), category (any hashable value, missing allowed) or text (str)
    `dtype`     the dtype name the original was shown ("int64", "float64", "bool", "object", "str"), for documentation
    `read`      whether the compiled model reads it; an unread one may be left out with `strict=False`
    """

    name: str
    kind: str = NUMBER
    dtype: str = "float64"
    read: bool = True


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns in the original's order.

    `named`   whether the original was fitted on named columns
    `sparse`  whether rows may come as a sparse matrix: the original answers them as it answers the same rows dense
    """

    columns: tuple[Column, ...]
    named: bool = True
    sparse: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        columns = [{"name": c.name, "kind": c.kind, "dtype": c.dtype, "read": c.read} for c in self.columns]
        return {"named": self.named, "sparse": self.sparse, "columns": columns}

    @classmethod
    def from_json(cls, value: object) -> Schema:
        """Read back `to_json`, trusting nothing. Raises ArtifactCorruptError."""
        if not isinstance(value, Mapping) or not isinstance(value.get("columns"), list):
            raise ArtifactCorruptError("the schema is not an object with a list of columns")
        if not isinstance(value.get("named"), bool):
            raise ArtifactCorruptError("the schema does not say whether its columns are named")
        if not isinstance(value.get("sparse"), bool):
            raise ArtifactCorruptError("the schema does not say whether its rows may be sparse")
        columns = tuple(_column(c) for c in value["columns"])
        if len({c.name for c in columns}) != len(columns):
            raise ArtifactCorruptError("the schema names a column twice")
        return cls(columns, value["named"], value["sparse"])


def _column(value: object) -> Column:
    if not isinstance(value, Mapping) or set(value) != {"name", "kind", "dtype", "read"}:
        raise ArtifactCorruptError("a column of the schema does not have exactly name, kind, dtype, read")
    name, kind, dtype, read = value["name"], value["kind"], value["dtype"], value["read"]
    if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(read, bool) and kind in KINDS):
        raise ArtifactCorruptError(f"column {name!r} of the schema is malformed")
    return Column(name, kind, dtype, read)

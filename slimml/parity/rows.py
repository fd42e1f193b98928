"""Raw rows, in every form in which somebody takes them: the original, the graph, the artifact."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slimml.ir.graph import Graph
from slimml.ir.ops.columns import FLOAT32, Input
from slimml.parity import worker
from slimml.schema import CATEGORY, NUMBER, TEXT, Column, Schema

# Dtypes in which a missing value is always NaN: a None that is put in comes out as NaN.
_NAN_ONLY = ("str", "category")


@dataclass(frozen=True, slots=True, eq=False)
class RawRows:
    """One array per column of the schema: float64 for numbers, object for categories and texts.

    `float32`: the numbers are handed over as float32, which holds them exactly.
    """

    schema: Schema
    columns: Mapping[str, np.ndarray]
    float32: bool = False

    @classmethod
    def make(cls, schema: Schema, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> RawRows:
        """Rows from any sequences; missing categories become what the column's dtype can hold."""
        made = {c.name: _column(columns[c.name], c.kind, c.dtype) for c in schema.columns}
        return cls(schema, made)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, index: np.ndarray | slice) -> RawRows:
        """The rows at those positions (or where a mask is True)."""
        return replace(self, columns={name: values[index] for name, values in self.columns.items()})

    def as_float32(self) -> RawRows:
        """The rows whose numbers float32 can hold, rounded to float32."""
        with np.errstate(over="ignore"):
            rounded = {
                c.name: self.columns[c.name].astype(np.float32).astype(np.float64)
                for c in self.schema.columns
                if c.kind == NUMBER
            }
        kept = np.ones(len(self), dtype=bool)
        for name, values in rounded.items():
            kept &= ~np.isinf(values) | np.isinf(self.columns[name])
        return replace(self, columns={**self.columns, **rounded}, float32=True).take(kept)

    def described(self) -> list[tuple[str, str, str, Any]]:
        """(name, kind, dtype, values) per column, as `worker` takes them."""
        return [(c.name, c.kind, self._dtype(c), self._plain(c.name, c.kind)) for c in self.schema.columns]

    def _dtype(self, column: Column) -> str:
        return worker.FLOAT32_ROWS if self.float32 and column.kind == NUMBER else column.dtype

    def _plain(self, name: str, kind: str) -> Any:
        values = self.columns[name]
        return values if kind == NUMBER else values.tolist()

    @property
    def shape(self) -> str:
        """What the original is called with: "frame", "array", or "documents" for a text model without names."""
        columns = self.schema.columns
        if self.schema.named:
            return "frame"
        return "documents" if len(columns) == 1 and columns[0].kind == TEXT else "array"

    def frame(self) -> Any:
        """A pandas frame, each column in its dtype where all of its values fit. ImportError without pandas."""
        return worker.as_frame(self.described())

    def array(self) -> np.ndarray:
        """A matrix: float64, or object where a column does not hold numbers."""
        return worker.as_array(self.described())

    def argument(self) -> Any:
        """What the original takes."""
        return worker.argument(self.shape, self.described())

    def batch(self) -> Any:
        """What the loaded artifact takes: as the original, but dicts where pandas is not installed."""
        return self.argument() if self.typed else self.records()

    @property
    def typed(self) -> bool:
        """Whether `batch` hands the columns over in their dtypes, which dicts have none of."""
        return self.shape != "frame" or importlib.util.find_spec("pandas") is not None

    def records(self, count: int | None = None) -> list[dict[str, Any]]:
        """The first rows as dicts of Python values; whole numbers of integer columns are ints, as JSON would say."""
        names = self.schema.names
        lists = [self._listed(c.name, c.kind, c.dtype, count) for c in self.schema.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]

    def _listed(self, name: str, kind: str, dtype: str, count: int | None) -> list[Any]:
        values = self.columns[name][:count]
        if kind == NUMBER:
            values = worker.narrowed(values, dtype)
        listed: list[Any] = values.tolist()
        return listed

    def blocks(self, graph: Graph) -> dict[Input, np.ndarray]:
        """One (n, width) block per input node of the graph."""
        return {node: self.block(node) for node in graph.inputs()}

    def by_kind(self, graph: Graph) -> dict[str, np.ndarray]:
        """The same blocks by the kind of input, as engines take them."""
        return {node.kind: self.block(node) for node in graph.inputs()}

    def block(self, node: Input) -> np.ndarray:
        """The columns that an input node reads."""
        names = self.schema.names
        dtype = {NUMBER: np.float64, FLOAT32: np.float32}.get(node.kind, object)
        out = np.empty((len(self), len(node.columns)), dtype=dtype)
        for i, c in enumerate(node.columns):
            out[:, i] = self.columns[names[c]]
        return out


def concat(parts: Sequence[RawRows]) -> RawRows:
    """Rows one below the other; at least one part."""
    first = parts[0]
    joined = {name: np.concatenate([p.columns[name] for p in parts]) for name in first.columns}
    return RawRows(first.schema, joined)


def _column(values: Sequence[Any] | np.ndarray, kind: str, dtype: str) -> np.ndarray:
    if kind == NUMBER:
        return np.asarray([math.nan if v is None else v for v in _python(values)], dtype=np.float64)
    nan_only = kind == CATEGORY and dtype in _NAN_ONLY
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(_python(values)):
        missing = (value is None and nan_only) or type(value).__name__ == "NAType"
        # One NaN for all: dicts find it by identity.
        out[i] = math.nan if missing or (isinstance(value, float) and value != value) else value
    return out


def _python(values: Sequence[Any] | np.ndarray) -> Sequence[Any]:
    if isinstance(values, np.ndarray) or hasattr(values, "tolist"):
        listed: list[Any] = values.tolist()
        return listed
    return values

"""The ops on categories, for a whole graph as one file: a tensor [n, 1] per column, of strings or of doubles.

ONNX has no missing string. Of a column of strings one token stands for a missing value: "nan", which is what str()
makes of one (an empty string is a category like any other), unless that is a category of its own. NaN stands for
itself in a column of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isnan

import numpy as np

from slimml.backends.base import Refusal
from slimml.backends.onnx import rules
from slimml.backends.onnx.program import ML
from slimml.backends.onnx.protobuf import ELEMENT
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import Cast, Concat, Input, Select
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing

OBJECT_OPS = (Input, Select, Concat, Cast, FillMissing, Guard, IsMissing, Lookup)


@dataclass(slots=True)
class Usage:
    """What a raw column of categories is compared with, over the whole graph; `dtype` is the schema's."""

    dtype: str = "object"
    origin: str = ""
    values: list[object] = field(default_factory=list)

    @property
    def text(self) -> bool:
        """Whether the column holds strings. Where it is compared with nothing any more the schema knows."""
        told = [v for v in self.values if not is_missing(v)]
        return any(isinstance(v, str) for v in told) or (not told and self.dtype in ("object", "str"))

    @property
    def mixed(self) -> bool:
        """Whether it is compared with strings and with numbers, of which a tensor cannot hold both."""
        return self.text and any(isinstance(v, int | float) and not is_missing(v) for v in self.values)

    @property
    def token(self) -> str:
        """The string that stands for a missing value."""
        texts, token = {v for v in self.values if isinstance(v, str)}, "nan"
        while token in texts:
            token = f"<missing{token}>"
        return token


@dataclass(frozen=True, slots=True)
class Cell:
    """One column: its tensor [n, 1], and what stands for a missing value in it (None: it holds doubles)."""

    name: str
    token: str | None


def usages(graph: Graph) -> dict[int, Usage]:
    """What every raw column of categories is compared with, by its position in the schema."""
    inputs = [c for x in graph.inputs() if x.kind == "category" for c in x.columns]
    found = {c: Usage(graph.schema.columns[c].dtype) for c in inputs}
    origins: dict[Node, list[int | None]] = {}
    for node in graph.nodes():
        raw = _raw_columns(node, origins)
        origins[node] = raw
        compared = zip(origins[node.inputs[0]] if node.inputs else [], _compared(node), strict=False)
        for column, values in compared:
            if column is not None:
                found[column].values += values
                found[column].origin = found[column].origin or node.origin
    return found


def refusals_of(graph: Graph) -> list[Refusal]:
    """Columns that no tensor can hold, and tables that tell None from NaN."""
    refusals = [Refusal("a column of strings and numbers", u.origin) for u in usages(graph).values() if u.mixed]
    for node in graph.nodes():
        if isinstance(node, Lookup) and any(sum(map(is_missing, table)) > 1 for table in node.tables):
            refusals.append(Refusal("an encoder that tells None from NaN", node.origin))
    return refusals


def is_missing(value: object) -> bool:
    """Whether a value is None or NaN."""
    return value is None or (isinstance(value, float) and isnan(value))


def lower(scope: rules.Scope, cells: dict[Node, tuple[Cell, ...]], node: Node) -> None:
    """Append what computes a node that reads or answers objects."""
    if isinstance(node, Lookup):
        _join(scope, node, [_codes(scope, c, t) for c, t in zip(cells[node.inputs[0]], node.tables, strict=True)])
    elif isinstance(node, IsMissing):
        _join(scope, node, [_equals(scope, c, node.sentinel) for c in cells[node.inputs[0]]])
    elif isinstance(node, FillMissing):
        pairs = zip(cells[node.inputs[0]], node.fill, strict=True)
        cells[node] = tuple(_filled(scope, c, node.sentinel, f) for c, f in pairs)
    elif isinstance(node, Select):
        cells[node] = tuple(cells[node.inputs[0]][i] for i in node.index.tolist())
    elif isinstance(node, Concat):
        cells[node] = tuple(c for x in node.inputs for c in _cells(scope, cells, x))
    elif node.type.numeric:
        _join(scope, node, [scope.cast(c.name, "float64", node.type.dtype) for c in cells[node.inputs[0]]])
    else:
        cells[node] = _cells(scope, cells, node.inputs[0])


def expressible(node: Node, found: dict[int, Usage]) -> bool:
    """Whether `lower` takes a node that reads or answers objects."""
    if isinstance(node, Cast) and not node.source.numeric and node.type.numeric:
        return not any(u.text for u in found.values())
    if isinstance(node, FillMissing) and any(is_missing(f) for f in node.fill):
        return False
    return isinstance(node, OBJECT_OPS)


def _join(scope: rules.Scope, node: Node, columns: list[str]) -> None:
    scope.tensors[node] = scope.op("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]


def _codes(scope: rules.Scope, cell: Cell, table: tuple[object, ...]) -> str:
    if cell.token is None:
        return scope.cast(rules.number_codes(scope, cell.name, table), "int64", "int32")
    keys = [cell.token if is_missing(v) else str(v) for v in table]
    # The operator wants a key: in an empty table every value is beyond the end, this one too.
    known, values = (keys, list(range(len(keys)))) if keys else ([cell.token], [0])
    codes = scope.op(
        "LabelEncoder", cell.name, domain=ML, keys_strings=known, values_int64s=values, default_int64=len(keys)
    )
    return scope.op("Cast", codes, to=ELEMENT["int32"])


def _equals(scope: rules.Scope, cell: Cell, sentinel: object) -> str:
    if cell.token is not None:
        text = cell.token if is_missing(sentinel) else str(sentinel)
        return scope.op("Equal", cell.name, scope.const(np.array([text], dtype=object)))
    if is_missing(sentinel):
        return scope.op("IsNaN", cell.name)
    return scope.op("Equal", cell.name, scope.const(sentinel, "float64"))


def _filled(scope: rules.Scope, cell: Cell, sentinel: object, fill: object) -> Cell:
    value = np.array([fill], dtype=object) if cell.token is not None else np.array([fill], dtype=np.float64)
    return Cell(scope.op("Where", _equals(scope, cell, sentinel), scope.const(value), cell.name), cell.token)


def _cells(scope: rules.Scope, cells: dict[Node, tuple[Cell, ...]], node: Node) -> tuple[Cell, ...]:
    if node in cells:
        return cells[node]
    wide = scope.cast(scope.tensors[node], node.type.dtype, "float64")
    columns = [scope.op("Gather", wide, scope.const([c], "int64"), axis=1) for c in range(node.type.width)]
    return tuple(Cell(name, None) for name in columns)


def _raw_columns(node: Node, origins: dict[Node, list[int | None]]) -> list[int | None]:
    """The raw category column behind each column of a node that answers objects."""
    if node.type.numeric:
        return [None] * node.type.width
    if isinstance(node, Input):
        return list(node.columns) if node.kind == "category" else [None] * node.type.width
    if isinstance(node, Select):
        return [origins[node.inputs[0]][i] for i in node.index.tolist()]
    return [c for x in node.inputs for c in origins[x]]


def _compared(node: Node) -> Iterable[list[object]]:
    if isinstance(node, Lookup):
        return [list(t) for t in node.tables]
    if isinstance(node, FillMissing):
        return [[node.sentinel, f] for f in node.fill]
    if isinstance(node, IsMissing):
        return [[node.sentinel]] * node.type.width
    return []

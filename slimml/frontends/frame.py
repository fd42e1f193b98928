"""The raw columns, before anything has said whether they are numbers or categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from slimml.ir import domain
from slimml.ir.domain import Domain
from slimml.ir.node import Node
from slimml.ir.ops.columns import FLOAT32, Cast, Concat, Input, Select
from slimml.schema import CATEGORY, FLOAT64, NUMBER, REFUSED, TEXT, ZERO, Column, Schema

_Maker = Callable[[Node, list[int]], Node]
_Codes = tuple[str | int | float, ...]


@dataclass(slots=True)
class RawTable:
    """The columns of the schema, and what each turned out to be.

    `kinds` holds what the user's data showed, and then what the steps that read a column take it for; `domains` what
    the user declared. `nan_only`: categories that a step took NaN for missing in (see Frame.missing_is_nan). `sparse`:
    what the steps that read raw columns take a sparse matrix's empty cells for. `codes`: what the numbers of an array
    mean to each step that reads a column of categories (Column.codes; None: themselves). `float32`: the numbers are so.
    `spaced`: as of Columns. `flat`: as of Schema. `integers`: as what the steps that read raw columns take those of an
    array. `compared`: what a step compares with its table as it comes (Column.compared).
    """

    names: tuple[str, ...]
    named: bool
    kinds: dict[int, str] = field(default_factory=dict)
    dtypes: dict[int, str] = field(default_factory=dict)
    domains: dict[int, Domain] = field(default_factory=dict)
    nan_only: set[int] = field(default_factory=set)
    sparse: set[str] = field(default_factory=set)
    integers: set[str] = field(default_factory=set)
    codes: dict[int, set[_Codes | None]] = field(default_factory=dict)
    float32: bool = False
    spaced: bool = False
    flat: bool = False
    compared: set[int] = field(default_factory=set)
    _inputs: dict[str, Input] = field(default_factory=dict)

    def kind(self, column: int, wanted: str) -> str:
        """The kind of a column: what is known of it, else what the step that reads it wants."""
        if wanted == TEXT and self.kinds.get(column) == CATEGORY:
            # Of strings nobody but the step that reads them knows whether they are documents.
            self.kinds[column] = TEXT
        return self.kinds.setdefault(column, wanted)

    def block(self, columns: Sequence[int], kind: str, origin: str) -> Node:
        """Those columns as one block of a kind."""
        if kind not in self._inputs:
            everything = tuple(range(len(self.names)))
            plain = {NUMBER: domain.NUMBER, CATEGORY: domain.CATEGORY, TEXT: domain.TEXT}[kind]
            known = tuple(self.domains.get(c, plain) if kind == NUMBER else plain for c in everything)
            own = FLOAT32 if kind == NUMBER and self.float32 else kind
            self._inputs[kind] = Input(kind=own, columns=everything, domains=known if self.domains else ())
        return Select(inputs=(self._inputs[kind],), index=np.asarray(columns, dtype=np.int64), origin=origin)

    def schema(self, read: set[int]) -> Schema:
        """The schema, now that every step has been lowered."""
        columns = []
        for i, name in enumerate(self.names):
            kind = self.kinds.get(i, NUMBER)
            guess = "float64" if kind == NUMBER else "str" if i in self.nan_only else "object"
            dtype = self.dtypes.get(i, guess)
            codes = self.codes.get(i, set())
            known = () if len(codes) > 1 else next(iter(codes), None)
            columns.append(Column(name, kind, dtype, i in read, known, kind != TEXT and i in self.compared))
        # Steps that disagree leave no one reading.
        sparse = REFUSED if len(self.sparse) > 1 else next(iter(self.sparse), ZERO)
        integers = REFUSED if len(self.integers) > 1 else next(iter(self.integers), FLOAT64)
        return Schema(tuple(columns), self.named, sparse, self.spaced, self.flat, integers)


@dataclass(frozen=True, slots=True)
class Frame:
    """A choice of raw columns, in order: what the first steps of a pipeline are handed.

    `flat`: one column as a vector, which is how vectorizers want their documents.
    """

    table: RawTable
    columns: tuple[int, ...]
    flat: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.table.names[c] for c in self.columns)

    def select(self, index: Sequence[int], *, flat: bool = False) -> Frame:
        """Some of the columns, by position in this frame."""
        return Frame(self.table, tuple(self.columns[i] for i in index), flat)

    def kinds(self, wanted: Sequence[str]) -> list[str]:
        """The kind of each column, where `wanted` is what the reader takes it for if nothing is known."""
        return [self.table.kind(c, w) for c, w in zip(self.columns, wanted, strict=True)]

    def missing_is_nan(self, at: Sequence[int]) -> None:
        """Note that categories were missing as NaN when the model was fitted, as in pandas' str columns.

        So None in a dict or a list, which such a column cannot hold, means NaN too.
        """
        for c in (self.columns[i] for i in at):
            if self.table.kinds.get(c) == CATEGORY:
                self.table.nan_only.add(c)

    def compare(self, at: Sequence[int]) -> None:
        """Note that values are compared as they come (Column.compared)."""
        self.table.compared.update(self.columns[i] for i in at)

    def floats(self, origin: str, *, sparse: str = REFUSED, integers: str = FLOAT64) -> Node:
        """The columns as one float64 block.

        `sparse`: what the reader takes a sparse matrix's empty cells for; `integers`: as what it reads arrays of them.
        """
        self.kinds([NUMBER] * self.width)
        self.table.sparse.add(sparse)
        self.table.integers.add(integers)
        return self.table.block(self.columns, NUMBER, origin)

    def documents(self, origin: str) -> Node:
        """The only column as a block of documents."""
        self.kinds([TEXT])
        return self.table.block(self.columns, TEXT, origin)

    def objects(self, wanted: Sequence[str], origin: str) -> Node:
        """The columns as one block of objects; numbers stay numbers, as floats, inside of it."""
        kinds = self.kinds(wanted)
        return self.by_kind(kinds, origin, lambda block, _: Cast(inputs=(block,), dtype="object", origin=origin))

    def by_kind(
        self,
        kinds: Sequence[str],
        origin: str,
        make: _Maker,
        *,
        sparse: str = REFUSED,
        codes: Sequence[_Codes | None] = (),
    ) -> Node:
        """`make(block, positions)` for the columns of each kind, side by side in the frame's own order.

        `codes`: per column, what the numbers of an array stand for where that is not themselves (Column.codes).
        """
        self.table.sparse.add(sparse)
        self.table.integers.add(FLOAT64)
        for i, kind in enumerate(kinds):
            if kind == CATEGORY:
                self.table.codes.setdefault(self.columns[i], set()).add(codes[i] if codes else None)
        parts, order = [], []
        for kind in (NUMBER, CATEGORY):
            at = [i for i, k in enumerate(kinds) if (k == NUMBER) == (kind == NUMBER)]
            if at:
                block = self.table.block([self.columns[i] for i in at], kind, origin)
                parts.append(make(block, at))
                order += at
        return in_order(parts, order, origin)


def in_order(parts: list[Node], order: list[int], origin: str) -> Node:
    """Blocks side by side, then their columns sorted by the positions in `order`."""
    whole = parts[0] if len(parts) == 1 else Concat(inputs=tuple(parts), origin=origin)
    if order == sorted(order):
        return whole
    return Select(inputs=(whole,), index=np.argsort(np.asarray(order)).astype(np.int64), origin=origin)

"""A table: named columns of one length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from slimml.errors import InputError

# What a column holds, in the words of the dtype that a pandas frame of the same rows would have.
Dtype = Literal["int64", "float64", "bool", "str", "object", "category"]


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Columns by name, in order.

    `columns`  name -> 1-D array of int64, float64, bool or object
    `dtypes`   name -> int64, float64, bool (arrays of that dtype), str (str, NaN where missing), category (any scalars,
               NaN where missing) or object (any Python values)
    `named`    whether the names came with the rows; False where they are x0, x1, ... by position
    """

    names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    dtypes: dict[str, Dtype] = field(default_factory=dict)
    named: bool = True

    def __len__(self) -> int:
        return len(self.columns[self.names[0]]) if self.names else 0

    def drop(self, name: str) -> Table:
        """The other columns. Raises InputError where there is no such column."""
        if name not in self.columns:
            raise InputError(f"there is no column {name!r}", hint=f"the columns are: {', '.join(self.names)}")
        rest = tuple(n for n in self.names if n != name)
        return Table(rest, {n: self.columns[n] for n in rest}, {n: self.dtypes[n] for n in rest}, self.named)

    def take(self, index: np.ndarray | slice) -> Table:
        """The rows at those positions, or where a mask is True."""
        return Table(self.names, {n: c[index] for n, c in self.columns.items()}, self.dtypes, self.named)


def positional(width: int) -> tuple[str, ...]:
    """x0, x1, ...: the names of columns that have none."""
    return tuple(f"x{i}" for i in range(width))


def assemble(names: tuple[str, ...], typed: list[tuple[np.ndarray, Dtype]], *, named: bool = True) -> Table:
    """A table of (values, dtype) columns. Raises InputError where a name stands twice."""
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(f"columns that stand twice: {', '.join(map(repr, twice))}", hint="rename or drop one of each")
    columns = {n: values for n, (values, _) in zip(names, typed, strict=True)}
    return Table(names, columns, {n: dtype for n, (_, dtype) in zip(names, typed, strict=True)}, named)

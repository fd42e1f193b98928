"""The type of a value in the graph: dtype and layout of the block, and a domain per column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from slimml.ir.domain import Domain

DType = Literal["float64", "float32", "int64", "int32", "bool", "object"]
Layout = Literal["dense", "csr"]
DTYPES: tuple[DType, ...] = ("float64", "float32", "int64", "int32", "bool", "object")


@dataclass(frozen=True, slots=True)
class ValueType:
    """A block of `width` columns.

    `domains`  one per column
    `groups`   half-open column ranges of which at most one column is 1 and the rest 0 (one-hot groups)
    """

    dtype: DType
    domains: tuple[Domain, ...]
    layout: Layout = "dense"
    groups: tuple[tuple[int, int], ...] = ()

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.domains)

    @property
    def numeric(self) -> bool:
        """Whether the block holds numbers."""
        return self.dtype != "object"

    def __str__(self) -> str:
        sparse = "csr " if self.layout == "csr" else ""
        return f"{sparse}{self.dtype}[{self.width}]"


def promoted(dtypes: tuple[DType, ...]) -> DType:
    """The dtype that numpy gives a stack of such blocks."""
    if "object" in dtypes:
        return "object"
    name = np.result_type(*dtypes).name
    return next(d for d in DTYPES if d == name)


def distinct(domains: tuple[Domain, ...]) -> tuple[Domain, ...]:
    """The domains, the same object only once."""
    return tuple({id(d): d for d in domains}.values())


def each(domains: tuple[Domain, ...], rule: Callable[[Domain], Domain]) -> tuple[Domain, ...]:
    """`rule` of every domain, at little cost where a wide block has one for all of its columns."""
    if len(domains) > 1 and domains.count(domains[0]) == len(domains):
        return (rule(domains[0]),) * len(domains)
    return tuple(rule(d) for d in domains)

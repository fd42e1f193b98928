"""Inputs, and the moving of columns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from slimml.errors import InputError
from slimml.ir import csr
from slimml.ir.csr import Csr
from slimml.ir.domain import BINARY, CATEGORY, NUMBER, TEXT, Domain
from slimml.ir.node import Node, Value, require, require_inputs
from slimml.ir.types import DTYPES, DType, Layout, ValueType, each, promoted

# Types list a domain per column, so a plan that doubles its width node by node would need all memory there is.
_MAX_WIDTH = 1 << 24

# Number columns whose rows arrived as float32, which the original then computes in.
FLOAT32 = "float32"
_KINDS: dict[str, tuple[DType, Domain]] = {
    "number": ("float64", NUMBER),
    FLOAT32: ("float32", NUMBER),
    "category": ("object", CATEGORY),
    "text": ("object", TEXT),
}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Input(Node):
    """The raw columns of one kind, by their positions in the schema: numbers (float64, or float32), or objects.

    `domains` narrows what the user declared; empty means nothing is known.
    """

    kind: str
    columns: tuple[int, ...]
    domains: tuple[Domain, ...] = ()

    def check(self) -> None:
        require(not self.inputs, "Input takes no inputs")
        require(self.kind in _KINDS, f"no input kind {self.kind!r}")
        require(len(set(self.columns)) == len(self.columns), "Input names a column twice")
        require(all(c >= 0 for c in self.columns), "Input names a negative column")
        require(not self.domains or len(self.domains) == len(self.columns), "Input needs a domain per column")

    def infer(self) -> ValueType:
        dtype, domain = _KINDS[self.kind]
        return ValueType(dtype, self.domains or (domain,) * len(self.columns))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Select(Node):
    """Columns at `index` (int64, any order, repeats allowed)."""

    index: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"), numeric=False)
        require(self.index.ndim == 1 and self.index.dtype.kind == "i", "Select.index is a vector of integers")
        inside = not len(self.index) or (self.index.min() >= 0 and self.index.max() < self.source.width)
        require(inside, "Select.index points outside of its input")

    def infer(self) -> ValueType:
        x = self.source
        domains = tuple(x.domains[i] for i in self.index.tolist())
        return replace(x, domains=domains, groups=_kept_groups(x.groups, self.index))

    def evaluate(self, x: Value) -> Value:
        return x.select(self.index) if isinstance(x, Csr) else x[:, self.index]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Concat(Node):
    """Blocks side by side, in the dtype that numpy promotes them to; csr if `layout` says so."""

    layout: str = "dense"

    def check(self) -> None:
        require(self.inputs, "Concat takes at least one input")
        require(self.layout in ("dense", "csr"), f"no layout {self.layout!r}")
        objects = any(not x.type.numeric for x in self.inputs)
        require(self.layout == "dense" or not objects, "objects are never csr")
        require(sum(x.type.width for x in self.inputs) <= _MAX_WIDTH, "Concat makes too many columns")

    def infer(self) -> ValueType:
        types = [x.type for x in self.inputs]
        groups, start = [], 0
        for t in types:
            groups += [(start + a, start + b) for a, b in t.groups]
            start += t.width
        domains = tuple(d for t in types for d in t.domains)
        layout: Layout = "csr" if self.layout == "csr" else "dense"
        return ValueType(promoted(tuple(t.dtype for t in types)), domains, layout, tuple(groups))

    def evaluate(self, *values: Value) -> Value:
        if self.layout == "csr":
            return csr.hstack(values, np.dtype(self.type.dtype))
        dense = [v.toarray() if isinstance(v, Csr) else v for v in values]
        return np.concatenate([d.astype(self.type.dtype, copy=False) for d in dense], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Cast(Node):
    """Another dtype, rounded as C and numpy do (float64 to float32: to nearest, ties to even).

    Objects that are no numbers are refused with an InputError.
    """

    dtype: DType

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"), numeric=False)
        require(self.dtype in DTYPES, f"no dtype {self.dtype!r}")
        require(self.source.layout == "dense" or self.dtype != "object", "objects are never csr")

    def infer(self) -> ValueType:
        domains = each(self.source.domains, lambda d: _cast_domain(d, self.source.dtype, self.dtype))
        return replace(self.source, dtype=self.dtype, domains=domains)

    def evaluate(self, x: Value) -> Value:
        if isinstance(x, Csr):
            return x.with_data(self._cast(x.data))
        return self._cast(x)

    def _cast(self, x: np.ndarray) -> np.ndarray:
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                return x.astype(self.dtype)
        except (TypeError, ValueError, OverflowError) as error:
            hint = "The original raises here too: the column holds something that is no number."
            raise InputError(str(error), where=self.origin, hint=hint) from None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Dense(Node):
    """A csr block written out, with `absent` where no entry is stored: 0, or NaN for originals that read it so."""

    absent: float = 0.0

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"))
        require(self.absent == 0 or math.isnan(self.absent), "Dense.absent is 0 or NaN")
        require(self.absent == 0 or self.source.dtype in ("float64", "float32"), "only floats can be missing")

    def infer(self) -> ValueType:
        if math.isnan(self.absent) and self.source.layout == "csr":
            missing = tuple(replace(d, missing=True) for d in self.source.domains)
            return replace(self.source, layout="dense", domains=missing, groups=())
        return replace(self.source, layout="dense")

    def evaluate(self, x: Value) -> np.ndarray:
        if not isinstance(x, Csr):
            return x
        if self.absent == 0:
            return x.toarray()
        out = np.full(x.shape, np.nan, dtype=x.data.dtype)
        out[x.rows(), x.indices] = x.data
        return out


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Constant(Node):
    """The same row for every row of the input: value (width,). Only the input's number of rows is read."""

    value: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"), numeric=False)
        require(self.value.ndim == 1 and self.value.dtype == np.float64, "Constant.value is a float64 vector")

    def infer(self) -> ValueType:
        known = {v: Domain(integer=v.is_integer(), low=v, high=v, missing=False) for v in set(self.value.tolist())}
        return ValueType("float64", tuple(known[v] if v == v else NUMBER for v in self.value.tolist()))

    def evaluate(self, x: Value) -> np.ndarray:
        return np.tile(self.value, (x.shape[0], 1))


def _cast_domain(domain: Domain, source: str, target: str) -> Domain:
    """What is known after a cast; bounds are rounded as the values are."""
    if source == target:
        return domain
    if target == "object":
        return replace(domain, kind="category", missing=True)
    if source == "object":
        return Domain()
    if target == "bool":
        return BINARY
    if target.startswith("int"):
        info = np.iinfo(target)
        safe = not domain.missing and info.min <= domain.low and domain.high < info.max
        # NaN, infinities and what overflows become whatever the processor makes of them.
        low, high = (domain.low, domain.high) if safe else (info.min, info.max)
        return replace(domain, integer=True, low=float(math.trunc(low)), high=float(math.trunc(high)), missing=False)
    with np.errstate(over="ignore"):
        low, high = (float(np.float64(end).astype(target)) for end in (domain.low, domain.high))
    return replace(domain, low=low, high=high)


def _kept_groups(groups: tuple[tuple[int, int], ...], index: np.ndarray) -> tuple[tuple[int, int], ...]:
    # A group survives a selection only where its columns stay together; a part of a one-hot group still has at most
    # one 1. Each run of consecutive picks inside one group is therefore a group of the result.
    if not groups or not len(index):
        return ()
    bounds = np.asarray(groups)
    owner = np.searchsorted(bounds[:, 0], index, side="right") - 1
    inside = (owner >= 0) & (index < bounds[np.maximum(owner, 0), 1])
    owner = np.where(inside, owner, -1)
    edges = np.flatnonzero(np.diff(owner)) + 1
    starts, stops = np.concatenate(([0], edges)), np.concatenate((edges, [len(index)]))
    runs = [(int(a), int(b)) for a, b in zip(starts, stops, strict=True) if owner[a] >= 0]
    distinct = [len(np.unique(index[a:b])) == b - a for a, b in runs]
    return tuple(run for run, ok in zip(runs, distinct, strict=True) if ok)

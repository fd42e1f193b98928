"""Elementwise arithmetic, and what refuses a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan

import numpy as np

from slimml.errors import InputError
from slimml.ir.csr import Csr
from slimml.ir.domain import BINARY, NUMBER, Domain
from slimml.ir.node import Node, Value, on_entries, require, require_inputs
from slimml.ir.types import ValueType


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _WithVector(Node):
    """An op with one operand per column, (width,), in the block's dtype."""

    value: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1, layouts=self._layouts())
        name = type(self).__name__
        require(self.value.shape == (self.source.width,), f"{name}.value needs one entry per column")
        require(self.value.dtype == self.source.dtype, f"{name}.value is {self.value.dtype}, not {self.source.dtype}")

    def _layouts(self) -> tuple[str, ...]:
        return ("dense",)

    def infer(self) -> ValueType:
        # A finite operand that is not zero makes NaN of nothing but NaN; no more is known of a sum or a product.
        safe = np.isfinite(self.value) & (self.value != 0 if isinstance(self, Multiply | Divide) else True)
        unknown = (Domain(missing=False), Domain(missing=True))
        pairs = zip(self.source.domains, safe.tolist(), strict=True)
        domains = tuple(unknown[d.missing or not ok] for d, ok in pairs)
        return ValueType(self.source.dtype, domains, self.source.layout)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Add(_WithVector):
    """y = x + value"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(x + self.value)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Subtract(_WithVector):
    """y = x - value"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(x - self.value)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Multiply(_WithVector):
    """y = x * value"""

    def _layouts(self) -> tuple[str, ...]:
        return ("dense", "csr")

    def infer(self) -> ValueType:
        domains = self.source.domains
        wide = len(domains) > 1 and domains.count(domains[0]) == len(domains) and bool(np.isfinite(self.value).all())
        if not wide or domains[0].missing:
            return _WithVector.infer(self)
        # One domain for all columns of a wide block (of terms): the largest product there can be.
        with np.errstate(over="ignore", invalid="ignore"):
            reach = float(np.abs(self.value).max() * np.maximum(abs(domains[0].low), abs(domains[0].high)))
        if not reach < np.finfo(self.source.dtype).max:
            return _WithVector.infer(self)
        return replace(self.source, domains=(Domain(low=-reach, high=reach, missing=False),) * len(domains), groups=())

    def evaluate(self, x: Value) -> Value:
        with np.errstate(over="ignore", invalid="ignore"):
            return x.with_data(x.data * self.value[x.indices]) if isinstance(x, Csr) else x * self.value


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Divide(_WithVector):
    """y = x / value"""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return np.asarray(x / self.value)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Nudge(Node):
    """y = x + (shift + scale * |x|), neither of them negative: what is at most so close to a number comes beyond it"""

    scale: float
    shift: float

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"Nudge takes float64, got {self.source}")
        # So that below zero, too, y rises by at least half as much as x does.
        require(0 <= self.scale <= 0.5 and 0 <= self.shift < np.inf, "Nudge.scale or .shift is negative, or large")

    def infer(self) -> ValueType:
        domains = tuple(Domain(missing=d.missing or d.low == -np.inf) for d in self.source.domains)
        return ValueType(self.source.dtype, domains)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(x + (self.shift + self.scale * np.abs(x)))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Sum(Node):
    """y = 0 + x0 + x1 + ..., from the left, cell by cell; blocks of one dtype and width"""

    def check(self) -> None:
        require(self.inputs, "Sum takes at least one input")
        require_inputs(self, len(self.inputs))
        same = {(x.type.dtype, x.type.width) for x in self.inputs}
        require(
            len(same) == 1 and self.source.dtype in ("float64", "float32"), "Sum adds floats of one dtype and width"
        )

    def infer(self) -> ValueType:
        return ValueType(self.source.dtype, (NUMBER,) * self.source.width)

    def evaluate(self, *values: np.ndarray) -> np.ndarray:
        total = np.zeros_like(values[0])
        with np.errstate(over="ignore", invalid="ignore"):
            for value in values:
                total = total + value
        return total


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Inexact(Node):
    """The identity on sums of constants that the original computes anew, with functions that round as each host has it.

    `reach` float64 (width,): what the constants of a column's sum, without their signs, add up to at most. Logarithms
    in the leaves of trees are such constants.
    """

    reach: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"Inexact takes float64, got {self.source}")
        require(self.reach.shape == (self.source.width,) and self.reach.dtype == np.float64, "Inexact.reach is float64")
        require((self.reach >= 0).all(), "Inexact.reach is negative")

    def infer(self) -> ValueType:
        return self.source

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return x


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Affine(Node):
    """y = x * scale + shift, scale and shift (width,)"""

    scale: np.ndarray
    shift: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        for value in (self.scale, self.shift):
            require(value.shape == (self.source.width,), "Affine needs one scale and one shift per column")
            require(value.dtype == self.source.dtype, "Affine is in the dtype of its input")

    def infer(self) -> ValueType:
        return ValueType(self.source.dtype, (NUMBER,) * self.source.width)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(x * self.scale + self.shift)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Clip(Node):
    """y = min(max(x, low), high); NaN stays NaN"""

    low: float
    high: float

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"))
        require(self.low <= self.high, "Clip.low exceeds Clip.high")
        require(self.source.dtype in ("float64", "float32"), f"Clip takes floats, got {self.source}")
        zero_kept = self.source.layout == "dense" or self.low <= 0 <= self.high
        require(zero_kept, "a csr block is clipped only where zero stays zero")

    def infer(self) -> ValueType:
        # The bounds in the block's dtype, and the domain's own ends clipped like any value.
        low, high = (float(np.asarray(bound, self.source.dtype)) for bound in (self.low, self.high))
        domains = tuple(
            Domain(low=min(max(d.low, low), high), high=max(min(d.high, high), low), missing=d.missing)
            for d in self.source.domains
        )
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: Value) -> Value:
        low, high = np.asarray(self.low, self.type.dtype), np.asarray(self.high, self.type.dtype)
        return on_entries(lambda v: np.clip(v, low, high), x)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Binarize(Node):
    """1 where x > threshold, else 0, in the dtype of x; csr takes no negative threshold and stores no zeros"""

    threshold: float

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"))
        require(self.threshold == self.threshold, "Binarize.threshold is NaN")
        require(self.source.layout == "dense" or self.threshold >= 0, "csr is binarized where zero stays zero")

    def infer(self) -> ValueType:
        return replace(self.source, domains=(BINARY,) * self.source.width, groups=())

    def evaluate(self, x: Value) -> Value:
        if not isinstance(x, Csr):
            return (x > self.threshold).astype(x.dtype)
        above = x.keep(x.data > self.threshold)
        return above.with_data(np.ones_like(above.data))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class IsMissing(Node):
    """1 where a value equals `sentinel` (NaN: where it is NaN; None never is), else 0; bool"""

    sentinel: object

    def check(self) -> None:
        require_inputs(self, 1, numeric=False)
        require_fits(self.source, self.sentinel)

    def infer(self) -> ValueType:
        return ValueType("bool", (BINARY,) * self.source.width)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return missing_mask(x, self.sentinel)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FillMissing(Node):
    """`fill` of the column where a value is missing as IsMissing has it; fill has one scalar per column."""

    sentinel: object
    fill: tuple[object, ...]

    def check(self) -> None:
        require_inputs(self, 1, numeric=False)
        require_fits(self.source, self.sentinel, *self.fill)
        require(len(self.fill) == self.source.width, "FillMissing.fill needs one value per column")

    def infer(self) -> ValueType:
        if not self.source.numeric:
            return self.source
        fills = self._row(self.source.dtype).astype(np.float64).tolist()
        if isinstance(self.sentinel, float) and isnan(self.sentinel):
            pairs = zip(self.source.domains, fills, strict=True)
            domains = tuple(d if isnan(f) else d.filled(f) for d, f in pairs)
        else:
            domains = tuple(Domain(missing=d.missing or isnan(f)) for d, f in zip(self.source.domains, fills))
        return replace(self.source, domains=domains, groups=())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return np.where(missing_mask(x, self.sentinel), self._row(self.type.dtype), x)

    def _row(self, dtype: str) -> np.ndarray:
        fill = np.empty(len(self.fill), dtype=dtype)
        with np.errstate(over="ignore"):
            fill[:] = self.fill
        return fill


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WhereMissing(Node):
    """The second block where the first, of one column, is NaN; elsewhere the first, in every column"""

    def check(self) -> None:
        require_inputs(self, 2)
        gaps, block = (x.type for x in self.inputs)
        require(gaps.width == 1 and gaps.dtype == block.dtype, "WhereMissing reads one column, of the block's dtype")
        require(block.dtype in ("float64", "float32"), f"WhereMissing takes floats, got {block}")

    def infer(self) -> ValueType:
        (gaps,), block = self.inputs[0].type.domains, self.inputs[1].type
        domains = tuple(
            Domain(low=min(d.low, gaps.low), high=max(d.high, gaps.high), missing=d.missing) for d in block.domains
        )
        return ValueType(block.dtype, domains)

    def evaluate(self, gaps: np.ndarray, block: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(gaps), block, gaps)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Guard(Node):
    """The identity on rows that the original accepts; InputError on any other.

    A value is accepted if low <= value <= high of its column, a NaN if `missing` is 1 there. low, high: float64
    (width,); missing: bool (width,). Of objects only the missing ones (NaN) can be refused.
    """

    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    names: tuple[str, ...] = ()

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"), numeric=False)
        width = (self.source.width,)
        require(self.low.shape == self.high.shape == self.missing.shape == width, "Guard needs bounds per column")
        require(self.low.dtype == self.high.dtype == np.float64, "Guard's bounds are float64")
        require(self.missing.dtype == np.bool_, "Guard.missing is bool")
        require(not self.names or len(self.names) == width[0], "Guard.names needs a name per column")

    def infer(self) -> ValueType:
        rows = zip(self.source.domains, self.low.tolist(), self.high.tolist(), self.missing.tolist(), strict=True)
        domains = tuple(
            replace(d, low=max(d.low, low), high=min(d.high, high), missing=d.missing and ok)
            for d, low, high, ok in rows
        )
        return replace(self.source, domains=domains)

    def evaluate(self, x: Value) -> Value:
        values = x.data if isinstance(x, Csr) else x
        columns = x.indices if isinstance(x, Csr) else slice(None)
        if not self.type.numeric:
            inside = ~missing_mask(values, np.nan)
        else:
            inside = (values >= self.low[columns]) & (values <= self.high[columns])
        if not inside.all():
            refused = ~inside & ~(missing_mask(values, np.nan) & self.missing[columns])
            if refused.any():
                self._refuse(x, refused)
        return x

    def _refuse(self, x: Value, refused: np.ndarray) -> None:
        at = tuple(i[0] for i in np.nonzero(refused))
        row, column = (x.rows()[at[0]], x.indices[at[0]]) if isinstance(x, Csr) else at
        value = float((x.data if isinstance(x, Csr) else x)[at])
        name = repr(self.names[column]) if self.names else f"column {column}"
        what = "a missing value (NaN)" if isnan(value) else f"{value!r}, outside of what the model was built for"
        raise InputError(
            f"row {row} has {what} in {name}",
            where=self.origin,
            hint="The original raises here too: impute or drop such rows first.",
        )


def missing_mask(x: np.ndarray, sentinel: object) -> np.ndarray:
    """Where x equals the sentinel; bool, x's shape."""
    if sentinel is None:
        return np.asarray(x == None).astype(bool)  # noqa: E711 (elementwise)
    if isinstance(sentinel, float) and isnan(sentinel):
        return np.isnan(x) if x.dtype.kind == "f" else np.asarray(x != x).astype(bool)
    return np.asarray(x == sentinel).astype(bool)


def require_scalar(*values: object) -> None:
    """Only values that a plan can hold: None, bool, int, float, str."""
    require(all(v is None or isinstance(v, bool | int | float | str) for v in values), "not a plain scalar")
    # Integers that a float would overflow on are compared with no value that a row can hold.
    require(all(not isinstance(v, int) or abs(v) < 2**1000 for v in values), "an integer beyond all floats")


def require_fits(source: ValueType, *values: object) -> None:
    """Plain scalars, and finite integers or any floats where the block holds numbers."""
    require_scalar(*values)
    if source.numeric:
        require(source.dtype in ("float64", "float32"), f"missing values are of floats or objects, not of {source}")
        require(all(isinstance(v, int | float) for v in values), "numbers are compared and filled with numbers")

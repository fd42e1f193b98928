"""Categories: values to codes, and codes to numbers or columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from slimml.errors import InputError
from slimml.ir import csr
from slimml.ir.csr import Csr
from slimml.ir.domain import BINARY, Domain, ranks
from slimml.ir.node import Node, require, require_inputs
from slimml.ir.ops.numeric import missing_mask, require_scalar
from slimml.ir.ops.ranks import require_offsets
from slimml.ir.types import DType, ValueType
from slimml.schema import PANDAS_NA

# A char of C++ is signed on x86: bytes from 128 on sort before the others.
_SIGNED = bytes(b ^ 0x80 for b in range(256))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Lookup(Node):
    """The position of a value in its column's table of categories; the table's length where it is not in there.

    Values are compared as Python compares them (1 == 1.0 == True), NaN equals NaN, None only None. Where `refuse` is
    set for a column, a value outside of the table is an InputError. Output: int32.

    `imputed`, where it is not empty, says of which columns an imputer went first: it refuses pandas.NA.
    """

    tables: tuple[tuple[object, ...], ...]
    refuse: tuple[bool, ...]
    imputed: tuple[bool, ...] = ()
    coders: tuple[Callable[[np.ndarray], np.ndarray], ...] = field(init=False, repr=False)

    def check(self) -> None:
        require_inputs(self, 1, numeric=False)
        width = self.source.width
        require(len(self.tables) == len(self.refuse) == width, "Lookup needs a table and a policy per column")
        require(len(self.imputed) in (0, width), "Lookup.imputed needs an entry per column")
        for table in self.tables:
            require_scalar(*table)
            keys = {("nan",) if v != v else v for v in table}
            require(len(keys) == len(table), "Lookup has a category twice")
        make = _number_coder if self.source.numeric else _object_coder
        object.__setattr__(self, "coders", tuple(make(t) for t in self.tables))

    def infer(self) -> ValueType:
        return ValueType("int32", tuple(ranks(len(t), missing=False) for t in self.tables))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.empty(x.shape, dtype=np.int32)
        for c, coder in enumerate(self.coders):
            if self.imputed and self.imputed[c] and any(v is PANDAS_NA for v in x[:, c].tolist()):
                missing_mask(x[:, c], np.nan)  # refuses it in the imputer's words
            out[:, c] = coder(x[:, c])
            if self.refuse[c]:
                self._require_known(x[:, c], out[:, c], c)
        return out

    def _require_known(self, values: np.ndarray, codes: np.ndarray, column: int) -> None:
        unknown = np.flatnonzero(codes == len(self.tables[column]))
        if len(unknown):
            raise InputError(
                f"row {unknown[0]} has the unknown category {values[unknown[0]]!r} in column {column}",
                where=self.origin,
                hint="The original raises here too: its encoder was fitted with handle_unknown='error'.",
            )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LowerBound(Node):
    """The position of the least category of a column's table that is not below a value, as XGBoost searches a frame's.

    A table of n categories holds int, ascending, or str, ascending by their UTF-8 bytes as signed chars (`char_order`);
    a value is compared as what the table holds. Codes: 0 to n - 1; n for a missing value (None, NaN); n + 1 for
    pandas.NA, which stands for a number of an array that is no code; n + 2 for a value beyond the last category or of
    another type, which is an InputError where `refuse` is set for the column. Output: int32.
    """

    tables: tuple[tuple[object, ...], ...]
    refuse: tuple[bool, ...]

    def check(self) -> None:
        require_inputs(self, 1, numeric=False)
        require(not self.source.numeric, f"LowerBound takes objects, got {self.source}")
        width = self.source.width
        require(len(self.tables) == len(self.refuse) == width, "LowerBound needs a table and a policy per column")
        for table in self.tables:
            keys = [_search_key(v, str if isinstance(table[0], str) else int) for v in table]
            rising = all(a is not None and b is not None and a < b for a, b in pairwise(keys))
            require(rising and None not in keys, "LowerBound.tables hold int or str, ascending")

    def infer(self) -> ValueType:
        return ValueType("int32", tuple(ranks(len(t) + 2, missing=False) for t in self.tables))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.empty(x.shape, dtype=np.int32)
        for c, table in enumerate(self.tables):
            kind = str if table and isinstance(table[0], str) else int
            keys = [_search_key(v, kind) for v in table]
            out[:, c] = [_lower_bound(v, keys, kind) for v in x[:, c].tolist()]
            if self.refuse[c]:
                self._require_reached(x[:, c], out[:, c], c)
        return out

    def _require_reached(self, values: np.ndarray, codes: np.ndarray, column: int) -> None:
        beyond = np.flatnonzero(codes == len(self.tables[column]) + 2)
        if len(beyond):
            raise InputError(
                f"row {beyond[0]} has the category {values[beyond[0]]!r} in column {column}, beyond those of training",
                where=self.origin,
                hint="The original raises here too: XGBoost takes an unseen category for the next one in its order, "
                "and this one has none.",
            )


def char_order(text: str) -> bytes:
    """A key that sorts strings as C++ sorts them by signed chars, as XGBoost compares names of categories."""
    return text.encode("utf-8", "surrogatepass").translate(_SIGNED)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Recode(Node):
    """A number per code: values[offsets[c] + code] for column c, in the dtype of `values`.

    Each column has one entry more than its table has categories, for what is not in there.
    """

    values: np.ndarray
    offsets: np.ndarray

    def check(self) -> None:
        require_codes(self, self.offsets, len(self.values))
        require(self.values.ndim == 1 and self.values.dtype.name in ("float64", "float32", "int64", "int32"), "Recode")

    def infer(self) -> ValueType:
        bounds = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        return ValueType(_dtype(self.values), tuple(_domain(self.values[a:b]) for a, b in bounds))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[x + self.offsets[:-1]])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OneHot(Node):
    """Columns of zeros and ones: code k of column c sets column targets[offsets[c] + k] of c's group, -1 sets none.

    `sizes` is the number of columns of each group; int64 (width,). Output in `dtype`, csr or dense.
    """

    targets: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    dtype: DType = "float64"
    layout: str = "dense"

    def check(self) -> None:
        require_codes(self, self.offsets, len(self.targets))
        require(self.targets.dtype == np.int32, "OneHot.targets is int32")
        require(self.sizes.shape == (self.source.width,) and self.sizes.dtype == np.int64, "OneHot.sizes is int64")
        # Every column of a group is some code's; so a plan cannot ask for more columns than it has table entries.
        fits = (self.sizes >= 0) & (self.sizes <= np.diff(self.offsets))
        require(fits.all(), "OneHot.sizes are negative, or larger than their tables")
        owner = np.repeat(self.sizes, np.diff(self.offsets))
        require(((self.targets >= -1) & (self.targets < owner)).all(), "OneHot.targets lie outside of their group")
        require(self.layout in ("dense", "csr") and self.dtype in ("float64", "float32", "int64", "bool"), "OneHot")

    def infer(self) -> ValueType:
        ends = np.cumsum(self.sizes).tolist()
        groups = tuple((e - s, e) for e, s in zip(ends, self.sizes.tolist(), strict=True) if s)
        width = ends[-1] if ends else 0
        return ValueType(self.dtype, (BINARY,) * width, "csr" if self.layout == "csr" else "dense", groups)

    def evaluate(self, x: np.ndarray) -> np.ndarray | Csr:
        target = self.targets[x + self.offsets[:-1]]
        columns = target + (np.cumsum(self.sizes) - self.sizes)
        rows, at = np.nonzero(target >= 0)
        if self.layout == "csr":
            ones = np.ones(len(rows), dtype=self.dtype)
            indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(x)))))
            return csr.Csr(ones, columns[rows, at], indptr, self.type.width)
        out = np.zeros((len(x), self.type.width), dtype=self.dtype)
        out[rows, columns[rows, at]] = 1
        return out


def require_codes(node: Node, offsets: np.ndarray, total: int) -> None:
    """Check that the input holds codes, and that `offsets` has an entry for each of them."""
    require_inputs(node, 1)
    require(node.source.dtype == "int32", f"{type(node).__name__} takes codes, got {node.source}")
    require_offsets(offsets, node.source.width, total)
    room = np.diff(offsets).tolist()
    fits = all(
        d.kind == "rank" and not d.missing and d.high < n for d, n in zip(node.source.domains, room, strict=True)
    )
    require(fits, f"{type(node).__name__} has fewer entries than its input has codes")


def _search_key(value: object, kind: type) -> Any:
    """What a value is searched by in a table of `kind`; None where XGBoost refuses its type.

    A whole float is the integer that a table without missing values would hold.
    """
    if kind is str:
        return char_order(value) if isinstance(value, str) else None
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return value if whole and not isinstance(value, bool) else None


def _lower_bound(value: object, keys: list[Any], kind: type) -> int:
    if value is None or (isinstance(value, float) and value != value):
        return len(keys)
    if value is PANDAS_NA:
        return len(keys) + 1
    key = _search_key(value, kind)
    at = len(keys) if key is None else bisect_left(keys, key)
    return at if at < len(keys) else len(keys) + 2


def _object_coder(table: tuple[object, ...]) -> Callable[[np.ndarray], np.ndarray]:
    codes: dict[Any, int] = {v: i for i, v in enumerate(table) if v == v}
    nan = next((i for i, v in enumerate(table) if v != v), len(table))
    unknown = len(table)

    def encode(column: np.ndarray) -> np.ndarray:
        get = codes.get
        found = [get(v, unknown) for v in column.tolist()]
        if nan != unknown and unknown in found:
            pairs = zip(found, column.tolist(), strict=True)
            found = [nan if f == unknown and isinstance(v, float) and v != v else f for f, v in pairs]
        return np.array(found, dtype=np.int32)

    return encode


def _number_coder(table: tuple[object, ...]) -> Callable[[np.ndarray], np.ndarray]:
    numbers = [(float(v), i) for i, v in enumerate(table) if isinstance(v, int | float) and v == v]
    numbers.sort()
    keys = np.array([v for v, _ in numbers], dtype=np.float64)
    codes = np.array([i for _, i in numbers] + [len(table)], dtype=np.int32)
    nan = next((i for i, v in enumerate(table) if v != v), len(table))

    def encode(column: np.ndarray) -> np.ndarray:
        wide = column.astype(np.float64, copy=False)
        at = np.searchsorted(keys, wide)
        hit = np.zeros(len(wide), dtype=bool)
        if len(keys):
            hit = keys[np.minimum(at, len(keys) - 1)] == wide
        found = np.where(hit, codes[at], len(table))
        return np.where(np.isnan(wide), nan, found).astype(np.int32)

    return encode


def _domain(values: np.ndarray) -> Domain:
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    missing = len(present) < len(values)
    if not len(present):
        return Domain(missing=missing)
    whole = bool(np.all(present == np.floor(present))) if values.dtype.kind == "f" else True
    return replace(Domain(), integer=whole, low=float(present.min()), high=float(present.max()), missing=missing)


def _dtype(values: np.ndarray) -> DType:
    name: Any = values.dtype.name
    return name  # type: ignore[no-any-return]

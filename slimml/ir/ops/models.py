"""The models: what reads a row and answers sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from slimml.ir import forest
from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.forest import Trees
from slimml.ir.node import Node, Value, require, require_inputs
from slimml.ir.ops.ranks import require_offsets
from slimml.ir.types import DType, ValueType, distinct

if TYPE_CHECKING:
    from slimml.ir.graph import Graph

_RESULT = Domain(missing=True)
# What rounding may add to a sum of millions of terms, in float32 too, and to spare.
_SLACK = 2.0
# Terms (rows x trees, rows x codes) that LinearForest and LinearTable hold at once.
_TERMS = 1 << 20


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Linear(Node):
    """y = x @ weights.T + bias; weights (k, width) and bias (k,), both in the dtype of x: float64 or float32"""

    weights: np.ndarray
    bias: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1, layouts=("dense", "csr"))
        dtype = self.source.dtype
        require(dtype in ("float64", "float32"), f"Linear takes floats, got {self.source}")
        require(self.weights.ndim == 2 and self.weights.dtype == dtype, f"Linear.weights is a matrix of {dtype}")
        require(self.weights.shape[1] == self.source.width, "Linear needs a weight per column")
        require(self.bias.shape == self.weights.shape[:1] and self.bias.dtype == dtype, f"Linear.bias is {dtype}")

    def infer(self) -> ValueType:
        reach = self._reach()
        fits = reach < np.finfo(self.source.dtype).max
        pairs = zip(reach.tolist(), fits.tolist(), strict=True)
        domains = tuple(Domain(low=-r, high=r, missing=False) if ok else _RESULT for r, ok in pairs)
        return ValueType(self.source.dtype, domains)

    def _reach(self) -> np.ndarray:
        """What no sum exceeds, however it is rounded; infinite where nothing is known of a column."""
        known = distinct(self.source.domains)
        if any(d.missing or not math.isfinite(max(-d.low, d.high)) for d in known):
            return np.full(len(self.bias), np.inf)
        size = {id(d): max(abs(d.low), abs(d.high)) for d in known}
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.abs(self.weights.astype(np.float64)) @ [size[id(d)] for d in self.source.domains]
            return np.asarray(np.nan_to_num((total + np.abs(self.bias)) * _SLACK, nan=np.inf, posinf=np.inf))

    def evaluate(self, x: Value) -> np.ndarray:
        if isinstance(x, Csr):
            total = x.matmul(self.weights.T)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                total = _product(x, self.weights)
        return np.asarray(total + self.bias)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinearTable(Node):
    """y = bias + x @ weights.T + a row of the table for each column of codes.

    Inputs: float64 numbers x, int32 codes, or both in this order. Where x is missing in column gaps[i], missing[:, i]
    is added in the place of its product. Code c of column j adds table[offsets[j] + c]; a missing one (-1) adds the
    last row that the column has.

    `weights`  float64 (k, columns of x), `bias` float64 (k,)
    `gaps`     int64 (g,), rising; none where x is csr. `missing` float64 (k, g)
    `table`    float64 (rows, k); `offsets` int64, one entry per column of codes, and an end
    """

    weights: np.ndarray
    bias: np.ndarray
    gaps: np.ndarray
    missing: np.ndarray
    table: np.ndarray
    offsets: np.ndarray

    def check(self) -> None:
        require_inputs(self, len(self.inputs), layouts=("dense", "csr"))
        dtypes = tuple(x.type.dtype for x in self.inputs)
        require(dtypes in (("float64",), ("int32",), ("float64", "int32")), "LinearTable reads float64, then codes")
        x, codes = self.numbers, self.codes
        floats = (self.weights, self.bias, self.missing, self.table)
        require(all(a.dtype == np.float64 for a in floats), "LinearTable is in float64")
        k = self.bias.shape
        require(len(k) == 1 and k[0], "LinearTable.bias is a vector")
        require(self.weights.shape == (*k, x.type.width if x else 0), "LinearTable needs a weight per column")
        require(self.gaps.ndim == 1 and self.gaps.dtype == np.int64, "LinearTable.gaps is an int64 vector")
        width = self.weights.shape[1] if x and x.type.layout == "dense" else 0
        inside = (self.gaps >= 0) & (self.gaps < width)
        require(inside.all() and (np.diff(self.gaps) > 0).all(), "LinearTable.gaps point outside, or do not rise")
        require(self.missing.shape == k + self.gaps.shape, "LinearTable.missing needs an entry per gap")
        # A product with 0 says whether a value is missing.
        require(np.isfinite(self.missing).all(), "LinearTable.missing is not finite")
        require(self.table.shape == (len(self.table), k[0]), "LinearTable.table needs an entry per output")
        require_offsets(self.offsets, codes.type.width if codes else 0, len(self.table))
        if codes:
            require(codes.type.layout == "dense", "LinearTable takes dense codes")
            rooms = zip(codes.type.domains, np.diff(self.offsets).tolist(), strict=True)
            fits = all(d.integer and d.low >= 0 and d.high + d.missing < n for d, n in rooms)
            require(fits, "LinearTable has fewer rows than its input has codes")

    @property
    def numbers(self) -> Node | None:
        """The input of numbers."""
        return self.inputs[0] if self.inputs[0].type.dtype == "float64" else None

    @property
    def codes(self) -> Node | None:
        """The input of codes."""
        return self.inputs[-1] if self.inputs[-1].type.dtype == "int32" else None

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * len(self.bias))

    def evaluate(self, *values: Value) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            total = self.products(values[0], self.weights, self.missing) if self.numbers else 0.0
            if self.codes:
                total = total + self.rows(values[-1], self.table)
            return np.asarray(total + self.bias)

    def products(self, x: Value, weights: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """What the numbers add, with those weights; (n, k)."""
        if isinstance(x, Csr):
            return x.matmul(weights.T)
        absent = np.isnan(x[:, self.gaps])
        if not absent.any():
            return _product(x, weights)
        return np.asarray(_product(self.present(x), weights) + absent @ missing.T)

    def present(self, x: np.ndarray) -> np.ndarray:
        """The numbers, with 0 in the gaps."""
        out = x.copy()
        own = out[:, self.gaps]
        own[np.isnan(own)] = 0.0
        out[:, self.gaps] = own
        return out

    def rows(self, codes: Any, table: np.ndarray) -> np.ndarray:
        """What the codes add, with that table; (n, k)."""
        at = self.places(codes)
        step = max(1, _TERMS // max(1, at.shape[1] * table.shape[1]))
        parts = [table.take(at[i : i + step], axis=0).sum(axis=1) for i in range(0, len(at), step)]
        return parts[0] if len(parts) == 1 else np.concatenate([np.zeros((0, table.shape[1])), *parts])

    def places(self, codes: np.ndarray) -> np.ndarray:
        """The row of the table that each code names."""
        at = codes + self.offsets[:-1]
        absent = codes < 0
        return np.where(absent, self.offsets[1:] - 1, at) if absent.any() else at


def _product(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # One row of weights goes to BLAS as a vector, as the original hands it over.
    return np.asarray((x @ weights[0])[:, None] if len(weights) == 1 else x @ weights.T)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ScaledSquares(Node):
    """y[k] = sum over the columns of (x - centers[k])**2 / scales[k]; centers and scales float64 (k, width)"""

    centers: np.ndarray
    scales: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float64", f"ScaledSquares takes float64, got {self.source}")
        require(self.centers.dtype == self.scales.dtype == np.float64, "ScaledSquares has float64 matrices")
        fits = self.centers.ndim == 2 and self.centers.shape[1] == self.source.width and len(self.centers)
        require(fits and self.centers.shape == self.scales.shape, "ScaledSquares needs an entry per column")

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * len(self.centers))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            pairs = zip(self.centers, self.scales, strict=True)
            return np.stack([(((x - center) ** 2) / scale).sum(axis=1) for center, scale in pairs], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinearSum(Node):
    """y = bias + x[0] * weights[0] + x[1] * weights[1] + ..., one after another in float32.

    weights float32 (k, width), bias float32 (k,). Linear leaves the order to BLAS; here it is the original's.
    """

    weights: np.ndarray
    bias: np.ndarray

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "float32", f"LinearSum takes float32, got {self.source}")
        float32 = self.weights.dtype == self.bias.dtype == np.float32
        require(float32 and self.weights.ndim == 2, "LinearSum.weights is a float32 matrix")
        require(self.weights.shape[1] == self.source.width, "LinearSum needs a weight per column")
        require(self.bias.shape == self.weights.shape[:1], "LinearSum needs a bias per output")

    def infer(self) -> ValueType:
        return ValueType("float32", (_RESULT,) * len(self.bias))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = np.tile(self.bias, (len(x), 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for c in range(x.shape[1]):
                out += x[:, c : c + 1] * self.weights[:, c]
        return out


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Forest(Node):
    """base + the sum of the leaves that a row of ranks reaches, added in tree order, in the dtype of the leaves."""

    trees: Trees

    def check(self) -> None:
        require_inputs(self, 1)
        require(self.source.dtype == "int32", f"Forest reads ranks, got {self.source}")
        self.trees.check(self.source.width)

    def infer(self) -> ValueType:
        dtype: DType = "float32" if self.trees.dtype == np.float32 else "float64"
        return ValueType(dtype, (_RESULT,) * len(self.trees.base))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return forest.sums(self.trees, forest.leaves(self.trees, x))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinearForest(Node):
    """base + the sum of the linear functions of the leaves that a row of ranks reaches, in tree order in float64.

    Two inputs: ranks, and the block x that the functions read. Row r of `trees.values`, which a leaf's cut names, has
    the function const[r] + weights[i] * x[columns[i]] + ..., added in this order, for i from starts[r] to
    starts[r + 1]; where one of these x is missing it is values[r] instead. An |x| up to `small` is 0.
    """

    trees: Trees
    const: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    small: float

    def check(self) -> None:
        require_inputs(self, 2)
        require(self.source.dtype == "int32", f"LinearForest reads ranks, got {self.source}")
        x = self.inputs[1].type
        require(x.dtype == "float64", f"LinearForest takes float64, got {x}")
        self.trees.check(self.source.width)
        require(len(self.trees.targets) and self.trees.dtype == np.float64, "LinearForest's trees have a target each")
        require(self.const.shape == (len(self.trees.values),), "LinearForest.const needs an entry per row of values")
        require_offsets(self.starts, len(self.const), len(self.columns))
        vectors = self.columns.ndim == 1 and self.columns.shape == self.weights.shape and self.const.ndim == 1
        require(vectors and self.columns.dtype == np.int64, "LinearForest needs a weight per column")
        require(self.const.dtype == self.weights.dtype == np.float64, "LinearForest's functions are in float64")
        inside = not len(self.columns) or (self.columns.min() >= 0 and self.columns.max() < x.width)
        require(inside, "LinearForest.columns points outside of its input")
        require(self.small >= 0, "LinearForest.small is negative")

    def infer(self) -> ValueType:
        return ValueType("float64", (_RESULT,) * len(self.trees.base))

    def evaluate(self, ranks: np.ndarray, x: np.ndarray) -> np.ndarray:
        step = max(1, _TERMS // self.trees.count)
        parts = [self._sums(ranks[at : at + step], x[at : at + step]) for at in range(0, len(x), step)]
        return np.concatenate(parts) if parts else np.zeros((0, self.type.width))

    def _sums(self, ranks: np.ndarray, x: np.ndarray) -> np.ndarray:
        rows = self.trees.cut[forest.leaves(self.trees, ranks)]
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            return forest.added(self.trees, self._terms(rows, np.where(np.abs(x) <= self.small, 0.0, x)))

    def _terms(self, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The function of each leaf, (n, T)."""
        total, missing = self.const[rows], np.zeros(rows.shape, dtype=bool)
        lengths = np.diff(self.starts)[rows]
        for i in range(int(lengths.max(initial=0))):
            at = np.nonzero(lengths > i)
            term = self.starts[rows[at]] + i
            value = x[at[0], self.columns[term]]
            missing[at] |= np.isnan(value)
            total[at] += self.weights[term] * value
        return np.asarray(np.where(missing, self.trees.values[rows, 0], total))


def forests(graph: Graph) -> list[Forest | LinearForest]:
    """The forests of a graph, in order."""
    return [n for n in graph.nodes() if isinstance(n, Forest | LinearForest)]

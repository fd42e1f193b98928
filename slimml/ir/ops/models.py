"""The models: what reads a row and answers sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slimml.ir import forest
from slimml.ir.csr import Csr
from slimml.ir.domain import Domain
from slimml.ir.forest import Trees
from slimml.ir.node import Node, Value, require, require_inputs
from slimml.ir.ops.ranks import require_offsets
from slimml.ir.types import DType, ValueType

_RESULT = Domain(missing=True)
# Terms (rows x trees) that LinearForest computes at once.
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
        return ValueType(self.source.dtype, (_RESULT,) * len(self.bias))

    def evaluate(self, x: Value) -> np.ndarray:
        if isinstance(x, Csr):
            total = x.matmul(self.weights.T)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                # One row of weights goes to BLAS as a vector, as the original hands it over.
                total = (x @ self.weights[0])[:, None] if len(self.bias) == 1 else x @ self.weights.T
        return np.asarray(total + self.bias)


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

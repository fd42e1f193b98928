"""A compressed sparse row block on numpy alone.

scipy is not needed where a model is served; the layout is scipy's, so the two convert without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Csr:
    """`data` (nnz,), `indices` (nnz,) int, `indptr` (n + 1,) int, `width` columns.

    `_rows` keeps what `rows()` works out, for all blocks of one pattern.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    width: int
    _rows: list[np.ndarray] = field(default_factory=list, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.indptr) - 1, self.width

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the stored entries."""
        return self.data.dtype

    def rows(self) -> np.ndarray:
        """The row of every stored entry, (nnz,) int64."""
        if not self._rows:
            n = len(self.indptr) - 1
            # One row is what services ask for.
            counted = np.repeat(np.arange(n), np.diff(self.indptr)) if n != 1 else np.zeros(len(self.data), np.int64)
            self._rows.append(counted)
        return self._rows[0]

    def with_data(self, data: np.ndarray) -> Csr:
        """The same pattern with other entries."""
        return Csr(data, self.indices, self.indptr, self.width, self._rows)

    def keep(self, chosen: np.ndarray) -> Csr:
        """Only the stored entries of a mask (nnz,)."""
        ends = np.concatenate(([0], np.cumsum(chosen)))[self.indptr]
        return Csr(self.data[chosen], self.indices[chosen], ends, self.width)

    def toarray(self) -> np.ndarray:
        """A dense (n, width) array; entries stored twice add up, as in scipy."""
        dense = np.zeros(self.shape, dtype=self.data.dtype)
        np.add.at(dense, (self.rows(), self.indices), self.data)
        return dense

    def sum_rows(self, terms: np.ndarray) -> np.ndarray:
        """The sum of each row's `terms` (nnz,), one after another in float64; (n,)."""
        return np.bincount(self.rows(), weights=terms, minlength=self.shape[0])

    def select(self, columns: np.ndarray) -> Csr:
        """The columns at those positions, in that order."""
        order = np.argsort(columns, kind="stable")
        ordered = columns[order]
        first = np.searchsorted(ordered, self.indices, side="left")
        count = np.searchsorted(ordered, self.indices, side="right") - first
        rows = np.repeat(self.rows(), count)
        start = np.repeat(first - np.concatenate(([0], np.cumsum(count)))[:-1], count)
        target = order[start + np.arange(len(rows))]
        sort = np.lexsort((target, rows))
        return _assemble(np.repeat(self.data, count)[sort], target[sort], rows[sort], self.shape[0], len(columns))

    def matmul(self, weights: np.ndarray) -> np.ndarray:
        """`self @ weights`, weights (width, k): each sum runs over the row's entries in their stored order.

        In float64, or in float32 where both are.
        """
        if self.data.dtype == weights.dtype == np.float32:
            return self._matmul32(weights)
        rows, n = self.rows(), self.shape[0]
        out = np.empty((n, weights.shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(weights.shape[1]):
                out[:, k] = np.bincount(rows, weights=self.data * weights[self.indices, k], minlength=n)
        return out

    def _matmul32(self, weights: np.ndarray) -> np.ndarray:
        out, lengths = np.zeros((self.shape[0], weights.shape[1]), dtype=np.float32), np.diff(self.indptr)
        with np.errstate(over="ignore", invalid="ignore"):
            for p in range(int(lengths.max(initial=0))):
                rows = np.flatnonzero(lengths > p)
                at = self.indptr[rows] + p
                out[rows] += self.data[at][:, None] * weights[self.indices[at]]
        return out


def from_dense(block: np.ndarray) -> Csr:
    """The non-zero entries (NaN counts as non-zero) of a dense block."""
    rows, columns = np.nonzero(block)
    return _assemble(block[rows, columns], columns, rows, block.shape[0], block.shape[1])


def hstack(blocks: Sequence[Csr | np.ndarray], dtype: np.dtype) -> Csr:
    """Blocks side by side."""
    parts = [b if isinstance(b, Csr) else from_dense(b) for b in blocks]
    rows = np.concatenate([p.rows() for p in parts])
    shifts = np.cumsum([0] + [p.width for p in parts])
    columns = np.concatenate([p.indices + s for p, s in zip(parts, shifts, strict=False)])
    data = np.concatenate([p.data.astype(dtype, copy=False) for p in parts])
    sort = np.argsort(rows, kind="stable")
    return _assemble(data[sort], columns[sort], rows[sort], parts[0].shape[0], int(shifts[-1]))


def vstack(blocks: Sequence[Csr]) -> Csr:
    """Blocks one below the other."""
    starts = np.cumsum([0] + [len(b.data) for b in blocks])
    ends = [b.indptr[1:] + start for b, start in zip(blocks, starts.tolist(), strict=False)]
    data, indices = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("data", "indices"))
    return Csr(data, indices, np.concatenate([[0], *ends]), blocks[0].width)


def _assemble(data: np.ndarray, columns: np.ndarray, rows: np.ndarray, n: int, width: int) -> Csr:
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n))))
    return Csr(data, columns, indptr, width)

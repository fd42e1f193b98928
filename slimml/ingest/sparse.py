"""scipy.sparse matrices from their pickled attributes, checked here because scipy's kernels do not check."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.ingest.machine import Machine

_NAMES = {"csr": ("csr_matrix", "csr_array"), "csc": ("csc_matrix", "csc_array"), "dia": ("dia_matrix", "dia_array")}
# scipy < 1.8 had public module names. Other layouts stay Records.
LAYOUTS = {
    (f"scipy.sparse.{prefix}{layout}", name): name
    for layout, names in _NAMES.items()
    for name in names
    for prefix in ("", "_")
}


def finish(machine: Machine, name: str, state: Any) -> Any:
    """The scipy.sparse object of that class and state. Raises CorruptInputError where the arrays disagree."""
    from scipy import sparse  # Most models hold no sparse matrix, and scipy.sparse takes 100 ms to wake.

    shape = state.get("_shape") if type(state) is dict else None
    if type(shape) is not tuple or len(shape) != 2 or not all(_is_size(extent) for extent in shape):
        raise machine.corrupt("a sparse matrix has no shape")
    rows, columns = int(shape[0]), int(shape[1])
    data = state.get("data")
    if name.startswith("dia"):
        _check_dia(machine, data, state.get("offsets"), columns)
        return getattr(sparse, name)((data, state["offsets"]), shape=(rows, columns))
    major, minor = (rows, columns) if name.startswith("csr") else (columns, rows)
    check_compressed(machine, data, state.get("indices"), state.get("indptr"), major, minor)
    return getattr(sparse, name)((data, state["indices"], state["indptr"]), shape=(rows, columns))


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= int(value) < 2**62


def _vector(machine: Machine, value: Any, kinds: str) -> Any:
    if type(value) is not np.ndarray or value.ndim != 1 or value.dtype.kind not in kinds:
        raise machine.corrupt("a sparse matrix has an array of an unknown kind")
    return value


def check_compressed(machine: Machine, data: Any, indices: Any, indptr: Any, major: int, minor: int) -> None:
    """Pointers start at 0, rise and end inside the data; indices lie inside the matrix."""
    _vector(machine, data, "biufc")
    _vector(machine, indices, "iu")
    _vector(machine, indptr, "iu")
    if len(indptr) != major + 1 or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise machine.corrupt("a sparse matrix has row pointers that do not rise from 0")
    stored = int(indptr[-1])
    if stored > len(indices) or stored > len(data):
        raise machine.corrupt("a sparse matrix points past its data")
    if len(indices) and (indices.min() < 0 or indices.max() >= minor):
        raise machine.corrupt("a sparse matrix has an index outside of its shape")


def _check_dia(machine: Machine, data: Any, offsets: Any, columns: int) -> None:
    _vector(machine, offsets, "iu")
    if type(data) is not np.ndarray or data.ndim != 2 or data.dtype.kind not in "biufc" or len(data) != len(offsets):
        raise machine.corrupt("a diagonal matrix does not have one offset for each row of data")

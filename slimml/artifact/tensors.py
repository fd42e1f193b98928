"""Many named arrays in one section, and back as plain memory.

    u64 length of the table | table: JSON [[name, dtype, [shape]], ...] | zeros to a multiple of 64 | array | ...

Arrays follow in the table's order, C order, little-endian, each at the next multiple of 64, so that their places
need not be written (nor checked): the shapes say them. Reading needs the standard library alone.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from slimml.artifact import strictjson
from slimml.artifact.layout import align
from slimml.errors import ArtifactCorruptError, ArtifactError

if TYPE_CHECKING:
    import numpy as np

# dtype -> (memoryview format, bytes an item)
DTYPES = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "int32": ("i", 4),
    "int64": ("q", 8),
    "uint8": ("B", 1),
    "uint16": ("H", 2),
    "uint32": ("I", 4),
    "uint64": ("Q", 8),
    "float32": ("f", 4),
    "float64": ("d", 8),
}
MAX_NDIM = 8
_MAX_ITEMS = 1 << 48
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """`data` is flat, in C order, read-only, and indexes as numbers of `dtype`; `np.asarray(data).reshape(shape)`."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview[Any]


def pack_tensors(tensors: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Named numpy arrays of the dtypes in DTYPES as one section, in the order given. Raises ArtifactError."""
    import numpy as np

    table, parts, end = [], [], 0
    for name, given in tensors.items():
        array = np.asarray(given)
        dtype = array.dtype.name
        if dtype not in DTYPES or array.ndim > MAX_NDIM:
            raise ArtifactError(f"array {name!r} of dtype {dtype} and {array.ndim} dimensions cannot be stored")
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        table.append([name, dtype, list(array.shape)])
        parts += [bytes(align(end) - end), data]
        end = align(end) + len(data)
    head = strictjson.dumps(table)
    head = _LENGTH.pack(len(head)) + head
    return b"".join([head, bytes(align(len(head)) - len(head)), *parts])


def unpack_tensors(section: memoryview | bytes) -> dict[str, Tensor]:
    """Views into `section`, by name, in the order packed. Raises ArtifactCorruptError."""
    if sys.byteorder != "little":
        raise ArtifactError("slimml artifacts cannot be read on a big-endian machine")
    section = memoryview(section).toreadonly().cast("B")
    if len(section) < _LENGTH.size or _LENGTH.unpack(section[: _LENGTH.size])[0] > len(section) - _LENGTH.size:
        raise ArtifactCorruptError("a table of arrays that ends before it begins")
    end = _LENGTH.size + _LENGTH.unpack(section[: _LENGTH.size])[0]
    table = strictjson.loads(section[_LENGTH.size : end])
    if not isinstance(table, list):
        raise ArtifactCorruptError("a table of arrays that is no list")
    tensors: dict[str, Tensor] = {}
    for entry in table:
        name, dtype, shape = _entry(entry)
        begin = align(end)
        size = prod(shape) * DTYPES[dtype][1]
        if name in tensors or begin + size > len(section) or any(section[end:begin]):
            raise ArtifactCorruptError(f"array {name!r:.80} appears twice, ends outside its section or hides bytes")
        end = begin + size
        tensors[name] = Tensor(dtype, shape, _view(section[begin:end], name, dtype))
    if align(end) < len(section) or any(section[end:]):
        raise ArtifactCorruptError("bytes after the last array")
    return tensors


def _entry(entry: object) -> tuple[str, str, tuple[int, ...]]:
    if not isinstance(entry, list) or len(entry) != 3:
        raise ArtifactCorruptError("an array is not described by exactly name, dtype, shape")
    name, dtype, shape = entry
    if not (isinstance(name, str) and isinstance(dtype, str) and dtype in DTYPES and isinstance(shape, list)):
        raise ArtifactCorruptError(f"array {name!r:.80} has an unknown dtype or a malformed shape")
    if len(shape) > MAX_NDIM or not all(type(n) is int and n >= 0 for n in shape):
        raise ArtifactCorruptError(f"array {name!r:.80} has a malformed shape")
    # Zeros aside: (0, 2**70) holds nothing, yet no array library can make it.
    if prod(n for n in shape if n) > _MAX_ITEMS:
        raise ArtifactCorruptError(f"array {name!r:.80} is too large")
    return name, dtype, tuple(shape)


def _view(data: memoryview, name: str, dtype: str) -> memoryview[Any]:
    # A bool that is neither 0 nor 1 is undefined behaviour in C.
    if dtype == "bool" and bytes(data).translate(None, b"\x00\x01"):
        raise ArtifactCorruptError(f"array {name!r:.80} holds bools that are neither 0 nor 1")
    view: memoryview[Any] = data.cast(DTYPES[dtype][0])  # type: ignore[call-overload]  # it wants a literal
    return view


def narrowest(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`array` in the smallest dtype that holds every value exactly: ints by their range, float64 as float32 if no bit
    is lost. A reader that needs the former dtype widens it again; the values are the same.
    """
    import numpy as np

    if array.dtype.kind in "iu":
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64"):
            info = np.iinfo(name)
            if info.min <= low and high <= info.max:
                return array.astype(name)
    if array.dtype == np.float64:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            small = array.astype(np.float32)
        if small.astype(np.float64).tobytes() == array.tobytes():
            return small
    return array

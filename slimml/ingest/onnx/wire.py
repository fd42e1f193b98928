"""Protobuf messages as their fields, in bounded time. https://protobuf.dev/programming-guides/encoding/

The long lists of a tree ensemble come one field a number: runs of them are read as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError, LimitError

Field = int | memoryview | np.ndarray
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 5_000_000
# So many fields of a number in a row are read one by one, then as arrays of what fits a window.
_RUN, _WINDOW = 8, 512
_DAMAGED = "The file is damaged, or made to crash whoever reads it: export it again."


def bad(what: str) -> CorruptInputError:
    """The error for an ONNX file that contradicts itself."""
    return CorruptInputError(f"the ONNX model holds {what}", hint=_DAMAGED)


class Wire:
    """Reads messages; one for a file, because it counts the fields of all of them."""

    def __init__(self) -> None:
        self.fields = 0

    def message(self, data: memoryview) -> dict[int, list[Field]]:
        """The fields of a message by number: ints, bytes (four and eight of them too), or arrays of a run."""
        found: dict[int, list[Field]] = {}
        for number, value in self._walk(data):
            self.fields += 1
            if self.fields > _MOST_FIELDS:
                raise LimitError(f"the ONNX model has more than {_MOST_FIELDS} fields")
            found.setdefault(number, []).append(value)
        return found

    def _walk(self, data: memoryview) -> Iterator[tuple[int, Field]]:
        at, previous, repeated, window = 0, -1, 0, _WINDOW
        while at < len(data):
            tag, begin = varint(data, at)
            repeated, window = (repeated + 1, window) if tag == previous else (0, _WINDOW)
            previous = tag
            if repeated >= _RUN and tag < 0x80 and tag & 7 in _RUNS:
                # The window grows with the run, so that what is looked at stays in proportion to what is read.
                run, read = _RUNS[tag & 7](data[at : at + window], tag)
                if len(run):
                    yield tag >> 3, run
                    at, window = at + read, 2 * window
                    continue
            value, at = _value(data, begin, tag & 7)
            yield tag >> 3, value


def _value(data: memoryview, at: int, kind: int) -> tuple[Field, int]:
    if kind == VARINT:
        return varint(data, at)
    if kind == BYTES:
        size, at = varint(data, at)
    elif kind in (FIXED64, FIXED32):
        size = 8 if kind == FIXED64 else 4
    else:
        raise bad(f"a field of the wire type {kind}")
    if size > len(data) - at:
        raise bad(f"a field of {size} bytes where {len(data) - at} are left")
    return data[at : at + size], at + size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """An unsigned number of up to 64 bits, and where the next byte stands."""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise bad("a message that breaks off")
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            return value & (1 << 64) - 1, at + i + 1
    raise bad("a number that does not end")


def _run_of_fixed32(data: memoryview, tag: int) -> tuple[np.ndarray, int]:
    """float32 values, each behind the same tag of one byte."""
    count = len(data) // 5
    rows = np.frombuffer(data, dtype=np.uint8, count=5 * count).reshape(count, 5)
    other = np.flatnonzero(rows[:, 0] != tag)
    count = int(other[0]) if len(other) else count
    return np.ascontiguousarray(rows[:count, 1:]).view("<f4")[:, 0], 5 * count


def _run_of_varints(data: memoryview, tag: int) -> tuple[np.ndarray, int]:
    """int64 values, each behind the same tag of one byte."""
    octets = np.frombuffer(data, dtype=np.uint8)
    single = np.flatnonzero(octets < 0x80)
    # Tags and values take turns: a tag is one byte that ends itself.
    ends: np.ndarray = single[: len(single) // 2 * 2].reshape(-1, 2)
    begins = np.append(0, ends[:-1, 1] + 1)[: len(ends)]
    good = (ends[:, 0] == begins) & (octets[ends[:, 0]] == tag) & (ends[:, 1] - ends[:, 0] <= 10)
    other = np.flatnonzero(~good)
    ends = ends[: int(other[0]) if len(other) else len(ends)]
    if not len(ends):
        return np.zeros(0, np.int64), 0
    return _joined(octets, ends[:, 0] + 1, ends[:, 1]), int(ends[-1, 1]) + 1


_RUNS: Mapping[int, Callable[[memoryview, int], tuple[np.ndarray, int]]] = {
    VARINT: _run_of_varints,
    FIXED32: _run_of_fixed32,
}


def _joined(octets: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The varints that stand from `first` to `last`, as int64."""
    values = np.zeros(len(first), dtype=np.uint64)
    length = last - first + 1
    for i in range(int(length.max(initial=0))):
        here = length > i
        values[here] |= (octets[first[here] + i].astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * i)
    return values.view(np.int64)


def packed(data: memoryview) -> np.ndarray:
    """int64 of varints one after another. Raises CorruptInputError."""
    octets = np.frombuffer(data, dtype=np.uint8)
    last = np.flatnonzero(octets < 0x80)
    if len(octets) and (not len(last) or last[-1] != len(octets) - 1):
        raise bad("a list of numbers that breaks off")
    first = np.append(0, last[:-1] + 1)[: len(last)]
    if (last - first >= 10).any():
        raise bad("a number that does not end")
    return _joined(octets, first, last)


def ints(fields: list[Field]) -> np.ndarray:
    """int64 (n,) of a repeated number, packed or not."""
    parts: list[Any] = []
    for value in fields:
        if isinstance(value, int):
            parts.append(np.array([signed(value)], dtype=np.int64))
        elif isinstance(value, np.ndarray) and value.dtype == np.int64:
            parts.append(value)
        elif isinstance(value, memoryview):
            parts.append(packed(value))
        else:
            raise bad("a list of integers that are none")
    return np.concatenate([np.zeros(0, np.int64), *parts])


def floats(fields: list[Field], dtype: str = "<f4") -> np.ndarray:
    """float32 or float64 (n,) of a repeated number, packed or not."""
    parts: list[Any] = []
    for value in fields:
        if isinstance(value, np.ndarray) and value.dtype == np.dtype(dtype):
            parts.append(value)
        elif isinstance(value, memoryview) and len(value) % np.dtype(dtype).itemsize == 0:
            parts.append(np.frombuffer(value, dtype=dtype))
        else:
            raise bad("a list of floats that are none")
    return np.concatenate([np.zeros(0, dtype), *parts])


def signed(value: int) -> int:
    """A number of 64 bits with its sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def number(fields: list[Field], default: int = 0) -> int:
    """The last of a field that holds one integer, as protobuf has it."""
    if not fields:
        return default
    value = fields[-1]
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        return int(value[-1])
    if not isinstance(value, int):
        raise bad("bytes where a number should be")
    return signed(value)


def blobs(fields: list[Field]) -> list[memoryview]:
    """Fields that hold bytes or messages."""
    if not all(isinstance(f, memoryview) for f in fields):
        raise bad("a number where a message should be")
    return [f for f in fields if isinstance(f, memoryview)]


def texts(fields: list[Field]) -> list[str]:
    """Fields that hold UTF-8."""
    try:
        return [bytes(b).decode("utf-8") for b in blobs(fields)]
    except UnicodeDecodeError:
        raise bad("a string that is not UTF-8") from None


def text(fields: list[Field]) -> str:
    """The last of a field that holds one string, "" where it is not there."""
    return (texts(fields) or [""])[-1]

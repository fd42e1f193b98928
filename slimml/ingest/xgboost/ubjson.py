"""UBJSON as XGBoost writes it, to plain values; typed arrays become numpy arrays. https://ubjson.org"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError, LimitError

_NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_CONSTANTS = {b"T": True, b"F": False, b"Z": None}
_COUNTS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}
_DEEPEST = 64
_MOST_VALUES = 50_000_000


@dataclass(slots=True)
class _Open:
    """A container that is being read: what is in it, and how many values it still takes (None: until its end mark)."""

    value: Any
    left: int | None
    key: str = ""


@dataclass(slots=True)
class _Reader:
    data: memoryview
    at: int = 0
    values: int = 0
    open: list[_Open] = field(default_factory=list)

    def take(self, count: int, what: str) -> bytes:
        """The next bytes. Raises CorruptInputError where there are fewer."""
        if count < 0 or count > len(self.data) - self.at:
            raise self.bad(f"{what} of {count} bytes where {len(self.data) - self.at} are left")
        found = bytes(self.data[self.at : self.at + count])
        self.at += count
        return found

    def count(self) -> int:
        """A length, with its marker in front."""
        mark = self.take(1, "a length")
        if mark not in _COUNTS:
            raise self.bad(f"a length of kind {mark!r}")
        return int.from_bytes(self.take(_COUNTS[mark], "a length"), "big", signed=mark != b"U")

    def text(self) -> str:
        """A length, and as many bytes of UTF-8."""
        size = self.count()
        try:
            return self.take(size, "a string").decode("utf-8")
        except UnicodeDecodeError:
            raise self.bad("a string that is not UTF-8") from None

    def bad(self, what: str) -> CorruptInputError:
        """The error for what stands before the present position."""
        hint = "The file is damaged, or made to crash whoever uses it."
        return CorruptInputError(f"the UBJSON has {what}", offset=self.at, hint=hint)


def decode(data: memoryview) -> Any:
    """The value in the bytes. Raises CorruptInputError, LimitError; a loop, never recursion."""
    reader = _Reader(data)
    root = _value(reader, reader.take(1, "a value"))
    while reader.open:
        holder = reader.open[-1]
        if _ended(reader, holder):
            reader.open.pop()
            continue
        if isinstance(holder.value, dict):
            holder.key = reader.text()
        mark = reader.take(1, "a value")
        while mark == b"N":
            mark = reader.take(1, "a value")
        value = _value(reader, mark)
        if isinstance(holder.value, dict):
            holder.value[holder.key] = value
        else:
            holder.value.append(value)
    return root


def _ended(reader: _Reader, holder: _Open) -> bool:
    if holder.left is not None:
        holder.left -= 1
        return holder.left < 0
    end = b"}" if isinstance(holder.value, dict) else b"]"
    if bytes(reader.data[reader.at : reader.at + 1]) != end:
        return False
    reader.at += 1
    return True


def _value(reader: _Reader, mark: bytes) -> Any:
    """The value behind a marker; a container is opened, empty, for the loop to fill."""
    reader.values += 1
    if reader.values > _MOST_VALUES:
        raise LimitError(f"the UBJSON holds more than {_MOST_VALUES} values", offset=reader.at)
    if mark in _NUMBERS:
        dtype = np.dtype(_NUMBERS[mark])
        return np.frombuffer(reader.take(dtype.itemsize, "a number"), dtype=dtype)[0].item()
    if mark in _CONSTANTS:
        return _CONSTANTS[mark]
    if mark in (b"S", b"H"):
        return reader.text()
    if mark == b"C":
        return reader.take(1, "a character").decode("latin1")
    if mark not in (b"[", b"{"):
        raise reader.bad(f"a value of kind {mark!r}")
    return _container(reader, {} if mark == b"{" else [])


def _container(reader: _Reader, value: Any) -> Any:
    ahead = bytes(reader.data[reader.at : reader.at + 1])
    kind, left = None, None
    if ahead == b"$":
        reader.at += 1
        kind = reader.take(1, "a kind of array")
        ahead = bytes(reader.data[reader.at : reader.at + 1])
        if ahead != b"#" or isinstance(value, dict) or kind not in _NUMBERS:
            raise reader.bad(f"a container of kind {kind!r} that XGBoost does not write")
    if ahead == b"#":
        reader.at += 1
        left = reader.count()
        # Every value takes at least a byte, so a count beyond what is left is a lie before any memory is taken.
        if left < 0 or left > len(reader.data) - reader.at:
            raise reader.bad(f"a container of {left} values where {len(reader.data) - reader.at} bytes are left")
    if kind is not None and left is not None:
        dtype = np.dtype(_NUMBERS[kind])
        array = np.frombuffer(reader.take(left * dtype.itemsize, "an array"), dtype=dtype)
        return array.astype(dtype.newbyteorder("="))
    if len(reader.open) >= _DEEPEST:
        raise LimitError(f"the UBJSON is nested more than {_DEEPEST} levels deep", offset=reader.at)
    reader.open.append(_Open(value, left))
    return value

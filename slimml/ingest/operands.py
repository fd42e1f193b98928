"""Numbers and texts as the instructions of a pickle carry them, each length and digit checked."""

from __future__ import annotations

import codecs
import re

from slimml.errors import LimitError
from slimml.ingest.machine import Machine

_INTEGER = re.compile(rb"[+-]?[0-9]+L?\Z")
_FLOAT = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z|[+-]?(?:inf|nan)\Z")
_ESCAPE = re.compile(rb"""\\(?:[\\'"abfnrtv]|x[0-9a-fA-F]{2}|[0-3]?[0-7]{1,2})""")


def push_int(m: Machine) -> None:
    """INT: a number in digits, or 00 and 01 for False and True."""
    text = m.line().strip()
    m.stack.append(text == b"01" if text in (b"00", b"01") else integer(m, text))


def integer(m: Machine, text: bytes) -> int:
    """The number that `text` writes in digits."""
    if not _INTEGER.match(text):
        raise m.corrupt("an integer is not written in digits")
    if len(text) > m.limits.integer_bytes * 2.4:
        raise LimitError("an integer has too many digits", offset=m.pos)
    return int(text.rstrip(b"L"))


def push_float(m: Machine) -> None:
    """FLOAT."""
    text = m.line().strip()
    if not _FLOAT.match(text):
        raise m.corrupt("a float is not written as one")
    m.stack.append(float(text))


def push_long(m: Machine, length: int) -> None:
    """LONG1 and LONG4: `length` bytes, little endian, two's complement."""
    if length < 0 or m.pos + length > m.size:
        raise m.too_long(m.pos + length, m.pos)
    if length > m.limits.integer_bytes:
        raise LimitError(f"an integer of {length} bytes", offset=m.pos)
    start = m.take(length)
    m.stack.append(int.from_bytes(m.data[start : m.pos], "little", signed=True))


def push_quoted(m: Machine) -> None:
    """STRING: a Python 2 str literal."""
    text = m.line(1 << 30).strip()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise m.corrupt("a string has no quotes")
    # Python only warns of an escape that it does not know.
    if b"\\" in _ESCAPE.sub(b"", text[1:-1]):
        raise m.corrupt("a string has a bad escape")
    m.stack.append(codecs.escape_decode(text[1:-1])[0].decode("latin-1"))


def push_escaped(m: Machine) -> None:
    """UNICODE: a line with \\u escapes."""
    m.stack.append(str(m.line(1 << 30), "raw-unicode-escape"))


def push_text(m: Machine, length: int) -> None:
    """UTF-8 of `length` bytes."""
    start = m.take(length)
    m.stack.append(str(m.data[start : m.pos], "utf-8", "surrogatepass"))


def push_byte_text(m: Machine, length: int) -> None:
    """BINSTRING: a Python 2 str of `length` bytes."""
    # Python 2's str: names and texts are ASCII in practice, array content is raw. Latin-1 keeps every byte, and
    # `_reconstruct` turns it back.
    raw = m.raw(length)
    m.stack.append(raw if type(raw) is memoryview else str(raw, "latin-1"))

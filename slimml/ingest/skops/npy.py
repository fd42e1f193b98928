"""NumPy's own format (.npy), read without numpy's reader: its header is parsed here, and holds no objects.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from slimml.ingest import arrays
from slimml.ingest.machine import Machine

_MAGIC = b"\x93NUMPY"
# numpy's own limit (max_header_size): a longer one is not loaded without being asked for.
_LONGEST_HEADER, _DEEPEST = 10_000, 8
# The header is a Python literal: strings, integers, booleans, lists, tuples and one dict.
_TOKEN = re.compile(r"\s*(?:('[^'\\\n]*'|\"[^\"\\\n]*\")|(\d{1,18}L?)|(True|False)|([\[\](){},:])|($))")
_DATE = re.compile(r"[<>|=]?[mM]8\[[1-9]?\d{0,5}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]\Z")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def read_npy(machine: Machine, content: bytes) -> arrays.Array:
    """The array in a .npy file. Raises CorruptInputError."""
    wide = content[6:7] in (b"\x02", b"\x03")
    start = 12 if wide else 10
    if content[:6] != _MAGIC or content[6:7] not in (b"\x01", b"\x02", b"\x03") or len(content) < start:
        raise machine.corrupt("an array is not in numpy's format")
    length = int.from_bytes(content[8:start], "little")
    if length > _LONGEST_HEADER or start + length > len(content):
        raise machine.corrupt(f"an array's header declares {length} bytes")
    text = content[start : start + length].decode("utf-8" if content[6] == 3 else "latin-1", "replace")
    header = _literal(machine, text)
    if type(header) is not dict or set(header) != {"descr", "fortran_order", "shape"}:
        raise machine.corrupt("an array's header does not describe an array")
    if type(header["fortran_order"]) is not bool:
        raise machine.corrupt("an array's header does not say its order")
    dtype = _dtype(machine, header["descr"])
    if dtype.hasobject:
        raise machine.corrupt("an array of objects would hold a pickle, which skops never writes")
    return arrays.make_array(
        machine, memoryview(content)[start + length :], dtype, header["shape"], header["fortran_order"]
    )


def _literal(machine: Machine, text: str) -> Any:
    """The value of a Python literal of the kinds that numpy writes; nothing is evaluated."""
    tokens = _tokens(machine, text)
    tokens.reverse()
    value = _value(machine, tokens, 0)
    if tokens:
        raise machine.corrupt("an array's header goes on after its end")
    return value


def _tokens(machine: Machine, text: str) -> list[str]:
    found, pos = [], 0
    while pos < len(text):
        match = _TOKEN.match(text, pos)
        if match is None:
            raise machine.corrupt("an array's header is no plain description")
        found += [group for group in match.groups()[:4] if group is not None]
        pos = max(match.end(), pos + 1)
    return found


def _value(machine: Machine, tokens: list[str], depth: int) -> Any:
    token = tokens.pop() if tokens else ""
    if token[:1] in ("'", '"'):
        return token[1:-1]
    if token in ("True", "False"):
        return token == "True"
    if token[:1].isdigit():
        return int(token.rstrip("L"))  # Python 2 wrote its long integers so
    if token not in _CLOSING or depth >= _DEEPEST:
        raise machine.corrupt("an array's header is no plain description")
    items: list[Any] = []
    commas = 0
    while tokens and tokens[-1] != _CLOSING[token]:
        item = _value(machine, tokens, depth + 1)
        if token == "{":
            _expect(machine, tokens, ":")
            item = (item, _value(machine, tokens, depth + 1))
        items.append(item)
        if tokens and tokens[-1] == ",":
            tokens.pop()
            commas += 1
        elif tokens and tokens[-1] != _CLOSING[token]:
            raise machine.corrupt("an array's header is no plain description")
    _expect(machine, tokens, _CLOSING[token])
    if token == "{":
        return _dict(machine, items)
    if token == "(" and not (len(items) == 1 and not commas):
        return tuple(items)
    return items if token == "[" else items[0]


def _expect(machine: Machine, tokens: list[str], token: str) -> None:
    if not tokens or tokens.pop() != token:
        raise machine.corrupt("an array's header is no plain description")


def _dict(machine: Machine, pairs: list[Any]) -> dict[str, Any]:
    if not all(type(key) is str for key, _ in pairs) or len({key for key, _ in pairs}) != len(pairs):
        raise machine.corrupt("an array's header is no plain description")
    return dict(pairs)


def _dtype(machine: Machine, description: Any) -> arrays.DType:
    """The dtype of a `descr`: a code, or a list of (name, dtype) or (name, dtype, shape)."""
    if type(description) is str:
        if _DATE.match(description):
            return np.dtype(description)
        return arrays.dtype_of_args(machine, (description,))
    if type(description) is tuple and len(description) == 2:
        return _shaped(machine, *description)
    if type(description) is not list or len(description) > arrays.MOST_FIELDS:
        raise machine.corrupt("an array has a dtype that is not known")
    names, formats, offsets, item = [], [], [], 0
    for field in description:
        if type(field) is not tuple or len(field) not in (2, 3) or type(field[0]) not in (str, tuple):
            raise machine.corrupt("an array's field is not described")
        part = _shaped(machine, *field[1:]) if len(field) == 3 else _dtype(machine, field[1])
        # (title, name) where it has a title; no name and a void dtype are padding.
        name = field[0][-1] if type(field[0]) is tuple and len(field[0]) == 2 else field[0]
        if type(name) is not str:
            raise machine.corrupt("an array's field has no name")
        if name or part.kind != "V" or part.names:
            names.append(name)
            formats.append(part)
            offsets.append(item)
        item += part.itemsize
    if item > arrays.LARGEST_ITEM:
        raise machine.corrupt(f"a dtype has items of {item} bytes")
    try:
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": item})
    except (TypeError, ValueError, OverflowError):
        raise machine.corrupt("a dtype contradicts itself") from None


def _shaped(machine: Machine, base: Any, shape: Any) -> arrays.DType:
    part = _dtype(machine, base)
    whole = shape if type(shape) is tuple else (shape,)
    if arrays.count_of(machine, whole) * part.itemsize > arrays.LARGEST_ITEM:
        raise machine.corrupt("a dtype has items that are too large")
    return np.dtype((part, whole))

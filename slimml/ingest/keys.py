"""Which values may be keys of a dictionary or members of a set: those that hash for a known price."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from slimml.errors import LimitError
from slimml.ingest.machine import Machine
from slimml.ingest.record import Record, Symbol

_KEYS = (str, int, float, bool, type(None), bytes, complex, Symbol, Record, frozenset)
_SCALAR_KEYS = (np.number, np.bool_, np.str_, np.bytes_, np.datetime64, np.timedelta64)
# Python hashes integers modulo this, unseeded: a file full of its multiples would make a dictionary quadratic.
_HASH_MODULUS = 2**61 - 1
_MANY_KEYS = 1000
_WIDEST_KEY = 64


def check_keys(machine: Machine, keys: Collection[Any], already: int) -> None:
    """Refuse keys that cannot be hashed, or only at a price. Records and Symbols hash by identity alone."""
    many = len(keys) + already > _MANY_KEYS
    for key in keys:
        parts, seen = [key], 0
        while parts:
            part = parts.pop()
            kind = type(part)
            if kind is tuple:
                seen += len(part) + 1
                if seen > _WIDEST_KEY:
                    raise LimitError("a key is a tuple too wide or deep to hash", offset=machine.pos)
                parts.extend(part)
            elif kind is int:
                if many and abs(part) >= _HASH_MODULUS:
                    raise LimitError("a large dictionary or set has huge integers as keys", offset=machine.pos)
            elif kind not in _KEYS and not issubclass(kind, _SCALAR_KEYS):
                raise machine.corrupt(f"a {kind.__name__} is used as a key")

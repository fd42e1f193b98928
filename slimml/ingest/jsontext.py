"""JSON in a file that may be hostile, to plain values."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError, LimitError

_DEEPEST = 64
# A string, so that brackets inside of strings do not count.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_DEPTH = np.zeros(256, dtype=np.int8)
_DEPTH[[ord("["), ord("{")]], _DEPTH[[ord("]"), ord("}")]] = 1, -1


def decode(data: bytes | memoryview, deepest: int = _DEEPEST) -> Any:
    """The value in the bytes (UTF-8); infinities and NaN are numbers. Raises CorruptInputError, LimitError."""
    raw = bytes(data)
    plain = np.frombuffer(_STRING.sub(b"", raw), dtype=np.uint8)
    # The reader of the standard library recurses, so the depth is known before it starts.
    if len(plain) and np.cumsum(_DEPTH[plain], dtype=np.int64).max() > deepest:
        raise LimitError(f"the JSON is nested more than {deepest} levels deep")
    try:
        return json.loads(raw.decode("utf-8-sig", "surrogatepass"))
    except json.JSONDecodeError as error:
        raise CorruptInputError(f"the JSON breaks off or is damaged: {error.msg}", offset=error.pos) from None
    except ValueError as error:
        raise CorruptInputError(f"the JSON is damaged: {error}") from None

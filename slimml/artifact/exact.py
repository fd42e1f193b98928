"""Values of a row or an answer in strict JSON and back, with every bit and type that matters.

Finite floats are JSON numbers (Python's shortest repr reads back to the same double, and keeps -0.0 and the point
that tells 1.0 from 1); NaN and the infinities are `{"$float": "nan" | "inf" | "-inf"}`.
"""

from __future__ import annotations

import math
from typing import Any

from slimml.errors import ArtifactCorruptError, ArtifactError

_NAMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_exact(value: Any) -> Any:
    """None, bool, int, float, str, numpy scalars and arrays, and lists, tuples and str-keyed dicts of them, as JSON.

    Tuples and arrays become lists. A float32 becomes the double of the same value. Raises ArtifactError for others.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        value = float(value)
        return value if math.isfinite(value) else {"$float": repr(value)}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [to_exact(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: to_exact(item) for key, item in value.items()}
    raise ArtifactError(f"an artifact cannot hold this {type(value).__name__}: {value!r:.80}")


def from_exact(value: Any) -> Any:
    """The inverse of `to_exact` over parsed JSON. Raises ArtifactCorruptError."""
    if isinstance(value, list):
        return [from_exact(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$float" in value:
        name = value["$float"]
        if len(value) != 1 or not isinstance(name, str) or name not in _NAMES:
            raise ArtifactCorruptError(f"not a float: {value!r:.80}")
        return _NAMES[name]
    return {key: from_exact(item) for key, item in value.items()}

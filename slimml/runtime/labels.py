"""Label tables in a manifest: what `classes_` and `predict` answer with, dtype and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slimml.artifact.exact import from_exact, to_exact
from slimml.errors import ArtifactCorruptError

if TYPE_CHECKING:
    import numpy as np

# Kinds of numpy dtype that hold labels: bool, int, unsigned, float, str, object (of plain scalars).
_KINDS = "biufUO"


def write_labels(tables: list[np.ndarray]) -> list[dict[str, Any]]:
    """Label tables as JSON: dtype (numpy's spelling) and values."""
    return [{"dtype": t.dtype.str if t.dtype.kind != "O" else "O", "values": to_exact(t.tolist())} for t in tables]


def read_labels(value: Any) -> list[np.ndarray]:
    """The inverse of `write_labels`, trusting nothing. Raises ArtifactCorruptError."""
    import numpy as np

    if not isinstance(value, list):
        raise ArtifactCorruptError("the header's classes are not a list of tables")
    tables = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"dtype", "values"} or not isinstance(entry["values"], list):
            raise ArtifactCorruptError("a table of labels is malformed")
        values = from_exact(entry["values"])
        try:
            dtype = np.dtype(entry["dtype"])
            if dtype.kind not in _KINDS or dtype.itemsize > 1 << 16:
                raise ValueError(f"labels of dtype {dtype}")
            table = np.array(values, dtype=dtype)
        except (TypeError, ValueError, OverflowError, SyntaxError) as error:
            raise ArtifactCorruptError(f"a table of labels does not have its dtype: {error}") from None
        if table.ndim != 1 or not all(v is None or isinstance(v, bool | int | float | str) for v in values):
            raise ArtifactCorruptError("a table of labels is no list of scalars")
        tables.append(table)
    return tables

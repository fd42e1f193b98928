"""JSON for machines: one document a run, strict, on stdout or in a file that is written whole."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from slimml.artifact.files import write_whole

# Raised when a key of a document changes its meaning or goes; new keys may come at any time.
SCHEMA_VERSION = 1


def document(command: str | None, ok: bool, content: dict[str, Any]) -> dict[str, Any]:
    """A document with what each of them has at the top."""
    head = {"schema_version": SCHEMA_VERSION, "command": command, "ok": ok}
    return head | content | head  # first in order, and no content says otherwise


def deliver(target: str, content: dict[str, Any]) -> None:
    """Write a document to stdout (`-`) or a file. Raises UsageError where the file cannot be written."""
    text = json.dumps(plain(content), indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        write_whole(target, text.encode())


def plain(value: Any) -> Any:
    """`value` as strict JSON holds it: NaN and infinities as the strings "nan", "inf" and "-inf"."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

"""How many bytes a thing takes where it is kept."""

from __future__ import annotations

import os


def size_of(thing: bytes | bytearray | memoryview | str | os.PathLike[str]) -> int:
    """Bytes of a buffer, or of the file at a path. Raises OSError."""
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return memoryview(thing).nbytes
    return os.path.getsize(thing)

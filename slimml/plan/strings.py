"""Many strings as one run of bytes: the first character is what parts them, and occurs in none of them.

Sorted strings next to each other are what a stock compressor is best at. Standard library alone: decoding starts here.
"""

from __future__ import annotations

from collections.abc import Sequence

from slimml.errors import ArtifactCorruptError


def pack_strings(strings: Sequence[str]) -> bytes:
    """The strings as bytes; halves of surrogate pairs are kept."""
    used = set().union(*strings)
    mark = next(c for c in map(chr, range(0x110000)) if c not in used)
    return "".join([mark + s for s in strings]).encode("utf-8", "surrogatepass")


def unpack_strings(data: bytes) -> tuple[str, ...]:
    """The inverse of `pack_strings`. Raises ArtifactCorruptError."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ArtifactCorruptError(f"a list of strings is not UTF-8 ({error})") from None
    return tuple(text[1:].split(text[0])) if text else ()

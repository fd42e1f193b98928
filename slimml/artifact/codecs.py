"""How a section is stored: as it is, or compressed by a codec of the standard library."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from slimml.artifact.layout import largest_raw
from slimml.errors import ArtifactCorruptError, ArtifactError, MissingDependencyError

CODECS = ("raw", "zlib", "xz")

# The window of our own files, and what a decoder of them may need: the window and a little more.
_XZ_WINDOW = 16 << 20
_XZ_MEMORY = 32 << 20
_XZ_SLOW = 6 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A section as it will stand in the file, compressed once for all the headers that may go before it."""

    codec: str
    data: bytes | memoryview
    raw_size: int

    @classmethod
    def of(cls, raw: bytes | memoryview, codec: str) -> Stored:
        """`compress`, with the size that it came from."""
        chosen, data = compress(raw, codec)
        return cls(chosen, data, len(raw))


def compress(raw: bytes | memoryview, codec: str) -> tuple[str, bytes | memoryview]:
    """`raw` stored by `codec`, or as it is where that is no larger or would look like a bomb to the reader."""
    if codec not in CODECS:
        raise ArtifactError(f"no codec {codec!r}", hint=f"one of {', '.join(CODECS)}")
    if codec == "raw":
        return "raw", raw
    stored = zlib.compress(raw, 9) if codec == "zlib" else _xz(raw)
    if len(stored) >= len(raw) or len(raw) > largest_raw(len(stored)):
        return "raw", raw
    return codec, stored


def decompress(stored: memoryview, codec: str, raw_size: int) -> memoryview:
    """Exactly `raw_size` bytes out of `stored`, never more. Raises ArtifactCorruptError."""
    if codec == "raw":
        return stored
    raw, ended = _inflate(stored, raw_size) if codec == "zlib" else _unxz(stored, raw_size)
    if len(raw) != raw_size or not ended:
        raise ArtifactCorruptError(f"{codec} data that do not decode to the {raw_size} bytes declared")
    return memoryview(raw)


def _inflate(stored: memoryview, raw_size: int) -> tuple[bytes, bool]:
    decoder = zlib.decompressobj()
    try:
        raw = decoder.decompress(stored, raw_size + 1)  # one more than declared tells "too long" from "just right"
    except zlib.error as error:
        raise ArtifactCorruptError(f"damaged zlib data ({error})") from None
    return raw, decoder.eof and not decoder.unused_data


def _xz(raw: bytes | memoryview) -> bytes:
    import lzma

    # A window no larger than the data keeps the reader's memory small; SHA-256 makes xz's own check idle.
    size = min(_XZ_WINDOW, max(1 << 16, 1 << max(0, len(raw) - 1).bit_length()))
    filters: list[dict[str, int]] = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size}]
    if len(raw) > _XZ_SLOW:
        # A shallower search: half the time, for a hundredth more bytes on node tables of 14 MB.
        filters[0] |= {"mf": lzma.MF_BT3, "depth": 12, "nice_len": 64}
    return lzma.compress(raw, format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)


def _unxz(stored: memoryview, raw_size: int) -> tuple[bytes, bool]:
    try:
        import lzma
    except ImportError as error:  # an optional module of CPython
        raise MissingDependencyError("this Python was built without lzma, which the file needs") from error
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    try:
        raw = decoder.decompress(stored, raw_size + 1)
    except lzma.LZMAError as error:
        raise ArtifactCorruptError(f"damaged xz data ({error})") from None
    return raw, decoder.eof and not decoder.unused_data

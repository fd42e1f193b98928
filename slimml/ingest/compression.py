"""Decompression with a running cap: absolute, as a ratio, and for LZMA in memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from slimml.errors import CorruptInputError, LimitError
from slimml.ingest.limits import Limits
from slimml.ingest.lz4 import MAGIC as LZ4_MAGIC
from slimml.ingest.lz4 import decompress_frame

_CHUNK = 1 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def compression_of(head: bytes) -> str | None:
    """The name of the compression that starts so, or None. Told from the content alone."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:3] == b"BZh" and head[3:4].isdigit():
        return "bz2"
    if head[:6] == b"\xfd7zXZ\x00":
        return "xz"
    if head[:4] == LZ4_MAGIC:
        return "lz4"
    # RFC 1950: the low nibble is 8 (deflate), the header is a multiple of 31.
    if len(head) > 1 and head[0] == 0x78 and (head[0] << 8 | head[1]) % 31 == 0:
        return "zlib"
    # The legacy .lzma header: properties, dictionary size, and (as joblib writes it) the size or -1 for unknown.
    if head[:3] == b"\x5d\x00\x00" and len(head) >= 13 and head[5:13] == b"\xff" * 8:
        return "lzma"
    return None


def decompress(name: str, data: memoryview, limits: Limits, spent: int = 0) -> bytearray:
    """Inflate `data`, all members of it; `spent` bytes of the budget are gone already.

    Raises LimitError over a cap and CorruptInputError where the stream is damaged or truncated.
    """

    def check(out: int, consumed: int) -> None:
        if out + spent > limits.decoded_bytes:
            raise LimitError(f"{name} gives more than {limits.decoded_bytes} bytes", hint="A decompression bomb?")
        if out > limits.slack and out > limits.ratio * max(consumed, 1):
            raise LimitError(
                f"{name} gives {out} bytes for {consumed}, more than {limits.ratio} to 1", hint="A decompression bomb?"
            )

    if name == "lz4":
        return decompress_frame(data, check)
    out = bytearray()
    start = 0
    try:
        while start < len(data):
            # Past the first member anything that is no member is padding or trailing bytes, as `gzip -d` has it.
            if start and compression_of(bytes(data[start : start + 16])) != name:
                break
            start = _member(_decompressor(name, limits), name, data, start, out, check)
    except MemoryError:
        raise LimitError(f"{name} asks for more memory than allowed") from None
    except lzma.LZMAError as e:
        if "limit" in str(e).lower():
            raise LimitError(f"{name} asks for more than {limits.lzma_memory} bytes of memory") from None
        raise CorruptInputError(f"the {name} stream is damaged: {e}", offset=start) from None
    except (zlib.error, OSError, EOFError, ValueError) as e:
        raise CorruptInputError(f"the {name} stream is damaged: {e}", offset=start) from None
    return out


def _decompressor(name: str, limits: Limits) -> _Decompressor:
    if name == "bz2":
        return bz2.BZ2Decompressor()
    if name == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.lzma_memory)
    if name == "lzma":
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=limits.lzma_memory)
    return _Zlib(31 if name == "gzip" else 15)


class _Zlib:
    """zlib's decompressor with the interface of the others, which keep their unread input themselves."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _member(
    machine: _Decompressor, name: str, data: memoryview, start: int, out: bytearray, check: Callable[[int, int], None]
) -> int:
    pos = start
    while not machine.eof:
        feed = bytes(data[pos : pos + _CHUNK])
        pos += len(feed)
        piece = machine.decompress(feed, _CHUNK)
        out += piece
        check(len(out), pos)
        # The input is held back while output is due, so an empty answer to no input means that it was cut off.
        while len(piece) == _CHUNK and not machine.eof:
            piece = machine.decompress(b"", _CHUNK)
            out += piece
            check(len(out), pos)
        if not feed and not piece and not machine.eof:
            raise CorruptInputError(f"the {name} stream ends early", offset=len(data))
    return pos - len(machine.unused_data)

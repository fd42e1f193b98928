"""LZ4 frames in plain Python, bounded: joblib writes them and the base install must read them.

Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md. Checksums are skipped:
what comes out is checked by the pickle decoder, which trusts nothing anyway.
"""

from __future__ import annotations

from collections.abc import Callable

from slimml.errors import CorruptInputError

MAGIC = b"\x04\x22\x4d\x18"
_WINDOW = 65536


def decompress_frame(data: memoryview, check: Callable[[int, int], None]) -> bytearray:
    """All frames of `data` in one buffer. `check(bytes out, bytes in)` is asked after each block and may raise.

    Raises CorruptInputError where the frame is truncated or contradicts itself.
    """
    out = bytearray()
    pos = 0
    try:
        while bytes(data[pos : pos + 4]) == MAGIC:
            pos = _frame(data, pos + 4, out, check)
    except IndexError:
        raise CorruptInputError("the LZ4 stream ends early", offset=len(data)) from None
    if pos == 0:
        raise CorruptInputError("not an LZ4 frame", offset=0)
    return out


def _frame(data: memoryview, pos: int, out: bytearray, check: Callable[[int, int], None]) -> int:
    flags, block_flags = data[pos], data[pos + 1]
    if flags >> 6 != 1 or flags & 1:
        raise CorruptInputError("an LZ4 frame of a version or with a dictionary that is not read", offset=pos)
    biggest = 1 << (8 + 2 * (block_flags >> 4 & 7))
    pos += 3 + (8 if flags & 8 else 0)
    while True:
        size = int.from_bytes(data[pos : pos + 4], "little")
        if pos + 4 > len(data):
            raise IndexError
        pos += 4
        if size == 0:
            return pos + (4 if flags & 4 else 0)
        stored, size = size >> 31, size & 0x7FFFFFFF
        if pos + size > len(data):
            raise IndexError
        if size > biggest:
            raise CorruptInputError("an LZ4 block is larger than its frame allows", offset=pos)
        if stored:
            out += data[pos : pos + size]
        else:
            # Linked blocks may look back into the window of the ones before; independent ones may not.
            floor = len(out) if flags & 0x20 else max(0, len(out) - _WINDOW)
            _block(bytes(data[pos : pos + size]), out, floor, len(out) + biggest, pos)
        pos += size + (4 if flags & 16 else 0)
        check(len(out), pos)


def _block(block: bytes, out: bytearray, floor: int, ceiling: int, where: int) -> None:
    pos, end = 0, len(block)
    while True:
        token = block[pos]
        pos += 1
        length, pos = _length(block, pos, token >> 4)
        if pos + length > end:
            raise CorruptInputError("LZ4 literals run past their block", offset=where + pos)
        out += block[pos : pos + length]
        pos += length
        if pos == end:
            break
        distance = block[pos] | block[pos + 1] << 8
        length, pos = _length(block, pos + 2, token & 15)
        length += 4
        start = len(out) - distance
        if distance == 0 or start < floor or len(out) + length > ceiling:
            raise CorruptInputError("an LZ4 match points outside of its window", offset=where + pos)
        if length <= distance:
            out += out[start : start + length]
        else:
            # An overlapping match repeats its last `distance` bytes.
            out += (out[start:] * (length // distance + 1))[:length]
    if len(out) > ceiling:
        raise CorruptInputError("an LZ4 block is larger than its frame allows", offset=where)


def _length(block: bytes, pos: int, length: int) -> tuple[int, int]:
    if length == 15:
        more = 255
        while more == 255:
            more = block[pos]
            pos += 1
            length += more
    return length, pos

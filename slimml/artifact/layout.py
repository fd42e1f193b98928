"""Where the bytes of an artifact lie, and how large each part may be.

    offset  size
         0     8  magic
         8     4  format version, u32 (all numbers are little-endian)
        12     4  zero
        16     8  length of the header, u64
        24     8  length of the whole file, u64
        32    32  SHA-256 of bytes 0-31 and the header
        64     -  header: JSON in ASCII, one object
         -     -  zeros up to the next multiple of 64: here the data starts
         -     -  sections, each at a multiple of 64 from the data's start, zeros between; the last one ends the file

The prefix (64 bytes) is the same in every format version, so that an older reader can name the version it lacks.
Changing what the header or a section means: raise FORMAT_VERSION, keep reading the old ones, add an artifact of the
old one to `tests/artifact/formats/`.
"""

from __future__ import annotations

import struct

# The first byte is no ASCII and the last is a newline: a transfer that mangles text shows at once, as in PNG.
MAGIC = b"\x89slimml\n"
FORMAT_VERSION = 0

PREFIX = struct.Struct("<8sIIQQ32s")
HASHED_PREFIX = 32
ALIGN = 64

MAX_HEADER = 64 << 20
MAX_SECTIONS = 32
# A compressed section may grow to RATIO times its stored size or to SLACK, whichever is more: memory stays in
# proportion to the file, and the writer stores raw what compresses better than that.
RATIO = 256
SLACK = 8 << 20


def align(offset: int) -> int:
    """The next multiple of 64."""
    return -(-offset // ALIGN) * ALIGN


def largest_raw(stored: int) -> int:
    """The largest size that `stored` compressed bytes may declare for themselves."""
    return max(SLACK, RATIO * stored)

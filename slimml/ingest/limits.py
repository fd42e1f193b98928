"""Budgets for hostile input: a 2 GB forest passes, a bomb does not."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. Going over any of them raises LimitError.

    `decoded_bytes`     bytes after decompression, all layers and nested streams together
    `opcodes`           pickle instructions in one stream
    `memo`              remembered objects in one stream
    `marks`             MARKs open at the same time
    `depth`             levels of containers between the root and the deepest value
    `name`              characters of a module or attribute name
    `integer_bytes`     bytes of one integer (about 0.42 bytes a decimal digit)
    `layers`            archives or compressions around each other
    `nested`            pickles inside the pickle (joblib writes one for each array of objects)
    `ratio`, `slack`    once `slack` bytes are out, decompression may give at most `ratio` bytes for one byte in
    `lzma_memory`       bytes that the LZMA decoder may ask for (`xz -9` needs 65 MiB)
    """

    decoded_bytes: int = 8192 * MIB
    opcodes: int = 200_000_000
    memo: int = 50_000_000
    marks: int = 10_000
    depth: int = 1_000
    name: int = 256
    integer_bytes: int = 1_786
    layers: int = 4
    nested: int = 10_000
    ratio: int = 250
    slack: int = 32 * MIB
    lzma_memory: int = 128 * MIB


DEFAULT = Limits()

"""Pickles that no pickler writes, put together by hand."""

from __future__ import annotations

import pickle
import struct


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return b"c" + f"{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def value(of: object) -> bytes:
    """The instructions that push a plain value, without frame, memo-only prefix and STOP."""
    return pickle.dumps(of, protocol=2)[2:-1]


def call(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE of `function` over the arguments."""
    return function + b"(" + b"".join(arguments) + b"tR"


def stream(*parts: bytes) -> bytes:
    """A whole protocol 4 pickle."""
    return b"\x80\x04" + b"".join(parts) + b"."

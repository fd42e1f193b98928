"""A DATA file to a table; the format is told from the content."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from slimml.errors import InputError, UsageError
from slimml.tables import arrow_file, numpy_file
from slimml.tables.csv_text import parse_csv
from slimml.tables.table import Table

_FORMATS = "DATA is CSV, Parquet, Feather, Arrow or NPY"
_NOT_TABLES = (
    (b"\x80", "a pickle"),
    (b"\x89slimml\n", "a slimml artifact"),
    (b"PK\x03\x04", "a zip file (an Excel sheet, perhaps, or an NPZ)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"{", "JSON text"),
    (b"[", "JSON text"),
    (b"<", "a web page or XML"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)


def read_table(path: str | PathLike[str]) -> Table:
    """The table in a CSV, Parquet, Feather, Arrow or NPY file.

    Raises UsageError where there is no such file, InputError where the content is no table, MissingDependencyError
    where pyarrow is needed and not installed.
    """
    head = _head(path)
    if not head:
        raise InputError("the file is empty", where=os.fspath(path), hint=_FORMATS)
    if head.startswith((arrow_file.PARQUET, arrow_file.ARROW, arrow_file.FEATHER_1, arrow_file.STREAM)):
        return arrow_file.read_arrow(path, head)
    if head.startswith(numpy_file.MAGIC):
        return numpy_file.read_npy(path)
    for magic, what in _NOT_TABLES:
        if head.startswith(magic):
            raise InputError(f"not a table: it looks like {what}", where=os.fspath(path), hint=_FORMATS)
    return _read_csv(path)


def _head(path: str | PathLike[str]) -> bytes:
    try:
        # Asked before opening: a pipe or a device would block or never end.
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"{os.fspath(path)} is not a regular file", hint=_FORMATS)
        with open(path, "rb") as file:
            return file.read(32)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, UsageError):
            raise
        reason = getattr(error, "strerror", None) or error
        hint = "check the path and its permissions"
        raise UsageError(f"cannot read {os.fspath(path)}: {reason}", hint=hint) from None


def _read_csv(path: str | PathLike[str]) -> Table:
    where = os.fspath(path)
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError("the text is UTF-16", where=where, hint="save it as UTF-8") from None
        what = f"neither a known table format nor UTF-8 text (byte {error.start} is {data[error.start]:#04x})"
        raise InputError(what, where=where, hint=f"{_FORMATS}; CSV is saved as UTF-8") from None
    try:
        return parse_csv(text)
    except InputError as error:
        raise InputError(
            error.what, where=f"{where}, {error.where}" if error.where else where, hint=error.hint
        ) from None

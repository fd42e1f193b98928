"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from slimml.errors import UsageError

Buffer = bytes | memoryview


def write_whole(path: str | os.PathLike[str], parts: Buffer | Iterable[Buffer]) -> None:
    """Write `parts` to `path` so that a reader sees the old file or the whole new one, whatever happens meanwhile.

    A symbolic link is followed, and the permissions are those the umask gives to a new file. Raises UsageError (from
    the OSError) where the file cannot be written; the existing one is untouched then, and no temporary file stays.
    """
    check_writable(path)
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".slimml-{secrets.token_hex(8)}.tmp"
    try:
        _write_new(temporary, [parts] if isinstance(parts, (bytes, memoryview)) else parts)
        os.replace(temporary, target)
    except BaseException as error:  # KeyboardInterrupt included: nothing may be left behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            hint = "check the folder, its permissions and the free space; an existing file was left as it was"
            raise UsageError(f"cannot write {os.fspath(path)}: {error.strerror or error}", hint=hint) from error
        raise
    _sync_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the UsageError that `write_whole` would, where it can be known before the work that makes the content."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"{os.fspath(path)} is not a regular file", hint="name a file to write")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {os.fspath(path)}: there is no folder {target.parent}", hint="make it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        hint = "check its permissions, or name a file in another folder"
        raise UsageError(f"cannot write {os.fspath(path)}: the folder {target.parent} is read-only", hint=hint)


def _write_new(path: Path, parts: Iterable[Buffer]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o666), "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Makes the new name durable. The file is already whole and in place, so a file system that cannot sync a folder
    # (some network ones, Windows) is no failure of the run.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

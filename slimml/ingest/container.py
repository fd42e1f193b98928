"""Open a source, tell what it is from its content, and take off the compressions and archives around the pickle."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from slimml.errors import LimitError, UsageError
from slimml.ingest import archive, formats
from slimml.ingest.compression import compression_of, decompress
from slimml.ingest.lightgbm import is_text_model
from slimml.ingest.limits import Limits
from slimml.ingest.machine import Source
from slimml.ingest.onnx.model import is_onnx
from slimml.ingest.skops.file import is_skops
from slimml.ingest.xgboost.model import format_of

# Files from this size on are mapped: their arrays become views of the page cache instead of copies.
_MAPPED = 8 << 20
_HEAD = 4096


@dataclass(eq=False)
class Opened:
    """The bytes of a source as they are, and the pickle or the model text inside them.

    `raw` is the file, `data` what is inside, `layers` what was around it (outermost first), `name` the file's or "".
    `spent`: bytes that have come out of the layers. `skops`: `data` is an archive that holds a model in many members.
    """

    raw: Source
    data: Source
    layers: list[str] = field(default_factory=list)
    name: str = ""
    spent: int = 0
    skops: bool = False

    @property
    def size(self) -> int:
        """Bytes of the source."""
        return len(self.raw)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the source."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def head(self) -> bytes:
        """The first bytes of the pickle."""
        return bytes(self.data[:_HEAD])


def open_source(source: str | os.PathLike[str] | bytes | bytearray | memoryview, limits: Limits) -> Opened:
    """The source with its wrappings taken off.

    Raises UsageError where there is no such file, UnknownFormatError where the content is of a kind that is not read,
    CorruptInputError and LimitError where a wrapping is damaged or hostile.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        opened = Opened(raw := bytes(source), raw)
    else:
        raw_file = _read_file(Path(source))
        opened = Opened(raw_file, raw_file, name=os.fspath(source))
    _unwrap(opened, limits)
    return opened


def _read_file(path: Path) -> Source:
    try:
        # Asked before opening: a pipe or a device would block or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _MAPPED:
                return file.read()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as e:
        if isinstance(e, UsageError):
            raise
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise UsageError(f"{path} cannot be read: {reason}") from None


def _unwrap(opened: Opened, limits: Limits) -> None:
    while True:
        head = opened.head
        kind = "zip" if head[:4] in archive.MAGIC else compression_of(head)
        if kind == "zip" and is_skops(memoryview(opened.data)):
            opened.skops = True
            return
        if kind is None and (is_text_model(head) or format_of(head) is not None or is_onnx(head)):
            return
        if kind is None:
            formats.refuse_known(head, len(opened.data))
            if not formats.may_be_pickle(head):
                raise formats.unknown(head)
            return
        if len(opened.layers) >= limits.layers:
            raise LimitError(f"more than {limits.layers} archives around each other")
        view = memoryview(opened.data)
        take_off = archive.only_member if kind == "zip" else partial(decompress, kind)
        inner = take_off(view, limits, opened.spent)
        opened.data = inner
        opened.layers.append(kind)
        opened.spent += len(inner)

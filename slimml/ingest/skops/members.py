"""The members of a zip archive that holds many, inflated in memory one by one under one budget."""

from __future__ import annotations

import io
import zipfile

from slimml.errors import CorruptInputError, IngestError, LimitError
from slimml.ingest import archive
from slimml.ingest.limits import Limits

_CHUNK = 1 << 20
# Four arrays a tree: the forests that there are have some thousands of trees.
_MOST_MEMBERS = 200_000
# zipfile's reader of LZMA takes the size of its dictionary from the file: gigabytes, before the first byte.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)


class Members:
    """An archive whose members are read on demand, each once.

    `spent` counts the bytes that came out, those of the archives around it too. Raises CorruptInputError where the
    archive is damaged or hostile, LimitError over a cap.
    """

    def __init__(self, data: memoryview | bytes, limits: Limits, spent: int = 0) -> None:
        self.limits, self.spent = limits, spent
        self._most = max(limits.slack, limits.ratio * len(data)) + spent
        self._read: dict[str, bytes] = {}
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except archive.BROKEN as e:
            raise CorruptInputError(f"the zip archive is damaged: {e}") from None
        archive.check_names(self._archive.infolist(), _MOST_MEMBERS)
        self._infos = {i.filename: i for i in self._archive.infolist() if not i.is_dir()}

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def position(self, name: str) -> int:
        """The byte at which a member stands in the archive."""
        return self._infos[name].header_offset

    def read(self, name: str) -> bytes:
        """The content of a member; the same bytes each time."""
        if name not in self._read:
            if name not in self._infos:
                raise CorruptInputError(f"the archive holds no {name[:80]!r}, which its schema names")
            self._read[name] = self._inflated(self._infos[name])
        return self._read[name]

    def _inflated(self, member: zipfile.ZipInfo) -> bytes:
        if member.compress_type not in _METHODS:
            raise CorruptInputError(
                f"{member.filename[:80]!r} is compressed in a way that is not read (method {member.compress_type})",
                hint="Save the model with compression=ZIP_DEFLATED.",
            )
        try:
            return bytes(self._bytes(member))
        except archive.BROKEN as e:
            if isinstance(e, IngestError):
                raise
            raise CorruptInputError(f"{member.filename[:80]!r} in the zip archive is damaged: {e}") from None
        except RuntimeError as e:
            raise CorruptInputError(f"{member.filename[:80]!r} in the zip archive is not readable: {e}") from None

    def _bytes(self, member: zipfile.ZipInfo) -> bytearray:
        out = bytearray()
        with self._archive.open(member) as stream:
            while piece := stream.read(_CHUNK):
                out += piece
                self.spent += len(piece)
                if self.spent > min(self.limits.decoded_bytes, self._most):
                    raise LimitError(
                        f"the zip archive gives more than {self.spent} bytes", hint="A decompression bomb?"
                    )
        if len(out) != member.file_size:
            raise CorruptInputError(f"the zip archive lies about the size of {member.filename[:80]!r}")
        return out

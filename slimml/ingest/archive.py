"""Zip archives around a pickle: listed, checked by name, inflated in memory, never extracted to disk."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

from slimml.errors import CorruptInputError, IngestError, LimitError, UnknownFormatError
from slimml.ingest.limits import Limits

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_CHUNK = 1 << 20
_MOST_MEMBERS = 10_000
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    LookupError,
)


def only_member(data: memoryview, limits: Limits, spent: int) -> bytearray:
    """The content of the archive's one file.

    Raises UnknownFormatError where there are several (their names are listed) or where the archive is of a kind that is
    known and not read, CorruptInputError where it is damaged or hostile, LimitError over a cap.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            check_names(members)
            files = [m for m in members if not m.is_dir()]
            _refuse_known({m.filename for m in files})
            if len(files) != 1:
                names = ", ".join(sorted(m.filename for m in files)[:10]) or "nothing"
                raise UnknownFormatError(
                    f"a zip archive of {len(files)} files: {names}", hint="Unpack it and name the model file in it."
                )
            return _inflate(archive, files[0], limits, spent, len(data))
    except BROKEN as e:
        if isinstance(e, IngestError):
            raise
        raise CorruptInputError(f"the zip archive is damaged: {e}") from None
    except RuntimeError as e:
        raise UnknownFormatError(f"the zip archive is not readable: {e}") from None


def holds(data: memoryview, name: str) -> bool:
    """Whether this is an archive with a member of that name; a damaged one holds nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return name in archive.namelist()
    except BROKEN:
        return False


def check_names(members: list[zipfile.ZipInfo], most: int = _MOST_MEMBERS) -> None:
    """Refuse names that lead out of the archive, links, names that come twice, and more than `most` members."""
    if len(members) > most:
        raise LimitError(f"a zip archive of {len(members)} members")
    seen: set[str] = set()
    for member in members:
        # orig_filename is what stands in the file; zipfile itself cuts at NUL and turns separators round.
        name = member.orig_filename
        parts = name.rstrip("/").split("/")
        if "\\" in name or "\x00" in name or name.startswith("/") or ".." in parts or ":" in parts[0]:
            raise CorruptInputError(f"the zip archive holds the path {name[:80]!r}, which leads out of it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise CorruptInputError(f"the zip archive holds a symbolic link, {name[:80]!r}")
        key = "/".join(parts)
        if key in seen:
            raise CorruptInputError(f"the zip archive holds {name[:80]!r} twice")
        seen.add(key)


def _refuse_known(names: set[str]) -> None:
    last = {name.rsplit("/", 1)[-1] for name in names}
    kind = None
    if "data.pkl" in last:
        kind = "a PyTorch checkpoint"
    elif "model.weights.h5" in last or "keras_metadata.pb" in last:
        kind = "a Keras model"
    elif names and all(name.endswith(".npy") for name in names):
        kind = "a NumPy archive (.npz), not a model"
    elif "[Content_Types].xml" in names:
        kind = "an Office document"
    elif any(name.startswith("META-INF/") for name in names):
        kind = "a Java archive"
    if kind:
        raise UnknownFormatError(kind, hint="Save the fitted model with joblib.dump or pickle.dump and use that file.")


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits, spent: int, size: int) -> bytearray:
    out = bytearray()
    with archive.open(member) as stream:
        while piece := stream.read(_CHUNK):
            out += piece
            if len(out) + spent > limits.decoded_bytes or len(out) > max(limits.slack, limits.ratio * size):
                raise LimitError(f"the zip archive gives more than {len(out)} bytes", hint="A decompression bomb?")
    if len(out) != member.file_size:
        raise CorruptInputError("the zip archive lies about the size of its file")
    return out

"""An artifact opened: everything is checked before it is used, and nothing in it is executed."""

from __future__ import annotations

import contextlib
import mmap
import os
from hashlib import sha256
from types import TracebackType
from typing import IO

from slimml.artifact import strictjson
from slimml.artifact.codecs import decompress
from slimml.artifact.layout import FORMAT_VERSION, HASHED_PREFIX, MAGIC, MAX_HEADER, PREFIX, align
from slimml.artifact.manifest import Manifest, Section
from slimml.errors import ArtifactCorruptError, ArtifactError, ArtifactVersionError, UsageError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]

# Below this a private copy is as fast as a map, and safe from whoever overwrites the file in place.
_MAP_FROM = 1 << 20

_DAMAGED = "the file is damaged or was altered: copy it again, or make it anew with `slimml shrink`"

_KNOWN = (
    (b"PK\x03\x04", "a zip file"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"\x93NUMPY", "a numpy array file"),
    (b"PAR1", "a Parquet file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x08", "perhaps an ONNX model"),
    (b"{", "JSON text"),
    (b"<", "a web page or XML"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)


class Artifact:
    """An open artifact: `manifest`, and sections that are checked and decoded when first asked for.

    Safe to share between threads and across a fork. `close` it (or use `with`) to free the file early.
    """

    def __init__(self, data: memoryview, manifest: Manifest, start: int, backing: mmap.mmap | None) -> None:
        self.manifest = manifest
        self.data = data
        self._start = start
        self._backing = backing
        self._described = {s.name: s for s in manifest.sections}
        self._ready: dict[str, memoryview] = {}
        self._sha256 = ""

    @property
    def size(self) -> int:
        """Length of the artifact in bytes."""
        return self.data.nbytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole artifact, in hex."""
        if not self._sha256:
            self._sha256 = sha256(self.data).hexdigest()
        return self._sha256

    def section(self, name: str) -> memoryview:
        """The decoded bytes of a section, read-only; a view into the file where it is stored raw.

        Raises ArtifactCorruptError where there is no such section, or its bytes are not those that were written.
        """
        # No lock: two threads that ask at once do the work twice and get equal bytes, and a fork finds nothing held.
        ready = self._ready.get(name)
        if ready is None:
            if name not in self._described:
                raise ArtifactCorruptError(f"the artifact has no section {name!r}", hint=_DAMAGED)
            ready = self._ready.setdefault(name, self._decode(self._described[name]))
        return ready

    def check(self) -> None:
        """Check and decode every section now, keeping none that was not asked for. Raises ArtifactCorruptError."""
        for section in self.manifest.sections:
            if section.name not in self._ready:
                self._decode(section)

    def _decode(self, section: Section) -> memoryview:
        begin = self._start + section.offset
        stored = self.data[begin : begin + section.size]
        if sha256(stored).hexdigest() != section.sha256:
            raise ArtifactCorruptError("its SHA-256 is not the one in the header", where=section.name, hint=_DAMAGED)
        return decompress(stored, section.codec, section.raw_size)

    def close(self) -> None:
        """Free the file. Views that are still in use keep it mapped until they go."""
        self._ready.clear()
        self._described = {}
        if self._backing is not None:
            self.data.release()
            with contextlib.suppress(BufferError):
                self._backing.close()
        self.data = memoryview(b"")

    def __enter__(self) -> Artifact:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def read_artifact(source: Source, *, mapped: bool = True) -> Artifact:
    """Open an artifact from a path, its bytes or a binary file object, and check all but the sections' contents.

    `mapped` maps a large file instead of reading it: instant start, and pages shared between processes. Replace such
    a file by renaming (as slimml does); with `mapped=False` it may also be overwritten in place.

    Raises ArtifactVersionError for a format that this slimml does not know yet, ArtifactCorruptError for damaged or
    hostile bytes, ArtifactError for anything that is not an artifact, UsageError where there is no such file.
    """
    data, backing = _bytes_of(source, mapped)
    try:
        start, manifest = _check(data)
    except BaseException:
        data.release()
        if backing is not None:
            backing.close()
        raise
    return Artifact(data, manifest, start, backing)


def _check(data: memoryview) -> tuple[int, Manifest]:
    if bytes(data[:8]) != MAGIC:
        raise _not_an_artifact(bytes(data[:64]))
    if len(data) < PREFIX.size:
        raise ArtifactCorruptError(f"the artifact ends after {len(data)} bytes", hint=_DAMAGED)
    _, version, zero, length, total, digest = PREFIX.unpack(data[: PREFIX.size])
    if version > FORMAT_VERSION:
        raise ArtifactVersionError(
            f"the artifact has format version {version}; this slimml reads versions up to {FORMAT_VERSION}",
            hint=f"upgrade slimml to a release that reads format version {version} (pip install --upgrade slimml)",
        )
    if zero or total != len(data):
        raise ArtifactCorruptError(f"the artifact is {len(data)} bytes long and claims {total}", hint=_DAMAGED)
    start = align(PREFIX.size + length)
    if length > MAX_HEADER or start > total:
        raise ArtifactCorruptError(f"the artifact claims a header of {length} bytes", hint=_DAMAGED)
    header = bytes(data[PREFIX.size : PREFIX.size + length])
    if sha256(bytes(data[:HASHED_PREFIX]) + header).digest() != digest:
        raise ArtifactCorruptError("the header's SHA-256 is not the one written", hint=_DAMAGED)
    manifest = Manifest.from_json(strictjson.loads(header))
    if manifest.format_version != version or start + manifest.data_size != total:
        raise ArtifactCorruptError("the header does not describe the whole file and nothing else", hint=_DAMAGED)
    _check_padding(data, PREFIX.size + length, start, manifest)
    return start, manifest


def _check_padding(data: memoryview, end: int, start: int, manifest: Manifest) -> None:
    for offset, size in [(0, 0), *((s.offset, s.size) for s in manifest.sections)]:
        if any(data[end : start + offset]):
            raise ArtifactCorruptError(f"hidden bytes at {end}", hint=_DAMAGED)
        end = start + offset + size


def _not_an_artifact(head: bytes) -> ArtifactError:
    if not head:
        return ArtifactError("an empty file, not a slimml artifact", hint=_DAMAGED)
    if MAGIC.startswith(head):
        return ArtifactCorruptError(f"the artifact ends after {len(head)} bytes", hint=_DAMAGED)
    looks = next((name for start, name in _KNOWN if head.startswith(start)), "bytes of an unknown kind")
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        looks = "a pickle"
    hint = "a model becomes an artifact with `slimml shrink MODEL -o model.slim`"
    return ArtifactError(f"not a slimml artifact: it looks like {looks}", hint=hint)


def _bytes_of(source: Source, mapped: bool) -> tuple[memoryview, mmap.mmap | None]:
    if isinstance(source, (str, os.PathLike)):
        return _open(source, mapped)
    if isinstance(source, (bytes, bytearray, memoryview, mmap.mmap)):
        view = memoryview(source)
        # Bytes that someone else may change after they were checked are copied first.
        stable = view.readonly and view.c_contiguous
        return (view.cast("B") if stable else memoryview(bytes(view))), None
    if not hasattr(source, "read"):
        raise UsageError(f"cannot open a {type(source).__name__}", hint="pass a path, bytes or a binary file object")
    data = source.read()
    if not isinstance(data, bytes):
        raise UsageError("the file object gives text", hint='open the file in binary mode: open(path, "rb")')
    return memoryview(data), None


def _open(path: str | os.PathLike[str], mapped: bool) -> tuple[memoryview, mmap.mmap | None]:
    try:
        # A pipe or a device would block or never end; its size would mean nothing.
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"{os.fspath(path)} is not a regular file", hint="pass the path of a .slim file")
        with open(path, "rb") as file:
            if not mapped or os.fstat(file.fileno()).st_size < _MAP_FROM:
                return memoryview(file.read()), None
            backing = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path, a file emptied meanwhile
        if isinstance(error, UsageError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot open {os.fspath(path)}: {reason}", hint="check the path and its permissions"
        ) from error
    return memoryview(backing), backing

"""Manifest + sections -> the bytes of an artifact, and into a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from slimml.artifact import strictjson
from slimml.artifact.codecs import Stored
from slimml.artifact.files import Buffer, write_whole
from slimml.artifact.layout import FORMAT_VERSION, HASHED_PREFIX, MAGIC, MAX_HEADER, PREFIX, align
from slimml.artifact.manifest import Manifest, Section
from slimml.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Written:
    """The bytes of an artifact and their SHA-256 (hex)."""

    data: bytes
    sha256: str

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)


def write_artifact(
    path: str | os.PathLike[str] | None,
    manifest: Manifest,
    sections: Mapping[str, Buffer | Stored],
    *,
    codecs: Mapping[str, str] | None = None,
) -> Written:
    """Write an artifact to `path`, whole or not at all; with None only make its bytes.

    `codecs` names how a section is stored ("raw", "zlib" or "xz"; "raw" unless named); one that does not shrink is
    stored raw, one that is `Stored` already stays as it is. The same arguments give the same bytes: nothing is taken
    from the clock, the path or the environment.
    Raises ArtifactError where the manifest is not what a reader accepts, UsageError where the file cannot be written.
    """
    data = encode_artifact(manifest, sections, codecs=codecs)
    if path is not None:
        write_whole(path, data)
    return Written(data, sha256(data).hexdigest())


def encode_artifact(
    manifest: Manifest, sections: Mapping[str, Buffer | Stored], *, codecs: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of an artifact; arguments and errors are those of `write_artifact`."""
    codecs = codecs or {}
    if unknown := set(codecs) - set(sections):
        raise ArtifactError(f"codecs for sections that are not there: {', '.join(sorted(unknown))}")
    described, parts, end = [], [], 0
    for name in sorted(sections):
        section = sections[name]
        if not isinstance(section, Stored):
            section = Stored.of(memoryview(section).cast("B"), codecs.get(name, "raw"))
        offset = align(end)
        parts += [bytes(offset - end), section.data]
        end = offset + len(section.data)
        digest = sha256(section.data).hexdigest()
        described.append(Section(name, offset, len(section.data), digest, section.codec, section.raw_size))
    header = _header(replace(manifest, sections=tuple(described)))
    start = align(PREFIX.size + len(header))
    prefix = PREFIX.pack(MAGIC, FORMAT_VERSION, 0, len(header), start + end, b"")[:HASHED_PREFIX]
    padding = bytes(start - PREFIX.size - len(header))
    return b"".join([prefix, sha256(prefix + header).digest(), header, padding, *parts])


def _header(manifest: Manifest) -> bytes:
    value = manifest.to_json()
    header = strictjson.dumps(value)
    if len(header) > MAX_HEADER:
        raise ArtifactError(f"the header would take {len(header):,} bytes; {MAX_HEADER:,} is the most")
    # What a reader would refuse is refused here, where the one who wrote it can still see why.
    Manifest.from_json(strictjson.loads(header))
    return header

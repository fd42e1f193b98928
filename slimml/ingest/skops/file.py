"""A skops file: which protocol it speaks, and the object that its schema tells.

https://github.com/skops-dev/skops/blob/v0.16.0/skops/io/_protocol.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from slimml.errors import IngestError, LimitError, UnknownFormatError
from slimml.ingest import archive, jsontext
from slimml.ingest.limits import MIB, Limits
from slimml.ingest.machine import Context
from slimml.ingest.skops.members import Members
from slimml.ingest.skops.nodes import Reader

SCHEMA = "schema.json"
PROTOCOL = 2
_LARGEST_SCHEMA, _DEEPEST_SCHEMA = 256 * MIB, 400
_RELEASE = re.compile(r"[0-9][0-9A-Za-z.+]{0,39}\Z")


@dataclass(frozen=True, slots=True)
class SkopsFile:
    """The object in a file, the protocol of its schema, and the release of skops that wrote it ("" where unsaid)."""

    root: Any
    protocol: int
    release: str = ""

    @property
    def form(self) -> str:
        """How the file is written."""
        return f"skops protocol {self.protocol}" + (f" ({self.release})" if self.release else "")


def is_skops(data: memoryview) -> bool:
    """Whether this is a zip archive with a schema at its top."""
    return archive.holds(data, SCHEMA)


def read_skops(data: memoryview, context: Context, spent: int = 0) -> SkopsFile:
    """The object of a file; no class that it names is imported. `spent`: bytes of the budget that are gone already.

    Raises IngestError.
    """
    members = Members(data, context.limits, spent)
    schema = _schema(members, context.limits)
    protocol, release = schema.get("protocol"), schema.get("_skops_version")
    if type(protocol) is not int or not 0 <= protocol <= PROTOCOL:
        raise UnknownFormatError(
            f"a skops file of protocol {protocol!r:.40}; protocols 0 to {PROTOCOL} are read",
            hint="Save the model with a release of skops that writes one of these.",
        )
    reader = Reader(members, context, protocol)
    reader.pos = members.position(SCHEMA)
    root = reader.value(schema, "model")
    known = release if type(release) is str and _RELEASE.match(release) else ""
    return SkopsFile(root, protocol, known)


def _schema(members: Members, limits: Limits) -> dict[str, Any]:
    raw = members.read(SCHEMA)
    if len(raw) > min(_LARGEST_SCHEMA, limits.decoded_bytes):
        raise LimitError(f"a schema of {len(raw)} bytes; {_LARGEST_SCHEMA} are read")
    try:
        schema = jsontext.decode(raw, _DEEPEST_SCHEMA)
    except LimitError:
        raise
    except IngestError as error:
        raise type(error)(f"{SCHEMA}: {error.what}") from None
    if type(schema) is not dict or "__loader__" not in schema:
        raise UnknownFormatError(
            f"a zip archive with a {SCHEMA}, which is not that of skops", hint="Name the model file itself."
        )
    return schema

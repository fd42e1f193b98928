"""What the header of an artifact says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from slimml.artifact.codecs import CODECS
from slimml.artifact.kept import Kept, kept_from_json
from slimml.artifact.layout import FORMAT_VERSION, MAX_SECTIONS, align, largest_raw
from slimml.errors import ArtifactCorruptError
from slimml.schema import Schema

EXACTNESS = ("bitwise", "rounding", "approximate")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Section:
    """One stretch of bytes: `size` stored bytes at `offset` from the data's start, `raw_size` once decoded.

    `sha256` is of the stored bytes, so that nothing unchecked reaches a decoder.
    """

    name: str
    offset: int
    size: int
    sha256: str
    codec: str
    raw_size: int

    @classmethod
    def from_json(cls, value: object) -> Section:
        """Read back `asdict(section)`, trusting nothing. Raises ArtifactCorruptError."""
        if not isinstance(value, Mapping) or set(value) != {f.name for f in fields(cls)}:
            raise ArtifactCorruptError("a section needs exactly name, offset, size, sha256, codec, raw_size")
        numbers = (value["offset"], value["size"], value["raw_size"])
        if not (
            _matches(_NAME, value["name"])
            and _matches(_SHA256, value["sha256"])
            and value["codec"] in CODECS
            and all(type(n) is int and 0 <= n < 2**63 for n in numbers)
        ):
            raise ArtifactCorruptError(f"section {value['name']!r:.80} is malformed")
        section = cls(**value)
        if section.raw_size != section.size if section.codec == "raw" else section.raw_size > largest_raw(section.size):
            raise ArtifactCorruptError(
                f"section {section.name!r} claims to decode from {section.size} to {section.raw_size} bytes"
            )
        return section


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The header: what the model takes, gives, came from and was proved to do.

    `classes`, `outputs`, `provenance`, `evidence` and `golden` are strict JSON (see `exact.to_exact` for NaN,
    infinities and numpy scalars); their meaning belongs to the runtime. Nothing here may depend on the clock, the
    machine or a path.

    `schema`      the columns
    `classes`     label tables with their dtypes
    `outputs`     one object per output, each with a `name` and what the runtime needs to shape it
    `exactness`   "bitwise", "rounding" or "approximate"
    `engine`      the runtime engine that runs the sections
    `provenance`  SHA-256, size and format of the source, library versions, passes
    `evidence`    what parity found
    `golden`      rows made from the model and the answers to expect
    `kept`        the steps that stay Python of the user's; the header has the key only where there are some
    `sections`    filled in by the writer
    """

    schema: Schema
    engine: str
    exactness: str
    outputs: list[dict[str, Any]]
    classes: Any = None
    provenance: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    golden: Any = None
    kept: tuple[Kept, ...] = ()
    sections: tuple[Section, ...] = ()
    format_version: int = FORMAT_VERSION

    def to_json(self) -> dict[str, Any]:
        """The header as a JSON-ready dict."""
        value: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = value.pop("kept")
        value |= {"schema": self.schema.to_json(), "sections": [asdict(s) for s in self.sections]}
        return value | {"kept": [k.to_json() for k in kept]} if kept else value

    @classmethod
    def from_json(cls, value: object) -> Manifest:
        """Read back `to_json`, trusting nothing. Raises ArtifactCorruptError."""
        names = {f.name for f in fields(cls)}
        if not isinstance(value, Mapping):
            raise ArtifactCorruptError("the header is not a JSON object")
        if odd := sorted((set(value) | {"kept"}) ^ names):
            raise ArtifactCorruptError(f"keys that the header lacks or must not have: {', '.join(odd)[:200]}")
        if type(value["format_version"]) is not int or value["exactness"] not in EXACTNESS:
            raise ArtifactCorruptError("the header's format version or exactness is malformed")
        if not _matches(_NAME, value["engine"]):
            raise ArtifactCorruptError(f"not the name of an engine: {value['engine']!r:.80}")
        if not isinstance(value["provenance"], dict) or not isinstance(value["evidence"], dict):
            raise ArtifactCorruptError("the header's provenance and evidence are not both objects")
        _check_outputs(value["outputs"])
        read = {"schema": Schema.from_json(value["schema"]), "sections": _sections(value["sections"])}
        if "kept" in value:
            read["kept"] = kept_from_json(value["kept"])
        return cls(**{**value, **read})

    @property
    def data_size(self) -> int:
        """Bytes from the data's start to the end of the last section."""
        return self.sections[-1].offset + self.sections[-1].size if self.sections else 0


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _check_outputs(outputs: Any) -> None:
    listed = isinstance(outputs, list) and all(isinstance(o, dict) for o in outputs)
    if not listed or not all(isinstance(o.get("name"), str) for o in outputs):
        raise ArtifactCorruptError("the header's outputs are not a list of objects, each with a name")
    if len({o["name"] for o in outputs}) != len(outputs):
        raise ArtifactCorruptError("the header names an output twice")


def _sections(value: object) -> tuple[Section, ...]:
    if not isinstance(value, list) or len(value) > MAX_SECTIONS:
        raise ArtifactCorruptError(f"the header's sections are not a list of at most {MAX_SECTIONS}")
    sections = tuple(Section.from_json(s) for s in value)
    if len({s.name for s in sections}) != len(sections):
        raise ArtifactCorruptError("the header names a section twice")
    end = 0
    for section in sections:
        # One rule for order, alignment, overlap and hidden bytes: each section starts where the one before ends.
        if section.offset != align(end):
            raise ArtifactCorruptError(f"section {section.name!r} is at {section.offset}, not at {align(end)}")
        end = section.offset + section.size
    return sections

"""Bytes that are damaged or hostile end in ArtifactError: no other exception, no hang, no large memory."""

from __future__ import annotations

import json
import lzma
import os
import struct
import time
import tracemalloc
import zlib
from hashlib import sha256
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.artifact import strictjson
from slimml.artifact.layout import FORMAT_VERSION, MAGIC, PREFIX, align
from slimml.artifact.manifest import Manifest
from slimml.artifact.read import read_artifact
from slimml.artifact.write import encode_artifact
from slimml.errors import ArtifactCorruptError, ArtifactError, ArtifactVersionError, UsageError
from slimml.schema import Column, Schema


def small() -> bytes:
    manifest = Manifest(
        schema=Schema((Column("a"),)), engine="portable", exactness="bitwise", outputs=[{"name": "predict"}]
    )
    sections = {"plan": b"plan" * 20, "forest": bytes(range(9)), "none": b""}
    return encode_artifact(manifest, sections, codecs={"plan": "zlib"})


DATA = small()


def read_all(data: bytes) -> None:
    read_artifact(data).check()


def header_of(data: bytes) -> dict:
    length = PREFIX.unpack(data[:64])[3]
    return json.loads(data[64 : 64 + length])


def forge(header: object, body: bytes | None = None, version: int = FORMAT_VERSION, total: int | None = None) -> bytes:
    """An artifact whose hashes are right and whose content is the attacker's."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    start = align(64 + len(text))
    if body is None:
        length = PREFIX.unpack(DATA[:64])[3]
        body = DATA[align(64 + length) :]
    head = PREFIX.pack(MAGIC, version, 0, len(text), start + len(body) if total is None else total, b"")[:32]
    return head + sha256(head + text).digest() + text + bytes(start - 64 - len(text)) + body


def test_the_forge_itself_is_accepted():
    read_all(DATA)
    read_all(forge(header_of(DATA)))


def test_every_flipped_bit_is_noticed():
    for offset in range(len(DATA)):
        for bit in (1, 0x20, 0x80):
            damaged = bytearray(DATA)
            damaged[offset] ^= bit
            with pytest.raises(ArtifactError):
                read_all(bytes(damaged))


def test_every_truncation_and_extension_is_noticed():
    for length in range(len(DATA)):
        with pytest.raises(ArtifactError):
            read_all(DATA[:length])
    with pytest.raises(ArtifactCorruptError):
        read_all(DATA + b"\0")


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data):
    for attack in (data, MAGIC + data, forge(data), forge(header_of(DATA), data)):
        with pytest.raises(ArtifactError):
            read_all(attack)


def test_a_newer_format_says_what_is_needed():
    with pytest.raises(ArtifactVersionError, match=f"version {FORMAT_VERSION + 7}") as caught:
        read_artifact(forge(header_of(DATA), version=FORMAT_VERSION + 7))
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    ("start", "looks"),
    [
        (b"", "empty"),
        (b"\x80\x04\x95", "a pickle"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b'{"learner": {}}', "JSON"),
        (b"tree\nversion=v4", "unknown kind"),
        (b"version https://git-lfs.github.com", "Git LFS"),
        (b"\x80", "unknown kind"),
    ],
)
def test_what_is_no_artifact_is_told_what_it_looks_like(start, looks):
    with pytest.raises(ArtifactError, match=looks):
        read_artifact(start)


BAD_HEADERS = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep behind an escape": b'{"a\\"": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep behind a stray backslash": b"[" * 5000 + b'\\"' + b"]" * 5000,
    "unclosed": b"[" * 30,
    "many values": b"[" + b"{}," * 2_000_000 + b"1]",
    "many quotes": b'\\"' * 1_000_000,
    "open string": b'"' + b"a" * 1_000_000,
    "digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "float digits": b'{"a": 0.' + b"9" * 100_000 + b"}",
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "overflow": b'{"a": 1e999}',
    "duplicate": b'{"a": 1, "a": 2}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "bom": b"\xef\xbb\xbf{}",
    "utf-8": '{"é": 1}'.encode(),
    "list": b"[]",
    "empty": b"",
    "two": b"{} {}",
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_hostile_json_is_refused_quickly(name):
    started = time.perf_counter()
    with pytest.raises(ArtifactCorruptError):
        read_artifact(forge(BAD_HEADERS[name]))
    assert time.perf_counter() - started < 2


def test_the_largest_header_is_parsed_in_bounded_time_and_memory():
    text = b"[" + b"{}," * 1_000_000 + b'"' + b"x" * (10 << 20) + b'"]'
    started = time.perf_counter()
    with pytest.raises(ArtifactCorruptError):
        read_artifact(forge(text))
    assert time.perf_counter() - started < 5


def changed(**keys) -> dict:
    return {**header_of(DATA), **keys}


def section(**keys) -> dict:
    header = header_of(DATA)
    header["sections"][0].update(keys)
    return header


BAD_FIELDS = [
    changed(extra=1),
    {k: v for k, v in header_of(DATA).items() if k != "engine"},
    changed(format_version=1),
    changed(format_version=False),
    changed(format_version="0"),
    changed(schema=None),
    changed(schema={"named": True, "columns": [1]}),
    *(
        changed(
            schema={
                "named": True,
                "sparse": "zero",
                "columns": [{"name": "a", "kind": "number", "dtype": "float64", "read": True, "declared": declared}],
            }
        )
        for declared in (
            None,
            1,
            {},
            {"integer": 1, "missing": True},
            {"integer": True, "missing": True, "low": "0"},
            {"integer": True, "missing": True, "low": 2, "high": 1},
        )
    ),
    changed(schema={"named": True, "columns": [{"name": [], "kind": {}, "dtype": 1, "read": 0}]}),
    changed(outputs={}),
    changed(outputs=[[]]),
    changed(outputs=[{"name": []}]),
    changed(exactness=[]),
    changed(exactness="x"),
    changed(engine="portable\n"),
    changed(engine=None),
    changed(provenance=[]),
    changed(evidence=None),
    changed(sections=None),
    changed(sections=[]),
    changed(sections=[{}] * 33),
    changed(sections=header_of(DATA)["sections"][::-1]),
    changed(sections=header_of(DATA)["sections"][:-1] * 2),
    section(name="none"),
    section(name="a/b"),
    section(name=["a"]),
    section(offset=-64),
    section(offset=64),
    section(offset=1),
    section(offset=0.0),
    section(offset=False),
    section(offset=2**63),
    section(size=-1),
    section(size=8),
    section(size=2**62),
    section(size=10**300),
    section(raw_size=8),
    section(raw_size=True),
    section(codec="pickle"),
    section(codec=[]),
    section(sha256="0" * 64),
    section(sha256="x"),
    section(sha256=None),
]


@pytest.mark.parametrize("index", range(len(BAD_FIELDS)))
def test_a_malformed_field_is_refused(index):
    with pytest.raises(ArtifactCorruptError):
        read_all(forge(BAD_FIELDS[index]))


def test_hidden_bytes_between_and_behind_sections_are_refused():
    length = PREFIX.unpack(DATA[:64])[3]
    body = bytearray(DATA[align(64 + length) :])
    body[9] = 1  # behind the nine bytes of the first section
    with pytest.raises(ArtifactCorruptError, match="hidden"):
        read_artifact(forge(header_of(DATA), bytes(body)))
    with pytest.raises(ArtifactCorruptError):
        read_artifact(forge(header_of(DATA), DATA[align(64 + length) :] + bytes(64)))


def one(stored: bytes, codec: str, raw_size: int) -> bytes:
    entry = {"name": "a", "offset": 0, "size": len(stored), "sha256": sha256(stored).hexdigest()}
    return forge(changed(sections=[{**entry, "codec": codec, "raw_size": raw_size}]), stored)


def xz(raw: bytes, **options) -> bytes:
    return lzma.compress(raw, check=lzma.CHECK_NONE, **options)


@pytest.mark.parametrize("codec", ["zlib", "xz"])
@pytest.mark.parametrize("size", [0, 1, 999, 1001, 8 << 20])
def test_a_section_that_decodes_to_another_size_is_refused(codec, size):
    raw = os.urandom(1000)
    stored = zlib.compress(raw) if codec == "zlib" else xz(raw)
    read_all(one(stored, codec, 1000))
    with pytest.raises(ArtifactCorruptError):
        read_all(one(stored, codec, size))
    with pytest.raises(ArtifactCorruptError):
        read_all(one(stored[:-1], codec, 1000))
    with pytest.raises(ArtifactCorruptError):
        read_all(one(stored + b"\0", codec, 1000))
    with pytest.raises(ArtifactCorruptError):
        read_all(one(stored + stored, codec, 1000))


@pytest.mark.parametrize("codec", ["zlib", "xz"])
def test_a_bomb_stays_small(codec):
    bomb = zlib.compress(bytes(50 << 20)) if codec == "zlib" else xz(bytes(50 << 20), preset=0)
    with pytest.raises(ArtifactCorruptError, match="claims to decode"):
        read_all(one(bomb, codec, 50 << 20))
    data = one(bomb, codec, 1 << 20)
    tracemalloc.start()
    with pytest.raises(ArtifactCorruptError):
        read_all(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_an_xz_section_that_wants_much_memory_is_refused():
    stored = xz(os.urandom(1000), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}])
    with pytest.raises(ArtifactCorruptError, match="xz"):
        read_all(one(stored, "xz", 1000))


def test_a_length_beyond_the_file_is_refused():
    for length in (2**64 - 1, 2**63, 1 << 40, 65 << 20, len(DATA)):
        head = struct.pack("<8sIIQQ", MAGIC, 0, 0, length, len(DATA))
        with pytest.raises(ArtifactCorruptError, match="header of"):
            read_artifact(head + DATA[32:])


def test_what_cannot_be_opened_is_a_usage_error(tmp_path):
    sources: list[Any] = [tmp_path / "missing.slim", tmp_path, os.devnull, "a\0b", 3]
    for source in sources:
        with pytest.raises(UsageError):
            read_artifact(source)
    (tmp_path / "text").write_text("hello")
    with (tmp_path / "text").open() as text, pytest.raises(UsageError, match="binary"):
        read_artifact(cast(Any, text))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="regular"):
        read_artifact(tmp_path / "pipe")


def test_no_file_of_the_attack_folder_opens(shared):
    paths = [path for path in sorted((shared / "attacks").rglob("*")) if path.is_file()]
    assert any(path.parent.name == "artifact" for path in paths)
    for path in paths:
        with pytest.raises(ArtifactError):
            read_artifact(path)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_honest_json_passes_the_checks(value):
    assert strictjson.loads(strictjson.dumps(value)) == value

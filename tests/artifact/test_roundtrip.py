"""What is written is what is read, to the last bit, and the same input gives the same bytes."""

from __future__ import annotations

import io
import math
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.artifact import files
from slimml.artifact.exact import from_exact, to_exact
from slimml.artifact.layout import ALIGN
from slimml.artifact.manifest import Manifest
from slimml.artifact.read import read_artifact
from slimml.artifact.write import encode_artifact, write_artifact
from slimml.errors import ArtifactCorruptError, ArtifactError, UsageError
from slimml.schema import CATEGORY, Column, Schema

SCHEMA = Schema((Column("age"), Column("jöb\ud800", CATEGORY, "object"), Column("x", read=False)))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def manifest(**changes) -> Manifest:
    values = {
        "schema": SCHEMA,
        "engine": "portable",
        "exactness": "bitwise",
        "outputs": [{"name": "predict", "form": "labels"}],
        "provenance": {"sha256": "0" * 64, "bytes": 12, "passes": ["a"]},
    }
    return Manifest(**{**values, **changes})


@given(
    st.dictionaries(st.sampled_from(["plan", "forest", "a.b-c_d", "0"]), st.binary(), max_size=4),
    st.sampled_from(["raw", "zlib", "xz"]),
    json_values,
    st.dictionaries(st.text(), json_values, max_size=2),
)
def test_sections_and_header_come_back(sections, codec, golden, evidence):
    data = encode_artifact(manifest(golden=golden, evidence=evidence), sections, codecs=dict.fromkeys(sections, codec))
    artifact = read_artifact(data)
    assert {s.name: bytes(artifact.section(s.name)) for s in artifact.manifest.sections} == sections
    assert artifact.manifest.golden == golden
    assert artifact.manifest.evidence == evidence
    assert artifact.manifest.schema == SCHEMA
    assert all(s.offset % ALIGN == 0 for s in artifact.manifest.sections)
    artifact.check()


@pytest.mark.parametrize("codec", ["zlib", "xz"])
def test_a_compressible_section_is_compressed_and_comes_back(codec):
    raw = bytes(range(256)) * 1000 + os.urandom(5000)
    artifact = read_artifact(encode_artifact(manifest(), {"forest": raw}, codecs={"forest": codec}))
    assert artifact.manifest.sections[0].codec == codec
    assert artifact.size < len(raw) / 10
    assert artifact.section("forest") == raw
    assert artifact.section("forest") is artifact.section("forest")


def test_what_compresses_like_a_bomb_is_stored_raw():
    raw = bytes(9 << 20)
    data = encode_artifact(manifest(), {"forest": raw}, codecs={"forest": "xz"})
    assert read_artifact(data).manifest.sections[0].codec == "raw"


def test_bytes_depend_on_the_content_alone(tmp_path):
    sections = {"b": b"2" * 100, "a": b"1" * 100}
    first = write_artifact(tmp_path / "one.slim", manifest(golden={"x": 1, "a": 2}), sections, codecs={"a": "xz"})
    again = dict(reversed(sections.items()))
    second = write_artifact(tmp_path / "two.slim", manifest(golden={"a": 2, "x": 1}), again, codecs={"a": "xz"})
    assert first == second
    assert (tmp_path / "one.slim").read_bytes() == first.data
    assert read_artifact(tmp_path / "one.slim").sha256 == first.sha256


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("size", [100, 3 << 20])
def test_path_bytes_and_file_objects_open_alike(tmp_path, mapped, size):
    path = tmp_path / "model.slim"
    data = write_artifact(path, manifest(), {"forest": os.urandom(size)}).data
    sources: list[Any] = [path, str(path), data, bytearray(data), memoryview(data)]
    for source in [*sources, io.BytesIO(data)]:
        with read_artifact(source, mapped=mapped) as artifact:
            assert artifact.data == data
            assert len(artifact.section("forest")) == size
            assert artifact.section("forest").readonly


def test_views_outlive_close(tmp_path):
    raw = os.urandom(2 << 20)
    write_artifact(tmp_path / "m.slim", manifest(), {"forest": raw})
    artifact = read_artifact(tmp_path / "m.slim")
    view = artifact.section("forest")
    artifact.close()
    assert view == raw


def test_missing_section_is_named():
    with pytest.raises(ArtifactCorruptError, match="'plan'"):
        read_artifact(encode_artifact(manifest(), {})).section("plan")


@pytest.mark.parametrize(
    "change",
    [
        {"golden": math.nan},
        {"golden": {1: 2}},
        {"golden": object()},
        {"evidence": {"x": float("inf")}},
        {"exactness": "close"},
        {"engine": "../x"},
        {"outputs": [{"form": "labels"}]},
        {"outputs": [{"name": "predict"}, {"name": "predict"}]},
        {"golden": 10**500},
    ],
)
def test_a_manifest_that_no_reader_takes_is_not_written(change):
    with pytest.raises(ArtifactError):
        encode_artifact(manifest(**change), {})


def test_bad_section_names_and_codecs_are_not_written():
    for sections, codecs in [({"../x": b""}, {}), ({"a": b""}, {"a": "lz4"}), ({}, {"a": "xz"})]:
        with pytest.raises(ArtifactError):
            encode_artifact(manifest(), sections, codecs=codecs)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_exact_values_come_back_with_type_and_bits(value):
    assert repr(from_exact(to_exact(value))) == repr(value)


def test_exact_values_of_numpy():
    np = pytest.importorskip("numpy")
    assert to_exact([np.float32(0.1), np.int8(3), np.bool_(True), np.str_("a"), np.array([1.5, np.nan])]) == [
        0.10000000149011612, 3, True, "a", [1.5, {"$float": "nan"}],
    ]  # fmt: skip
    with pytest.raises(ArtifactError):
        to_exact({"$float": "nan"})
    with pytest.raises(ArtifactError):
        to_exact(1j)


@pytest.mark.skipif(os.name != "posix", reason="permission bits and symbolic links as POSIX has them")
def test_files_get_the_permissions_of_the_umask_and_links_are_followed(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to("a")
    files.write_whole(tmp_path / "link", [b"2", b"3"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"23"
    with pytest.raises(UsageError, match="regular"):
        files.write_whole(os.devnull, b"")


@pytest.mark.parametrize("broken", ["replace", "fsync", "open"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken, error):
    path = tmp_path / "model.slim"
    path.write_bytes(b"old")

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises((UsageError, KeyboardInterrupt)):
        write_artifact(path, manifest(), {"plan": b"x" * 100})
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.slim"]


def test_a_full_disk_midway_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.slim"
    path.write_bytes(b"old")

    def parts():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match="No space"):
        files.write_whole(path, parts())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.slim"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="no-such-folder"):
        write_artifact(tmp_path / "no-such-folder" / "m.slim", manifest(), {})


def test_opening_wakes_the_standard_library_alone(tmp_path):
    path = tmp_path / "model.slim"
    write_artifact(path, manifest(), {"plan": b"1"})
    code = """
import sys
from slimml.artifact.read import read_artifact
read_artifact(sys.argv[1]).section("plan")
import slimml.artifact.write, slimml.artifact.tensors, slimml.artifact.exact
bad = {n.partition(".")[0] for n in sys.modules} - sys.stdlib_module_names - {"slimml", "__main__"}
assert not [n for n in bad if n in ("numpy", "scipy", "pandas")], bad
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, path], check=True, cwd=root)

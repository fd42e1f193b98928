"""Formats are told from the content; wrappings come off under a cap; what is not read is named."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimml.errors import CorruptInputError, IngestError, LimitError, UnknownFormatError, UsageError
from slimml.ingest.limits import MIB, Limits
from slimml.ingest.lz4 import decompress_frame
from slimml.ingest.read import read

_VALUE = {"x": list(range(100)), "y": "text" * 50}
_PICKLE = pickle.dumps(_VALUE, 5)


def _zip(members: dict[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


_WRAPPED = {
    "pickle protocol 5": _PICKLE,
    "gzip+pickle protocol 5": gzip.compress(_PICKLE),
    "bz2+pickle protocol 5": bz2.compress(_PICKLE),
    "xz+pickle protocol 5": lzma.compress(_PICKLE),
    "zip+pickle protocol 5": _zip({"model.pkl": _PICKLE}),
    "joblib zlib": zlib.compress(_PICKLE),
    "joblib lz4": lz4.frame.compress(_PICKLE),
    "lzma+pickle protocol 5": lzma.compress(_PICKLE, lzma.FORMAT_ALONE),
    "gzip+zip+bz2+pickle protocol 5": gzip.compress(_zip({"a/b": bz2.compress(_PICKLE)})),
    "pickle protocol 0 or 1": pickle.dumps(_VALUE, 0),
}


@pytest.mark.parametrize("name", _WRAPPED)
def test_wrappings_come_off_whatever_the_file_is_called(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_bytes(_WRAPPED[name])
    for source in (path, str(path), _WRAPPED[name], memoryview(_WRAPPED[name])):
        ingested = read(source)
        assert ingested.root == _VALUE
        assert ingested.format == name
        assert ingested.bytes == len(_WRAPPED[name])


def test_a_gzip_of_several_members_is_one_stream() -> None:
    half = len(_PICKLE) // 2
    assert read(gzip.compress(_PICKLE[:half]) + gzip.compress(_PICKLE[half:])).root == _VALUE


@given(st.binary(max_size=300), st.integers(1, 50), st.booleans())
def test_lz4_frames_decode_like_the_library(piece: bytes, times: int, linked: bool) -> None:
    frame = lz4.frame.compress(piece * times, block_linked=linked, block_size=lz4.frame.BLOCKSIZE_MAX64KB)
    assert decompress_frame(memoryview(frame), lambda out, read: None) == piece * times


@pytest.mark.parametrize("linked", [True, False])
def test_lz4_frames_of_many_blocks_decode(linked: bool) -> None:
    data = np.random.default_rng(0).integers(0, 9, 300_000, dtype=np.uint8).tobytes()
    frame = lz4.frame.compress(data, block_linked=linked, block_size=lz4.frame.BLOCKSIZE_MAX64KB, content_checksum=True)
    assert decompress_frame(memoryview(frame), lambda out, read: None) == data


_ZEROS = bytes(80 * MIB)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, lambda d: _zip({"m": d})], ids=["bz2", "xz", "zip"])
def test_bombs_are_stopped_by_their_ratio(pack: Any) -> None:
    with pytest.raises(LimitError, match="bomb"):
        read(pack(_ZEROS))


def test_decoded_bytes_are_capped_over_all_layers() -> None:
    with pytest.raises(LimitError):
        read(gzip.compress(os.urandom(5000)), limits=Limits(decoded_bytes=4000))


def test_too_many_layers_are_refused() -> None:
    data = _PICKLE
    for _ in range(6):
        data = gzip.compress(data)
    with pytest.raises(LimitError, match="archives"):
        read(data)


def test_lzma_asks_for_no_more_memory_than_allowed() -> None:
    with pytest.raises(LimitError, match="memory"):
        read(lzma.compress(_PICKLE), limits=Limits(lzma_memory=1 << 16))


@pytest.mark.parametrize("name", ["../up", "/abs", "a\\b", "C:/x"])
def test_zip_paths_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(CorruptInputError, match="leads out"):
        read(_zip({name: _PICKLE}))


def test_a_zip_of_several_files_lists_them() -> None:
    with pytest.raises(UnknownFormatError, match=r"a\.pkl, b\.pkl"):
        read(_zip({"a.pkl": _PICKLE, "b.pkl": _PICKLE}))


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n", "Git LFS"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"\n\n<html lang='en'>", "HTML"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "PNG"),
        (b"a,b,c\n1,2,3\n", "text file"),
        (b"id,name\n1,x\n", "text file"),
        (b"id,price.eur\n1.5,2.5\n", "text file"),
        (b"(hello) this is a text\n", "text file"),
        (b"It was a dark night.\n", "text file"),
        (b"Model trained on Monday.\n", "text file"),
        (b'{"a": 1}', "JSON"),
        (_npy(), "NumPy array"),
        (_zip({"a.npy": _npy()}), "npz"),
        (_zip({"schema.json": b"{}", "0.npy": _npy()}), "not that of skops"),
        (_zip({"archive/data.pkl": b"", "archive/version": b"3"}), "PyTorch"),
        (b"CBM1\x00\x00", "CatBoost"),
        (b"%PDF-1.7", "PDF"),
        (b"\x7fELF\x02", "program"),
        (b"\x01\x02\x03\x04", "01 02 03 04"),
    ],
)
def test_what_is_not_read_is_named(content: bytes, named: str) -> None:
    with pytest.raises(UnknownFormatError, match=named) as caught:
        read(content)
    assert caught.value.hint


def test_missing_files_folders_and_devices_are_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pkl", tmp_path, Path(os.devnull)):
        with pytest.raises(UsageError, match=path.name):
            read(path)


def test_damage_inside_a_wrapping_is_reported() -> None:
    for data in _WRAPPED.values():
        if data[:1] != b"\x80":
            with pytest.raises(IngestError):
                read(data[: len(data) // 2])

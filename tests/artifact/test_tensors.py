"""Arrays in a section come back with their bits, and hostile tables end in ArtifactCorruptError."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from slimml.artifact.layout import align
from slimml.artifact.tensors import DTYPES, Tensor, narrowest, pack_tensors, unpack_tensors
from slimml.errors import ArtifactCorruptError, ArtifactError

arrays = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: nps.arrays(dtype, nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)


def array_of(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.data).reshape(tensor.shape)


@given(st.dictionaries(st.text(max_size=10), arrays, max_size=5))
def test_arrays_come_back(tensors):
    back = unpack_tensors(memoryview(pack_tensors(tensors)))
    assert list(back) == list(tensors)
    for name, array in tensors.items():
        assert back[name].dtype == array.dtype.name
        assert back[name].shape == array.shape
        assert array_of(back[name]).dtype == array.dtype
        assert array_of(back[name]).tobytes() == array.tobytes()
        assert back[name].data.readonly


def test_big_endian_and_strided_arrays_are_stored_in_one_form():
    array = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2]
    back = unpack_tensors(pack_tensors({"a": array}))["a"]
    assert back.data.tolist() == [0, 2, 4, 6, 8, 10]
    assert pack_tensors({"a": array}) == pack_tensors({"a": array.astype("<i4")})


def test_arrays_are_aligned():
    packed = pack_tensors({"a": np.zeros(3, np.int8), "b": np.ones(2)})
    length = struct.unpack("<Q", packed[:8])[0]
    assert np.frombuffer(packed[align(8 + length) + 64 :]).tolist() == [1, 1]


def test_other_arrays_are_not_packed():
    for array in (np.array(["a"]), np.array([None]), np.array([1j]), np.zeros((1,) * 9), np.array(1, "f2")):
        with pytest.raises(ArtifactError):
            pack_tensors({"a": array})


def forge(table: object, body: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    head = struct.pack("<Q", len(text)) + text
    return head + bytes(align(len(head)) - len(head)) + body


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\0" * 7,
        struct.pack("<Q", 2**63) + bytes(100),
        forge({}),
        forge([["a", "int8"]]),
        forge([["a", "object", [1]]], bytes(1)),
        forge([["a", ["int8"], [1]]], bytes(1)),
        forge([[1, "int8", [1]]], bytes(1)),
        forge([["a", "int8", 1]], bytes(1)),
        forge([["a", "int8", [-1]]], bytes(1)),
        forge([["a", "int8", [-1, -1]]], bytes(1)),
        forge([["a", "int8", [True]]], bytes(1)),
        forge([["a", "int8", [1.0]]], bytes(1)),
        forge([["a", "int8", [2]]], bytes(1)),
        forge([["a", "int64", [2**61]]], bytes(8)),
        forge([["a", "int64", [0, 2**70]]]),
        forge([["a", "int8", [1] * 9]], bytes(1)),
        forge([["a", "int8", [1]], ["a", "int8", [1]]], bytes(65)),
        forge([["a", "bool", [2]]], b"\1\2"),
        forge([["a", "int8", [1]]], bytes(200)),
        forge([["a", "int8", [1]]], b"\1\2"),
        forge([["a", "int8", [1]], ["b", "int8", [1]]], b"\1\2" + bytes(63)),
        forge(b"[" * 10000),
    ],
)
def test_hostile_tables_are_refused(packed):
    with pytest.raises(ArtifactCorruptError):
        unpack_tensors(memoryview(packed))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    with pytest.raises(ArtifactCorruptError):
        unpack_tensors(b"\xff" + data)


@given(arrays)
def test_narrowing_keeps_every_value(array):
    small = narrowest(array)
    assert small.dtype.itemsize <= array.dtype.itemsize
    assert small.astype(array.dtype).tobytes() == array.tobytes()


def test_narrowing_takes_the_smallest_type():
    dtypes = [narrowest(np.array(values)).dtype.name for values in ([0, 255], [-1, 127], [256], [-129], [2**40], [])]
    assert dtypes == ["uint8", "int8", "uint16", "int16", "int64", "float32"]
    assert narrowest(np.array([0.5, -0.0, np.inf])).dtype == np.float32
    assert narrowest(np.array([0.1])).dtype == np.float64
    assert narrowest(np.array([1e300, 1e-300])).dtype == np.float64
    assert narrowest(np.array([2**63], np.uint64)).dtype == np.uint64

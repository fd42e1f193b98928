"""Damaged files end in an IngestError, whatever is wrong with them, and never in another exception."""

from __future__ import annotations

import io
import pickle
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer

from slimml.errors import CorruptInputError, IngestError
from slimml.ingest.limits import Limits
from slimml.ingest.read import read
from slimml.ingest.scan import scan

_X = np.random.default_rng(0).normal(size=(60, 3))
_SMALL = Limits(decoded_bytes=1 << 24, slack=1 << 22)


def _samples() -> dict[str, bytes]:
    forest = RandomForestClassifier(2, max_depth=3, random_state=0).fit(_X, _X[:, 0] > 0)
    boosting = HistGradientBoostingRegressor(max_iter=2).fit(_X, _X[:, 0])
    text = TfidfVectorizer().fit(["one two", "three"])
    samples = {f"forest {p}": pickle.dumps(forest, p) for p in range(6)}
    samples |= {"boosting": pickle.dumps(boosting, 4), "text": pickle.dumps(text, 2)}
    for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3), ("lz4", 3)):
        out = io.BytesIO()
        joblib.dump([text, np.array(["a", None])], out, compress=compress)
        samples[f"joblib {compress and compress[0]}"] = out.getvalue()  # type: ignore[index]
    return samples


_SAMPLES = _samples()


def _ends_well(data: bytes) -> bool:
    """Whether reading raised; anything other than an IngestError propagates."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan(data, limits=_SMALL)
        try:
            read(data, limits=_SMALL)
        except IngestError as e:
            assert str(e)
            return True
    return False


@pytest.mark.parametrize("name", _SAMPLES)
def test_every_truncation_is_refused(name: str) -> None:
    data = _SAMPLES[name]
    step = max(1, len(data) // 300)
    for length in [*range(0, len(data) - 1, step), *range(max(0, len(data) - 40), len(data) - 1)]:
        refused = _ends_well(data[:length])
        # Compressed streams may lose their checksum and still be whole.
        assert refused or "joblib" in name, length


@pytest.mark.parametrize("name", _SAMPLES)
@given(seed=st.integers(0, 2**32 - 1))
def test_flipped_bits_never_crash(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(_SAMPLES[name])
    for position in rng.integers(0, len(data), size=rng.integers(1, 4)):
        data[position] ^= 1 << int(rng.integers(0, 8))
    _ends_well(bytes(data))


@given(st.binary(max_size=200))
def test_random_bytes_never_crash(data: bytes) -> None:
    _ends_well(data)


_OPCODES = st.sampled_from([bytes([c]) for c in b"().012BCFGIJKLMNPQRSTUVX]_abcdeghijlopqrstu}"])
_PIECES = st.one_of(
    _OPCODES,
    st.sampled_from([bytes([c]) for c in range(0x80, 0x99)]),
    st.sampled_from(
        [
            b"cnumpy\ndtype\n",
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"cnumpy\nndarray\n",
            b"cnumpy._core.multiarray\nscalar\n",
            b"cnumpy._core.numeric\n_frombuffer\n",
            b"cscipy.sparse._csr\ncsr_matrix\n",
            b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
            b"ccollections\nOrderedDict\n",
            b"ccopyreg\n_reconstructor\n",
            b"c__builtin__\nset\n",
            b"K\x00\x85",
            b"X\x02\x00\x00\x00f8",
            b"(lp0\n",
            b"\x8c\x01O",
            b"C\x08\x00\x00\x00\x00\x00\x00\xf0?",
            b"q\x00",
            b"h\x00",
            b"p0\n",
            b"I5\n",
            b"L5L\n",
            b"F1.5\n",
            b"S'a'\n",
            b"Va\n",
        ]
    ),
    st.binary(max_size=3),
)


@given(st.lists(_PIECES, max_size=40))
def test_instructions_in_any_order_never_crash(pieces: list[bytes]) -> None:
    _ends_well(b"\x80\x04" + b"".join(pieces) + b".")


@given(st.sampled_from(range(256)), st.binary(max_size=30))
def test_every_instruction_survives_an_empty_stack_and_any_operand(code: int, operand: bytes) -> None:
    _ends_well(b"\x80\x04" + bytes([code]) + operand)


def test_an_empty_file_is_called_empty() -> None:
    with pytest.raises(CorruptInputError, match="empty"):
        read(b"")


def test_a_truncated_file_says_so_with_the_offset() -> None:
    data = _SAMPLES["forest 4"]
    with pytest.raises(CorruptInputError, match=r"(?s)left.*truncated") as caught:
        read(data[:-100])
    assert caught.value.offset is not None


def test_bytes_after_the_end_are_reported() -> None:
    ingested = read(_SAMPLES["forest 4"] + b"more")
    assert any("4 bytes after the end" in w for w in ingested.warnings)


def test_an_array_shorter_than_its_shape_is_refused() -> None:
    data = pickle.dumps(np.arange(4, dtype=np.int8), 4).replace(b"K\x04\x85", b"K\x05\x85")
    with pytest.raises(CorruptInputError, match="5 items"):
        read(data)


def _array_stream(**changes: Any) -> bytes:
    """A pickled array whose parts are replaced."""
    parts = {"shape": b"K\x01\x85", "code": b"X\x02\x00\x00\x00f8", "content": b"C\x08" + b"\x00" * 8} | changes
    return (
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"
        + parts["shape"]
        + b"cnumpy\ndtype\n"
        + parts["code"]
        + b"\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + parts["content"]
        + b"tb."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": b"J\xff\xff\xff\xff\x85"},
        {"shape": b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x1f\x85"},
        {"shape": b"(" + b"K\x01" * 65 + b"t"},
        {"shape": b"\x88\x85"},
        {"shape": b"]"},
        {"code": b"X\x04\x00\x00\x00V8,O"},
        {"code": b"X\x02\x00\x00\x00V0", "content": b"C\x00", "shape": b"K\x02\x85"},
        {"code": b"X\x01\x00\x00\x00O", "content": b"C\x00"},
        {"code": b"X\x01\x00\x00\x00O", "content": b"]"},
        {"content": b"N"},
        {"content": b"X\x02\x00\x00\x00\xc4\x80"},
    ],
)
def test_arrays_that_contradict_themselves_are_refused(changes: dict[str, bytes]) -> None:
    assert read(_array_stream()).root.tolist() == [0.0]
    with pytest.raises(CorruptInputError):
        read(_array_stream(**changes))


def test_text_arrays_hold_only_characters() -> None:
    data = pickle.dumps(np.array(["abc"]), 4).replace(b"c\x00\x00\x00", b"c\x00\x00\x7f")
    with pytest.raises(CorruptInputError, match="no character"):
        read(data)


def test_fields_outside_of_their_item_are_refused() -> None:
    data = pickle.dumps(np.zeros(1, dtype=[("a", "i1"), ("b", "f8")]), 4)
    assert read(data).root["b"].tolist() == [0.0]
    spoiled = data.replace(b"K\x01\x86", b"K\x02\x86")
    assert spoiled != data
    with pytest.raises(CorruptInputError, match="outside of its item"):
        read(spoiled)

"""Plain values come back as pickle.loads gives them, in every protocol."""

from __future__ import annotations

import collections
import io
import math
import pickle
import pickletools
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from slimml.ingest.read import read

_KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.binary(), st.floats(allow_nan=False))
_KEYS = st.one_of(_KEYS, st.tuples(_KEYS, _KEYS))
_LEAVES = st.one_of(_KEYS, st.floats(), st.integers(-(2**70), 2**70), st.frozensets(_KEYS), st.sets(_KEYS))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(_KEYS, inner), st.tuples(inner, inner)),
    max_leaves=30,
)
_PROTOCOLS = st.integers(0, 5)


def same(a: Any, b: Any) -> bool:
    """Equality that sees types, NaN and order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@given(_VALUES, _PROTOCOLS)
def test_plain_values_come_back_in_every_protocol(value: Any, protocol: int) -> None:
    assert same(read(pickle.dumps(value, protocol)).root, value)


@given(_VALUES, _PROTOCOLS)
def test_optimized_pickles_without_memo_come_back(value: Any, protocol: int) -> None:
    assert same(read(pickletools.optimize(pickle.dumps(value, protocol))).root, value)


@given(_VALUES)
def test_the_pure_python_pickler_is_read_too(value: Any) -> None:
    out = io.BytesIO()
    pickle._Pickler(out, 4).dump(value)  # type: ignore[attr-defined]
    assert same(read(out.getvalue()).root, value)


_DTYPES = st.one_of(
    hnp.scalar_dtypes().filter(lambda d: d.kind not in "V"),
    hnp.array_dtypes(allow_subarrays=True),
)


@given(hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=0, min_side=0)), _PROTOCOLS, st.booleans())
def test_arrays_of_every_dtype_come_back_bit_for_bit(array: Any, protocol: int, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    found = read(pickle.dumps(array, protocol)).root
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert not found.flags.writeable


@given(hnp.arrays(hnp.scalar_dtypes().filter(lambda d: d.kind not in "V"), hnp.array_shapes(max_side=4)))
def test_joblib_arrays_come_back_bit_for_bit(array: Any) -> None:
    out = io.BytesIO()
    joblib.dump([array, array.T], out)
    first, second = read(out.getvalue()).root
    assert first.dtype == array.dtype
    assert first.tobytes() == array.tobytes()
    assert second.tobytes() == array.T.tobytes()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "scalar",
    [np.float64(1.5), np.float32("nan"), np.int8(-3), np.bool_(True), np.str_("é"), np.datetime64("2020-01-01")],
)
def test_numpy_scalars_keep_their_type(scalar: Any, protocol: int) -> None:
    found = read(pickle.dumps({"x": scalar}, protocol)).root["x"]
    assert type(found) is type(scalar)
    assert found.tobytes() == scalar.tobytes()


@pytest.mark.parametrize("protocol", range(6))
def test_large_arrays_come_back(protocol: int) -> None:
    numbers = {"a": np.arange(1e5), "b": np.arange(9999, dtype=">i2"), "c": bytearray(b"x" * 9999)}
    found = read(pickle.dumps(numbers, protocol)).root
    assert all(np.array_equal(found[key], numbers[key]) for key in "ab")
    assert found["b"].dtype == ">i2"
    assert found["c"] == numbers["c"]
    assert type(found["c"]) is bytearray


@pytest.mark.parametrize("protocol", range(6))
def test_an_array_named_twice_is_one_array(protocol: int) -> None:
    array = np.arange(5000.0)
    first, second, pair = read(pickle.dumps([array, array, (array, 1)], protocol)).root
    assert first is second is pair[0]


@pytest.mark.parametrize("protocol", range(6))
def test_object_arrays_hold_their_values(protocol: int) -> None:
    array = np.empty((2, 2), dtype=object)
    array[:] = [["a", None], [[1, 2], 3.5]]
    assert read(pickle.dumps(array, protocol)).root.tolist() == array.tolist()


@pytest.mark.parametrize("layout", ["csr", "csc", "dia"])
@pytest.mark.parametrize("protocol", range(6))
def test_sparse_matrices_come_back(layout: str, protocol: int) -> None:
    matrix = sparse.random(7, 5, 0.4, format="csr", random_state=0).asformat(layout)
    found = read(pickle.dumps(matrix, protocol)).root
    assert type(found) is type(matrix)
    assert (found != matrix).nnz == 0


@pytest.mark.parametrize("protocol", range(6))
def test_ordered_and_default_dicts_become_dicts_in_order(protocol: int) -> None:
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    default = collections.defaultdict(int, {"x": 1})
    assert list(read(pickle.dumps(ordered, protocol)).root.items()) == [("b", 1), ("a", 2)]
    assert read(pickle.dumps(default, protocol)).root == {"x": 1}


@pytest.mark.parametrize("protocol", range(6))
def test_slices_and_complex_numbers_come_back(protocol: int) -> None:
    assert read(pickle.dumps([slice(1, None, 2), 1 + 2j], protocol)).root == [slice(1, None, 2), 1 + 2j]


def test_python_2_strings_are_text_and_array_content() -> None:
    # cPickle of Python 2.7: numpy.array([1.0, 2.0]), protocol 2, and a dict with str keys.
    content = np.array([1.0, 2.0]).tobytes()
    stream = (
        b"\x80\x02}q\x01U\x01aq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x10" + content + b"tbs."
    )
    assert read(stream).root["a"].tolist() == [1.0, 2.0]

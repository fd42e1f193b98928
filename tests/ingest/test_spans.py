"""Which bytes of a pickle belong to which attribute: every byte in one place."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from slimml.errors import IngestError
from slimml.ingest.decode import decode
from slimml.ingest.live import read_live
from slimml.ingest.machine import Context
from slimml.ingest.read import read
from slimml.ingest.spans import Part, Stream, spans


def spans_of(data: bytes) -> Part:
    context = Context()
    value, _ = decode(data, context)
    return spans(Stream(data, value, context.jumps))


def assert_nested(part: Part) -> None:
    """Parts lie inside of their whole, one after the other."""
    stack = [part]
    while stack:
        whole = stack.pop()
        at = whole.start
        for inner in whole.span.parts if whole.span is not None else ():
            assert at <= inner.start <= inner.end <= whole.end, (whole.label, inner.label)
            at = inner.end
            stack.append(inner)


def parts(part: Part) -> dict[str, Part]:
    assert part.span is not None
    return {p.label: p for p in part.span.parts}


@pytest.mark.parametrize("protocol", range(6))
def test_an_attribute_is_charged_what_it_adds_to_the_file(protocol: int):
    def holding(**more: Any) -> bytes:
        return pickle.dumps({"first": [1, 2], "second": {"deep": [True]}, **more, "last": (3.5,)}, protocol)

    array = np.full(1000, 7)
    data = holding(added=array)
    whole = spans_of(data)
    assert_nested(whole)
    assert whole.bytes == len(data)
    assert list(parts(whole)) == ["first", "second", "added", "last"]
    # A frame's length and memo numbers may be written longer or shorter.
    assert abs(parts(whole)["added"].bytes - (len(data) - len(holding()))) <= 16


def test_what_comes_twice_is_charged_where_it_stands_first():
    array = np.arange(5000.0)
    whole = parts(spans_of(pickle.dumps({"a": [array], "b": [array]})))
    assert whole["a"].bytes > array.nbytes > 100 > whole["b"].bytes


@pytest.mark.parametrize("compress", [0, 3])
def test_joblib_arrays_are_charged_to_their_attribute(compress: int):
    buffer = io.BytesIO()
    objects = np.array([{"x": np.arange(900.0)}, None, "text"], dtype=object)
    joblib.dump({"numbers": np.arange(4000.0), "objects": objects, "end": [1]}, buffer, compress=compress)
    stream = read(buffer.getvalue()).stream
    assert stream is not None
    whole = spans(stream)
    assert_nested(whole)
    assert whole.bytes == len(stream.data)
    assert 32_000 < parts(whole)["numbers"].bytes < 32_400
    assert 7_200 < parts(whole)["objects"].bytes < 8_400
    assert parts(whole)["end"].bytes < 40


def test_arrays_that_stay_in_memory_are_counted():
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = GradientBoostingClassifier(n_estimators=3).fit(x, x[:, 0] > 0)
    model.extra_ = np.zeros(100_000)
    ingested = read_live(model)
    assert ingested.stream is not None
    whole = spans(ingested.stream)
    assert_nested(whole)
    assert whole.bytes == ingested.bytes
    assert parts(whole)["extra_"].bytes > 800_000


def test_a_wide_dictionary_is_told_as_a_whole():
    whole = spans_of(pickle.dumps({"vocabulary_": {str(i): i for i in range(20_000)}, "end": 1}))
    inner = parts(whole)["vocabulary_"]
    assert inner.bytes > 20_000 * 5
    assert inner.span is not None and inner.span.parts == []


def test_numbers_of_a_wide_dictionary_are_no_parts():
    whole = spans_of(pickle.dumps({str(i): np.int64(i) for i in range(5000)} | {"array": np.zeros(9)}))
    assert whole.span is not None and len(whole.span.parts) < 5


def test_every_stream_that_is_read_has_spans(shared: Path):
    found = 0
    for folder in ("pickles", "versions", "wild", "attacks"):
        for path in sorted((shared / folder).rglob("*")):
            try:
                ingested = read(path) if path.is_file() else None
            except IngestError:
                continue
            if ingested is not None and ingested.stream is not None:
                whole = spans(ingested.stream)
                assert_nested(whole)
                assert whole.bytes <= len(ingested.stream.data)
                found += 1
    assert found > 100

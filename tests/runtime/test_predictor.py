"""The loaded model is a drop-in for the pickled one: shapes, dtypes, labels, rows in every container."""

from __future__ import annotations

import io
import os
import pickle
import threading
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from slimml.artifact.manifest import Manifest
from slimml.artifact.write import encode_artifact
from slimml.errors import InputError
from slimml.ir.graph import Graph
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from slimml.plan.encode import encode, label_tables
from slimml.runtime import load
from slimml.runtime.labels import write_labels
from slimml.runtime.predictor import Model
from slimml.schema import REFUSED
from tests.hostile import limits, same_cells, zoo_graph
from tests.zoo import ZOO, zoo_model

METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform"]
SOME = ["logistic/pipeline", "forest/pipeline-three", "hist/string-names", "tree/two-words", "compose/sparse-output",
        "linear/two-outputs", "forest/missing", "onehot/none"]  # fmt: skip


def artifact_of(graph: Graph) -> bytes:
    manifest = Manifest(
        schema=graph.schema,
        engine="portable",
        exactness="bitwise",
        outputs=[{"name": o.name, "form": o.form} for o in graph.outputs],
        classes=write_labels(label_tables(graph)),
    )
    return encode_artifact(manifest, encode(graph))


@cache
def artifact(name: str) -> bytes:
    return artifact_of(zoo_graph(name))


@cache
def model_of(name: str) -> Model:
    return load(artifact(name))


def quietly(function, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(rows)


def parts(answer) -> list:
    return answer if isinstance(answer, list) or getattr(answer, "ndim", 0) == 3 else [answer]


def dense(part: Any) -> np.ndarray:
    return part.toarray() if hasattr(part, "toarray") else np.asarray(part)


def first(rows, count: int):
    return rows.iloc[:count] if isinstance(rows, pd.DataFrame) else rows[:count]


def records(rows) -> list[dict]:
    if isinstance(rows, pd.DataFrame):
        return rows.to_dict("records")
    return [{f"x{i}": v for i, v in enumerate(row)} for row in rows.tolist()]


@pytest.mark.parametrize("name", [m.name for m in ZOO])
def test_batch_answers_have_the_shapes_dtypes_and_values_of_the_original(name: str):
    estimator, rows = zoo_model(name)
    model = model_of(name)
    for method in (m for m in METHODS if hasattr(estimator, m)):
        expected, got = (quietly(getattr(m, method), rows) for m in (estimator, model))
        assert isinstance(expected, list) == isinstance(got, list)
        for one, other, limit in zip(parts(expected), parts(got), limits(zoo_graph(name), method, rows), strict=True):
            assert sparse.issparse(one) == sparse.issparse(other)
            if hasattr(one, "format"):
                assert one.format == other.format == "csr" and one.nnz == other.nnz
            assert one.shape == other.shape
            # Numbers that pass through untouched are doubles here, whatever the frame held them in.
            assert one.dtype == other.dtype or (one.dtype.kind in "biO" and method == "transform")
            assert_within(dense(one), dense(other), limit)


def assert_within(one: np.ndarray, other: np.ndarray, limit: np.ndarray | None) -> None:
    """Equal cells, or such as lie within `limit` of each other: distances, or a mask of doubtful labels."""
    same = same_cells(one, other)
    if limit is not None:
        with np.errstate(invalid="ignore"):
            far = np.abs(one.reshape(limit.shape) - other.reshape(limit.shape)) if limit.dtype != bool else None
            same |= np.reshape(limit if far is None else far <= limit, same.shape)
    assert same.all()


@pytest.mark.parametrize("name", [m.name for m in ZOO])
def test_sparse_rows_are_answered_as_the_original_does_or_refused(name: str):
    estimator, rows = zoo_model(name)
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "fi":
        return
    model, matrix = model_of(name), sparse.csr_matrix(rows)
    if model.schema.sparse == REFUSED:
        with pytest.raises(InputError, match="sparse matrix"):
            getattr(model, model.outputs[0])(matrix)
        return
    for method in (m for m in METHODS if hasattr(estimator, m)):
        expected, got = (quietly(getattr(m, method), matrix) for m in (estimator, model))
        for one, other, limit in zip(parts(expected), parts(got), limits(zoo_graph(name), method, rows), strict=True):
            assert_within(dense(one), dense(other), limit)


def rows_alone(rows, flat: bool) -> list[tuple[Any, ...]]:
    """Every row in the forms that a single row may have; where rows are `flat`, a list is many of them."""
    if isinstance(rows, list):
        return [(text, {"x0": text}) for text in rows]
    if flat:
        return [(record,) for record in records(rows)]
    return [(record, list(record.values()), tuple(record.values())) for record in records(rows)]


@pytest.mark.parametrize("name", [m.name for m in ZOO])
def test_one_row_is_answered_with_scalars_equal_to_the_batch(name: str):
    rows = first(zoo_model(name)[1], 4)
    model = model_of(name)
    for method in model.outputs:
        batch = getattr(model, method)(rows)
        for i, row in enumerate(rows_alone(rows, model.schema.flat)):
            singles: list[Any] = [getattr(model, method)(r) for r in row]
            table = rows.iloc[[i]] if isinstance(rows, pd.DataFrame) else rows[i : i + 1]
            frame = getattr(model, method)(table)
            for k, part in enumerate(parts(batch)):
                expected = np.asarray(dense(part)[i], dtype=dense(part).dtype)
                single: Any
                for single in singles:
                    assert not isinstance(single, np.generic | np.ndarray)
                    answer = single[k] if parts(batch) is batch else single
                    _close(expected, np.array(answer, dtype=object if expected.dtype == object else None))
                _close(expected, np.asarray(dense(parts(frame)[k])[0], dtype=expected.dtype))


def _close(expected, got) -> None:
    assert expected.shape == got.shape
    if expected.dtype.kind == "f":
        # BLAS sums a batch in another order than a row.
        np.testing.assert_allclose(got.astype(float), expected, rtol=1e-12, atol=1e-13)
    else:
        assert expected.tolist() == got.tolist() or same_cells(expected.astype(object), got.astype(object)).all()


@pytest.mark.parametrize("name", [m.name for m in ZOO])
def test_attributes_are_those_that_the_original_has(name: str):
    estimator, _ = zoo_model(name)
    model = model_of(name)
    for method in METHODS:
        assert hasattr(model, method) == hasattr(estimator, method)
    assert model.n_features_in_ == len(model.schema.columns)
    assert hasattr(model, "feature_names_in_") == model.schema.named
    if model.schema.named:
        assert tuple(model.feature_names_in_) == model.schema.names
        assert model.feature_names_in_.dtype == object
    # A transformer's classes_ are those of the target that it was fitted with, no answer of it.
    classes = getattr(estimator, "classes_", None) if hasattr(estimator, "predict") else None
    assert hasattr(model, "classes_") == (classes is not None)
    for one, other in zip(parts(classes), parts(getattr(model, "classes_", None)), strict=True):
        if one is not None:
            assert one.dtype == other.dtype and one.tolist() == other.tolist()


def test_opens_from_bytes_path_and_file_object(tmp_path):
    data = artifact("logistic/pipeline")
    path = tmp_path / "model.slim"
    path.write_bytes(data)
    _, rows = zoo_model("logistic/pipeline")
    answers = [load(source).predict(rows).tolist() for source in (data, path, str(path), io.BytesIO(data))]
    assert all(a == answers[0] for a in answers)


def test_columns_are_matched_by_name_and_extra_ones_ignored():
    _, rows = zoo_model("forest/pipeline")
    model = model_of("forest/pipeline")
    expected = model.predict_proba(rows)
    shuffled = rows[list(rows.columns[::-1])].assign(other="x")
    np.testing.assert_array_equal(model.predict_proba(shuffled), expected)
    record = {"other": 1, **dict(reversed(records(rows)[5].items()))}
    assert model.predict_proba(record) == expected[5].tolist()


def test_missing_column_is_named_and_unread_ones_may_be_left_out_if_not_strict():
    _, rows = zoo_model("forest/pipeline")
    graph, _ = run_passes(zoo_graph("forest/pipeline"), PASSES)
    data = artifact_of(graph)
    unread = [c.name for c in graph.schema.columns if not c.read]
    assert unread and any(c.read for c in graph.schema.columns)
    strict, lenient = load(data), load(data, strict=False)
    bare = rows.drop(columns=unread)
    np.testing.assert_array_equal(lenient.predict_proba(bare), strict.predict_proba(rows))
    assert lenient.predict(records(bare)[3]) == strict.predict(records(rows)[3])
    for part in (bare, records(bare)[0], records(bare)):
        with pytest.raises(InputError, match=unread[0]):
            strict.predict(part)
    for model in (strict, lenient):
        for part in (rows.drop(columns="age"), records(rows.drop(columns="age"))[0]):
            with pytest.raises(InputError, match="'age'"):
                model.predict(part)


def test_wrong_width_of_an_array_is_refused():
    model = model_of("forest/missing")
    for rows in (np.zeros((2, 5)), np.zeros((2, 7)), [0.0] * 5):
        with pytest.raises(InputError, match="expecting 6 features"):
            model.predict(rows)


def test_none_in_a_dict_is_nan_where_training_saw_nan():
    estimator, rows = zoo_model("logistic/pipeline")
    model = model_of("logistic/pipeline")
    record = records(rows)[10]
    for missing in (None, float("nan")):
        holes = {**record, "city": missing, "hours": missing}
        frame = pd.DataFrame([holes]).astype({"city": "str", "job": "str"})
        np.testing.assert_allclose(model.predict_proba(holes), quietly(estimator.predict_proba, frame)[0], rtol=1e-14)
        assert model.predict_proba([holes]).tolist() == [model.predict_proba(holes)]


def test_none_stays_a_category_of_its_own_where_training_saw_it():
    model = model_of("onehot/none")
    table = zoo_model("onehot/none")[0].categories_[0].tolist()
    answer = model.transform({"region": None})
    assert answer[table.index(None)] == 1.0
    assert model.transform({"region": float("nan")}) == [0.0] * len(table)


def test_row_that_the_original_refuses_raises_value_error():
    model = model_of("forest/regression")
    good = [0.0] * 6
    for bad in (float("inf"), 1e39, float("-inf")):
        with pytest.raises(ValueError, match="x2|column 2"):
            model.predict([0.0, 0.0, bad, 0.0, 0.0, 0.0])
    assert isinstance(model.predict(good), float)


@pytest.mark.parametrize("name", SOME)
def test_model_survives_a_pickle(name):
    _, rows = zoo_model(name)
    model = load(artifact(name), strict=False)
    again = pickle.loads(pickle.dumps(model))
    for method in model.outputs:
        for a, b in zip(parts(getattr(model, method)(rows)), parts(getattr(again, method)(rows)), strict=True):
            assert same_cells(dense(a), dense(b)).all()
    assert repr(again) == repr(model)


@pytest.mark.parametrize("name", SOME)
def test_threads_share_a_model(name):
    _, rows = zoo_model(name)
    model = load(artifact(name))
    method = getattr(model, model.outputs[0])
    singles = records(first(rows, 12))
    expected, alone = [dense(p) for p in parts(method(rows))], [method(r) for r in singles]
    wrong: list[Any] = []

    def hammer(k: int) -> None:
        for i in range(25):
            at = (i + k) % len(singles)
            if repr(method(singles[at])) != repr(alone[at]):
                wrong.append(at)
            if i % 5 == 0 and not all(
                same_cells(dense(p), e).all() for p, e in zip(parts(method(rows)), expected, strict=True)
            ):
                wrong.append("batch")

    threads = [threading.Thread(target=hammer, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_answers_as_its_parent():
    model = load(artifact("forest/pipeline-three"))
    record = records(zoo_model("forest/pipeline-three")[1])[0]
    expected = repr(model.predict_proba(record))
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads, which test runners have
        child = os.fork()
    if child == 0:
        os.write(writer, repr(model.predict_proba(record)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 4096).decode() == expected
    os.close(reader)


def test_attribute_that_is_not_there_says_what_is():
    with pytest.raises(AttributeError, match="predict_proba"):
        _ = model_of("hist/binary").predict_log_proba
    assert "classes_" in dir(model_of("hist/binary")) and "classes_" not in dir(model_of("hist/regression"))

"""Decoded estimators hold what the live ones hold."""

from __future__ import annotations

import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from slimml.errors import UnfittedModelError
from slimml.ingest.live import read_live
from slimml.ingest.read import read
from slimml.ingest.record import Record, Symbol

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(200, 4))
_Y = (_X[:, 0] + _X[:, 1] > 0).astype(int)
_SKIPPED = {"random_state", "_random_state", "dtype", "_rng", "_feature_subsample_rng"}


def _fitted() -> dict[str, Any]:
    mixed = np.array([["a", 1.0], ["b", 2.0], ["a", 3.5]], dtype=object)
    return {
        "forest": RandomForestClassifier(n_estimators=5, random_state=0).fit(_X, _Y),
        "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(_X, _Y),
        "columns": ColumnTransformer([("c", OneHotEncoder(), [0]), ("n", StandardScaler(), slice(1, 2))]).fit(mixed),
        "text": TfidfVectorizer().fit(["one two", "two three three"]),
        "pipeline": make_pipeline(StandardScaler(), FunctionTransformer(np.log1p)).fit(_X),
    }


_MODELS = _fitted()


def _agree(found: Any, live: Any, path: str) -> None:
    if isinstance(live, np.ndarray):
        assert found.dtype == live.dtype, path
        if live.dtype == object:
            for i, (a, b) in enumerate(zip(found.flat, live.flat, strict=True)):
                _agree(a, b, f"{path}.{i}")
        else:
            assert found.tobytes() == live.tobytes(), path
    elif isinstance(live, sparse.spmatrix | sparse.sparray):
        assert (found != live).nnz == 0, path
    elif isinstance(live, dict) and type(found) is dict:
        assert list(found) == list(live), path
        for key in live:
            _agree(found[key], live[key], f"{path}.{key}")
    elif isinstance(live, list | tuple) and type(found) is type(live):
        for i, (a, b) in enumerate(zip(found, live, strict=True)):
            _agree(a, b, f"{path}.{i}")
    elif isinstance(found, Symbol):
        assert found.name == live.__name__, path
    elif isinstance(found, Record):
        assert found.name == type(live).__name__, path
        state = live.__getstate__() if type(live).__name__ == "Tree" else getattr(live, "__dict__", {})
        for key in set(state) - _SKIPPED:
            _agree(found.fields[key], state[key], f"{path}.{key}")
    else:
        assert type(found) is type(live), path
        assert found == live or found != found, path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", _MODELS)
def test_every_attribute_equals_the_live_one(name: str, protocol: int) -> None:
    ingested = read(pickle.dumps(_MODELS[name], protocol))
    _agree(ingested.root, _MODELS[name], name)
    assert ingested.versions["scikit-learn"]
    assert all(i.verdict == "harmless" for i in ingested.imports), ingested.warnings


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3), ("lz4", 3)])
@pytest.mark.parametrize("name", _MODELS)
def test_joblib_dumps_hold_the_same(name: str, compress: Any) -> None:
    out = io.BytesIO()
    joblib.dump(_MODELS[name], out, compress=compress)
    ingested = read(out.getvalue())
    _agree(ingested.root, _MODELS[name], name)
    if compress:
        assert compress[0] in ingested.format


@pytest.mark.parametrize("name", _MODELS)
def test_a_live_object_reads_like_its_file(name: str) -> None:
    _agree(read_live(_MODELS[name]).root, _MODELS[name], name)


def test_live_arrays_are_shared_not_copied_and_read_only() -> None:
    model = StandardScaler().fit(_RNG.normal(size=(10, 5000)))
    mean = read_live(model).root.mean_
    assert np.shares_memory(mean, model.mean_)
    assert not mean.flags.writeable
    assert model.mean_.flags.writeable


def test_a_lambda_is_inert_in_a_live_object() -> None:
    pytest.importorskip("cloudpickle")
    root = read_live(FunctionTransformer(lambda x: x + 1).fit(_X)).root
    assert isinstance(root.func, Record)


def test_arrays_of_a_large_file_are_views_of_it(tmp_path: Any) -> None:
    path = tmp_path / "model.pkl"
    array = np.arange(3_000_000, dtype=np.float64)
    path.write_bytes(pickle.dumps([array, array[:2_100_000] + 1], protocol=4))
    found = read(path).root
    assert np.array_equal(found[0], array)
    assert not found[0].flags.owndata
    assert not found[0].flags.writeable


def test_a_missing_attribute_says_that_the_estimator_is_not_fitted() -> None:
    root = read(pickle.dumps(StandardScaler())).root
    assert root.with_mean is True
    with pytest.raises(UnfittedModelError, match="mean_"):
        _ = root.mean_

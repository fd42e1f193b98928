"""Files that hold several models: listed with paths, one picked."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from slimml.errors import IngestError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.containers import models
from slimml.ingest.limits import Limits
from slimml.ingest.read import read
from slimml.ingest.record import Record
from slimml.ingest.versions import versions_in
from slimml.ir.text import fingerprint
from slimml.parity.worker import follow

_X = np.eye(3)
_SCALER = StandardScaler().fit(_X)
_MODEL = LinearRegression().fit(_X, [1.0, 2.0, 3.0])


def _read(value: Any, select: str | None = None) -> Any:
    return read(pickle.dumps(value), select=select)


def test_models_are_listed_with_their_paths() -> None:
    root = {"model": _MODEL, "more": [_SCALER, {"deep": _MODEL}], "columns": ["a"], 3: (StandardScaler().fit(_X),)}
    data = pickle.dumps([root, {"x": 1}])
    with pytest.raises(IngestError) as caught:
        read(data)
    for path in ("0.model (LinearRegression)", "0.more.0 (StandardScaler)", "0.3.0 (StandardScaler)"):
        assert path in str(caught.value)
    assert "--select 0.model" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("model", "LinearRegression"),
        ("models.0", "StandardScaler"),
        ("nested.a.b", "StandardScaler"),
        ("pipe.steps.1.1", "LinearRegression"),
    ],
)
def test_select_picks_one(path: str, name: str) -> None:
    root = {"model": _MODEL, "models": [_SCALER], "nested": {"a.b": _SCALER}, "pipe": make_pipeline(_SCALER, _MODEL)}
    ingested = _read(root, path)
    assert ingested.root.name == name
    assert ingested.path == path


def test_a_path_that_leads_nowhere_is_refused_with_what_is_there() -> None:
    with pytest.raises(IngestError, match=r"(?s)'modle'.*model"):
        _read({"model": _MODEL}, "modle")


@pytest.mark.parametrize("value", [{"model": _MODEL, "columns": ["a", "b"]}, [_MODEL], (_MODEL, {"score": 0.5})])
def test_the_only_model_is_taken(value: Any) -> None:
    ingested = _read(value)
    assert ingested.root.name == "LinearRegression"
    assert ingested.path in ("model", "0")


def test_the_models_inside_a_model_are_its_own() -> None:
    ingested = _read(make_pipeline(_SCALER, _MODEL))
    assert ingested.root.name == "Pipeline"
    assert [path for path, _ in models(ingested.root)] == [""]


def test_a_file_without_a_model_says_so() -> None:
    assert any("no model" in w for w in _read([1, 2]).warnings)


def test_a_container_that_holds_itself_is_listed_once() -> None:
    loop: dict[str, Any] = {"model": _MODEL}
    loop["self"] = loop
    assert _read(loop).path == "model"


def test_versions_of_several_releases_are_reported() -> None:
    outer = Record("sklearn.pipeline", "Pipeline", fields={"_sklearn_version": "1.3.2"})
    inner = Record("sklearn.preprocessing._data", "StandardScaler", fields={"_sklearn_version": "0.24.2"})
    versions, warnings = versions_in([outer, inner])
    assert versions == {"scikit-learn": "1.3.2"}
    assert "different releases of scikit-learn: 0.24.2, 1.3.2" in warnings[0]


def test_the_sum_of_the_source_is_reported() -> None:
    data = pickle.dumps(_MODEL)
    ingested = read(data)
    assert len(ingested.sha256) == 64
    assert ingested.bytes == len(data)


@pytest.mark.parametrize("limits", [Limits(opcodes=10), Limits(memo=2), Limits(depth=1), Limits(name=5)])
def test_limits_are_kept(limits: Limits) -> None:
    with pytest.raises(IngestError):
        read(pickle.dumps(_MODEL), limits=limits)


def test_steps_with_commas_between_them_are_one_pipeline() -> None:
    root = {"model": _MODEL, "nested": {"scaler": _SCALER}, "a,b": _MODEL}
    ingested = _read(root, "nested.scaler, model")
    assert (ingested.path, ingested.root.path) == ("nested.scaler,model", "sklearn.pipeline.Pipeline")
    assert fingerprint(lower(ingested.root)) == fingerprint(lower(_read(make_pipeline(_SCALER, _MODEL)).root))
    live = follow(root, ingested.path)
    np.testing.assert_array_equal(live.predict(_X), make_pipeline(_SCALER, _MODEL).predict(_X))
    assert _read(root, "a,b").root.name == "LinearRegression"  # a key may hold a comma


@pytest.mark.parametrize(
    ("select", "said"),
    [("scaler,modle", "'modle' is not among"), ("scaler,columns", "is no model"), ("scaler,scaler", "twice")],
)
def test_steps_that_are_none_are_refused(select: str, said: str) -> None:
    with pytest.raises(IngestError, match=said):
        _read({"scaler": _SCALER, "model": _MODEL, "columns": ["a"]}, select)


def test_steps_that_do_not_fit_together_are_refused() -> None:
    narrow = LinearRegression().fit(_X[:, :2], [1.0, 2.0, 3.0])
    root = _read({"scaler": _SCALER, "model": narrow}, "scaler,model").root
    with pytest.raises(UnsupportedEstimatorError, match="fitted on 2 columns and is handed 3"):
        lower(root)


def test_a_transformer_and_its_model_are_offered_as_a_pipeline() -> None:
    with pytest.raises(IngestError) as caught:
        _read({"best": {"clf": _MODEL, "scaler": _SCALER}})
    assert "--select best.scaler,best.clf" in caught.value.hint

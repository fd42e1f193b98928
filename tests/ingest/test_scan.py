"""`scan` lists what a pickle would import, with verdicts, and survives what `read` refuses."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from slimml.errors import UsageError
from slimml.ingest.names import is_harmless
from slimml.ingest.scan import scan
from tests.ingest.attack import call, name, stream, text

_X = np.random.default_rng(0).normal(size=(30, 2))


def test_an_honest_model_is_harmless() -> None:
    report = scan(pickle.dumps(RandomForestRegressor(2).fit(_X, _X[:, 0])))
    assert report.verdict == "harmless"
    assert is_harmless(report.imports) == []
    roles = {i.path: i.roles for i in report.imports}
    assert roles["sklearn.tree._tree.Tree"] == ("called",)
    assert roles["sklearn.ensemble._forest.RandomForestRegressor"] == ("class",)
    assert roles["numpy.ndarray"] == ("value",)


def test_every_import_has_a_role_a_verdict_and_an_effect() -> None:
    report = scan(
        stream(b"(" + call(name("os", "system"), text("ls")), name("mine", "f"), name("numpy", "ndarray"), b"t")
    )
    assert [(i.path, i.roles, i.verdict) for i in report.imports] == [
        ("os.system", ("called",), "dangerous"),
        ("mine.f", ("value",), "unknown"),
        ("numpy.ndarray", ("value",), "harmless"),
    ]
    assert "runs system commands" in report.imports[0].effect
    assert is_harmless(report.imports) == ["os.system", "mine.f"]
    assert report.verdict == "dangerous"


def test_a_broken_stream_is_listed_as_far_as_it_goes() -> None:
    report = scan(b"\x80\x04" + call(name("os", "system"), text("ls")) + b"\xff")
    assert not report.complete
    assert report.stopped_at is not None
    assert [i.path for i in report.imports] == ["os.system"]


def test_dotted_names_are_listed_before_the_stop() -> None:
    report = scan(stream(text("sklearn") + text("os.system") + b"\x93"))
    assert [(i.path, i.verdict) for i in report.imports] == [("sklearn.os.system", "dangerous")]
    assert not report.complete


def test_functions_that_honest_files_lend_are_never_harmless() -> None:
    report = scan(stream(call(name("functools", "partial"), name("numpy", "log1p"))))
    assert is_harmless(report.imports) == ["functools.partial"]


def test_a_harmless_class_called_as_a_function_is_not_harmless() -> None:
    assert scan(stream(call(name("sklearn.base", "clone"), b"N"))).verdict == "unknown"
    assert (
        scan(stream(call(name("sklearn.feature_selection._univariate_selection", "chi2"), b"N"))).verdict == "unknown"
    )


def test_prefixes_allow_nothing() -> None:
    for module in ("numpy.core.multiarray.x", "sklearn", "sklearn.tree._tree2", "numpyx"):
        assert scan(stream(name(module, "Tree"))).verdict == "unknown"


def test_files_that_are_no_pickle_are_reported_not_raised() -> None:
    report = scan(b"<html></html>")
    assert not report.complete
    assert "HTML" in report.stopped
    assert report.verdict == "unknown"


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        scan(tmp_path / "none.pkl")


def test_the_report_is_ready_for_json() -> None:
    said = json.loads(json.dumps(scan(pickle.dumps({"a": np.arange(3)})).to_json()))
    assert said["verdict"] == "harmless"
    assert said["complete"] is True
    assert {i["name"] for i in said["imports"]} >= {"ndarray", "dtype"}

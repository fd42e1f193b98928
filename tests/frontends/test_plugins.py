"""Lowerings that users register: they go before slimml's own, and what goes wrong in them is told as theirs."""

from __future__ import annotations

import pickle
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import slimml
from slimml.cli import main
from slimml.errors import UserCodeError
from slimml.frontends import registry
from slimml.frontends.lowerer import Model
from slimml.ir.node import Node
from slimml.ir.ops.columns import Select
from slimml.runtime import load
from tests.shared import ROOT

X = np.random.default_rng(0).normal(size=(50, 3))
Y = X @ [1.0, 2.0, 3.0]


class Debias(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.offsets_, self.n_features_in_ = X.mean(axis=0), X.shape[1]
        return self

    def transform(self, X):
        return np.asarray(X) - self.offsets_


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A pipeline with a step of somebody's package; what a test registers is gone after it."""
    monkeypatch.setattr(Debias, "__module__", "shop.features")
    for name in ("shop", "shop.features"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["shop.features"].Debias = Debias  # type: ignore[attr-defined]
    monkeypatch.setattr(registry, "_USERS", {})
    monkeypatch.setattr("slimml.driver.MEASURE_SECONDS", 0.05)
    yield make_pipeline(Debias(), LinearRegression()).fit(X, Y)


def _example() -> str:
    """The module that CONTRIBUTING shows."""
    found = re.search(r"```python\n(# my_lowerings\.py.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
    assert found is not None
    return found[1]


def test_the_example_of_the_documentation_works_from_python(model: Any):
    exec(compile(_example(), "my_lowerings.py", "exec"), {"__name__": "my_lowerings"})
    result = slimml.shrink(model, backend="portable", exactness="bitwise")
    assert result.reference.how == "in-process" and result.candidates[0].exactness is not None
    np.testing.assert_array_equal(result.load().predict(X), model.predict(X))


def test_the_command_imports_it_from_where_the_user_stands(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_lowerings", raising=False)
    Path("model.pkl").write_bytes(pickle.dumps(model))
    Path("my_lowerings.py").write_text(_example())
    shrink = ["shrink", "model.pkl", "-o", "model.slim", "--backend", "portable", "--exactness", "bitwise"]
    assert main(shrink) == 3 and "--plugin" in capsys.readouterr().err
    assert main([*shrink, "--plugin", "my_lowerings"]) == 0
    np.testing.assert_array_equal(load("model.slim").predict(X), model.predict(X))


def _raises(est: Any, x: Any, ctx: Any) -> Any:
    return est.fields["no such attribute"]


def _answers_nothing(est: Any, x: Any, ctx: Any) -> Any:
    return None


def _contradicts_itself(est: Any, x: Any, ctx: Any) -> Any:
    return Select(inputs=(ctx.floats(x),), index=np.array([99]))


def _has_its_own_op(est: Any, x: Any, ctx: Any) -> Any:
    class Doubled(Node):
        def infer(self) -> Any:
            return self.source

    return Doubled(inputs=(ctx.floats(x),))


def _has_no_outputs(est: Any, x: Any, ctx: Any) -> Any:
    return Model(())


@pytest.mark.parametrize(
    ("lowering", "said"),
    [
        (_raises, "KeyError: 'no such attribute'"),
        (_answers_nothing, "returned a NoneType"),
        (_contradicts_itself, "MalformedGraphError"),
        (_has_its_own_op, "Doubled is no op of slimml's"),
        (_has_no_outputs, "not a Node or a Model"),
    ],
)
def test_what_goes_wrong_is_told_as_the_users_own(
    lowering: Callable[..., Any],
    said: str,
    model: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    slimml.lowers("shop.features.Debias")(lowering)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    assert main(["shrink", str(path), "-o", str(tmp_path / "out.slim")]) == 3
    message = capsys.readouterr().err
    assert f"the lowering {lowering.__module__}.{lowering.__name__} of shop.features.Debias raised" in message
    assert "model.debias" in message and said in message and "code of yours" in message
    with pytest.raises(UserCodeError) as caught:
        slimml.shrink(model)
    assert caught.value.where == "model.debias" and caught.value.__cause__ is not None


def test_an_option_that_it_refuses_is_a_refusal_like_any_other(model: Any):
    @slimml.lowers("shop.features.Debias")
    def refuses(est: Any, x: Any, ctx: Any) -> Any:
        raise ctx.unsupported("Debias of several groups is not handled")

    with pytest.raises(slimml.errors.UnsupportedEstimatorError, match="several groups") as caught:
        slimml.shrink(model)
    assert caught.value.where == "model.debias"


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 2, "there is no such module"),
        ("import no_such_dependency", 3, "no_such_dependency"),
        ("1/0", 3, "ZeroDiv"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_told_apart(
    content: str | None,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    if content is not None:
        Path("broken_plugin.py").write_text(content)
    Path("model.pkl").write_bytes(b"")
    assert main(["shrink", "model.pkl", "--plugin", "broken_plugin"]) == code
    assert said in capsys.readouterr().err


def test_it_goes_before_slimmls_own(model: Any):
    path = "sklearn.linear_model._base.LinearRegression"
    own = registry.lowering(path)

    @slimml.lowers(path)
    def mine(est: Any, x: Any, ctx: Any) -> Any:
        assert own is not None
        return own(est, x, ctx)

    assert registry.lowering(path) is mine and not registry.own(path)

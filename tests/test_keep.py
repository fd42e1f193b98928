"""Steps that stay Python of the user's: in front of the compiled part or behind it, named and never held."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import slimml
from slimml.artifact.kept import kept_from_json
from slimml.cli import main
from slimml.errors import (
    ArtifactCorruptError,
    InputError,
    NoBackendError,
    ParityError,
    UnsupportedEstimatorError,
    UsageError,
    UserCodeError,
)
from slimml.result import ShrinkResult
from tests.kept_steps import Nearest, Ratios, nearest, ratios, sign, words

RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.normal(size=60), "b": RNG.normal(size=60)})
Y = np.where(X["a"] + X["b"] > 0, "yes", "no")
HERE = "tests.kept_steps"


def tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=3, random_state=0)


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slimml.driver.MEASURE_SECONDS", 0.02)
        yield


@cache
def front() -> Pipeline:
    return Pipeline([("feats", Ratios()), ("scale", StandardScaler()), ("clf", tree())]).fit(X, Y)


def shrink(model: Any, keep: dict[str, str], **options: Any) -> ShrinkResult:
    given = {"data": X, "backend": "portable", "exactness": "bitwise", **options}
    return slimml.shrink(model, keep=keep, **given)


@cache
def kept_front() -> ShrinkResult:
    return shrink(front(), {"feats": f"{HERE}:ratios"})


def test_a_custom_first_step_stays_python_and_the_rest_is_compiled():
    result, model = kept_front(), kept_front().load()
    for method in ("predict", "predict_proba"):
        np.testing.assert_array_equal(getattr(model, method)(X), getattr(front(), method)(X))
    assert model.predict(X.iloc[3].to_dict()) == front().predict(X)[3]
    assert model.predict(X.iloc[3].tolist()) == front().predict(X)[3]
    assert model.predict_proba([*X.iloc[:2].to_dict("records")]).tolist() == front().predict_proba(X.iloc[:2]).tolist()
    assert model.predict_proba(X.iloc[0].to_dict()) == front().predict_proba(X)[0].tolist()
    assert model.feature_names_in_.tolist() == ["a", "b"] and model.n_features_in_ == 2
    assert model.classes_.tolist() == ["no", "yes"]
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == model.predict(X).tolist()
    with pytest.raises(InputError, match="'b'"):
        model.predict({"a": 1.0})
    assert result.kept is not None and result.kept.parity is not None
    assert (result.kept.parity.verdict, result.kept.parity.rows) == ("bitwise", len(X))


def test_the_report_and_the_header_say_what_stays_python():
    (step,) = kept_front().to_json()["kept"]["steps"]
    assert (step["path"], step["function"], step["place"]) == ("model.feats", f"{HERE}:ratios", "front")
    assert step["takes"] == {"form": "frame", "width": 2, "names": ["a", "b"], "dtypes": ["float64", "float64"]}
    assert step["gives"] == {"form": "frame", "width": 3, "names": ["a", "b", "ratio"], "dtypes": ["float64"]}
    assert any("model.feats stays Python" in w and "in front" in w for w in kept_front().warnings)
    opened = slimml.load(kept_front().artifact)
    assert [k.to_json() for k in opened.manifest.kept] == [step]


def test_without_its_function_the_model_opens_and_answers_nothing():
    model = slimml.load(kept_front().artifact)
    assert f"{HERE}:ratios" in repr(model) and model.outputs[0] == "predict"
    with pytest.raises(UsageError, match="Python of yours") as caught:
        model.predict(X)
    assert f'python={{"{HERE}:ratios"' in caught.value.hint and caught.value.where == "model.feats"
    with pytest.raises(UsageError, match="names no 'other:thing'"):
        slimml.load(kept_front().artifact, python={"other:thing": ratios})
    with pytest.raises(UsageError, match="names no"):
        slimml.load(slimml.shrink(front()[1:], backend="portable").artifact, python={"a:b": ratios})


def test_opening_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "canary_of_keep.py").write_text(
        "def transform(X):\n    X = X.copy()\n    X['ratio'] = 0.0\n    return X\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = shrink(front(), {"feats": "canary_of_keep:transform"}, data=None)
    monkeypatch.delitem(sys.modules, "canary_of_keep")
    model = slimml.load(result.artifact)
    with pytest.raises(UsageError):
        model.predict(X)
    assert "canary_of_keep" not in sys.modules


def test_a_last_step_stays_python_with_the_methods_that_its_object_has():
    model = Pipeline([("scale", StandardScaler()), ("clf", Nearest())]).fit(X, Y)
    result = shrink(model, {"model.clf": f"{HERE}:nearest"})
    loaded = result.load()
    assert loaded.outputs == ("predict", "predict_proba")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.predict(X.iloc[0].to_dict()) == model.predict(X)[0]
    assert loaded.predict_proba(X.iloc[0].tolist()) == model.predict_proba(X)[0].tolist()
    assert loaded.classes_.tolist() == ["no", "yes"] and loaded.feature_names_in_.tolist() == ["a", "b"]
    assert result.kept is not None and result.kept.parity is not None and result.kept.parity.verdict == "bitwise"
    (step,) = slimml.load(result.artifact).manifest.kept
    assert (step.place, step.methods, step.takes.width) == ("behind", ("predict", "predict_proba"), 2)
    alone = slimml.load(shrink(model, {"clf": f"{HERE}:sign"}).artifact, python={f"{HERE}:sign": sign})
    assert alone.outputs == ("predict",) and alone.predict(X).tolist() == model.predict(X).tolist()


def test_steps_on_both_sides_and_inside_of_nested_pipelines():
    inner = Pipeline([("feats", Ratios()), ("scale", StandardScaler())])
    model = Pipeline([("prep", inner), ("again", StandardScaler()), ("clf", Nearest())]).fit(X, Y)
    result = shrink(model, {"prep.feats": f"{HERE}:ratios", "clf": f"{HERE}:nearest"})
    np.testing.assert_array_equal(result.load().predict_proba(X), model.predict_proba(X))
    assert [k.path for k in slimml.load(result.artifact).manifest.kept] == ["model.prep.feats", "model.clf"]


def test_a_reader_of_documents_stays_python():
    documents, y = ["red wine", "a long white wine", "beer", "one more pale beer"] * 5, [1, 0, 1, 0] * 5
    model = make_pipeline(FunctionTransformer(words), StandardScaler(), tree()).fit(documents, y)
    keep = {"functiontransformer": f"{HERE}:words"}
    result = shrink(model, keep, data=documents)
    loaded = result.load()
    np.testing.assert_array_equal(loaded.predict_proba(documents), model.predict_proba(documents))
    assert loaded.predict(documents[0]) == model.predict(documents)[0]
    assert result.kept is not None and result.kept.parity is not None and result.kept.parity.verdict == "bitwise"
    untold = shrink(model, keep, data=None)
    assert untold.kept is not None and "only the rows of --data can be compared" in untold.kept.sentence
    with pytest.raises(InputError, match="one row or several documents"):
        untold.load().predict(documents)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ({"scale": f"{HERE}:ratios"}, "stands between"),
        ({"other": f"{HERE}:ratios"}, "there is no step other"),
        ({"feats": f"{HERE}:ratios", "scale": f"{HERE}:ratios", "clf": f"{HERE}:sign"}, "nothing is left"),
        ({"feats": "no path"}, "is no import path"),
        ({"feats": "os.path"}, "is no import path"),
        ({"feats": f"{HERE}:missing"}, "cannot be imported"),
        ({"feats": "no_such_package:transform"}, "cannot be imported"),
        ({"feats": f"{HERE}:Ratios"}, "is a class"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_reason(keep: dict[str, str], said: str):
    with pytest.raises(UsageError, match=said):
        shrink(front(), keep)


def test_a_step_in_a_branch_is_refused_and_so_is_a_model_without_steps():
    columns = ColumnTransformer([("feats", Ratios(), ["a", "b"])])
    model = Pipeline([("columns", columns), ("clf", LogisticRegression())]).fit(X, Y)
    with pytest.raises(UsageError, match=r"inside of columns") as caught:
        shrink(model, {"columns.feats": f"{HERE}:ratios"})
    assert "--keep columns=" in caught.value.hint
    with pytest.raises(UsageError, match="steps of a Pipeline"):
        shrink(LogisticRegression().fit(X, Y), {"clf": f"{HERE}:sign"})


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("not_ratios", ParityError, "does not do what its step did"),
        ("half", UserCodeError, "30 rows of 60"),
        ("fails", UserCodeError, "raised KeyError on the rows of --data: 'no such column'"),
    ],
)
def test_a_function_that_does_something_else_is_found_out(name: str, error: type[Exception], said: str):
    with pytest.raises(error, match="(?s)" + said):
        shrink(front(), {"feats": f"{HERE}:{name}"})


def test_what_a_function_raises_when_it_answers_is_told_as_the_users():
    model = slimml.load(kept_front().artifact, python={f"{HERE}:ratios": lambda X: X[["nowhere"]]})
    with pytest.raises(UserCodeError, match="KeyError") as caught:
        model.predict(X)
    assert caught.value.where == "model.feats" and isinstance(caught.value.__cause__, KeyError)
    model = slimml.load(kept_front().artifact, python={f"{HERE}:ratios": lambda X: ratios(X).iloc[:1]})
    with pytest.raises(UserCodeError, match="made 1 rows of 60"):
        model.predict(X)


def test_other_runtimes_hold_no_python(tmp_path: Path):
    with pytest.raises(UsageError, match="hold no Python"):
        shrink(front(), {"feats": f"{HERE}:ratios"}, out=tmp_path / "model.onnx", backend="auto")
    path = tmp_path / "model.slim"
    path.write_bytes(kept_front().artifact or b"")
    with pytest.raises(NoBackendError, match=r"keeps model\.feats as Python"):
        slimml.export(path, tmp_path / "model.onnx")
    assert slimml.gate(path).ok  # of the compiled part


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("model.pkl").write_bytes(pickle.dumps(front()))
    X.assign(y=Y).to_csv("rows.csv", index=False)
    shrink = ["shrink", "model.pkl", "--data", "rows.csv", "--target", "y", "--backend", "portable", "--trust"]
    assert main([*shrink, "--json", "-"]) == 3  # Ratios is nobody's
    assert "--keep" in json.loads(capsys.readouterr().out)["error"]["hint"]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    assert main([*shrink, "--keep", f"feats={HERE}:ratios", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reference"]["how"] == "process" and found["kept"]["parity"]["rows"] == len(X)
    assert main(["inspect", "model.slim"]) == 0
    assert f"in front of the compiled part: model.feats ({HERE}:ratios)" in capsys.readouterr().out
    assert main(["predict", "model.slim", "rows.csv"]) == 2
    assert "Register it" in capsys.readouterr().err
    assert main(["predict", "model.slim", "rows.csv", "--python", f"{HERE}:ratios"]) == 0
    assert capsys.readouterr().out.split()[1:] == front().predict(X).tolist()
    assert main(["verify", "model.slim"]) == 0
    assert main(["verify", "model.pkl", "model.slim", "--trust"]) == 0
    assert "not compared, as they stay Python: model.feats" in capsys.readouterr().out
    assert main(["verify", "model.pkl", "model.slim", "--data", "rows.csv"]) == 2
    data = ["--data", "rows.csv", "--python", f"{HERE}:ratios"]
    assert main(["verify", "model.pkl", "model.slim", "--trust", *data]) in (0, 3)
    assert main([*shrink, "--keep", "feats"]) == 2


def _step(**changes: Any) -> dict[str, Any]:
    rows = {"form": "frame", "width": 1, "names": ["a"], "dtypes": ["float64"]}
    step = {"path": "model.a", "function": "m:f", "place": "front", "takes": rows, "gives": copy.deepcopy(rows)}
    return {**step, "methods": [], **changes}


_BEHIND = {"place": "behind", "methods": ["predict"]}


@pytest.mark.parametrize(
    "steps",
    [
        None,
        {},
        [],
        [None],
        [_step()] * 17,
        [_step(), _step()],
        [_step(extra=1)],
        [{k: v for k, v in _step().items() if k != "gives"}],
        [_step(path="")],
        [_step(path=7)],
        [_step(path="x" * 500)],
        [_step(function="os.system")],
        [_step(function="a:b:c")],
        [_step(function="a:b()")],
        [_step(function="a b:c")],
        [_step(function="a\n:c")],
        [_step(function="m:" + "f" * 500)],
        [_step(function=["m:f"])],
        [_step(place="middle")],
        [_step(place=["front"])],
        [_step(methods=["predict"])],
        [_step(**_BEHIND), _step(path="model.b")],
        [_step(place="behind")],
        [_step(**_BEHIND), _step(path="model.b", **_BEHIND)],
        [_step(place="behind", methods=["__reduce__"])],
        [_step(place="behind", methods=["predict", "predict"])],
        [_step(place="behind", methods="predict")],
        [_step(takes=None)],
        [_step(takes={"form": "frame"})],
        *(
            [_step(takes={"form": "frame", "width": 1, "names": ["a"], "dtypes": []} | change)]
            for change in (
                {"form": "pickle"},
                {"form": ["frame"]},
                {"width": -1},
                {"width": True},
                {"width": 1.0},
                {"width": 1 << 60},
                {"width": None},
                {"names": ["a", "b"]},
                {"names": "a"},
                {"names": [1]},
                {"width": 2, "names": ["a", "a"]},
                {"dtypes": ["float64"] * 3},
                {"dtypes": [[]]},
            )
        ),
    ],
    ids=lambda steps: str(steps)[:60],
)
def test_a_header_with_malformed_kept_steps_is_refused(steps: Any):
    with pytest.raises(ArtifactCorruptError):
        kept_from_json(steps)


def test_a_sound_header_is_read_back():
    steps = [_step(), _step(path="model.b"), _step(path="model.c", place="behind"), _step(path="model.d", **_BEHIND)]
    assert [k.to_json() for k in kept_from_json(steps)] == steps


def test_the_hint_of_an_unknown_step_names_the_way():
    with pytest.raises(UnsupportedEstimatorError) as caught:
        slimml.shrink(front())
    assert "--keep" in caught.value.hint and nearest is not None

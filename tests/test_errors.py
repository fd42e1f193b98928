"""Errors: the tree that the docstring draws, exit codes, messages."""

from __future__ import annotations

import pickle
import re
import sys
from typing import Any

import pytest

from slimml import _optional, errors

CLASSES: dict[str, Any] = {
    name: c for name, c in vars(errors).items() if isinstance(c, type) and issubclass(c, Exception)
}


def test_the_docstring_draws_every_error_below_its_base():
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for indent, name in re.findall(r"^( {4,})(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        above = [(depth, base) for depth, base in above if depth < len(indent)]
        drawn[name] = above[-1][1] if above else "Exception"
        above.append((len(indent), name))
    assert drawn == {name: c.__bases__[0].__name__ for name, c in CLASSES.items()}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ParityError", 1),
        ("BudgetError", 1),
        ("UsageError", 2),
        ("MissingDependencyError", 2),
        ("IngestError", 3),
        ("UnsupportedEstimatorError", 3),
        ("InputError", 3),
        ("ArtifactCorruptError", 3),
        ("InternalError", 70),
    ],
)
def test_exit_code(name: str, code: int):
    assert CLASSES[name].exit_code == code


def test_a_bug_of_ours_is_no_slimml_error():
    assert not issubclass(errors.InternalError, errors.SlimmlError)


def test_callers_may_catch_the_usual_python_errors():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.MissingDependencyError, ImportError)


def test_a_message_says_what_where_and_what_next():
    error = errors.UnsupportedEstimatorError("no lowering for MyEncoder", where="pipe.prep.cat", hint="write one")
    assert str(error) == "pipe.prep.cat: no lowering for MyEncoder\n  write one"
    assert (error.what, error.where, error.hint) == ("no lowering for MyEncoder", "pipe.prep.cat", "write one")


def test_an_ingest_error_names_the_offset():
    error = errors.CorruptInputError("the stream ends early", offset=17)
    assert "at byte 17" in str(error)
    assert error.offset == 17


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"InternalError"}))
def test_errors_survive_a_pickle(name: str):
    error = CLASSES[name]("what", where="where", hint="hint")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "meta_path", [])  # nothing can be found
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    assert _optional.missing("onnxruntime", "onnx") == ('onnxruntime is not installed; run: pip install "slimml[onnx]"')
    with pytest.raises(errors.MissingDependencyError, match="onnxruntime is not installed") as caught:
        _optional.require("onnxruntime", "onnx")
    assert caught.value.hint == 'run: pip install "slimml[onnx]"'


def test_hummingbird_is_installed_apart():
    command = _optional.install_command("hummingbird")
    assert command == 'pip install "slimml[hummingbird]" && pip install --no-deps hummingbird-ml==0.4.12'


def test_a_package_that_does_not_import_is_not_called_missing(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_package.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.MissingDependencyError, match=r"broken_package cannot be imported: .*not_there"):
        _optional.require("broken_package", "onnx")


def test_an_installed_package_is_returned_and_not_missing():
    assert _optional.missing("json", "onnx") is None
    assert _optional.require("json.decoder", "onnx").__name__ == "json.decoder"

"""What the repository promises about itself: commands that the README names, extras, nothing of one machine."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import tomllib

import pytest

import slimml
from benchmarks.run import RESULTS, SHOWN, table
from slimml import _optional
from tests.shared import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    extra: {re.split(r"[\[<>=~;!]", line)[0].strip() for line in lines}
    for extra, lines in PROJECT["optional-dependencies"].items()
}


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [f for f in listed.stdout.split("\0") if f and (ROOT / f).is_file()]


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    names = re.compile(
        r"p[y]pi\.org|p[y]thonhosted\.org|registry\.n[p]mjs|deb\.d[e]bian\.org|/(?:w[o]rk|r[o]ot)/|/h[o]me/\w"
    )
    found = []
    for file in tracked_files():
        text = (ROOT / file).read_bytes().decode("utf-8", errors="ignore")
        found += [f"{file}: {m.group()}" for m in names.finditer(text)]
    assert found == []


def test_make_commands_in_the_documents_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        text = (ROOT / document).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`|\s{4})make ([a-z]+)", text, re.MULTILINE))
        assert named <= targets, document


def test_extras_are_those_of_the_design():
    assert EXTRAS["onnx"] == {"onnx", "onnxruntime", "skl2onnx"}
    assert EXTRAS["treelite"] == {"treelite", "tl2cgen"}
    assert EXTRAS["reference"] == {"scikit-learn", "xgboost-cpu", "xgboost", "lightgbm"}
    assert EXTRAS["data"] == {"pyarrow", "pandas"}
    assert EXTRAS["hummingbird"] == {"torch", "psutil", "dill", "onnxconverter-common", "scikit-learn"}
    assert PROJECT["optional-dependencies"]["all"] == ["slimml[onnx,treelite,reference,data]"]
    assert "torch" not in EXTRAS["test"]


def test_the_makefile_and_the_message_install_the_same_hummingbird():
    pinned = re.search(r"hummingbird-ml==[\d.]+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert pinned and pinned.group() in _optional.install_command("hummingbird")


def test_the_console_script_is_the_command_line():
    assert PROJECT["scripts"] == {"slimml": "slimml.cli:main"}


def test_hooks_are_local():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]


@pytest.mark.parametrize("name", sorted(set(slimml.__all__) - {"__version__"}))
def test_public_names_are_bound_on_first_use(name: str):
    assert getattr(slimml, name) is not None
    assert name in dir(slimml)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'shrnk'"):
        _ = slimml.shrnk


def test_no_verb_is_also_a_module():
    for verb in ("shrink", "verify", "scan", "load", "analyze", "bench", "gate", "export"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"slimml.{verb}")


def test_numbers_of_the_readme_are_those_of_the_benchmarks():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = json.loads((RESULTS / "shrink.json").read_text(encoding="utf-8"))
    assert table(results["runs"]) in readme
    shown = (RESULTS / f"{SHOWN}.txt").read_text(encoding="utf-8").strip()
    assert shown in readme

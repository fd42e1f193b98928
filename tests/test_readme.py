"""What the README shows runs as it stands."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from tests.shared import ROOT
from tests.zoo import people

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^slimml .*$", "\n".join(text for _, text in BLOCKS), re.MULTILINE) + re.findall(
    r"^    (slimml .*)$", README, re.MULTILINE
)


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the files that the README speaks of: a pickle, rows, and an artifact that was released."""
    where = tmp_path_factory.mktemp("readme")
    rows = people(200, 1).rename(columns={"job": "occupation"})[["age", "occupation"]]
    codes = ColumnTransformer(
        [("job", OneHotEncoder(handle_unknown="ignore"), ["occupation"])], remainder="passthrough"
    )
    model = make_pipeline(codes, DecisionTreeClassifier(max_depth=4, random_state=0)).fit(
        rows, (rows["age"] > 40) ^ (rows["occupation"] == "clerk")
    )
    (where / "model.pkl").write_bytes(pickle.dumps(model))
    rows.head(40).to_csv(where / "rows.csv", index=False)
    done = run("-m", "slimml", "shrink", "model.pkl", "-o", "model.slim", "--backend", "portable", folder=where)
    assert done.returncode == 0, done.stderr
    shutil.copy(where / "model.slim", where / "released.slim")
    return where


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command: str, folder: Path):
    # What another command of the README chose to write need not be as small as what was released.
    shutil.copy(folder / "released.slim", folder / "model.slim")
    done = run("-m", *command.split(), folder=folder)
    assert done.returncode == 0, done.stderr
    for output in re.findall(r"(?:-o|--html|--report|--junit|--markdown) (\S+)", command):
        assert (folder / output).stat().st_size


def test_python_runs(folder: Path):
    script, suite = (text for language, text in BLOCKS if language == "python")
    done = run("-c", script, folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "test_model.py").write_text(suite)
    plugin = [] if entry_points(group="pytest11", name="slimml") else ["-p", "slimml.pytest_plugin"]
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, "test_model.py", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr

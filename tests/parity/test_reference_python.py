"""`--reference-python`: the original run by another Python, in an environment of its own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import slimml
from slimml.errors import UsageError
from slimml.parity.process import ProcessReference
from slimml.parity.reference import ReferenceFailedError
from tests.zoo import zoo_model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the environments are made as on Linux and macOS")


@pytest.fixture(scope="module", autouse=True)
def _brief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slimml.driver.MEASURE_SECONDS", 0.02)
        patch.delenv("PYTHONPATH", raising=False)
        yield


@cache
def model() -> bytes:
    return pickle.dumps(zoo_model("logistic/binary")[0])


def _environment(folder: Path, *, packages: bool) -> str:
    """A virtual environment; with the packages of this one, or with none."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = str(folder / "bin" / "python")
    if packages:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        here = {sysconfig.get_path("purelib"), str(Path(np.__file__).parent.parent)}
        (Path(own) / "others.pth").write_text("\n".join(sorted(here)) + "\n")
    return python


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _environment(tmp_path_factory.mktemp("env") / "with", packages=True)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _environment(tmp_path_factory.mktemp("env") / "without", packages=False)


def test_the_original_is_run_by_the_other_python(other: str):
    result = slimml.shrink(model(), backend="portable", reference_python=other)
    assert result.reference.how == "reference-python", result.reference.sentence
    parity = result.candidates[0].parity
    assert parity is not None and parity.verdict in ("bitwise", "rounding")
    again = slimml.verify(model(), result.artifact, reference_python=other)
    assert again.ok and again.reference.how == "reference-python"


def test_a_python_that_is_no_program_is_wrong_usage(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a program"):
        slimml.shrink(model(), reference_python=str(tmp_path / "bin" / "python"))


def test_a_python_without_the_packages_is_told_and_the_model_compiled_all_the_same(bare: str):
    result = slimml.shrink(model(), backend="portable", reference_python=bare)
    assert result.reference.how == "none" and result.chosen == "portable"
    assert "No module named 'numpy'" in result.reference.sentence


def test_a_python_with_another_release_is_told(other: str):
    import sklearn

    mine = sklearn.__version__.encode()
    written = mine[:2] + (b"8" if mine[2:3] != b"8" else b"7") + mine[3:]
    result = slimml.shrink(model().replace(mine, written), backend="portable", reference_python=other)
    assert result.reference.how == "none"
    said = f"scikit-learn {written.decode()} wrote the file and {mine.decode()} would run it"
    assert said in result.reference.sentence


def test_a_python_that_does_not_come_to_an_end_is_given_up(tmp_path: Path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    with pytest.raises(ReferenceFailedError, match="did not load the model within 0.5 s"):
        ProcessReference.start(model(), python=str(script), load_seconds=0.5)

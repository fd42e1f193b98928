"""With the base dependencies alone (numpy, scipy, rich) slimml shrinks, answers and says what it could not compare.

Once in an environment that links to the packages installed here, and once in a real one, which is made anew when the
dependencies change and is kept in pytest's cache folder.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import slimml
from tests.shared import ROOT
from tests.zoo import people, zoo_model

HIDDEN = """sklearn pandas polars pyarrow joblib onnx onnxruntime skl2onnx onnxconverter_common treelite tl2cgen
    xgboost lightgbm torch hummingbird psutil lz4 cloudpickle dill threadpoolctl hypothesis""".split()
BASE = ["numpy", "scipy", "rich"]


@dataclass(frozen=True)
class Case:
    """A pickled pipeline, rows, and the original's own answers, made here where scikit-learn is."""

    folder: Path
    labels: list[object]
    chances: np.ndarray


@pytest.fixture
def case(tmp_path: Path) -> Case:
    estimator, _ = zoo_model("forest/pipeline-three")
    rows = people(25, seed=3)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(estimator))
    read = pd.read_csv(tmp_path / "rows.csv")
    return Case(tmp_path, estimator.predict(read).tolist(), estimator.predict_proba(read))


def check(python: str, environment: dict[str, str], case: Case) -> None:
    """The main job, start to end, in an interpreter that has the base dependencies alone."""

    def slim(*argv: str) -> str:
        command = [python, "-m", "slimml", *argv]
        done = subprocess.run(command, cwd=case.folder, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    report = json.loads(slim("shrink", "model.pkl", "-o", "model.slim", "--data", "rows.csv", "--json", "-"))
    assert (report["ok"], report["chosen"]) == (True, "portable")
    assert report["reference"]["how"] == "none"
    others = [c for c in report["candidates"] if c["backend"] != "portable"]
    assert others and all("is not installed; run: pip install" in c["refused"] for c in others)

    (said,) = (w for w in report["warnings"] if w.startswith("not compared with the original: scikit-learn"))
    assert "is not installed" in said
    assert said in slim("shrink", "model.pkl", "-o", "again.slim", "--data", "rows.csv")
    assert (case.folder / "again.slim").read_bytes() == (case.folder / "model.slim").read_bytes()
    assert "not compared with the original" in slim("inspect", "model.slim")

    assert json.loads(slim("verify", "model.slim", "--json", "-"))["ok"]
    compared = json.loads(slim("verify", "model.pkl", "model.slim", "--json", "-"))
    assert (compared["ok"], compared["reference"]["how"]) == (True, "none")
    assert json.loads(slim("scan", "model.pkl", "--json", "-"))["verdict"] == "harmless"

    slim("predict", "model.slim", "rows.csv", "-o", "labels.csv")
    slim("predict", "model.slim", "rows.csv", "-o", "chances.npy", "--method", "predict_proba")
    assert pd.read_csv(case.folder / "labels.csv")["predict"].tolist() == case.labels
    assert np.array_equal(np.load(case.folder / "chances.npy"), case.chances)


def test_shrink_works_beside_the_base_dependencies_alone(case: Case, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    found = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[-1])"], capture_output=True, text=True
    )
    link_distributions(Path(found.stdout.strip()), BASE)
    check(str(python), os.environ | {"PYTHONPATH": str(ROOT)}, case)


def link_distributions(site: Path, names: list[str]) -> None:
    """Links to what is installed here, of those distributions and what they need."""
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for entry in {f.parts[0] for f in distribution.files or () if f.parts[0] not in ("..", "__pycache__")}:
            if not (site / entry).exists():
                (site / entry).symlink_to(Path(str(distribution.locate_file(entry))))
        needs = [r for r in distribution.requires or () if "extra ==" not in r]
        link_distributions(site, [re.split(r"[^\w.-]", r)[0] for r in needs])


@pytest.mark.install
@pytest.mark.slow
def test_shrink_works_in_an_environment_with_the_base_dependencies_alone(case: Case, request: pytest.FixtureRequest):
    python = base_environment(request)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], env=environment, capture_output=True, text=True, check=True
    )
    installed = {p["name"].lower() for p in json.loads(listed.stdout)}
    assert {*BASE, "slimml"} <= installed
    assert not installed & {h.replace("_", "-") for h in HIDDEN} | {"scikit-learn"} & installed
    check(python, environment, case)


def base_environment(request: pytest.FixtureRequest) -> str:
    """The Python of a virtual environment with slimml, built from this tree, and what it depends on."""
    made_of = (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("base-install") / hashlib.sha256(made_of).hexdigest()[:16]
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "ready").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip(python, *BASE)
        (folder / "ready").touch()
    # A wheel is built each time: what is tested is that it holds all that is needed.
    pip(python, "--no-deps", "--force-reinstall", str(ROOT))
    return str(python)


def pip(python: Path, *arguments: str) -> None:
    command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and any(w in done.stderr for w in ("No matching distribution", "connection", "Connection")):
        pytest.skip(f"no package registry is in reach: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


RUNTIME = {"errors", "options", "schema", "_optional", "artifact", "runtime", "plan", "ir"}


def test_loading_and_answering_wakes_neither_compiler_nor_libraries(case: Case):
    pickled = slimml.shrink(case.folder / "model.pkl", out=case.folder / "model.slim", backend="portable")
    row = people(1, seed=3).iloc[0].to_dict()
    assert pickled.path is not None
    code = (
        "import sys, slimml\n"
        f"model = slimml.load({str(case.folder / 'model.slim')!r})\n"
        "model.predict(eval(sys.argv[1])); model.predict_proba([eval(sys.argv[1])])\n"
        "print(*sys.modules)"
    )
    plain = repr({k: getattr(v, "item", lambda v=v: v)() for k, v in row.items()}).replace("nan", "None")
    done = subprocess.run([sys.executable, "-c", code, plain], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    inside = {m.split(".")[1] for m in loaded if m.startswith("slimml.")}
    assert inside <= RUNTIME
    assert {m.split(".")[0] for m in loaded} & {*HIDDEN, "scipy", "rich"} == set()

"""slimml export, and shrink -o .tl: the file answers as the artifact, or is not written."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import slimml
from slimml.backends import BACKENDS
from slimml.backends.c_source import cost_of_c
from slimml.cli import main
from slimml.errors import NoBackendError, ParityError, UsageError
from slimml.ir.ops.delegates import OnnxCall
from tests.judge.conftest import write
from tests.zoo import zoo_model

NEEDS_COMPILER = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
FORESTS = ("forest/binary", "forest/missing", "boosting/regression", "hist/missing", "extra/regression")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    write(zoo_model("forest/binary")[0], tmp_path / "model.slim")
    return tmp_path / "model.slim"


@pytest.mark.parametrize("name", FORESTS)
@pytest.mark.parametrize("ending", ["onnx", "tl", "c"])
def test_forests_go_to_every_ending(name: str, ending: str, tmp_path: Path):
    if ending == "c" and shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    write(zoo_model(name)[0], tmp_path / "model.slim")
    out = tmp_path / f"model.{ending}"
    found = slimml.export(tmp_path / "model.slim", out)
    assert found.parity is not None and found.parity.verdict in ("bitwise", "rounding") and found.parity.rows > 500
    assert out.stat().st_size == found.bytes and found.kind == ending


def test_a_checkpoint_answers_the_rows_of_the_original(artifact: Path, tmp_path: Path):
    treelite = pytest.importorskip("treelite")
    slimml.export(artifact, tmp_path / "model.tl")
    estimator, rows = zoo_model("forest/binary")
    read = treelite.Model.deserialize(str(tmp_path / "model.tl"))
    got = treelite.gtil.predict(read, np.asarray(rows, dtype=np.float64))
    assert np.array_equal(got.reshape(len(rows), -1), estimator.predict_proba(rows))


@NEEDS_COMPILER
def test_c_takes_a_row_of_plain_numbers(artifact: Path, tmp_path: Path):
    slimml.export(artifact, tmp_path / "model.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-ffp-contract=off", "model.c", "-o", "model.so", "-lm"], cwd=tmp_path, check=True
    )
    library = ctypes.CDLL(str(tmp_path / "model.so"))
    estimator, rows = zoo_model("forest/binary")
    rows, out = np.ascontiguousarray(rows, dtype=np.float64), np.zeros(2)
    expected = estimator.predict_proba(rows)
    for row, wanted in zip(rows, expected, strict=True):
        library.slimml_predict(ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(out.ctypes.data))
        assert out.tolist() == wanted.tolist()


def test_shrink_writes_a_checkpoint(tmp_path: Path):
    result = slimml.shrink(zoo_model("forest/binary")[0], out=tmp_path / "model.tl")
    assert result.chosen == "treelite" and (tmp_path / "model.tl").read_bytes() == result.artifact
    (report,) = result.candidates
    assert report.exactness is not None and report.exactness.label == "bitwise" and report.notes


@pytest.mark.parametrize("ending", ["tl", "c"])
@pytest.mark.parametrize("name", ["forest/pipeline-three", "hist/ordinal-pipeline"])
def test_categories_of_a_folded_forest_are_codes_that_the_notes_tell(name: str, ending: str, tmp_path: Path):
    if ending == "c" and shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    write(zoo_model(name)[0], tmp_path / "model.slim")
    found = slimml.export(tmp_path / "model.slim", tmp_path / f"model.{ending}")
    assert found.parity is not None and found.parity.verdict in ("bitwise", "rounding")
    assert any("categories are their positions" in n for n in found.notes)
    assert found.parity.rows and any(": 0 '" in n for n in found.notes)
    if ending == "c":
        assert " any other\n" in (tmp_path / "model.c").read_text(encoding="utf-8")


def test_what_stands_before_the_forest_is_refused(tmp_path: Path):
    write(zoo_model("polynomial/tree")[0], tmp_path / "model.slim")
    for ending in ("tl", "c"):
        with pytest.raises(NoBackendError, match="what stands in front of the forest"):
            slimml.export(tmp_path / "model.slim", tmp_path / f"model.{ending}")
        assert not (tmp_path / f"model.{ending}").exists()


# A call alone, behind guards and look-ups, in front of a softmax, and several of them one after another.
ON_ONNX = ("forest/binary", "forest/pipeline-three", "hist/missing", "extra/pipeline", "logistic/pipeline", "svc/rbf",
           "mlp/odd-identity", "voting/soft", "stacking/forest-last", "stacking/forest-last-behind-lines",
           "scale/chain-forest", "xgboost/softmax")  # fmt: skip


@pytest.mark.parametrize("name", ON_ONNX)
def test_an_artifact_on_onnx_becomes_a_plain_file(name: str, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    artifact, out = tmp_path / "model.slim", tmp_path / "model.onnx"
    write(zoo_model(name)[0], artifact, backend=BACKENDS[1])
    model = slimml.load(artifact)
    calls = [n for n in model.graph.nodes() if isinstance(n, OnnxCall)]
    assert model.manifest.engine == "onnx" and calls
    found = slimml.export(artifact, out)
    assert found.parity is not None and found.parity.verdict in ("bitwise", "rounding") and found.parity.rows > 500
    data = out.read_bytes()
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    slimml.export(artifact, out)
    assert out.read_bytes() == data


def test_a_plain_file_of_an_artifact_on_onnx_answers_the_rows_of_the_original(tmp_path: Path):
    runtime = pytest.importorskip("onnxruntime")
    estimator, rows = zoo_model("forest/binary")
    write(estimator, tmp_path / "model.slim", backend=BACKENDS[1])
    slimml.export(tmp_path / "model.slim", tmp_path / "model.onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    columns = {i.name: np.asarray(rows, dtype=np.float64)[:, k : k + 1] for k, i in enumerate(session.get_inputs())}
    (found,) = session.run(["predict_proba"], columns)
    assert np.array_equal(found, estimator.predict_proba(rows))


def test_operators_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(zoo_model("forest/binary")[0], tmp_path / "model.slim", backend=BACKENDS[1])
    monkeypatch.setattr("slimml.backends.onnx.inline.OPSETS", {"": 19, "ai.onnx.ml": 6})
    with pytest.raises(NoBackendError, match=r"another version of ONNX's operators \(ai\.onnx\.ml 5\)"):
        slimml.export(tmp_path / "model.slim", tmp_path / "model.onnx")


@pytest.mark.parametrize("ending", ["tl", "c"])
def test_an_artifact_on_onnx_says_where_to_turn(ending: str, tmp_path: Path):
    write(zoo_model("forest/binary")[0], tmp_path / "model.slim", backend=BACKENDS[1])
    with pytest.raises(NoBackendError, match="slimml shrink MODEL -o model.tl"):
        slimml.export(tmp_path / "model.slim", tmp_path / f"model.{ending}")


def test_a_forest_too_large_for_c_is_refused_with_figures(artifact: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("slimml.backends.c_source._SECONDS", 10.0)
    with pytest.raises(NoBackendError, match=r"nodes would take about \d+ minutes"):
        slimml.export(artifact, artifact.with_suffix(".c"))
    assert cost_of_c(slimml.load(artifact).graph.output("predict_proba").nodes[0])


def test_without_a_compiler_c_is_written_and_said_not_to_be_compared(artifact: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    found = slimml.export(artifact, artifact.with_suffix(".c"))
    assert found.parity is None and any("not compared: there is no C compiler" in n for n in found.notes)


def test_a_file_that_answers_otherwise_is_not_written(artifact: Path, monkeypatch: pytest.MonkeyPatch):
    from slimml.exported import forest_file

    honest = forest_file.gtil_scores

    def wrong(data: bytes) -> forest_file.Scores:
        scores = honest(data)
        return lambda raw: scores(raw) + 0.25

    monkeypatch.setattr(forest_file, "gtil_scores", wrong)
    artifact.with_suffix(".tl").write_bytes(b"earlier")
    with pytest.raises(ParityError, match="answers otherwise"):
        slimml.export(artifact, artifact.with_suffix(".tl"))
    assert artifact.with_suffix(".tl").read_bytes() == b"earlier"


def test_other_endings_are_wrong_usage(artifact: Path, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(UsageError, match=r"\.onnx, \.tl or \.c"):
        slimml.export(artifact, artifact.with_suffix(".pb"))
    assert main(["export", str(artifact), "-o", "x.java"]) == 2
    assert main(["export", str(artifact)]) == 2


def test_the_command_says_what_was_compared(artifact: Path, capfd: pytest.CaptureFixture[str]):
    out = artifact.with_suffix(".tl")
    assert main(["export", str(artifact), "-o", str(out), "--json", "-"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["command"], document["ok"], document["file"]["kind"]) == ("export", True, "tl")
    assert main(["export", str(artifact), "-o", str(out)]) == 0
    said = capfd.readouterr()
    assert "compared with the artifact" in said.out and "bitwise" in said.out and said.err == ""

"""slimml inspect."""

from __future__ import annotations

from collections.abc import Callable

from tests.cli.conftest import Ran, Shrunk

Run = Callable[..., Ran]


def test_the_document_holds_schema_plan_provenance_evidence_and_sections(run: Run, shrunk: Shrunk):
    found = run("inspect", shrunk.artifact, "--json", "-").json
    assert (found["schema_version"], found["command"], found["ok"]) == (1, "inspect", True)
    assert found["artifact"]["sha256"] == shrunk.report["artifact"]["sha256"]
    assert found["engine"] == "portable" and found["exactness"] in ("bitwise", "rounding")
    assert [c["name"] for c in found["schema"]["columns"]][:2] == ["age", "hours"]
    assert found["plan"][0]["op"] == "Input"
    assert {"predict", "predict_proba"} <= {o["name"] for o in found["outputs"]}
    assert found["provenance"]["library_versions"] == shrunk.report["model"]["library_versions"]
    assert found["evidence"]["verdict"] and found["golden_rows"] > 0
    assert {s["name"] for s in found["sections"]} >= {"plan", "tensors", "forest"}


def test_people_see_the_same(run: Run, shrunk: Shrunk):
    text = run("inspect", shrunk.artifact).out
    for word in ("age", "category", "Input", "provenance", "evidence", "golden rows", "tensors", "sha256"):
        assert word in text

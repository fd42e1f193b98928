"""Whoever is wrong is named: a frontend, a pass, a backend; even where one cut is off by one ulp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slimml.ir.graph import Graph
from slimml.ir.ops.categories import Lookup, OneHot
from slimml.ir.ops.models import Forest, Linear
from slimml.ir.ops.numeric import Divide, FillMissing, Guard, Multiply, Subtract
from slimml.parity import inputs
from slimml.parity.inputs import trial_rows
from slimml.parity.reference import LiveReference, NoReference
from slimml.parity.report import ParityReport
from slimml.parity.seams import Checker
from tests.parity.planted import Case, case, changed, one_cut_off_by_one_ulp, one_leaf_changed, opened

GUILTY = {"frontend": "a frontend", "passes": "a pass", "backend": "a backend"}


@pytest.fixture(autouse=True)
def few_refused_rows(monkeypatch: pytest.MonkeyPatch):
    # Each costs a call of the original.
    monkeypatch.setattr(inputs, "REFUSED_ROWS", 12)


def judged(name: str, stage: str | None, fault=lambda graph: graph, *, sample: bool = True, rows: int = 1200):
    """The report on a zoo model with a fault planted at a stage; all later stages inherit it."""
    honest = case(name)
    fresh, final = honest.fresh, honest.final
    if stage == "frontend":
        fresh, final = fault(fresh), fault(final)
    elif stage == "passes":
        final = fault(final)
    model = opened(fault(final) if stage == "backend" else final)
    trials = trial_rows(honest.fresh, honest.rows if sample else None, rows)
    return Checker(LiveReference(honest.estimator), fresh, final, trials).check(model, model._engine.graph)


def wrong(op: type, **fields):
    """A fault: the first node of a kind gets other fields, each made from the old one."""

    def fault(graph: Graph) -> Graph:
        return changed(graph, op, lambda n: replace(n, **{k: f(getattr(n, k)) for k, f in fields.items()}))

    return fault


def swapped(values: np.ndarray) -> np.ndarray:
    return values[::-1].copy()


def first_two_swapped(targets: np.ndarray) -> np.ndarray:
    return np.array([1, 0, *range(2, targets.max() + 1), -1], dtype=np.int32)[targets]


def labels_swapped(graph: Graph) -> Graph:
    outputs = tuple(replace(o, labels=tuple(swapped(t) for t in o.labels)) for o in graph.outputs)
    return replace(graph, outputs=outputs)


def last_forest_changed(graph: Graph) -> Graph:
    last = [n for n in graph.nodes() if isinstance(n, Forest)][-1]
    trees = replace(last.trees, values=last.trees.values * (1 + 1e-6))
    return graph.replace({last: replace(last, trees=trees)})


FAULTS = [
    ("linear/regression", wrong(Linear, weights=lambda w: w * (1 + 1e-9))),
    ("logistic/binary", wrong(Linear, bias=lambda b: b + 1e-6)),
    ("logistic/strings", labels_swapped),
    ("logistic/multinomial", wrong(Linear, bias=lambda b: np.roll(b, 1))),
    ("scale/standard", wrong(Subtract, value=lambda v: np.nextafter(v, np.inf))),
    ("scale/standard", wrong(Divide, value=lambda v: v * 2)),
    ("impute/mean", wrong(FillMissing, fill=lambda f: (f[0] + 1, *f[1:]))),
    ("impute/sentinel-forest", wrong(FillMissing, sentinel=lambda _: float("nan"))),
    ("onehot/ignore", wrong(OneHot, targets=first_two_swapped)),
    ("ordinal/missing", wrong(Lookup, tables=lambda t: (t[0][::-1], *t[1:]))),
    ("onehot/error", wrong(Lookup, refuse=lambda r: (False,) * len(r))),
    ("tree/regression", wrong(Guard, missing=lambda m: ~m)),
    ("tree/binary", wrong(Guard, high=lambda h: h * 1e-30)),
    (
        "hist/string-names",
        wrong(Forest, trees=lambda t: replace(t, flags=t.flags ^ np.where(t.leaf, 0, 1).astype("u1"))),
    ),
    ("hist/poisson", one_leaf_changed),
    ("forest/three", one_leaf_changed),
    ("boosting/binary", one_leaf_changed),
    ("voting/soft-weights", one_leaf_changed),
    ("voting/hard-weights", wrong(Multiply, value=lambda v: v * 5)),
    ("stacking/forest-last", last_forest_changed),
]


@pytest.mark.parametrize("stage", GUILTY)
@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(FAULTS)])
def test_the_guilty_stage_is_named(name: str, fault, stage: str):
    try:
        report = judged(name, stage, fault)
    except StopIteration:
        pytest.skip("the passes left no such node")
    assert report.verdict in ("different", "approximate")
    assert report.blame == GUILTY[stage]
    assert report.exactness is None or report.exactness.label == "approximate"
    assert any(GUILTY[stage] in s for s in report.sentences())


ULP_MODELS = ["tree/regression", "forest/regression", "forest/regression-pipeline", "boosting/regression-pipeline"]


@pytest.mark.parametrize("stage", GUILTY)
@pytest.mark.parametrize("which", [0.0, 0.37, 1.0])
@pytest.mark.parametrize(
    "name", [*ULP_MODELS, "tree/regression-missing", "hist/regression-missing", "scale/chain-forest"]
)
def test_one_cut_off_by_one_ulp_is_found_at_every_stage(name: str, which: float, stage: str):
    report = judged(name, stage, lambda g: one_cut_off_by_one_ulp(g, which), sample=False, rows=9000)
    assert report.blame == GUILTY[stage], report.sentences()
    assert report.verdict == "different"


@pytest.mark.parametrize("stage", ["passes", "backend"])
@pytest.mark.parametrize("name", ULP_MODELS)
def test_the_nets_find_one_cut_off_by_one_ulp_without_any_row(name: str, stage: str):
    report = judged(name, stage, one_cut_off_by_one_ulp, sample=False, rows=64)
    nets = {n.net: n for n in report.nets if n.seam == stage}
    assert nets["cuts"].faults == 1
    assert nets["witnesses"].faults >= 1
    assert " = " in nets["cuts"].worst
    assert {n.faults for n in report.nets if n.seam != stage} == {0}


@pytest.mark.parametrize(
    "name",
    [
        *("linear/pipeline", "forest/pipeline", "hist/ordinal-pipeline", "onehot/mixed", "impute/none"),
        *("tree/two-words", "voting/hard", "voting/regression", "stacking/forest-last-behind-lines"),
    ],
)
def test_nobody_is_guilty_of_an_honest_model(name: str):
    report = judged(name, None)
    assert report.blame is None
    assert report.verdict in ("bitwise", "rounding")
    assert report.exactness is not None
    assert all(n.checked == n.total and not n.faults for n in report.nets)


def test_without_an_original_the_graph_still_judges_passes_and_backends():
    honest: Case = case("forest/binary")
    model = opened(one_leaf_changed(honest.final))
    trials = trial_rows(honest.fresh, None, 500)
    checker = Checker(NoReference("scikit-learn is not installed"), honest.fresh, honest.final, trials)
    report: ParityReport = checker.check(model, model._engine.graph)
    assert report.blame == "a backend"
    assert [s.seam for s in report.seams] == ["passes", "backend", "whole"]
    assert report.sentences()[0] == "not compared with the original: scikit-learn is not installed"


def test_a_wrong_answer_to_one_dict_is_the_backends_fault():
    honest = case("forest/binary")
    model = opened(honest.final)
    right = model.predict_proba

    def predict_proba(rows):
        answer = right(rows)
        return answer[::-1] if isinstance(rows, dict) else answer

    setattr(model, "predict_proba", predict_proba)  # noqa: B010 - methods of a model are those of its artifact
    trials = trial_rows(honest.fresh, honest.rows, 300)
    report = Checker(LiveReference(honest.estimator), honest.fresh, honest.final, trials).check(model)
    assert report.blame == "a backend"
    assert any("one row from a dict" in s for s in report.sentences())


def test_a_summary_names_what_differs():
    report = judged("logistic/binary", "backend", wrong(Linear, bias=lambda b: b + 1.0))
    summary = report.to_json()
    assert summary["verdict"] == "different"
    assert summary["label_mismatches"] > 0
    assert {"seam", "rows", "max_abs", "max_rel", "label_mismatches", "verdict"} <= set(summary)
    assert summary["seams"][2]["worst"]["expected"] != summary["seams"][2]["worst"]["got"]

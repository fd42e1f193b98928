"""Answers against answers: what counts as equal bits, as rounding, as drift and as wrong."""

from __future__ import annotations

import numpy as np
import pytest

from slimml.parity.answers import Answers
from slimml.parity.compare import compare_outputs, equal_cells, merged, same_bits
from slimml.parity.report import NetReport, ParityReport


def one(values, dtype=None) -> dict:
    return {"predict": (np.array(values, dtype=dtype)[:, None],)}


def against(expected, got, limit=None, *, labels=False):
    bounds = None if limit is None else {"predict": (np.array(limit, dtype=bool if labels else float)[:, None],)}
    return compare_outputs("backend", one(expected), one(got), bounds)


def test_equal_bits_are_bitwise_whatever_the_nan():
    odd = np.array([0x7FF8_0000_0000_0001, 0x7FF8_0000_0000_0000]).view(np.float64)
    report = compare_outputs("whole", {"predict": (odd[:1, None],)}, {"predict": (odd[1:, None],)})
    assert report.verdict == "bitwise"
    assert report.blame is None


def test_a_signed_zero_is_another_bit_pattern_but_no_error():
    assert same_bits(np.array([0.0]), np.array([-0.0])).tolist() == [False]
    assert against([0.0, 1.0], [-0.0, 1.0]).verdict == "rounding"


def test_an_error_inside_of_its_bound_is_rounding():
    report = against([1.0, 2.0], [1.0 + 2e-16, 2.0], [1e-15, 0])
    assert (report.verdict, report.blame) == ("rounding", None)
    assert report.max_abs == pytest.approx(2.2e-16, rel=0.1)


def test_an_error_outside_of_its_bound_is_drift_or_worse():
    drift = against([1.0, 2.0], [1.0 + 1e-7, 2.0], [1e-15, 1e-15])
    assert (drift.verdict, drift.blame) == ("approximate", "a backend")
    wrong = against([1.0, 2.0], [1.1, 2.0], [1e-15, 1e-15])
    assert (wrong.verdict, wrong.worst.row, wrong.worst.expected, wrong.worst.got) == ("different", 0, 1.0, 1.1)


def test_without_a_bound_the_last_bit_counts():
    assert against([1.0], [np.nextafter(1.0, 2)]).verdict == "approximate"


@pytest.mark.parametrize("got", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_on_one_side_are_wrong(got):
    report = against([1.0, 2.0], [1.0, got], [1e-15, 1e-15])
    assert (report.verdict, report.nan_mismatches) == ("different", 1)
    assert against([1.0, 2.0], [1.0, got], [1e-15, np.inf]).verdict == "rounding"


def test_a_label_may_change_only_where_it_is_fragile():
    assert against([1, 0], [1, 1], [False, True], labels=True).verdict == "rounding"
    report = against([1, 0], [0, 1], [False, True], labels=True)
    assert (report.verdict, report.label_mismatches, report.fragile) == ("different", 2, 1)


def test_labels_of_any_kind_are_compared_as_they_are():
    words = compare_outputs("whole", one(["a", "b"]), one(["a", "c"], object))
    assert (words.verdict, words.label_mismatches) == ("different", 1)
    assert compare_outputs("whole", one(["a", "b"]), one(["a", "b"], object)).verdict == "bitwise"
    assert equal_cells(np.array([None, np.nan, 1], dtype=object), np.array([None, np.nan, True], dtype=object)).all()
    assert not equal_cells(np.array(["1"]), np.array([1])).any()


def test_integer_labels_without_bounds_are_never_drift():
    assert compare_outputs("whole", one([10_000, 2]), one([10_001, 2])).verdict == "different"


def test_another_shape_is_another_answer():
    report = compare_outputs("frontend", {"predict_proba": (np.ones((3, 2)),)}, {"predict_proba": (np.ones((3, 1)),)})
    assert (report.verdict, report.blame) == ("different", "a frontend")
    assert report.notes == ("predict_proba answers 3 x 1, not 3 x 2",)
    assert compare_outputs("frontend", {"predict_proba": (np.ones((3, 2)),)}, {}).verdict == "different"


def test_another_dtype_is_noted_and_compared_by_value():
    report = compare_outputs("backend", one([1.0, 2.0]), one([1, 2]))
    assert report.verdict == "bitwise"
    assert report.notes == ("predict answers in int64, not in float64",)


def test_quantiles_are_those_of_the_error():
    report = against(np.zeros(1000), np.arange(1000) / 1e20, np.full(1000, 1.0))
    assert report.quantiles["0.5"] == pytest.approx(5e-18, rel=0.01)
    assert report.quantiles["1"] == report.max_abs


def test_an_error_beside_zero_is_a_finite_number_as_json_wants_it():
    report = against([0.0, 5e-324], [1.0, 1e-10])
    assert np.isfinite(report.max_rel) and report.max_rel > 1e300


def test_the_worst_output_gives_the_verdict():
    expected: Answers = {"predict": (np.array([[1], [2]]),), "predict_proba": (np.array([[0.5], [0.5]]),)}
    got: Answers = {"predict": (np.array([[1], [2]]),), "predict_proba": (np.array([[0.5], [0.4]]),)}
    report = compare_outputs("backend", expected, got)
    assert (report.verdict, report.output) == ("different", "predict_proba")


def test_parts_of_a_seam_add_up():
    whole = merged([against([1.0], [1.0]), against([1.0, 2.0], [1.0, 3.0], [0, 0])])
    assert (whole.rows, whole.verdict, whole.max_abs) == (3, "different", 1.0)


def test_the_first_guilty_stage_is_blamed():
    wrong, right = against([1.0], [2.0]), against([1.0], [1.0])
    net = NetReport("cuts", "passes", 9, 9, faults=1, worst="node 3")
    report = ParityReport((right, wrong), (net,), "none", "not compared")
    assert (report.verdict, report.blame, report.exactness) == ("different", "a pass", None)
    assert report.leading.seam == "backend"
    assert any("1 cuts" in s for s in report.sentences())

"""The conformance corpus, case by case; those that fall short, each with its reason."""

from __future__ import annotations

import pytest

from slimml.errors import UnsupportedModelError
from tests import corpus
from tests.shared import why_no_shared

# Cases that do not hold, by the reason. One that does has to leave this table.
_KNOWN = {
    "the rows are float32 and the original computes in float32; slimml widens them for such a model": """
        sklearn-onnx-325
        hummingbird-435 hummingbird-565 hummingbird-567 sklearn-onnx-553 sklearn-onnx-856
        sklearn-onnx-859 sklearn-onnx-860 sklearn-onnx-861 sklearn-onnx-863 sklearn-onnx-975
    """,
    "score_samples of a PCA is not lowered": """
        hummingbird-282 sklearn-onnx-671 sklearn-onnx-673
    """,
    "the original hands int columns through as ints; slimml answers float64": """
        sklearn-onnx-279 sklearn-onnx-282 sklearn-onnx-286 sklearn-onnx-291 sklearn-onnx-293 sklearn-onnx-298
    """,
}
# Their float32 sums are off by about what is allowed, a little more or less as the processor and its threads add up.
_EITHER = "sklearn-onnx-119 sklearn-onnx-531".split()
KNOWN = {case: reason for reason, cases in _KNOWN.items() for case in cases.split()}

CASES = corpus.cases()
pytestmark = pytest.mark.skipif(not CASES, reason=why_no_shared())


def outcome(case: str) -> str:
    """Why a case does not hold, or ""."""
    try:
        final = corpus.graph(case)
    except UnsupportedModelError as error:
        # Of several steps each has its path on a line of its own.
        assert error.what and (error.where or "\n" in error.what), "a refusal says what and where"
        return f"refused: {error.what}"
    return "; ".join(corpus.faults(case, final))


@pytest.mark.parametrize("case", CASES)
def test_artifact_answers_as_the_original(case: str):
    if case in _EITHER:
        pytest.skip("float32 sums that differ by 1e-6, a little more or less as BLAS adds up")
    found = outcome(case)
    if case in KNOWN:
        assert found, f"{case} holds now: take it out of _KNOWN"
    elif found.startswith("refused: "):
        assert not corpus.named(case), found
    else:
        assert not found


def test_known_cases_are_cases():
    assert set(KNOWN) <= set(CASES)


def test_95_percent_of_the_named_estimators_hold():
    # Each case that is not in the table is held to its answers above.
    named = [c for c in CASES if corpus.named(c)]
    held = [c for c in named if c not in KNOWN and c not in _EITHER]
    assert len(held) >= 0.95 * len(named), f"{len(held)} of {len(named)}"

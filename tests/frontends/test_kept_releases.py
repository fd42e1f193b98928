"""Models of sixteen releases of scikit-learn answer as these did, without them; see tests/data/releases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from slimml.errors import SlimmlError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph
from slimml.ir.node import Node
from slimml.ir.ops import heads
from slimml.ir.ops.models import Forest
from slimml.parity.bound import bounds
from tests.hostile import graph_values, input_blocks, labelled
from tests.kept_releases import Kept, columns_of, order, rows_of, scikit_learn

# Another machine's exp may differ in the last bit: no bits are compared behind a link.
_LINKS = (heads.Sigmoid, heads.Softmax, heads.Exp, heads.Log)
_NEAR = 1e-9
_FIRST, _LAST = "0.18", "9.9"
# Models that are refused: (from this release on, before that one, what is said).
REFUSED = {
    # It is the pseudo-inverse of the covariance, anew on each call.
    "envelope_bare": (_FIRST, _LAST, "precision_ is a NoneType"),
    # Every row is told to be of the second class, since the chance of it is above 0.
    "pairs_two_chances": ("0.19", "1.1", "which releases before 1.1 get wrong"),
    # Of rows in an array it takes the classes for integers.
    "radius_city_named": ("1.4", _LAST, "classes that are no numbers"),
    # Two rows of probabilities, and one name to choose from.
    "complement_one": (_FIRST, "1.0", "2 rows of probabilities for 1 classes"),
}
# Distances from |x|^2 - 2 x.y + |y|^2 of a row to itself, and of equally near ones, are as each machine rounds them:
# these models are held within the bounds of parity.
ROUNDED = ("nearest_pair", "nearest_words", "around_pair")
# Methods that the release answered and slimml does not: (models, by how their names begin, methods, from, before).
UNANSWERED = (
    # Columns by the coefficients of the model, deprecated since 0.17.
    ("", ("transform",), _FIRST, "0.19"),
    # Scaled by the largest of all rows that are asked about together.
    ("pairs", ("decision_function",), _FIRST, "0.21"),
    ("nu", ("decision_function",), _FIRST, "0.21"),
    # The chance of the second of three classes, which says nothing of the third.
    ("chain_three", ("predict_proba", "predict_log_proba"), _FIRST, "1.5"),
    # One array with the targets last, not a list.
    ("targets", ("predict_proba",), _FIRST, "0.19"),
)


def within(release: str, first: str, end: str) -> bool:
    """Whether a release is `first` or later, and before `end`."""
    return order(first) <= order(release) < order(end)


def graph_of(kept: Kept, model: str) -> Graph:
    """What the file of a model lowers to."""
    return lower(read(kept.files[f"{model}.pkl"]).root, offered=columns_of(kept, model))


def said(kept: Kept, model: str, method: str, block: str) -> list[np.ndarray] | None:
    """The release's own answer, in parts where it was a list; None where it raised."""
    key = f"{model}/{method}@{block}"
    if key in kept.answers:
        return [kept.answers[key]]
    parts = []
    while f"{key}#{len(parts)}" in kept.answers:
        parts.append(kept.answers[f"{key}#{len(parts)}"])
    return parts or None


def differs(graph: Graph, method: str, rows: Any, expected: list[np.ndarray] | None, *, rounded: bool) -> str:
    """How the answer to some rows is not the release's, or ""; `rounded`: of a model in ROUNDED."""
    values = graph_values(graph, method, input_blocks(graph, rows))
    if values is None:
        return "is refused" if expected is not None else ""
    if expected is None:
        return "is answered, where the release raised"
    got = labelled(graph, method, values)
    if graph.output(method).form == "vector":
        got = [part.ravel() for part in got]
    if [part.shape for part in got] != [part.shape for part in expected]:
        return f"has shapes {[part.shape for part in got]}, not {[part.shape for part in expected]}"
    limits = bounds(graph, values)[method]
    for one, other, limit in zip(got, expected, limits, strict=True):
        same = _same(one, other, exact=limit is None and _of_trees(values))
        if rounded and limit is not None:
            same |= np.abs(one - other) <= limit.reshape(other.shape)
        if not same.all():
            at = tuple(np.argwhere(~same)[0])
            return f"{(~same).sum()} of {same.size} cells, {one[at]!r} is not {other[at]!r}"
    return ""


def _of_trees(values: dict[Node, Any]) -> bool:
    return any(isinstance(n, Forest) for n in values) and not any(isinstance(n, _LINKS) for n in values)


def _same(got: np.ndarray, expected: np.ndarray, *, exact: bool) -> np.ndarray:
    """Cell by cell: labels and sums of trees as they are, other numbers nearly."""
    if expected.dtype.kind == "S":  # the str of Python 2
        expected = expected.astype("U")
    if expected.dtype.kind == "U" or exact:
        return np.asarray(got == expected)
    return np.isclose(got, expected, rtol=_NEAR, atol=_NEAR, equal_nan=True)


def shortcomings(release: str, kept: Kept, model: str) -> Iterator[str]:
    """What a model does not answer as its release did."""
    try:
        graph = graph_of(kept, model)
    except SlimmlError as error:
        yield f"{model}: {error}"
        return
    answered = {output.name for output in graph.outputs}
    if extra := answered - set(kept.answers[f"{model}/methods"]):
        yield f"{model} of that release has no {', '.join(sorted(extra))}"
    for method in kept.answers[f"{model}/methods"].tolist():
        for block in kept.answers[f"{model}/blocks"].tolist():
            expected = said(kept, model, method, block)
            if method in answered:
                why = differs(graph, method, rows_of("releases", block), expected, rounded=model in ROUNDED)
            else:
                why = "" if expected is None or unanswered(release, model, method) else "is not answered"
            if why:
                yield f"{model}.{method}({block}): {why}"


def unanswered(release: str, model: str, method: str) -> bool:
    """Whether the table says that a method is not answered."""
    return any(model.startswith(m) and method in names and within(release, *span) for m, names, *span in UNANSWERED)


def refused(release: str) -> dict[str, str]:
    """The models of a release that are refused, and what is said."""
    models = scikit_learn()[release].files
    return {m: s for m, (first, end, s) in REFUSED.items() if within(release, first, end) and f"{m}.pkl" in models}


@pytest.mark.parametrize("release", scikit_learn())
def test_models_of_a_release_answer_as_it_did(release: str):
    kept = scikit_learn()[release]
    models = sorted({file.removesuffix(".pkl") for file in kept.files} - set(refused(release)))
    assert len(models) > 180
    found = [why for model in models for why in shortcomings(release, kept, model)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("release", scikit_learn())
def test_what_is_refused_says_why(release: str):
    for model, reason in refused(release).items():
        with pytest.raises(UnsupportedEstimatorError, match=reason):
            graph_of(scikit_learn()[release], model)


@pytest.mark.parametrize("line", UNANSWERED, ids=lambda line: f"{line[0]}:{line[1][0]}")
def test_what_is_not_answered_was_answered_by_the_release(line: tuple[str, tuple[str, ...], str, str]):
    start, methods, *span = line
    excused = 0
    for release in (r for r in scikit_learn() if within(r, *span)):
        kept = scikit_learn()[release]
        for model in {key.split("/")[0] for key in kept.answers if key.startswith(start)} - set(refused(release)):
            blocks = kept.answers[f"{model}/blocks"].tolist()
            wanted = {m for m in methods for b in blocks if said(kept, model, m, b) is not None}
            excused += len(wanted - {o.name for o in graph_of(kept, model).outputs}) if wanted else 0
    assert excused

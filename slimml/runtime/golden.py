"""Golden rows: inputs made from the model, and what it answered when it was written.

They travel in the artifact, so that a runtime upgrade, another CPU or a damaged install that changes answers is caught
by `slimml verify ARTIFACT` alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slimml.artifact.exact import from_exact, to_exact
from slimml.errors import ArtifactCorruptError, InputError
from slimml.options import GOLDEN_RTOL
from slimml.runtime.predictor import Model

Difference = tuple[float, float, int]
_NOTHING: Difference = (0.0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """What replaying found: rows, the largest difference of a number (absolute, and relative to the number or to 1,
    whichever is larger), and how many labels changed.
    """

    rows: int
    max_abs: float
    max_scaled: float
    label_mismatches: int

    @property
    def equal(self) -> bool:
        """Whether every answer has the bits that it had."""
        return self.max_abs == 0 and self.label_mismatches == 0

    def within(self, exactness: str) -> bool:
        """Whether the answers are those that an artifact of that exactness promises on any machine."""
        return self.equal or (exactness != "bitwise" and self.label_mismatches == 0 and self.max_scaled <= GOLDEN_RTOL)


def record(model: Model, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Golden rows as JSON for the manifest. A row that the model refuses is kept as one that must be refused."""
    return {"rows": to_exact(rows), "answers": [to_exact(_answers(model, row)) for row in rows]}


def replay(model: Model, golden: Any = None) -> GoldenReport:
    """Answer the artifact's golden rows again, or `golden`, those that another artifact carries.

    Raises ArtifactCorruptError where they are malformed.
    """
    golden = model.manifest.golden if golden is None else golden
    if not isinstance(golden, Mapping) or set(golden) != {"rows", "answers"}:
        raise ArtifactCorruptError("the artifact carries no golden rows", hint="Make it anew with `slimml shrink`.")
    rows, answers = from_exact(golden["rows"]), from_exact(golden["answers"])
    if not isinstance(rows, list) or not isinstance(answers, list) or len(rows) != len(answers):
        raise ArtifactCorruptError("the artifact's golden rows are malformed")
    found = _NOTHING
    for row, expected in zip(rows, answers, strict=True):
        if not isinstance(row, dict):
            raise ArtifactCorruptError("a golden row is no object")
        found = _worst([found, difference(expected, _answers(model, row))])
    return GoldenReport(len(rows), *found)


def _answers(model: Model, row: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return {name: getattr(model, name)(row) for name in model.outputs}
    except InputError:
        return None


def difference(expected: Any, got: Any) -> Difference:
    """Between two answers: the largest |a - b|, the largest |a - b| / max(1, |a|), and how many non-floats differ."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping) and set(expected) == set(got):
        return _worst([difference(expected[k], got[k]) for k in expected])
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return _worst([difference(a, b) for a, b in zip(expected, got, strict=True)])
    if isinstance(expected, float) and isinstance(got, float):
        if expected == got or (math.isnan(expected) and math.isnan(got)):
            return _NOTHING
        gap = abs(expected - got)
        return (gap, gap / max(1.0, abs(expected)), 0) if math.isfinite(gap) else (math.inf, math.inf, 0)
    return 0.0, 0.0, int(type(expected) is not type(got) or expected != got)


def _worst(parts: list[Difference]) -> Difference:
    return (
        max((p[0] for p in parts), default=0.0),
        max((p[1] for p in parts), default=0.0),
        sum(p[2] for p in parts),
    )

"""How far an artifact's answers are from a baseline's, on the same rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from slimml.intake import apart
from slimml.parity.answers import model_answers
from slimml.parity.asking import Asked, ask
from slimml.parity.compare import equal_cells
from slimml.parity.rows import RawRows
from slimml.runtime.predictor import Model


@dataclass(frozen=True, slots=True)
class Drift:
    """`rows` compared; `max_abs`: the largest |a - b| of numbers, infinite where one alone is NaN or infinite;
    `label_mismatches`: labels (and other cells that are no numbers) that differ; `refusal_mismatches`: rows that one
    side alone refuses; `why`: why the two cannot be compared at all, or "".
    """

    rows: int = 0
    max_abs: float = 0.0
    label_mismatches: int = 0
    refusal_mismatches: int = 0
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)

    def within(self, limit: float) -> bool:
        """Whether labels are equal and numbers no further apart than `limit`."""
        return not (self.why or self.label_mismatches or self.refusal_mismatches) and self.max_abs <= limit

    def __str__(self) -> str:
        if self.why:
            return f"not compared: {self.why}"
        said = [f"largest difference {self.max_abs:.3g}"]
        said += [f"{self.label_mismatches} labels changed"] * bool(self.label_mismatches)
        said += [f"{self.refusal_mismatches} rows refused by one alone"] * bool(self.refusal_mismatches)
        return f"{', '.join(said)} ({self.rows:,} rows)"


def drift(model: Model, baseline: Model, rows: RawRows) -> Drift:
    """Every method of the baseline, on rows under its schema."""
    other = apart(baseline.graph, model)
    if other:
        return Drift(why=f"the artifact is of another model, {other}")
    mine, theirs = _asked(model, rows), _asked(baseline, rows)
    both = mine.accepted & theirs.accepted
    numbers, labels = 0.0, 0
    one, two = theirs.at(both), mine.at(both)
    for output in baseline.graph.outputs:
        if output.name not in one:  # every row is refused
            continue
        for old, new in zip(one[output.name], two[output.name], strict=True):
            if old.shape != new.shape:
                return Drift(why=f"{output.name} answers {_shape(new)} and not {_shape(old)}")
            if _numbers(old, new) and not output.labels:
                numbers = max(numbers, _largest(old, new))
            else:
                labels += int((~equal_cells(old, new)).sum())
    alone = (mine.accepted & theirs.refused) | (mine.refused & theirs.accepted)
    return Drift(int(both.sum()), numbers, labels, int(alone.sum()))


def _asked(model: Model, rows: RawRows) -> Asked:
    return ask(lambda part: model_answers(model, part, model.outputs), rows)


def _numbers(old: np.ndarray, new: np.ndarray) -> bool:
    kinds = {old.dtype.kind, new.dtype.kind}
    return "f" in kinds and kinds <= set("biuf")


def _largest(old: np.ndarray, new: np.ndarray) -> float:
    a, b = (np.asarray(v, dtype=np.float64) for v in (old, new))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.where(same, 0.0, np.abs(a - b))
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0.0))


def _shape(block: np.ndarray) -> str:
    return " x ".join(map(str, block.shape))

"""Rows that an artifact answers: the user's, or made from the artifact alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.errors import UsageError
from slimml.ir.ops.models import Forest
from slimml.parity.answers import model_answers
from slimml.parity.asking import ask
from slimml.parity.inputs import trial_rows
from slimml.parity.rows import RawRows, concat
from slimml.runtime.predictor import Model
from slimml.sample import golden_rows, rows_of
from slimml.tables.objects import from_any

# Rows to time, and rows made to time where there are none; rows made to compare, near the cuts of forests.
TIMED, _MADE, COMPARED = 2048, 128, 1000
# Finding the cuts of a larger forest takes longer than a gate should.
_LARGE = 1_000_000


def rows_for_timing(model: Model, data: Any = None) -> RawRows:
    """Rows that the artifact answers: of `data` where there are any. Raises InputError, UsageError."""
    given = data_rows(model, data)
    rows = answered(model, made_rows(model, _MADE) if given is None else given.take(slice(0, TIMED)))
    if not len(rows):
        whose = "--data" if given is not None else "those made from it"
        raise UsageError(f"the artifact answers none of the rows of {whose}", hint="Give rows with --data FILE.")
    return rows


def data_rows(model: Model, data: Any) -> RawRows | None:
    """The user's rows under the artifact's schema. Raises InputError, UsageError."""
    return None if data is None else rows_of(from_any(data), model.schema)


def made_rows(model: Model, count: int = COMPARED) -> RawRows:
    """The artifact's golden rows, and rows made from its plan."""
    nodes = sum(n.trees.nodes for n in model.graph.nodes() if isinstance(n, Forest))
    made = trial_rows(model.graph, None, count=count if nodes < _LARGE else min(count, _MADE)).good
    return concat([*golden_rows(model), made])


def answered(model: Model, rows: RawRows) -> RawRows:
    """The rows that the artifact does not refuse."""
    outputs = model.outputs[:1]
    accepted = ask(lambda part: model_answers(model, part, outputs), rows).accepted
    return rows if accepted.all() else rows.take(accepted)


def repeated(rows: RawRows, count: int) -> RawRows:
    """As many rows as asked for, from the first again where they run out."""
    return rows.take(np.arange(count) % len(rows))


def method_of(model: Model) -> str:
    """The method that is timed: what services call."""
    return next((o for o in ("predict", "transform") if o in model.outputs), model.outputs[0])

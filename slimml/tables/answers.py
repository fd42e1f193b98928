"""A loaded model's answers to a table, as a table with a name for every column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slimml.errors import InputError
from slimml.schema import NUMBER, TEXT, Schema
from slimml.tables.infer import typed_array
from slimml.tables.table import Table, assemble

if TYPE_CHECKING:
    from slimml.runtime.predictor import Model

# Rows that are answered at once: enough to be fast, and memory stays in proportion to one chunk.
_CHUNK = 1 << 16


def answer(model: Model, method: str, table: Table) -> Table:
    """One row of answers per row of the table. Raises InputError where a column is missing or a row is refused."""
    columns = matched(model.schema, table)
    starts = range(0, max(len(table), 1), _CHUNK)
    parts = [_blocks(_answered(model, method, columns, s)) for s in starts]
    return _tabled(method, [np.concatenate(block) for block in zip(*parts, strict=True)], model)


def answer_as_given(model: Model, method: str, rows: Any) -> Table:
    """As `answer`, of rows that the model is handed as they are."""
    return _tabled(method, _blocks(getattr(model, method)(rows)), model)


def _tabled(method: str, blocks: list[np.ndarray], model: Model) -> Table:
    names = _names(method, blocks, getattr(model, "classes_", None))
    return assemble(tuple(names), [typed_array(b[:, i]) for b in blocks for i in range(b.shape[1])])


def _answered(model: Model, method: str, columns: list[np.ndarray], start: int) -> Any:
    try:
        return getattr(model, method)(_argument(model.schema, columns, start))
    except InputError as error:
        if start == 0:
            raise
        raise InputError(error.what, where=f"{error.where}, counted from row {start:,}", hint=error.hint) from None


def matched(schema: Schema, table: Table) -> list[np.ndarray]:
    """The table's column for each column of a schema: by name if the model has names, else by position."""
    lacking = [n for n in schema.names if n not in table.columns]
    if not lacking:
        return [table.columns[n] for n in schema.names]
    if schema.named and table.named:
        what = f"the table lacks {', '.join(map(repr, lacking[:8]))}{' and more' if len(lacking) > 8 else ''}"
        raise InputError(what, hint=f"it has: {', '.join(table.names[:20])}")
    if len(table.names) != len(schema.names):
        what = f"the table has {len(table.names)} columns, the model takes {len(schema.names)} by position"
        raise InputError(what, hint="keep only the columns that the model takes, in its order")
    return list(table.columns.values())


def _argument(schema: Schema, columns: list[np.ndarray], start: int) -> Any:
    """Rows from `start` in a form that a model takes without pandas: a matrix in the schema's order."""
    part = [c[start : start + _CHUNK] for c in columns]
    if len(columns) == 1 and schema.columns[0].kind == TEXT:
        return part[0].tolist()
    numbers = all(c.kind == NUMBER for c in schema.columns) and all(c.dtype != object for c in part)
    block = np.empty((len(part[0]), len(part)), dtype=np.float64 if numbers else object)
    for i, values in enumerate(part):
        block[:, i] = values
    return block


def _blocks(answers: Any) -> list[np.ndarray]:
    parts = answers if isinstance(answers, list) or getattr(answers, "ndim", 0) == 3 else [answers]
    dense = [p.toarray() if hasattr(p, "toarray") else np.asarray(p) for p in parts]
    return [d[:, None] if d.ndim == 1 else d for d in dense]


def _names(method: str, blocks: list[np.ndarray], classes: Any) -> list[str]:
    """`predict`; `predict_proba_<class>`; with several outputs `predict_<i>`, `predict_proba_<i>_<class>`."""
    several = len(blocks) > 1
    tables = classes if isinstance(classes, list) and several else [classes]
    names = []
    for k, block in enumerate(blocks):
        prefix = f"{method}_{k}" if several else method
        labels = _labels(method, tables[k] if k < len(tables) else None)
        if len(labels) == block.shape[1]:
            names += [f"{prefix}_{label}" for label in labels]
        elif block.shape[1] == 1:
            names.append(prefix)
        else:
            names += [f"{prefix}_{i}" for i in range(block.shape[1])]
    return names


def _labels(method: str, table: Any) -> list[Any]:
    """The classes that the columns of a method's answer stand for, in order."""
    per_class = method.startswith("predict_") or method == "decision_function"
    return table.tolist() if per_class and isinstance(table, np.ndarray) else []

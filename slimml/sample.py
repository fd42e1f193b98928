"""The user's rows and declarations, fitted to the columns that the model takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slimml.artifact.exact import from_exact
from slimml.errors import InputError, UsageError
from slimml.frontends.width import Columns, columns_of
from slimml.ingest.record import Record
from slimml.ir.domain import Domain
from slimml.ir.graph import Graph, Output
from slimml.parity.answers import Answers
from slimml.parity.reference import ExpectedReference
from slimml.parity.rows import RawRows
from slimml.runtime.predictor import Model
from slimml.schema import CATEGORY, NUMBER, Schema, respelled
from slimml.tables.declared import read_schema
from slimml.tables.objects import from_any
from slimml.tables.table import Table, positional

_NUMBERS = ("int64", "float64", "bool")


@dataclass(slots=True)
class Sample:
    """What the user gave: a table of rows (or None), and by column name its kind, dtype and declared domain.

    `columns`: those of the model, which the user's may stand for where its file does not say; None where neither does.
    """

    table: Table | None = None
    columns: Columns | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)

    def rows(self, schema: Schema) -> RawRows | None:
        """The table's rows under the schema that lowering ended with."""
        return rows_of(self.table, schema) if self.table is not None else None


def rows_of(table: Table, schema: Schema) -> RawRows:
    """A table's rows under a schema. Raises InputError where columns are missing, or hold no numbers and should."""
    columns = {}
    theirs = _matched(Columns(schema.names, schema.named, spaced=schema.spaced), table)
    for column, name in zip(schema.columns, theirs, strict=True):
        columns[column.name] = values = table.columns[name]
        if column.kind == NUMBER and values.dtype.kind == "O":
            odd = [v for v in values.tolist() if v is not None and not isinstance(v, int | float)]
            if odd:
                hint = "The model takes numbers there; leave cells that are missing empty."
                raise InputError(f"{odd[0]!r} is not a number", where=f"column {name!r} of --data", hint=hint)
    return RawRows.make(schema, columns)


def read_sample(record: Any, data: Any, target: str | None, schema: Any, like: Schema | None = None) -> Sample:
    """Read --data and --schema against the columns of a model. Raises UsageError, InputError.

    `like`: the columns of an artifact that was made of the model, for one that does not say how many it takes; what was
    declared of them holds again.
    """
    sample = Sample()
    if data is not None:
        sample.table = from_any(data)
        if target is not None:
            if target not in sample.table.names:
                raise UsageError(f"the data have no column {target!r} for --target", hint=_listed(sample.table))
            sample.table = sample.table.drop(target)
    elif target is not None:
        raise UsageError("--target names a column of --data, which is not given")
    declarations = read_schema(schema) if schema is not None else {}
    if isinstance(record, Record):
        offered = _offered(sample.table, declarations, like)
        sample.columns = columns_of(record, offered) if sample.table is not None or declarations else offered
    if sample.table is not None and sample.columns is not None:
        names = sample.columns.names
        for name, column in zip(names, _matched(sample.columns, sample.table), strict=True):
            dtype = sample.table.dtypes[column]
            sample.dtypes[name] = dtype
            sample.kinds[name] = NUMBER if dtype in _NUMBERS else CATEGORY
    if declarations and sample.columns is not None:
        names = sample.columns.names
        unknown = [n for n in declarations if n not in names]
        if unknown:
            hint = f"It takes {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}."
            raise UsageError(f"the model has no column {unknown[0]!r}", where="--schema", hint=hint)
    for known in like.columns if like is not None else ():
        if known.declared is not None:
            integer, low, high, missing = known.declared
            sample.domains[known.name] = Domain(integer=integer, low=low, high=high, missing=missing)
    for name, declared in declarations.items():
        sample.kinds[name] = declared.kind
        sample.domains[name] = declared
    return sample


def _offered(table: Table | None, declarations: Mapping[str, Domain], like: Schema | None) -> Columns | None:
    """The columns that the user knows of, for a model that says nothing of its own."""
    if table is not None:
        return Columns(table.names, table.named)
    if declarations:
        names = tuple(declarations)
        return Columns(names, named=names != positional(len(names)))
    return None if like is None else Columns(like.names, like.named)


def golden_rows(model: Model) -> list[RawRows]:
    """The rows that the artifact carries; none where it carries none."""
    golden = model.manifest.golden
    rows = from_exact(golden["rows"]) if isinstance(golden, dict) and "rows" in golden else []
    names = model.schema.names
    if not isinstance(rows, list) or not all(isinstance(r, dict) and set(r) == set(names) for r in rows) or not rows:
        return []
    return [RawRows.make(model.schema, {n: [r[n] for r in rows] for n in names})]


def read_expected(answers: Any, rows: RawRows, graph: Graph) -> ExpectedReference:
    """The original's answers to `rows` from a file or a frame whose columns `slimml predict` would write.

    `predict`, or `predict_proba_<class>` for each class; outputs that the file lacks are not compared. Raises
    UsageError, InputError.
    """
    table = from_any(answers)
    where = os.fspath(answers) if isinstance(answers, str | os.PathLike) else "expected"
    if len(table) != len(rows):
        raise InputError(f"{len(table)} answers for the {len(rows)} rows of --data", where=where)
    given: Answers = {}
    for output in graph.outputs:
        names = answer_columns(output, graph.classes)
        if all(n in table.columns for n in names):
            given[output.name] = (np.stack([table.columns[n] for n in names], axis=1),)
    if not given:
        wanted = ", ".join(n for o in graph.outputs[:2] for n in answer_columns(o, graph.classes))
        raise InputError("no column is an answer of this model", where=where, hint=f"Expected: {wanted}.")
    return ExpectedReference(rows, given, where)


def answer_columns(output: Output, classes: tuple[np.ndarray, ...]) -> list[str]:
    """The columns in which answers are written: the method's name, and the class or position where it has several."""
    if output.form == "vector":
        return [output.name]
    parts = []
    for k, node in enumerate(output.nodes):
        prefix = f"{output.name}_" if output.form == "matrix" else f"{output.name}_{k}_"
        table = classes[k].tolist() if k < len(classes) else []
        width = node.type.width
        labels = table if len(table) == width and not output.labels else list(range(width))
        parts += [f"{prefix}{label}" for label in labels]
    return parts


def _matched(columns: Columns, table: Table) -> list[str]:
    """The table's column for each of the model's: by name where both have names, else by position."""
    names = columns.names
    theirs = respelled(table.names, names) if columns.spaced else table.names
    own = dict(zip(theirs, table.names, strict=True))
    missing = [n for n in names if n not in own]
    if not missing:
        return [own[n] for n in names]
    if columns.named and table.named:
        raise InputError(
            f"the data lack {', '.join(map(repr, missing[:5]))}{' and more' if len(missing) > 5 else ''}",
            where="--data",
            hint=f"The model was fitted on {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}. {_listed(table)}",
        )
    if len(table.names) != len(names):
        raise InputError(
            f"the data have {len(table.names)} columns and the model takes {len(names)}",
            where="--data",
            hint="Drop what is no input; --target COL drops the answer.",
        )
    return list(table.names)


def _listed(table: Table) -> str:
    names = ", ".join(table.names[:12])
    return f"The data have: {names}{', ...' if len(table.names) > 12 else ''}."

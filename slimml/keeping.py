"""Steps of a pipeline that stay Python of the user's (`--keep PATH=module:function`), cut off before lowering.

Only the first steps of a Pipeline and its last ones can be: what stands between two compiled parts, or in a branch
beside others, would have to be called in the middle of a plan.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from slimml.artifact.kept import BEHIND, FRONT, METHODS, Kept, Rows, is_import_path
from slimml.errors import SlimmlError, UsageError, UserCodeError
from slimml.frontends.registry import reads_documents
from slimml.frontends.width import columns_of
from slimml.ingest.read import Ingested
from slimml.ingest.record import Record
from slimml.ir.graph import Graph
from slimml.parity.rows import RawRows
from slimml.sample import rows_of
from slimml.schema import CATEGORY, NUMBER, TEXT, Column, Schema
from slimml.tables.objects import from_any
from slimml.tables.table import Table

_PIPELINES = ("sklearn.pipeline.Pipeline", "imblearn.pipeline.Pipeline")
_NUMBERS = ("int64", "float64", "bool")


@dataclass(slots=True)
class Keeping:
    """The compiled rest of a model, and the kept steps around it.

    `rest`      the pipeline without them
    `span`      which of the pipeline's steps the rest is, those of pipelines inside of it counted one by one
    `steps`     the kept ones in order, filled in as more becomes known
    `python`    what they were imported as; empty where nothing was imported
    `raw`       the user's rows as they come, before any kept step
    """

    rest: Record
    span: tuple[int, int]
    steps: list[Kept]
    python: dict[str, Any] = field(default_factory=dict)
    raw: RawRows | None = None

    @property
    def front(self) -> list[Kept]:
        """Those before the compiled part."""
        return [s for s in self.steps if s.place == FRONT]

    @property
    def behind(self) -> list[Kept]:
        """Those after it."""
        return [s for s in self.steps if s.place == BEHIND]

    def compiled_part(self, source: Ingested) -> Ingested:
        """The same file with the rest of the model as its root."""
        return replace(source, root=self.rest, warnings=list(source.warnings))

    def handed_on(self, data: Any, target: str | None) -> Any:
        """The rows of --data as the compiled part gets them; None where there are none. Raises UserCodeError."""
        if data is None:
            return None
        table = from_any(data)
        if target is not None and target in table.names:
            table = table.drop(target)
        self.raw = raw_rows(table, self._documents(table))
        if not self.front:
            return table
        value = self.raw.argument()
        for i, step in enumerate(self.front):
            if step.function not in self.python:
                hint = f'Register it: python={{"{step.function}": ...}}, or --python {step.function}.'
                raise UsageError(f"the rows of --data go through {step.path}, which stays Python", hint=hint)
            given = _called(step, self.python[step.function], value)
            if _length(given) != len(table):
                raise UserCodeError(f"{step.function} made {_length(given)} rows of {len(table)}", where=step.path)
            self.steps[i] = replace(step, takes=_rows(value), gives=_rows(given))
            value = given
        return value

    def _documents(self, table: Table) -> bool:
        """Whether the whole model takes a list of texts: as the file says, else as the user gives them."""
        if self.front:
            texts = not table.named and len(table.names) == 1 and table.dtypes[table.names[0]] in ("str", "object")
            return self.front[0].takes.form == "documents" or (not self.front[0].takes.form and texts)
        return columns_of(self.rest).documents

    def sealed(self, fresh: Graph) -> tuple[Kept, ...]:
        """The kept steps as the header holds them, once the graph says what stands between them."""
        steps = list(self.steps)
        if self.front:
            last = len(self.front) - 1
            steps[last] = replace(steps[last], gives=_of_schema(fresh.schema))
        if self.behind:
            (node,) = fresh.output("transform").nodes
            form = "csr" if node.type.layout == "csr" else "array"
            takes = Rows(form, node.type.width, (), (node.type.dtype,))
            steps[len(self.front)] = replace(steps[len(self.front)], takes=takes)
        return tuple(steps)


def keep_steps(root: Any, keep: Mapping[str, str], python: Mapping[str, Any] | None = None) -> Keeping:
    """Cut the steps at the paths of `keep` off a pipeline. `python`: the functions; None: they are imported.

    Raises UsageError where a path is no step, or none that can be kept, and where there is no such function.
    """
    if not (isinstance(root, Record) and root.path in _PIPELINES):
        name = root.path if isinstance(root, Record) else type(root).__name__
        raise UsageError(f"--keep takes steps of a Pipeline, and the model is a {name}")
    flat = _flat(root)
    places = {path: _places(path, flat, root) for path in keep}
    order = sorted(keep, key=lambda path: places[path][0])
    front: list[str] = []
    behind: list[str] = []
    start, stop = 0, len(flat)
    for path in order:
        if places[path][0] == start:
            start = places[path][-1] + 1
            front.append(path)
    for path in reversed(order):
        if path not in front and places[path][-1] == stop - 1:
            stop = places[path][0]
            behind.insert(0, path)
    middle = [path for path in order if path not in (*front, *behind)]
    if middle or start >= stop:
        what = f"{middle[0]} stands between steps that are compiled" if middle else "nothing is left to compile"
        raise UsageError(f"--keep: {what}", hint="The first steps of a Pipeline and the last ones can stay Python.")
    functions = {keep[p]: imported(keep[p], "--keep") if python is None else python.get(keep[p]) for p in order}
    known = {name: function for name, function in functions.items() if function is not None}
    steps = [_kept(p, keep[p], FRONT, flat[places[p][0]][1], known) for p in front]
    steps += [_kept(p, keep[p], BEHIND, None, known, answers=p == behind[-1]) for p in behind]
    rest = replace(root, fields={**root.fields, "steps": flat[start:stop]})
    return Keeping(rest, (start, stop), steps, known)


def _flat(pipeline: Record, prefix: str = "") -> list[tuple[str, Any]]:
    """The steps of a pipeline, those of pipelines that are steps of it in their place; `worker.cut` does the same."""
    found: list[tuple[str, Any]] = []
    for name, step, *_ in pipeline.steps:
        inside = isinstance(step, Record) and step.path in _PIPELINES
        found += _flat(step, f"{prefix}{name}.") if inside else [(f"{prefix}{name}", step)]
    return found


def _places(path: str, flat: Sequence[tuple[str, Any]], root: Record) -> list[int]:
    name = path.removeprefix("model.")
    found = [i for i, (step, _) in enumerate(flat) if step == name or step.startswith(f"{name}.")]
    if not found:
        inside = [step for step, _ in flat if name.startswith(f"{step}.")]
        if inside:
            what = f"--keep: {path} stands inside of {inside[0]}, beside or between steps that are compiled"
            hint = f"The first steps of a Pipeline and the last ones can stay Python: --keep {inside[0]}=... keeps all."
            raise UsageError(what, hint=hint)
        raise UsageError(f"--keep: there is no step {path}", hint=f"The steps are: {', '.join(s for s, _ in flat)}.")
    return found


def _kept(path: str, function: str, place: str, step: Any, python: Mapping[str, Any], answers: bool = False) -> Kept:
    name = f"model.{path.removeprefix('model.')}"
    methods: tuple[str, ...] = ()
    if answers:
        given = python.get(function)
        methods = tuple(m for m in METHODS if callable(getattr(given, m, None))) or ("predict",)
    return Kept(name, function, place, _taken(step), Rows(), methods)


def _taken(step: Any) -> Rows:
    """What the file says of the rows that a step takes."""
    if not isinstance(step, Record):
        return Rows()
    if reads_documents(step.path):
        return Rows("documents", 1)
    names, width = step.get("feature_names_in_"), step.get("n_features_in_")
    known = isinstance(width, int | np.integer) and not isinstance(width, bool)
    if isinstance(names, np.ndarray) and all(isinstance(n, str) for n in names.tolist()):
        return Rows("frame", len(names), tuple(names.tolist()))
    return Rows("", int(width)) if known else Rows()


def imported(function: str, option: str) -> Any:
    """What a user names as "module:name". Raises UsageError where there is no such thing, UserCodeError."""
    if not is_import_path(function):
        raise UsageError(f"{option}: {function} is no import path", hint="Write it as package.module:function.")
    module, _, name = function.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except SlimmlError:
        raise
    except (ImportError, AttributeError) as error:
        hint = "Its module has to be in the current folder, in PYTHONPATH, or installed."
        raise UsageError(f"{option}: {function} cannot be imported: {error}", hint=hint) from None
    except Exception as error:
        raise UserCodeError(f"importing {function} raised {type(error).__name__}: {error}") from error
    if isinstance(value, type):
        raise UsageError(
            f"{option}: {function} is a class", hint="Name a function, or an object that is ready for use."
        )
    return value


def _called(step: Kept, function: Any, value: Any) -> Any:
    try:
        return getattr(function, "transform", function)(value)
    except SlimmlError:
        raise
    except Exception as error:
        said = f"{step.function} raised {type(error).__name__} on the rows of --data: {error}"
        raise UserCodeError(said, where=step.path, hint="It is code of yours, which --keep names.") from error


def raw_rows(table: Table, documents: bool) -> RawRows:
    """A table's rows as they are; `documents`: its only column is texts."""
    columns = []
    for name in table.names:
        dtype = table.dtypes[name]
        kind = NUMBER if dtype in _NUMBERS else TEXT if documents and len(table.names) == 1 else CATEGORY
        columns.append(Column(name, kind, dtype))
    return rows_of(table, Schema(tuple(columns), table.named and not documents))


def _rows(value: Any) -> Rows:
    """What a block is, as far as it shows."""
    if hasattr(value, "iloc") and getattr(value, "ndim", 0) == 2:
        names = value.columns.tolist()
        dtypes = tuple(str(d) for d in value.dtypes)
        return Rows("frame", len(names), tuple(names) if all(isinstance(n, str) for n in names) else (), dtypes)
    if isinstance(value, list):
        return Rows("documents", 1)
    shape: tuple[int, ...] = getattr(value, "shape", ())
    form = "csr" if hasattr(value, "toarray") else "array"
    return Rows(form, int(shape[1]) if len(shape) == 2 else 1, (), (str(value.dtype),))


def _of_schema(schema: Schema) -> Rows:
    if len(schema.columns) == 1 and schema.columns[0].kind == TEXT:
        return Rows("documents", 1)
    dtypes = [c.dtype for c in schema.columns]
    told = tuple(dtypes[:1] if len(set(dtypes)) == 1 else dtypes)
    names = schema.names if schema.named else ()
    return Rows("frame" if schema.named else "array", len(schema.columns), names, told)


def _length(value: Any) -> int:
    shape = getattr(value, "shape", None)
    return int(shape[0]) if shape else len(value)

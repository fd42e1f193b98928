"""A model of which some steps stay Python: the user's functions in front of the compiled part and behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from slimml.artifact.kept import BEHIND, FRONT, Kept, Rows
from slimml.errors import InputError, SlimmlError, UsageError, UserCodeError
from slimml.runtime.predictor import Model
from slimml.schema import TEXT

Python = Mapping[str, Any]


class KeptModel(Model):
    """As `Model`, answering through functions that the user registered; nothing is imported to find them.

    In front a function takes the rows as the original's step took them (one row from a dict or a list as a table of
    one) and gives those that the compiled part takes; behind it takes what the compiled part gives. An object with the
    method of that name (`transform`, `predict`, ...) does as well as a function. Without its functions the model opens,
    says what it needs, and answers nothing.
    """

    def __init__(self, compiled: Model, python: Python) -> None:
        self._compiled, self._python = compiled, dict(python)
        self._artifact, self._engine, self._float32 = compiled._artifact, compiled._engine, compiled._float32
        self._front = [s for s in compiled.manifest.kept if s.place == FRONT]
        self._behind = [s for s in compiled.manifest.kept if s.place == BEHIND]
        wanted = [s.function for s in compiled.manifest.kept]
        odd = [name for name in self._python if name not in wanted]
        if odd:
            hint = f"Its steps that stay Python: {', '.join(wanted) or 'none'}."
            raise UsageError(f"the artifact names no {odd[0]!r}", hint=hint)
        names = self._behind[-1].methods if self._behind else compiled.outputs
        self._methods = tuple(names)
        for name in names:
            setattr(self, name, partial(self._answered, name))

    @property
    def compiled(self) -> Model:
        """The compiled part alone, which takes and gives what the kept steps give and take."""
        return self._compiled

    @property
    def outputs(self) -> tuple[str, ...]:
        """The methods that the model answers."""
        return self._methods

    @property
    def n_features_in_(self) -> int:
        """Number of raw columns, those of the first kept step where it is known."""
        width = self._front[0].takes.width if self._front else self._compiled.n_features_in_
        if width is None:
            raise AttributeError(f"nobody knows how many columns {self._front[0].path} takes")
        return width

    def __getattr__(self, name: str) -> Any:
        front = self.__dict__.get("_front")
        if name == "feature_names_in_" and front:
            import numpy as np

            if front[0].takes.names:
                return np.array(front[0].takes.names, dtype=object)
            raise AttributeError(f"nobody knows the names of the columns that {front[0].path} takes")
        if name == "classes_" and self.__dict__.get("_behind"):
            return getattr(self._function(self._behind[-1]), name)
        if name.startswith("__") or "_compiled" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._compiled, name)

    def __repr__(self) -> str:
        steps = ", ".join(f"{s.path} ({s.function})" for s in (*self._front, *self._behind))
        return f"<slimml model: {', '.join(self._methods)}; Python of yours: {steps}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptModel, (self._compiled, self._python)

    def _function(self, step: Kept) -> Any:
        if step.function not in self._python:
            name = step.function.rpartition(":")[2]
            raise UsageError(
                f"the step is Python of yours ({step.function}), which this artifact names and does not hold",
                where=step.path,
                hint=f'Register it: slimml.load(path, python={{"{step.function}": {name}}}).',
            )
        return self._python[step.function]

    def _answered(self, method: str, X: Any) -> Any:
        functions = [(s, self._function(s)) for s in (*self._front, *self._behind)]
        single, count, value = _table(X, self._front[0].takes if self._front else self._as_documents())
        for step, function in functions[: len(self._front)]:
            value = _called(step, function, "transform", value, count)
        if not self._behind:
            answer = getattr(self._compiled, method)(value)
        else:
            value = self._compiled.transform(value)
            for step, function in functions[len(self._front) : -1]:
                value = _called(step, function, "transform", value, count)
            answer = _called(*functions[-1], method, value, count)
        return _alone(answer) if single else answer

    def _as_documents(self) -> Rows | None:
        columns = self.schema.columns
        return Rows("documents") if len(columns) == 1 and columns[0].kind == TEXT else None


def _table(X: Any, takes: Rows | None) -> tuple[bool, int, Any]:
    """Whether this is one row and no table, how many rows it is, and the rows as a table.

    `takes`: what the first step takes; None where the compiled part comes first, which reads lists of rows itself.
    """
    documents = takes is not None and takes.form == "documents"
    single = isinstance(X, str | bytes | Mapping)
    if isinstance(X, list | tuple) and X:
        if takes is not None and not takes.form and all(isinstance(x, str) for x in X):
            hint = "Pass a dict or a list of lists; or shrink with --data, which shows what the model takes."
            raise InputError("a list of texts may be one row or several documents, and nobody said which", hint=hint)
        single = not (documents or isinstance(X[0], Mapping | list | tuple) or getattr(X[0], "ndim", 0) == 1)
    elif not single and not isinstance(X, list | tuple):
        return False, _count(X), X
    rows = [X] if single else list(X)
    if not rows:
        raise InputError("no rows", hint="pass at least one row")
    return single, len(rows), rows if takes is None or documents else _made(rows, takes)


def _made(rows: list[Any], takes: Rows) -> Any:
    """A list of dicts or of lists as the frame or the array that a function takes."""
    dicts, names = isinstance(rows[0], Mapping), list(takes.names)
    missing = [n for n in names if dicts and n not in rows[0]]
    if missing:
        hint = "pass every column that the model was fitted on"
        raise InputError(f"columns are missing: {', '.join(map(repr, missing[:10]))}", hint=hint)
    if takes.form == "frame" or (takes.form == "" and dicts):
        import pandas as pd

        return pd.DataFrame(rows, columns=names or None)
    import numpy as np

    cells = [[r[n] for n in names or r] for r in rows] if dicts else rows
    block = np.array(cells)
    return block if block.dtype.kind in "biuf" else np.array(cells, dtype=object)


def _called(step: Kept, function: Any, method: str, value: Any, count: int) -> Any:
    """What a user's function makes of a block. Raises UserCodeError where it raises, or loses rows."""
    call = getattr(function, method, function)
    try:
        answer = call(value)
        given = _count(answer[0] if isinstance(answer, list) and method != "transform" and answer else answer)
    except SlimmlError:
        raise
    except Exception as error:
        said = f"{step.function} raised {type(error).__name__}: {error}"
        raise UserCodeError(said, where=step.path, hint="It is code of yours, registered with slimml.load.") from error
    if given != count:
        hint = "A kept step answers every row that it is handed, in their order."
        raise UserCodeError(f"{step.function} made {given} rows of {count}", where=step.path, hint=hint)
    return answer


def _count(rows: Any) -> int:
    shape = getattr(rows, "shape", None)
    return int(shape[0]) if shape else len(rows)


def _alone(answer: Any) -> Any:
    """The only row of an answer, as Python scalars and lists."""
    if isinstance(answer, list) and hasattr(answer[0], "ndim") and answer[0].ndim:
        return [_alone(a) for a in answer]  # several targets
    if hasattr(answer, "iloc"):
        answer = answer.to_numpy()
    row = answer.toarray()[0] if hasattr(answer, "toarray") else answer[0]
    return row.tolist() if hasattr(row, "tolist") else row

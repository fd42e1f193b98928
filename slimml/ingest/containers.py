"""Dicts, lists and tuples that hold models: list them with paths, pick one."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.errors import IngestError
from slimml.ingest.record import Record

# Records of these packages are never models: tables, dates, random states, functions by value.
_NOT_MODELS = frozenset(
    [
        *("builtins", "__builtin__", "collections", "copy_reg", "copyreg", "datetime", "decimal", "functools", "numpy"),
        *("pandas", "pyarrow", "scipy", "re", "pathlib", "uuid", "dill", "cloudpickle", "operator", "types", "time"),
        *("logging", "random", "enum", "_io", "io", "joblib"),
    ]
)
# Endings of the names of classes that stand before a model, and of those that stand beside it.
_TRANSFORMERS = ("Vectorizer", "Scaler", "Imputer", "Transformer", "OneHotEncoder", "OrdinalEncoder", "PCA", "SVD")
_OF_LABELS = ("LabelEncoder", "Binarizer")
_HOLDERS = (Record, dict, list, tuple, np.ndarray)
_DEEPEST = 8
_MOST = 1000


def models(root: Any) -> list[tuple[str, Record]]:
    """Every model that `root` is or that stands in its dicts, lists and tuples, with its path; none inside models."""
    found: list[tuple[str, Record]] = []
    seen: set[int] = set()
    level: list[tuple[str, Any]] = [("", root)]
    for _ in range(_DEEPEST):
        deeper: list[tuple[str, Any]] = []
        for path, value in level:
            if id(value) in seen or len(found) >= _MOST:
                continue
            seen.add(id(value))
            if is_model(value):
                found.append((path, value))
            else:
                deeper.extend((f"{path}.{step}" if path else step, part) for step, part in _parts(value))
        level = deeper
    return found


def is_model(value: object) -> bool:
    """Whether this is a Record with attributes of a class that could be a model."""
    return type(value) is Record and bool(value.fields) and value.module.split(".")[0] not in _NOT_MODELS


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Where a model may stand in `value`: the parts that are Records or containers, by name."""
    pairs: Any = ()
    if type(value) is dict:
        pairs = value.items()
    elif type(value) is Record:
        pairs = value.pairs
    elif type(value) in (list, tuple):
        pairs = enumerate(value)
    elif type(value) is np.ndarray and value.dtype.hasobject:
        pairs = enumerate(value.flat)
    return [(str(key), part) for key, part in pairs if type(part) in _HOLDERS and type(key) in (str, int)]


def choose(root: Any, select: str | None) -> tuple[str, Any]:
    """The path and the value to go on with: what `select` names, else the root, else its only model.

    Paths with commas between them name steps that run one after the other: what comes of them is a Pipeline's Record.
    Raises IngestError that lists the paths where there are several models or where `select` leads nowhere.
    """
    if select and "," in select and not _leads(root, select):
        return _chained(root, [part.strip() for part in select.split(",")])
    if select:
        return select, _follow(root, select)
    found = [] if is_model(root) else models(root)
    if len(found) == 1:
        return found[0]
    if found:
        chain = _likely_chain(found)
        then = f" Steps that run one after the other are one pipeline: --select {chain}." if chain else ""
        raise IngestError(
            f"the file holds {len(found)} models: {_listed(found)}",
            hint=f"Pick one with --select PATH (select=... in Python), for instance --select {found[0][0]}.{then}",
        )
    return "", root


def _chained(root: Any, paths: list[str]) -> tuple[str, Record]:
    steps = []
    for path in paths:
        step = _follow(root, path)
        if not is_model(step):
            raise IngestError(f"--select: {path!r} is no model, so it is no step of a pipeline", hint=_hint(root))
        steps.append((path, step))
    if len(set(paths)) < len(paths):
        raise IngestError(f"--select names a step twice: {','.join(paths)}", hint=_hint(root))
    return ",".join(paths), Record("sklearn.pipeline", "Pipeline", fields={"steps": steps})


def _leads(root: Any, select: str) -> bool:
    try:
        _follow(root, select)
    except IngestError:
        return False
    return True


def _likely_chain(found: list[tuple[str, Record]]) -> str:
    """What looks like a model and the transformers that it was saved with, for the user to try; "" where nothing."""
    groups: dict[str, list[tuple[str, Record]]] = {}
    for path, record in found:
        groups.setdefault(path.rpartition(".")[0], []).append((path, record))
    for members in groups.values():
        first = [path for path, record in members if record.name.endswith(_TRANSFORMERS)]
        last = [path for path, record in members if not record.name.endswith((*_TRANSFORMERS, *_OF_LABELS))]
        if first and last and not any("," in path for path in (*first, last[0])):
            return ",".join([*first, last[0]])
    return ""


def _listed(found: list[tuple[str, Record]]) -> str:
    shown = ", ".join(f"{path} ({record.name})" for path, record in found[:20])
    return shown if len(found) <= 20 else f"{shown} and {len(found) - 20} more"


def _follow(root: Any, select: str) -> Any:
    value, rest = root, select
    while rest:
        steps = dict(_parts(value))
        if type(value) is Record:
            steps.update(value.fields)
        # Keys may hold dots themselves, so the longest that fits wins.
        fits = [step for step in steps if rest == step or rest.startswith(f"{step}.")]
        if not fits:
            names = ", ".join(list(steps)[:20]) or "nothing"
            raise IngestError(f"--select {select!r} leads nowhere: {rest!r} is not among {names}", hint=_hint(root))
        step = max(fits, key=len)
        value, rest = steps[step], rest[len(step) + 1 :]
    return value


def _hint(root: Any) -> str:
    found = models(root)
    return f"Models in the file: {_listed(found)}." if found else "The file holds no model in a dict, list or tuple."

"""Walks over decoded values: loops, never recursion; each object once, so cycles and repetition end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError, LimitError
from slimml.ingest.limits import Limits
from slimml.ingest.machine import Unfinished
from slimml.ingest.record import Record, Symbol

# Numpy's scalar types are leaves too; they are met one by one.
_LEAVES = frozenset({str, int, float, bool, type(None), bytes, bytearray, memoryview, complex, slice, Symbol})
_LEAVES |= {np.float64, np.float32, np.int64, np.int32, np.str_, np.bool_}


def survey(root: Any, limits: Limits) -> list[Record]:
    """Every Record that `root` holds, nearest first.

    Raises LimitError for nesting beyond the limit and CorruptInputError where an array was used before its content.
    """
    records: list[Record] = []
    seen: set[int] = set()
    level: list[Any] = [root]
    depth = 0
    while level:
        depth += 1
        if depth > limits.depth:
            raise LimitError(f"containers are nested more than {limits.depth} levels deep")
        deeper: list[Any] = []
        for value in level:
            if id(value) in seen:
                continue
            seen.add(id(value))
            if type(value) is Record:
                records.append(value)
            elif type(value) is Unfinished:
                raise CorruptInputError(f"the file uses an {value.kind} before its content")
            for group in _groups(value):
                if not _LEAVES.issuperset(map(type, group)):
                    deeper.extend(v for v in group if type(v) not in _LEAVES)
        level = deeper
    return records


def _groups(value: Any) -> Iterator[Iterable[Any]]:
    kind = type(value)
    if kind is Record:
        yield from (value.args, value.kwargs.values(), value.fields.values(), (value.state,), value.items)
        if value.pairs:
            yield [key for key, _ in value.pairs]
            yield [item for _, item in value.pairs]
    elif kind is dict:
        yield value.keys()
        yield value.values()
    elif kind in (list, tuple, set, frozenset):
        yield value
    elif kind is np.ndarray and value.dtype.hasobject:
        yield list(value.flat)


def children(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a value with the step of a path that leads to each."""
    kind = type(value)
    if kind is Record:
        yield from value.fields.items()
        yield from ((f"args.{i}", v) for i, v in enumerate(value.args))
        yield from value.kwargs.items()
        yield from ((f"items.{i}", v) for i, v in enumerate(value.items))
        yield from ((_step(key), v) for key, v in value.pairs)
        yield "state", value.state
    elif kind is dict:
        yield from ((_step(key), v) for key, v in value.items())
    elif kind in (list, tuple):
        yield from ((str(i), v) for i, v in enumerate(value))
    elif kind in (set, frozenset):
        yield from (("*", v) for v in value)
    elif kind is np.ndarray and value.dtype.hasobject:
        yield from ((str(i), v) for i, v in enumerate(value.flat))


def _step(key: Any) -> str:
    return str(key)[:60] if isinstance(key, (str, int, float, bool)) else f"<{type(key).__name__}>"


def path_to(root: Any, wanted: Callable[[Any], bool]) -> str:
    """The shortest path to a value that is wanted, such as `model.steps.1.func`, or "" where none is reached."""
    seen = {id(root)}
    level: list[tuple[str, Any]] = [("", root)]
    while level:
        deeper: list[tuple[str, Any]] = []
        for path, value in level:
            if wanted(value):
                return path
            for step, part in children(value):
                if id(part) not in seen and (type(part) is Symbol or type(part) not in _LEAVES):
                    seen.add(id(part))
                    deeper.append((f"{path}.{step}" if path else step, part))
        level = deeper
    return ""

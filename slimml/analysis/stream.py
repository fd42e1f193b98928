"""The bytes of a pickle by step and attribute: every byte in one place, in what comes first in the file.

The Records say what a value is and the Spans where it stands; both are walked side by side, in a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from slimml.analysis.boosters import booster_shares
from slimml.analysis.trees import Forest, Share, count_tree, shares
from slimml.analysis.unread import is_judged, unread
from slimml.ingest.containers import is_model
from slimml.ingest.record import Record
from slimml.ingest.spans import Part, Stream, spans
from slimml.ingest.walk import children
from slimml.parity.profiling import all_steps, steps_inside

# Names of attributes that one level of a step may have; what a hostile file has more is told as a whole.
_MOST_NAMES, _MOST_STEPS = 600, 2000
_MORE = "(more)"
# What stands around the content of an array at most: its class, shape and dtype.
_HEADER = 1024


@dataclass(eq=False, slots=True)
class Holding:
    """An attribute (of all members of a list together) and what it holds.

    `own`     bytes that stand in none of `parts`; `unread`: those of them that no method reads, and `why`
    `what`    the type of what is there, and how often
    """

    name: str
    own: int = 0
    unread: int = 0
    why: str = ""
    what: str = ""
    count: int = 0
    parts: dict[str, Holding] = field(default_factory=dict)

    def part(self, name: str) -> Holding:
        """The part of that name, made on first use."""
        if name not in self.parts and len(self.parts) >= _MOST_NAMES:
            name = _MORE
        return self.parts.setdefault(name, Holding(name))

    def charge(self, share: Share, size: int) -> None:
        """Put `size` bytes of a share of an array on the account of a part."""
        part = self.part(share.name)
        part.own, part.count = part.own + size, part.count + 1
        if share.unread:
            part.unread, part.why = part.unread + size, share.unread

    def walk(self) -> Iterator[tuple[tuple[str, ...], Holding]]:
        """This and everything below it, with the names that lead there."""
        stack: list[tuple[tuple[str, ...], Holding]] = [((), self)]
        while stack:
            path, holding = stack.pop()
            yield path, holding
            stack += [((*path, name), part) for name, part in holding.parts.items()]


@dataclass(eq=False, slots=True)
class Step:
    """One step of a pipeline: where it stands, its class, and what it holds besides other steps.

    `weighed`: a selector computes importances from it, out of what prediction alone does not read of trees.
    """

    path: str
    class_path: str
    judged: bool
    held: Holding
    weighed: bool = False
    forest: Forest = field(default_factory=Forest)

    @property
    def bytes(self) -> int:
        """Of this step alone."""
        return sum(h.own for _, h in self.held.walk())

    @property
    def unread(self) -> int:
        """Bytes that no method reads."""
        return sum(h.unread for _, h in self.held.walk())


@dataclass(eq=False, slots=True)
class Accounts:
    """`steps` in the order of the pipeline, and the bytes of the stream that stand in none of them."""

    steps: list[Step]
    outside: int


@dataclass(frozen=True, eq=False, slots=True)
class _Visit:
    part: Part
    value: Any
    holder: Any
    attribute: str
    holding: Holding
    step: Step
    why: str


def account(root: Record, stream: Stream) -> Accounts:
    """Where the bytes of a stream are, of which `root` is the model."""
    whole = spans(stream)
    records = record_steps(root)
    selectors = tuple(f"{path}." for path, r in records if r.name == "SelectFromModel")
    steps = [Step(p, r.path, is_judged(r), Holding(r.name), p.startswith(selectors)) for p, r in records]
    by_id = {id(record): step for (_, record), step in zip(records, steps, strict=True)}
    read = _read(root)
    found = _find(whole, stream.value, root)
    if found is None:
        return Accounts(steps, whole.bytes)
    stack = [_Visit(found, root, None, "", steps[0].held, steps[0], "")]
    while stack:
        visit = stack.pop()
        own = visit.part.bytes
        for inner in _parts(visit, by_id, read):
            own -= inner.part.bytes
            stack.append(inner)
        _charge(visit, own)
    return Accounts(steps, whole.bytes - found.bytes)


def record_steps(root: Record) -> list[tuple[str, Record]]:
    """(path, Record) of the model and of every step below it; templates that prediction never reads are none."""

    def inside(record: Record) -> list[tuple[str, Any]]:
        return steps_inside(lambda name: None if unread(record, name) else record.fields.get(name), is_model)

    return all_steps(root, inside)[:_MOST_STEPS]


def _parts(visit: _Visit, by_id: dict[int, Step], read: set[int]) -> Iterator[_Visit]:
    """What stands inside of a value, each with the account that it is charged to."""
    value = visit.value
    for part, inner, name in _inside(visit.part, value):
        holder, attribute = (value, part.label) if type(value) is Record else (visit.holder, visit.attribute)
        why = visit.why or (unread(value, part.label) if type(value) is Record else "")
        if why and id(inner) in read:
            why = ""  # what is read as well stands elsewhere by reference alone
        step = by_id.get(id(inner)) if part.span is not None else None
        if step is not None:
            yield _Visit(part, inner, None, "", step.held, step, "")
        else:
            holding = visit.holding.part(name) if name else visit.holding
            yield _Visit(part, inner, holder, attribute, holding, visit.step, why)


def _inside(whole: Part, value: Any) -> Iterator[tuple[Part, Any, str]]:
    """The parts of a value with what each is, and the name that it adds to the path: "[]" for each of a list."""
    if whole.span is None or isinstance(value, np.generic):
        return
    if type(value) is np.ndarray:
        for part in _items(whole) if value.dtype.hasobject else ():
            if int(part.label) < value.size:
                yield part, value.flat[int(part.label)], "[]"
        return
    for part in whole.span.parts:
        yield part, *_inner(value, part.label)


def _inner(value: Any, label: str) -> tuple[Any, str]:
    if type(value) is Record:
        if label in value.fields:
            return value.fields[label], label
        head, _, index = label.partition(".")
        group: Any = {"args": value.args, "items": value.items}.get(head, ())
        if index.isdecimal() and int(index) < len(group):
            return group[int(index)], head
        return (value.state, "") if label == "state" else (None, label)
    if type(value) is dict:
        return value.get(label), label
    if type(value) in (list, tuple):
        return (value[int(label)], "[]") if label.isdecimal() and int(label) < len(value) else (None, label)
    return (getattr(value, label), label) if label in ("data", "indices", "indptr") else (None, label)


def _items(array: Part) -> list[Part]:
    """The items of an array of objects: the list at the end of its state; with joblib, of a pickle of its own."""
    span = array.span
    for _ in range(4):
        inner = {p.label: p.span for p in span.parts} if span is not None else {}
        span = inner.get("content") or inner.get("state")
        if span is not None and span.kind == "sequence":
            last = span.parts[-1].span if span.parts else None
            return last.parts if last is not None and last.kind == "sequence" else []
    return []


def _charge(visit: _Visit, own: int) -> None:
    """Put the bytes of a value that stand in none of its parts on its account."""
    value, holding = visit.value, visit.holding
    holding.count += 1
    holding.what = holding.what or told(value)
    if visit.why:
        holding.own += own
        holding.unread += own
        holding.why = holding.why or visit.why
        return
    if type(value) is Record:
        count_tree(visit.step.forest, value)
    parts = booster_shares(value) if is_booster(visit) else shares(visit.holder, visit.attribute, value)
    for share, size in zip(parts, _scaled(parts, own), strict=True):
        holding.charge(replace(share, unread="") if visit.step.weighed else share, size)
        own -= size
    holding.own += own


def is_booster(visit: _Visit) -> bool:
    """Whether this is the model of a booster in its library's own format."""
    named = type(visit.holder) is Record and visit.holder.name == "Booster"
    return named and visit.attribute in _HANDLES and type(visit.value) in _TEXTS


def _scaled(parts: list[Share], own: int) -> list[int]:
    """The bytes of parts of an array in the stream: as in memory, or in proportion where they are written otherwise.

    Protocols 0 to 2 write a byte above 127 as two.
    """
    memory = sum(s.bytes for s in parts)
    if memory <= own <= memory + _HEADER:
        return [s.bytes for s in parts]
    return [s.bytes * own // memory for s in parts] if memory else [0] * len(parts)


def told(value: Any) -> str:
    """The type of a value, in a few words."""
    kind = type(value)
    if kind is Record:
        return str(value.name)[:80]
    if kind is np.ndarray:
        fields = value.dtype.names
        return f"array of {len(fields)} fields" if fields else f"{value.dtype} array"
    return "" if value is None else kind.__name__


def _read(root: Record) -> set[int]:
    """The ids of what some method may read; the same object may stand in a part that none reads as well."""
    seen: set[int] = set()
    stack: list[Any] = [root]
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for label, inner in children(value):
            if type(inner) in _COMPOSED and not (type(value) is Record and unread(value, label)):
                stack.append(inner)
    return seen


def _find(whole: Part, top: Any, root: Any) -> Part | None:
    """Where in the stream the model stands; None where it is not found."""
    stack = [(whole, top)]
    while stack:
        part, value = stack.pop()
        if value is root and part.span is not None:
            return part
        if type(value) in _COMPOSED:
            stack += [(inner, held) for inner, held, _ in _inside(part, value)]
    return None


_HANDLES, _TEXTS = ("handle", "_handle"), (str, bytes, bytearray, memoryview)
_COMPOSED = (Record, dict, list, tuple, set, frozenset, np.ndarray, bytes, bytearray)

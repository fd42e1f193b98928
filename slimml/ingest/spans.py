"""Which bytes of a pickle belong to which attribute: the stream walked once more, for positions alone.

A pickle writes an object from its class to its BUILD without a gap, and a dictionary key, value, key, value; so the
bytes of an attribute are those from its key to the next one's. Objects that come twice stand where they come first; the
later mention is a few bytes. Nothing is decoded here but short texts (they may be keys).
"""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slimml.ingest.machine import Source

# Longer texts are no names of attributes. Wider dictionaries (vocabularies) are told as a whole.
_LONGEST_KEY, _WIDEST = 256, 512


@dataclass(eq=False, slots=True)
class Span:
    """A value that may have parts: `kind` is dict, sequence or object; `count`: items of a sequence, or keys."""

    kind: str
    parts: list[Part] = field(default_factory=list)
    count: int = 0


class Part(NamedTuple):
    """Bytes `start` to `end` of the stream, key included; `span` where the value has parts itself.

    Positions count arrays that are kept beside the stream (protocol 5, live objects) as if they stood in it.
    """

    label: str
    start: int
    end: int
    span: Span | None

    @property
    def bytes(self) -> int:
        """How many."""
        return self.end - self.start


@dataclass(eq=False, slots=True)
class Stream:
    """A pickle that `decode` has read to its end.

    `value`    what it holds
    `jumps`    position -> (end, whether a pickle stands there) of what joblib puts between the instructions
    `buffers`  the sizes of the arrays beside it
    """

    data: Source
    value: Any
    jumps: Mapping[int, tuple[int, bool]] = field(default_factory=dict)
    buffers: Sequence[int] = ()


def spans(stream: Stream) -> Part:
    """The whole of a stream, with its parts."""
    walk = _Walk(stream)
    return Part("", 0, walk.run(0) + walk.shift, walk.stack[-1][1])


class _Walk:
    """A pickle machine whose stack holds, for each value, where it starts, and its text or its Span."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.data = stream, stream.data
        self.stack: list[tuple[int, Any]] = []
        self.marks: list[list[tuple[int, Any]]] = []
        self.memo: dict[int, str | None] = {}
        self.shift = 0  # bytes of arrays beside the stream so far
        self.buffer = 0

    def run(self, pos: int) -> int:
        """Walk to STOP; the position behind it."""
        data, sizes, pushes, handlers = self.data, _SIZES, _PUSHES, _HANDLERS
        while True:
            op, start = data[pos], pos + self.shift
            size = sizes[op]
            if size >= 0:
                first, pos = pos + 1, pos + 1 + size
            else:
                first, pos = _operand(data, pos + 1, size)
            if op == 0x2E:
                return pos
            if pushes[op]:
                self.stack.append((start, None))
                continue
            handler = handlers[op]
            if handler is not None:
                pos = handler(self, start, first, pos) or pos

    def popped(self) -> list[tuple[int, Any]]:
        """What was pushed since the last MARK."""
        items, self.stack = self.stack, self.marks.pop()
        return items


def _operand(data: Source, pos: int, size: int) -> tuple[int, int]:
    """Where an operand of no fixed size starts and ends: after its length, or as one or two lines."""
    if size > _LINES:
        width = -size
        count = int.from_bytes(data[pos : pos + width], "little")
        return pos + width, pos + width + count
    end = pos
    for _ in range(_LINES - size + 1):
        end = data.find(b"\n", end) + 1
    return pos, end


def _text(decoding: Callable[[bytes], str]) -> _Handler:
    def push(walk: _Walk, start: int, first: int, end: int) -> None:
        short = end - first <= _LONGEST_KEY
        walk.stack.append((start, decoding(bytes(walk.data[first:end])) if short else None))

    return push


def _quoted(line: bytes) -> str:
    return codecs.escape_decode(line.strip()[1:-1])[0].decode("latin-1")


def _mark(walk: _Walk, start: int, first: int, end: int) -> None:
    walk.marks.append(walk.stack)
    walk.stack = []


def _stop_mark(walk: _Walk, start: int, first: int, end: int) -> None:
    walk.popped()


def _pop(walk: _Walk, start: int, first: int, end: int) -> None:
    if walk.stack:
        walk.stack.pop()
    else:
        walk.popped()


def _dup(walk: _Walk, start: int, first: int, end: int) -> None:
    walk.stack.append((start, None))


def _memoize(walk: _Walk, start: int, first: int, end: int) -> None:
    _remember(walk, len(walk.memo))


def _put(walk: _Walk, start: int, first: int, end: int) -> None:
    _remember(walk, int.from_bytes(walk.data[first:end], "little"))


def _put_line(walk: _Walk, start: int, first: int, end: int) -> None:
    _remember(walk, int(walk.data[first:end]))


def _remember(walk: _Walk, key: int) -> None:
    # Only texts are met again by what they are; of an object the bytes are where it stands first.
    value = walk.stack[-1][1]
    walk.memo[key] = value if type(value) is str else None


def _get(walk: _Walk, start: int, first: int, end: int) -> None:
    walk.stack.append((start, walk.memo[int.from_bytes(walk.data[first:end], "little")]))


def _get_line(walk: _Walk, start: int, first: int, end: int) -> None:
    walk.stack.append((start, walk.memo[int(walk.data[first:end])]))


def _empty(kind: str) -> _Handler:
    def push(walk: _Walk, start: int, first: int, end: int) -> None:
        walk.stack.append((start, Span(kind)))

    return push


def _append(walk: _Walk, start: int, first: int, end: int) -> None:
    item = walk.stack.pop()
    _extend(walk.stack[-1][1], [item], start)


def _appends(walk: _Walk, start: int, first: int, end: int) -> None:
    items = walk.popped()
    target = walk.stack[-1][1]
    _extend(target, items, start, "items." if type(target) is Span and target.kind == "object" else "")


def _list(walk: _Walk, start: int, first: int, end: int) -> None:
    items, made = walk.popped(), Span("sequence")
    _extend(made, items, start)
    walk.stack.append((_from(items, start), made))


def _extend(target: Any, items: list[tuple[int, Any]], end: int, prefix: str = "") -> None:
    """Items of a sequence: those that have parts become parts, by position."""
    if type(target) is not Span:
        return
    for i, (start, value) in enumerate(items):
        if type(value) is Span:
            stop = items[i + 1][0] if i + 1 < len(items) else end
            target.parts.append(Part(f"{prefix}{target.count + i}", start, stop, value))
    target.count += len(items)


def _tuple(walk: _Walk, start: int, first: int, end: int) -> None:
    items = walk.popped()
    walk.stack.append((_from(items, start), _sequence(items, start)))


def _tuple_of(count: int) -> _Handler:
    def make(walk: _Walk, start: int, first: int, end: int) -> None:
        items = walk.stack[-count:]
        walk.stack[-count:] = [(_from(items, start), _sequence(items, start))]

    return make


def _sequence(items: list[tuple[int, Any]], end: int) -> Span | None:
    if not any(type(value) is Span for _, value in items):
        return None
    made = Span("sequence")
    _extend(made, items, end)
    return made


def _from(items: list[tuple[int, Any]], start: int) -> int:
    return items[0][0] if items else start


def _set_item(walk: _Walk, start: int, first: int, end: int) -> None:
    pair = walk.stack[-2:]
    del walk.stack[-2:]
    _set(walk.stack[-1][1], pair, start)


def _set_items(walk: _Walk, start: int, first: int, end: int) -> None:
    items = walk.popped()
    _set(walk.stack[-1][1], items, start)


def _dict(walk: _Walk, start: int, first: int, end: int) -> None:
    items, made = walk.popped(), Span("dict")
    _set(made, items, start)
    walk.stack.append((_from(items, start), made))


def _set(target: Any, items: list[tuple[int, Any]], end: int) -> None:
    if type(target) is not Span:
        return
    first, target.count = target.count, target.count + len(items) // 2
    for i in range(0, len(items) - 1, 2):
        (start, key), (_, value) = items[i], items[i + 1]
        if target.count <= _WIDEST or (type(value) is Span and value.parts):
            stop = items[i + 2][0] if i + 2 < len(items) else end
            label = key if type(key) is str else f"<{first + i // 2}>"
            target.parts.append(Part(label, start, stop, value if type(value) is Span else None))


def _object(count: int) -> _Handler:
    """REDUCE, NEWOBJ, NEWOBJ_EX: a class, its arguments, and maybe keywords."""

    def make(walk: _Walk, start: int, first: int, end: int) -> None:
        parts = walk.stack[-count:]
        made = Span("object")
        _arguments(made, parts[1], parts[2][0] if count > 2 else start)
        walk.stack[-count:] = [(parts[0][0], made)]

    return make


def _arguments(made: Span, arguments: tuple[int, Any], end: int) -> None:
    span = arguments[1]
    if type(span) is Span:
        made.parts += [p._replace(label=f"args.{p.label}") for p in span.parts]


def _instance(walk: _Walk, start: int, first: int, end: int) -> None:
    items, made = walk.popped(), Span("object")
    _extend(made, items, start, "args.")
    walk.stack.append((_from(items, start), made))


def _build(walk: _Walk, start: int, first: int, end: int) -> int | None:
    (state_start, state), target = walk.stack.pop(), walk.stack[-1][1]
    if type(target) is Span and type(state) is Span:
        target.parts += _fields(state, state_start, start)
    jump = walk.stream.jumps.get(end)
    if jump is None:
        return None
    stop, nested = jump
    if type(target) is Span:
        inner = None
        if nested:
            inside = _Walk(walk.stream)
            inside.shift = walk.shift
            inside.run(end)
            inner = inside.stack[-1][1]
        target.parts.append(Part("content", end + walk.shift, stop + walk.shift, inner))
    return stop


def _fields(state: Span, start: int, end: int) -> list[Part]:
    """The attributes that a state holds: a dictionary, or two of them where the class has slots."""
    if state.kind == "dict":
        return state.parts
    if state.parts and all(p.span is not None and p.span.kind == "dict" for p in state.parts):
        return [inner for p in state.parts if p.span is not None for inner in p.span.parts]
    return [Part("state", start, end, state)]


def _next_buffer(walk: _Walk, start: int, first: int, end: int) -> None:
    walk.stack.append((start, None))
    walk.shift += walk.stream.buffers[walk.buffer]
    walk.buffer += 1


def _replace(count: int) -> _Handler:
    """Takes `count` values and leaves one without parts."""

    def make(walk: _Walk, start: int, first: int, end: int) -> None:
        items = walk.stack[-count:]
        walk.stack[-count:] = [(_from(items, start), None)]

    return make


def _frozen_set(walk: _Walk, start: int, first: int, end: int) -> None:
    items = walk.popped()
    walk.stack.append((_from(items, start), None))


_Handler = Callable[[_Walk, int, int, int], "int | None"]
_LINES = -100
_SIZES = [0] * 256
_PUSHES = [False] * 256
for _op in pickletools.opcodes:
    _n = _op.arg.n if _op.arg is not None else 0
    # pickletools tells lengths before the content as -2 (one byte), -3 and -4 (four), -5 (eight), and a line as -1.
    _width = {-2: -1, -3: -4, -4: -4, -5: -8, -1: _LINES - (_op.name in ("GLOBAL", "INST"))}
    _SIZES[ord(_op.code)] = _width.get(_n, _n)
    _PUSHES[ord(_op.code)] = not _op.stack_before and bool(_op.stack_after)

_utf8: Callable[[bytes], str] = lambda raw: raw.decode("utf-8", "surrogatepass")  # noqa: E731
_latin1: Callable[[bytes], str] = lambda raw: raw.decode("latin-1")  # noqa: E731
_BY_NAME: dict[str, Any] = {
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _text(_utf8)),
    **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING"), _text(_latin1)),
    "STRING": _text(_quoted),
    "UNICODE": _text(lambda line: line.rstrip(b"\r\n").decode("raw-unicode-escape")),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put),
    "GET": _get_line,
    "PUT": _put_line,
    "MEMOIZE": _memoize,
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _stop_mark,
    "DUP": _dup,
    "EMPTY_LIST": _empty("sequence"),
    "EMPTY_DICT": _empty("dict"),
    "EMPTY_SET": _empty("sequence"),
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _appends,
    "LIST": _list,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "DICT": _dict,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "FROZENSET": _frozen_set,
    "STACK_GLOBAL": _replace(2),
    "REDUCE": _object(2),
    "NEWOBJ": _object(2),
    "NEWOBJ_EX": _object(3),
    "INST": _instance,
    "OBJ": _instance,
    "BUILD": _build,
    "NEXT_BUFFER": _next_buffer,
}
_HANDLERS: list[_Handler | None] = [None] * 256
for _op in pickletools.opcodes:
    _HANDLERS[ord(_op.code)] = _BY_NAME.get(_op.name)
    if _op.name in _BY_NAME:
        _PUSHES[ord(_op.code)] = False

"""The state of a pickle machine: one stream's stack and memo, and what the streams of one file share."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from slimml.errors import CorruptInputError, LimitError, UntrustedError
from slimml.ingest.limits import DEFAULT, Limits
from slimml.ingest.record import Symbol

Source = bytes | bytearray | mmap.mmap
_u32 = struct.Struct("<I").unpack_from
# Raw bytes shorter than this are copied out of the file; longer ones that become arrays stay views of it.
VIEW = 4096


@dataclass(eq=False, slots=True)
class Context:
    """What the streams of one file share: budgets, the names seen, how they were used.

    `called`, `classes`   the Symbols that REDUCE calls and those that NEWOBJ makes instances of
    `offsets`   (module, name) -> the byte at which the name first stands
    `nested`    pickles inside the pickle so far; `decode_nested` reads one where the machine stands
    `copied`    bytes of arrays copied out of the file to be aligned
    `jumps`     position -> (end, whether a pickle stands there) of what joblib puts between the instructions
    """

    limits: Limits = DEFAULT
    buffers: list[memoryview] = field(default_factory=list)
    symbols: dict[tuple[str, str], Symbol] = field(default_factory=dict)
    offsets: dict[tuple[str, str], int] = field(default_factory=dict)
    called: set[Symbol] = field(default_factory=set)
    classes: set[Symbol] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    protocol: int = 0
    next_buffer: int = 0
    nested: int = 0
    copied: int = 0
    wrapped_arrays: int = 0
    jumps: dict[int, tuple[int, bool]] = field(default_factory=dict)
    decode_nested: Callable[[Machine], Any] | None = None


@dataclass(eq=False, slots=True)
class Unfinished:
    """An array, dtype or matrix between its REDUCE and its BUILD; `key` is the memo entry to replace then."""

    kind: str
    value: Any
    key: int | None = None


class Machine:
    """One stream of one file: where it stands (`pos`) and what it holds. `decode.run` moves it."""

    def __init__(self, data: Source, context: Context, pos: int = 0, level: int = 0) -> None:
        self.data = data
        self.view = memoryview(data).toreadonly()
        self.size = len(data)
        self.pos = pos
        self.level = level
        self.context = context
        self.limits = context.limits
        self.stack: list[Any] = []
        self.metastack: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> int:
        """Step over `count` bytes that must be there and answer where they start."""
        start = self.pos
        if count < 0 or start + count > self.size:
            raise self.too_long(start + count, start)
        self.pos = start + count
        return start

    def line(self, longest: int = 1 << 16) -> bytes:
        """The text up to the next newline, as protocol 0 writes its operands."""
        end = self.data.find(b"\n", self.pos, self.pos + longest)
        if end < 0:
            raise self.truncated() if self.pos + longest > self.size else self.corrupt("a line has no end")
        text = bytes(self.data[self.pos : end])
        self.pos = end + 1
        if text.endswith(b"\r"):
            warning = "lines end in CR LF: the file went through a text-mode copy or checkout"
            if warning not in self.context.warnings:
                self.context.warnings.append(warning)
            return text[:-1]
        return text

    def raw(self, count: int) -> bytes | memoryview:
        """The next `count` bytes: a view where they are the content of an array, else a copy."""
        start = self.take(count)
        if count >= VIEW and self._array_content_is_next():
            return self.view[start : start + count]
        return bytes(self.data[start : start + count])

    def _array_content_is_next(self) -> bool:
        stack, metastack = self.stack, self.metastack
        if not metastack or not metastack[-1]:
            return False
        below = metastack[-1][-1]
        if len(stack) == 4:
            return type(below) is Unfinished and below.kind == "array"
        return not stack and type(below) is Symbol and below.name == "_frombuffer"

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last MARK."""
        items = self.stack
        if not self.metastack:
            raise self.corrupt("a MARK is missing")
        self.stack = self.metastack.pop()
        return items

    def next_memo_key(self) -> int | None:
        """The memo entry that the next instruction will give to the object now being made."""
        op = self.data[self.pos]
        if op == 0x94:
            return len(self.memo)
        if op == 0x71:
            return self.data[self.pos + 1]
        if op == 0x72:
            return int(_u32(self.data, self.pos + 1)[0])
        if op == 0x70:
            text = bytes(self.data[self.pos + 1 : self.pos + 21]).split(b"\n")[0].strip()
            return int(text) if text.isdigit() else None
        return None

    def symbol(self, module: object, name: object) -> Symbol:
        """The Symbol of that name. Raises UntrustedError for a name that no honest file holds."""
        if type(module) is not str or type(name) is not str:
            raise UntrustedError("a global is named by something other than text", offset=self.pos)
        found = self.context.symbols.get((module, name))
        if found is None:
            found = self._new_symbol(module, name)
        return found

    def _new_symbol(self, module: str, name: str) -> Symbol:
        if max(len(module), len(name)) > self.limits.name:
            raise LimitError(f"a name is longer than {self.limits.name} characters", offset=self.pos)
        # Kept before it is judged: `scan` lists refused names too.
        found = self.context.symbols[module, name] = Symbol(module, name)
        self.context.offsets[module, name] = self.pos
        if not (module.isascii() and all(part.isidentifier() for part in module.split("."))):
            raise UntrustedError(f"{module[:60]!r} is not the name of a module", offset=self.pos)
        if not (name.isascii() and name.isidentifier()):
            raise UntrustedError(
                f"{module}: {name[:60]!r} is not a plain name",
                hint="Dotted and look-alike names reach into modules behind a reader's back and are never followed.",
                offset=self.pos,
            )
        return found

    def corrupt(self, what: str) -> CorruptInputError:
        """An error at the current byte."""
        return CorruptInputError(what, offset=self.pos)

    def truncated(self) -> CorruptInputError:
        """The error of a stream that ends early."""
        return CorruptInputError(
            "the pickle ends early", hint="The file is truncated: copy or download it again.", offset=self.size
        )

    def too_long(self, end: int, start: int) -> CorruptInputError:
        """The error of a length that the file does not hold."""
        return CorruptInputError(
            f"an instruction declares {end - start} bytes where {max(self.size - start, 0)} are left",
            hint="The file is truncated or damaged: copy or download it again.",
            offset=start,
        )


def is_encode(value: object) -> bool:
    """Whether this is the function by which protocols 0 to 2 write bytes as a text."""
    return type(value) is Symbol and value.module == "_codecs" and value.name == "encode"


def roles(context: Context) -> Iterable[tuple[Symbol, tuple[str, ...]]]:
    """Each name of the file with how it is used: called, class, or value (named, and neither)."""
    for symbol in context.symbols.values():
        uses = [r for r, group in (("called", context.called), ("class", context.classes)) if symbol in group]
        yield symbol, tuple(uses) or ("value",)

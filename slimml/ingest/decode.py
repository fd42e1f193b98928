"""Walk the opcodes of a pickle and rebuild Records and plain values; import nothing, call nothing.

The opcodes are those of https://github.com/python/cpython/blob/3.13/Lib/pickletools.py; the meaning of each is the C
machine's, except where that would run code (a Record is built) or where no honest writer goes (an IngestError).
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import Any

from slimml.errors import IngestError, LimitError
from slimml.ingest.machine import VIEW, Context, Machine, Source, Unfinished, is_encode
from slimml.ingest.opcodes import RARE, append_items, call, set_items

_u32 = struct.Struct("<I").unpack_from
_i32 = struct.Struct("<i").unpack_from
_f64 = struct.Struct(">d").unpack_from
# Nested pickles are read by recursion; honest ones are one or two levels deep.
_DEEPEST_NESTING = 16
_WIDEST_MEMO_GAP = 1 << 16


def decode(data: Source, context: Context, pos: int = 0) -> tuple[Any, int]:
    """The object that the pickle at `pos` holds, and the byte after its STOP. Raises IngestError."""
    context.decode_nested = _decode_nested
    machine = Machine(data, context, pos)
    return run(machine), machine.pos


def _decode_nested(outer: Machine) -> Any:
    """The object of the pickle that starts where `outer` stands; `outer` then stands behind it."""
    context = outer.context
    context.nested += 1
    if context.nested > context.limits.nested or outer.level >= _DEEPEST_NESTING:
        raise LimitError("too many pickles inside the pickle", offset=outer.pos)
    inner = Machine(outer.data, context, outer.pos, outer.level + 1)
    value = run(inner)
    outer.pos = inner.pos
    return value


def run(machine: Machine) -> Any:
    """Decode to STOP. Raises an IngestError that names the byte, whatever the bytes are."""
    try:
        return _run(machine)
    except IngestError as e:
        if e.offset is None:
            raise type(e)(e.what, where=e.where, hint=e.hint, offset=machine.pos) from None
        raise
    except IndexError:
        if machine.pos >= machine.size:
            raise machine.truncated() from None
        raise machine.corrupt("an instruction needs a value that is not on the stack") from None
    except KeyError:
        raise machine.corrupt("the stream refers to an object that it has not defined") from None
    except struct.error:
        raise machine.truncated() from None
    except UnicodeDecodeError:
        raise machine.corrupt("a text is not valid UTF-8") from None


def _run(machine: Machine) -> Any:
    # One long loop on purpose: local variables and the commonest opcodes first are what keep it on par with the C
    # machine for real models; so is taking a MEMOIZE together with the instruction before it. The rest is in
    # opcodes.RARE.
    data, size, memo, limits = machine.data, machine.size, machine.memo, machine.limits
    stack, metastack, pos = machine.stack, machine.metastack, machine.pos
    handlers = RARE
    value: Any
    try:
        for _ in repeat(None, limits.opcodes):
            op = data[pos]
            pos += 1
            if op == 0x94:  # MEMOIZE
                memo[len(memo)] = stack[-1]
            elif op == 0x8C:  # SHORT_BINUNICODE
                end = pos + 1 + data[pos]
                if end > size:
                    raise machine.too_long(end, pos)
                try:
                    value = data[pos + 1 : end].decode()
                except UnicodeDecodeError:
                    value = data[pos + 1 : end].decode("utf-8", "surrogatepass")
                stack.append(value)
                pos = end
                if data[pos] == 0x94:
                    memo[len(memo)] = value
                    pos += 1
            elif op == 0x68:  # BINGET
                stack.append(memo[data[pos]])
                pos += 1
            elif op == 0x4B:  # BININT1
                stack.append(data[pos])
                pos += 1
            elif op == 0x4D:  # BININT2
                stack.append(data[pos] | data[pos + 1] << 8)
                pos += 2
            elif op == 0x4A:  # BININT
                stack.append(_i32(data, pos)[0])
                pos += 4
            elif op == 0x71:  # BINPUT
                memo[data[pos]] = stack[-1]
                pos += 1
            elif op == 0x72:  # LONG_BINPUT
                memo[_u32(data, pos)[0]] = stack[-1]
                pos += 4
            elif op == 0x6A:  # LONG_BINGET
                stack.append(memo[_u32(data, pos)[0]])
                pos += 4
            elif op == 0x58:  # BINUNICODE
                end = pos + 4 + _u32(data, pos)[0]
                if end > size:
                    raise machine.too_long(end, pos)
                if end - pos >= VIEW and stack and is_encode(stack[-1]):
                    # The argument of `_codecs.encode`: bytes written as a text, which is the form to take them from.
                    stack.append(machine.view[pos + 4 : end])
                else:
                    stack.append(data[pos + 4 : end].decode("utf-8", "surrogatepass"))
                pos = end
            elif op == 0x43:  # SHORT_BINBYTES
                end = pos + 1 + data[pos]
                if end > size:
                    raise machine.too_long(end, pos)
                value = bytes(data[pos + 1 : end])
                stack.append(value)
                pos = end
                if data[pos] == 0x94:
                    memo[len(memo)] = value
                    pos += 1
            elif op == 0x86:  # TUPLE2
                value = stack.pop()
                stack[-1] = value = (stack[-1], value)
                if data[pos] == 0x94:
                    memo[len(memo)] = value
                    pos += 1
            elif op == 0x52:  # REDUCE
                arguments = stack.pop()
                machine.pos = pos
                stack[-1] = call(machine, stack[-1], arguments)
                pos = machine.pos
            elif op == 0x47:  # BINFLOAT
                stack.append(_f64(data, pos)[0])
                pos += 8
            elif op == 0x28:  # MARK
                metastack.append(stack)
                machine.stack = stack = []
                if len(metastack) > limits.marks:
                    raise LimitError(f"more than {limits.marks} MARKs are open", offset=pos)
            elif op == 0x75:  # SETITEMS
                items = stack
                machine.stack = stack = metastack.pop()
                set_items(machine, stack[-1], items)
            elif op == 0x65:  # APPENDS
                items = stack
                machine.stack = stack = metastack.pop()
                append_items(machine, stack[-1], items)
            elif op == 0x74:  # TUPLE
                items = stack
                machine.stack = stack = metastack.pop()
                stack.append(tuple(items))
            elif op == 0x4E:  # NONE
                stack.append(None)
            elif op == 0x2E:  # STOP
                break
            else:
                machine.pos = pos
                handler = handlers[op]
                if handler is None:
                    raise machine.corrupt(f"0x{op:02x} is no pickle instruction")
                handler(machine)
                stack, pos = machine.stack, machine.pos
        else:
            raise LimitError(f"more than {limits.opcodes} instructions", offset=pos)
    finally:
        machine.pos = pos
    return _result(machine, stack)


def _result(machine: Machine, stack: list[Any]) -> Any:
    if len(machine.memo) > machine.limits.memo:
        raise LimitError(f"more than {machine.limits.memo} remembered objects")
    value = stack.pop()
    if machine.memo and max(machine.memo) > 2 * len(machine.memo) + _WIDEST_MEMO_GAP:
        machine.context.warnings.append("objects are numbered with gaps, as no pickler does")
    if stack or machine.metastack:
        raise machine.corrupt("values are left over at the end of the pickle")
    if type(value) is Unfinished:
        raise machine.corrupt(f"the pickle ends in an unfinished {value.kind}")
    return value

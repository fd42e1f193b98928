"""What each pickle instruction does, for all but the commonest (those are inlined in decode.py)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from slimml.errors import UntrustedError
from slimml.ingest import operands
from slimml.ingest.keys import check_keys
from slimml.ingest.machine import Machine
from slimml.ingest.record import Record, Symbol
from slimml.ingest.values import finish, instance, name_of_made_class, reduce

_u64 = struct.Struct("<Q").unpack_from
_ONLY_TEXT = {str}


def call(machine: Machine, function: object, arguments: object) -> Any:
    """REDUCE: nothing is called; a Record or one of the values that values.py lists is made."""
    if type(arguments) is not tuple:
        raise machine.corrupt("a call's arguments are not a tuple")
    if type(function) is not Symbol:
        if name_of_made_class(function) is not None:
            return instance(machine, function, arguments, {})
        raise UntrustedError("the file calls something that is not a global", offset=machine.pos)
    machine.context.called.add(function)
    return reduce(machine, function, arguments)


def set_items(machine: Machine, target: Any, items: list[Any]) -> None:
    """SETITEM and SETITEMS."""
    if len(items) % 2:
        raise machine.corrupt("a dictionary has a key without a value")
    keys, values = items[::2], items[1::2]
    if type(target) is dict:
        if not _ONLY_TEXT.issuperset(map(type, keys)):
            check_keys(machine, keys, len(target))
        target.update(zip(keys, values, strict=True))
    elif type(target) is Record:
        target.pairs.extend(zip(keys, values, strict=True))
    else:
        raise machine.corrupt(f"items are set on a {type(target).__name__}")


def append_items(machine: Machine, target: Any, items: list[Any]) -> None:
    """APPEND and APPENDS."""
    if type(target) is list:
        target.extend(items)
    elif type(target) is Record:
        target.items.extend(items)
    else:
        raise machine.corrupt(f"items are appended to a {type(target).__name__}")


def _proto(m: Machine) -> None:
    m.context.protocol = protocol = m.data[m.take(1)]
    if protocol > 5:
        raise m.corrupt(f"pickle protocol {protocol} is not known")


def _frame(m: Machine) -> None:
    length = _u64(m.data, m.take(8))[0]
    if m.pos + length > m.size:
        raise m.too_long(m.pos + length, m.pos)


def _mutable_bytes(m: Machine) -> None:
    raw = m.raw(_u64(m.data, m.take(8))[0])
    m.stack.append(raw if type(raw) is memoryview else bytearray(raw))


def _next_buffer(m: Machine) -> None:
    context = m.context
    if context.next_buffer >= len(context.buffers):
        raise m.corrupt("the content of an array was kept outside of the file")
    m.stack.append(context.buffers[context.next_buffer])
    context.next_buffer += 1


def _refuse_extension(m: Machine) -> None:
    raise UntrustedError("an EXT code names a class outside of the file", offset=m.pos)


def _refuse_persistent(m: Machine) -> None:
    raise UntrustedError("a persistent id refers to an object outside of the file", offset=m.pos)


def _put_line(m: Machine) -> None:
    m.memo[operands.integer(m, m.line().strip())] = m.stack[-1]


def _get_line(m: Machine) -> None:
    m.stack.append(m.memo[operands.integer(m, m.line().strip())])


def _pop(m: Machine) -> None:
    # POP right after MARK takes the MARK away.
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _tuple_of(m: Machine, count: int) -> None:
    if len(m.stack) < count:
        raise IndexError
    m.stack[-count:] = [tuple(m.stack[-count:])]


def _list(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _dict(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append({})
    set_items(m, m.stack[-1], items)


def _set_item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    set_items(m, m.stack[-1], [key, value])


def _append(m: Machine) -> None:
    value = m.stack.pop()
    append_items(m, m.stack[-1], [value])


def _add_items(m: Machine) -> None:
    items = m.pop_mark()
    target = m.stack[-1]
    if type(target) is Record:
        target.items.extend(items)
    elif type(target) is set:
        check_keys(m, items, len(target))
        target.update(items)
    else:
        raise m.corrupt(f"items are added to a {type(target).__name__}")


def _frozen_set(m: Machine) -> None:
    items = m.pop_mark()
    check_keys(m, items, 0)
    m.stack.append(frozenset(items))


def _global(m: Machine) -> None:
    module, name = _name_line(m), _name_line(m)
    m.stack.append(m.symbol(module, name))


def _name_line(m: Machine) -> str:
    return str(m.line(), "utf-8")


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(m.symbol(module, name))


def _new(m: Machine, cls: object, args: object, kwargs: object) -> None:
    if type(args) is not tuple or type(kwargs) is not dict or not _ONLY_TEXT.issuperset(map(type, kwargs)):
        raise m.corrupt("an object's arguments are not a tuple and a dictionary")
    m.stack.append(instance(m, cls, args, kwargs))


def _newobj(m: Machine) -> None:
    args, cls = m.stack.pop(), m.stack.pop()
    _new(m, cls, args, {})


def _newobj_ex(m: Machine) -> None:
    kwargs, args, cls = m.stack.pop(), m.stack.pop(), m.stack.pop()
    _new(m, cls, args, kwargs)


def _inst(m: Machine) -> None:
    # The old way to make an instance calls whatever is named, a class or not.
    symbol = m.symbol(_name_line(m), _name_line(m))
    m.stack.append(call(m, symbol, tuple(m.pop_mark())))


def _obj(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(call(m, items[0], tuple(items[1:])))


def _build(m: Machine) -> None:
    state, target = m.stack.pop(), m.stack[-1]
    if type(target) is Symbol:
        raise UntrustedError(f"the file changes {target.path} itself", offset=m.pos)
    if type(target) is not Record:
        finish(m, target, state)
        return
    set_state(target, state)


def set_state(target: Record, state: Any) -> None:
    """What BUILD does to an object: its attributes, or a state of another kind as it is."""
    # A class with slots has two dicts for a state: attributes, and slots.
    parts = state if type(state) is tuple and len(state) == 2 else (state,)
    if all(part is None or (type(part) is dict and _ONLY_TEXT.issuperset(map(type, part))) for part in parts):
        for part in parts:
            target.fields.update(part or {})
    else:
        target.state = state


def _table() -> list[Callable[[Machine], None] | None]:
    rare: dict[bytes, Callable[[Machine], None]] = {
        b"\x80": _proto,
        b"\x95": _frame,
        # Scalars.
        b"\x88": lambda m: m.stack.append(True),
        b"\x89": lambda m: m.stack.append(False),
        b"I": operands.push_int,
        b"L": lambda m: m.stack.append(operands.integer(m, m.line().strip())),
        b"\x8a": lambda m: operands.push_long(m, m.data[m.take(1)]),
        b"\x8b": lambda m: operands.push_long(m, int.from_bytes(m.data[m.take(4) : m.pos], "little", signed=True)),
        b"F": operands.push_float,
        # Texts and bytes.
        b"S": operands.push_quoted,
        b"V": operands.push_escaped,
        b"U": lambda m: operands.push_byte_text(m, m.data[m.take(1)]),
        b"T": lambda m: operands.push_byte_text(m, int.from_bytes(m.data[m.take(4) : m.pos], "little", signed=True)),
        b"\x8d": lambda m: operands.push_text(m, _u64(m.data, m.take(8))[0]),
        b"B": lambda m: m.stack.append(m.raw(int.from_bytes(m.data[m.take(4) : m.pos], "little"))),
        b"\x8e": lambda m: m.stack.append(m.raw(_u64(m.data, m.take(8))[0])),
        b"\x96": _mutable_bytes,
        b"\x97": _next_buffer,
        b"\x98": lambda m: None,
        # Containers.
        b")": lambda m: m.stack.append(()),
        b"\x85": lambda m: _tuple_of(m, 1),
        b"\x87": lambda m: _tuple_of(m, 3),
        b"]": lambda m: m.stack.append([]),
        b"l": _list,
        b"a": _append,
        b"}": lambda m: m.stack.append({}),
        b"d": _dict,
        b"s": _set_item,
        b"\x8f": lambda m: m.stack.append(set()),
        b"\x90": _add_items,
        b"\x91": _frozen_set,
        # The stack and the memo.
        b"0": _pop,
        b"1": _pop_mark,
        b"2": lambda m: m.stack.append(m.stack[-1]),
        b"p": _put_line,
        b"g": _get_line,
        # Names and objects.
        b"c": _global,
        b"\x93": _stack_global,
        b"\x81": _newobj,
        b"\x92": _newobj_ex,
        b"i": _inst,
        b"o": _obj,
        b"b": _build,
        b"P": _refuse_persistent,
        b"Q": _refuse_persistent,
        b"\x82": _refuse_extension,
        b"\x83": _refuse_extension,
        b"\x84": _refuse_extension,
    }
    return [rare.get(bytes([code])) for code in range(256)]


RARE = _table()

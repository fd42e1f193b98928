"""Which regular expressions may run: those that no text can keep busy for long.

Python's matcher backtracks, so that `(a+)+b` takes ages on a row of a's; a pattern comes from a file, and files come
from anywhere. What is allowed:

- literals, sets, `.`, anchors, groups, alternatives, and looking ahead or behind without a repetition inside;
- a repetition of one character of a set (`\\w+`, `[a-z]{2,8}`), and of a group that can be read in one way only: of
  fixed length (`(?:[a-z]\\.)+`), or with a character at its start or end that occurs nowhere else in it (`(?:-\\w+)*`);
- several open-ended repetitions only where a character that the first cannot match stands between it and the next
  (`\\w+@\\w+`); so each start in the text costs at most one pass over what follows.

References to groups, conditions and nested open-ended repetitions are refused.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from functools import cache
from re import _compiler, _parser  # type: ignore[attr-defined]
from re import _constants as op  # type: ignore[attr-defined]  # the parse tree has no public face
from typing import Any

_LONGEST, _DEEPEST = 1000, 40
# Beyond this many characters a bounded repetition counts as open-ended; and how many ways of reading bounded ones have.
_BOUNDED, _WAYS = 32, 4096

_SINGLE = (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY, op.CATEGORY)
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_LOOKS = (op.ASSERT, op.ASSERT_NOT)

Item = tuple[Any, Any]


class _RefusedError(Exception):
    """The pattern is refused; says why."""


def refusal_of_pattern(pattern: str) -> str | None:
    """Why a pattern may not run, or None. Takes bounded time itself."""
    if len(pattern) > _LONGEST or pattern.count("(") > _DEEPEST or pattern.count("[") > _LONGEST // 4:
        return "it is too long, or too deeply nested"
    try:
        parsed = _parser.parse(pattern)
        if parsed.state.groups > 2:  # the whole match is counted too
            return "it has more than one capturing group"
        _Checker(parsed.state.flags).check(list(parsed))
        re.compile(pattern)
    except _RefusedError as refused:
        return str(refused)
    except (re.error, OverflowError, RecursionError) as error:
        return f"it is no regular expression ({error})"
    return None


class _Checker:
    """Walks a parsed pattern."""

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def check(self, items: list[Item]) -> None:
        """Raise _RefusedError for what the module's rules do not allow."""
        self._sequence(items, [])

    def _sequence(self, items: list[Item], rest: list[Item]) -> int:
        """Check items with what follows them; how many ways there are to read their bounded parts."""
        ways = 1
        for i, item in enumerate(items):
            ways *= self._item(item, [*items[i + 1 :], *rest])
            if ways > _WAYS:
                raise _RefusedError("it can be read in too many ways")
        return ways

    def _item(self, item: Item, rest: list[Item]) -> int:
        code, value = item
        if code in _SINGLE or code is op.AT:
            return 1
        if code is op.SUBPATTERN:
            if value[1] or value[2]:
                raise _RefusedError("it sets flags inside of a group")
            return self._sequence(list(value[3]), rest)
        if code is op.BRANCH:
            return sum(self._sequence(list(part), rest) for part in value[1])
        if code in _LOOKS:
            if _repeats(list(value[1])):
                raise _RefusedError("it repeats something while looking ahead or behind")
            return self._sequence(list(value[1]), [])
        if code in _REPEATS:
            return self._repeat(value[0], value[1], list(value[2]), rest)
        raise _RefusedError(f"it uses {str(code).lower().replace('_', ' ')}, which can take time without end")

    def _repeat(self, least: int, most: Any, body: list[Item], rest: list[Item]) -> int:
        if most == 1:
            return 1 + self._sequence(body, rest)
        body = _unwrapped(body)
        if len(body) > 1 or body[0][0] not in _SINGLE:
            self._read_in_one_way(body)
        elif most <= _BOUNDED:
            return int(most) - least + 1
        if _repeats(rest) and not self._parted(body, rest):
            raise _RefusedError("two open-ended repetitions follow each other with nothing to part them")
        return 1

    def _read_in_one_way(self, body: list[Item]) -> None:
        """A group is repeated: it must be clear from the text where each round ends."""
        parts = [_unwrapped(list(item[1][2])) if item[0] in _REPEATS else [item] for item in body]
        plain = all(len(p) == 1 and p[0][0] in _SINGLE for p in parts)
        if not plain:
            raise _RefusedError("it repeats a group that holds more than characters and their repetitions")
        fixed = all(item[0] in _SINGLE or item[1][0] == item[1][1] for item in body)
        for edge in (0, -1):
            others = [p[0] for p in parts]
            own = others.pop(edge)
            fixed |= body[edge][0] in _SINGLE and all(self._disjoint(own, x) for x in others)
        if not fixed:
            raise _RefusedError("it repeats a group that can be read in several ways")
        for i, item in enumerate(body):
            following = body[i + 1 :]
            if item[0] in _REPEATS and _repeats(following) and not self._parted(parts[i], following):
                raise _RefusedError(
                    "two repetitions inside of a repetition follow each other with nothing to part them"
                )

    def _parted(self, body: list[Item], rest: list[Item]) -> bool:
        """Whether whatever may follow `body` starts with a character that no part of it matches."""
        for i, item in enumerate(rest):
            code, value = item
            if code is op.AT:
                continue
            if code is op.SUBPATTERN:
                return self._parted(body, [*value[3], *rest[i + 1 :]])
            if code in _REPEATS:
                if not self._parted(body, list(value[2])):
                    return False
                if value[0] > 0:
                    return True
                continue
            return code in _SINGLE and all(self._disjoint(item, x) for x in _singles(body))
        return True

    def _disjoint(self, one: Item, other: Item) -> bool:
        return _no_character_is_in_both(_frozen(one), _frozen(other), self.flags)


def _unwrapped(body: list[Item]) -> list[Item]:
    while len(body) == 1 and body[0][0] is op.SUBPATTERN and not (body[0][1][1] or body[0][1][2]):
        body = list(body[0][1][3])
    return body or [(op.AT, None)]


def _repeats(items: Sequence[Item]) -> bool:
    """Whether something among the items is repeated without end."""
    for code, value in items:
        if code in _REPEATS and (
            value[1] > _BOUNDED or _repeats(list(value[2])) or (value[1] > 1 and len(value[2]) > 1)
        ):
            return True
        if code is op.SUBPATTERN and _repeats(list(value[3])):
            return True
        if code is op.BRANCH and any(_repeats(list(part)) for part in value[1]):
            return True
    return False


def _singles(body: list[Item]) -> list[Item]:
    """The sets of characters that a checked body is made of."""
    found: list[Item] = []
    for item in body:
        found += _singles(_unwrapped(list(item[1][2]))) if item[0] in _REPEATS else [item]
    return found


def _frozen(item: Item) -> Item:
    code, value = item
    return (code, tuple(value)) if code is op.IN else (code, value)


@cache
def _no_character_is_in_both(one: Item, other: Item, flags: int) -> bool:
    """Whether two sets of characters have none in common: all characters there are, are tried."""
    state = _parser.State()
    state.flags = flags
    items = [(c, list(v) if c is op.IN else v) for c, v in (one, other)]
    both = [(op.ASSERT, (1, _parser.SubPattern(state, items[:1]))), items[1]]
    return _compiler.compile(_parser.SubPattern(state, both), flags).search(_every_character()) is None


@cache
def _every_character() -> str:
    return array("I", range(0x110000)).tobytes().decode("utf-32", "surrogatepass")

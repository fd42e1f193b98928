"""Markup that is safe by its type: a plain str is escaped wherever it is put, `Html` alone goes in as it is."""

from __future__ import annotations

import html
from collections.abc import Iterable

_EMPTY = frozenset({"meta", "link", "br", "hr", "input"})


class Html(str):
    """Markup made by this module."""

    __slots__ = ()


Content = str | Html | Iterable["str | Html"]


def text(value: object) -> Html:
    """A value as text: markup is escaped, and so is what is not printable (names come from files of strangers)."""
    plain = "".join(c if c.isprintable() or c == "\n" else _code(c) for c in str(value))
    return Html(html.escape(plain, quote=True))


def _code(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def join(*parts: Content) -> Html:
    """Parts one after the other, each escaped unless it is markup."""
    return Html("".join(_one(p) for p in parts))


def _one(part: Content) -> str:
    if isinstance(part, Html):
        return part
    if isinstance(part, str):
        return text(part)
    return "".join(_one(p) for p in part)


def tag(name: str, /, *content: Content, **attributes: object) -> Html:
    """An element. `class_` is class, `data_tip` is data-tip; None and False leave an attribute out, True is bare."""
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        written.append(f" {key}" if value is True else f' {key}="{text(value)}"')
    opening = f"<{name}{''.join(written)}>"
    return Html(opening if name in _EMPTY else f"{opening}{join(*content)}</{name}>")

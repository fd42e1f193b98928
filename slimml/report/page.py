"""What the two pages share: the skeleton, and the pieces that they are put together from."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from slimml.report.html import Content, Html, join, tag


class Cell(NamedTuple):
    """A cell of a sortable table: what it shows, and the number that it is sorted by where that is not its text."""

    shown: Content
    value: float | None = None
    kind: str = ""


def page(title: str, headline: Html, about: Sequence[str], *sections: Html) -> str:
    """The whole document. Only the one script that is part of slimml may run in it, and nothing is fetched."""
    style, script = _resource("page.css"), _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Html(style)),
    )
    top = tag("header", tag("p", title, class_="label"), tag("h1", headline), tag("p", *_dots(about), class_="about"))
    foot = tag("footer", "Made by slimml. This file needs no network: it holds all that it shows.")
    tip = tag("div", id="tip", role="status", hidden=True)
    body = tag("body", tag("main", top, *sections, foot), tip, tag("script", Html(script)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _resource(name: str) -> str:
    return resources.files("slimml.report").joinpath(name).read_text("utf-8")


def _dots(parts: Sequence[str]) -> list[Content]:
    made: list[Content] = []
    for part in parts:
        made += [Html(" &middot; ")] if made else []
        made.append(tag("span", part))
    return made


def section(title: str, *content: Content, lead: Content = "") -> Html:
    """A part of the page with a heading, and a sentence below it."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead") if lead else "", *content)


def strong(words: object) -> Html:
    """What catches the eye."""
    return tag("strong", str(words))


def tiles(*pairs: tuple[str, str, str]) -> Html:
    """Large figures: (figure, what it is, a note)."""
    made = [
        tag("div", tag("b", figure), tag("span", name), tag("small", note) if note else "", class_="tile")
        for figure, name, note in pairs
    ]
    return tag("div", *made, class_="tiles")


def notes(sentences: Sequence[Content]) -> Html:
    """A list of sentences; nothing where there are none."""
    return tag("ul", *(tag("li", s) for s in sentences), class_="notes") if sentences else Html("")


def table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()) -> Html:
    """A table that sorts by a click on a header."""
    head = [
        tag("th", tag("button", h, type="button") if h else "", scope="col", class_="num" if i in numbers else None)
        for i, h in enumerate(headers)
    ]
    body = [tag("tr", *(_cell(c, i, i in numbers) for i, c in enumerate(row))) for row in rows]
    made = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_="sortable", aria_label=caption)
    # What does not fit a narrow screen scrolls below its caption.
    scrolled = tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return tag("div", tag("p", caption, class_="caption"), scrolled)


def _cell(cell: Cell, column: int, number: bool) -> Html:
    classes = " ".join(filter(None, ["num" if number else "", cell.kind]))
    name, scope = ("th", "row") if column == 0 else ("td", None)
    return tag(name, join(cell.shown), class_=classes or None, scope=scope, data_value=cell.value)


def badge(words: str, kind: str) -> Html:
    """A word in a coloured frame; `kind` is good, bad or plain."""
    return tag("span", words, class_=f"badge {kind}")

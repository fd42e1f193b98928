"""Charts of plain elements placed in percent: they fit any width, print, and their text stays text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slimml.report.html import Html, tag
from slimml.report.page import strong

# What is narrower or lower than this is not told apart.
_THINNEST = 0.004
_COLOURS = 8


@dataclass(slots=True)
class Box:
    """A rectangle of a treemap: `colour` is its group's number, `hatched` is what nothing reads."""

    name: str
    size: float
    shown: str
    tip: str
    colour: int = 0
    hatched: bool = False
    parts: list[Box] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from `start` on; `kind` adds a class."""

    name: str
    start: float
    length: float
    shown: str
    tip: str
    colour: int = 0
    kind: str = ""


Rect = tuple[float, float, float, float]


def treemap(label: str, boxes: Sequence[Box]) -> Html:
    """Areas in proportion to sizes; boxes with parts show these. Laid out twice: for wide screens and for narrow."""
    return tag("div", _laid_out(label, boxes, 16, 7, "wide"), _laid_out(label, boxes, 8, 12, "narrow"))


def _laid_out(label: str, boxes: Sequence[Box], width: float, height: float, kind: str) -> Html:
    cells = []
    for box, (x, y, w, h) in zip(boxes, squarified([b.size for b in boxes], (0, 0, width, height)), strict=True):
        parts = box.parts or [box]
        inner = squarified([p.size for p in parts], (x, y, w, h))
        cells += [_box(p, rect, width, height) for p, rect in zip(parts, inner, strict=True)]
    return tag("div", *cells, class_=f"treemap {kind}", role="list", aria_label=label)


def _box(box: Box, rect: Rect, width: float, height: float) -> Html:
    x, y, w, h = rect
    style = f"left:{100 * x / width:.3f}%;top:{100 * y / height:.3f}%;"
    style += f"width:{100 * w / width:.3f}%;height:{100 * h / height:.3f}%"
    classes = f"box c{box.colour % _COLOURS}" + (" unread" if box.hatched else "")
    inside = tag("span", tag("b", box.name), tag("i", box.shown), class_="words")
    return tag(
        "div", inside, class_=classes, style=style, role="listitem", tabindex=0, data_tip=box.tip, aria_label=box.tip
    )


def squarified(sizes: Sequence[float], rect: Rect) -> list[Rect]:
    """A rectangle for each size, none of them long and thin where that can be had (Bruls and others, 2000).

    `sizes` fall; their rectangles fill `rect`.
    """
    x, y, w, h = rect
    total = sum(sizes)
    made: list[Rect] = []
    rest = list(sizes)
    scale = w * h / total if total else 0.0
    while rest:
        side = min(w, h)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], side, scale) <= _worst(rest[:count], side, scale):
            count += 1
        row, rest = rest[:count], rest[count:]
        thick = sum(row) * scale / side if side else 0.0
        at = 0.0
        for size in row:
            long = side * size / sum(row) if sum(row) else 0.0
            made.append((x, y + at, thick, long) if w >= h else (x + at, y, long, thick))
            at += long
        x, y, w, h = (x + thick, y, w - thick, h) if w >= h else (x, y + thick, w, h - thick)
    return made


def _worst(row: Sequence[float], side: float, scale: float) -> float:
    """The largest ratio of sides in a row of that length."""
    area = sum(row) * scale
    if not area or not side or not row[-1]:
        return float("inf")
    thick = area / side
    longs = (row[0] * scale / thick, row[-1] * scale / thick)
    return max(max(thick / long, long / thick) for long in longs)


def waterfall(label: str, bars: Sequence[Bar], whole: float) -> Html:
    """Bars that begin where the one before ends, a line each."""
    lines = [_line(b, whole) for b in bars]
    return tag("div", *lines, class_="waterfall", role="list", aria_label=label)


def _line(bar: Bar, whole: float) -> Html:
    share = 100 / whole if whole else 0.0
    style = f"left:min({bar.start * share:.3f}%,calc(100% - 2px));width:max({bar.length * share:.3f}%,2px)"
    track = tag(
        "span", tag("span", class_=f"bar c{bar.colour % _COLOURS} {bar.kind}".strip(), style=style), class_="track"
    )
    inside = (tag("span", bar.name, class_="name"), track, tag("span", strong(bar.shown), class_="figure"))
    return tag(
        "div",
        *inside,
        class_="line",
        role="listitem",
        tabindex=0,
        data_tip=bar.tip,
        aria_label=f"{bar.name}: {bar.tip}",
    )


def stacked(label: str, bars: Sequence[Bar], whole: float) -> Html:
    """One line in which the bars stand side by side, with a legend below."""
    drawn = []
    legend = []
    for bar in bars:
        classes = f"c{bar.colour % _COLOURS} {bar.kind}".strip()
        if whole and bar.length / whole >= _THINNEST:
            style = f"width:{100 * bar.length / whole:.3f}%"
            drawn.append(tag("span", class_=f"part {classes}", style=style, data_tip=bar.tip))
        legend.append(tag("li", tag("span", class_=f"key {classes}"), f"{bar.name} ", strong(bar.shown)))
    figure = tag("div", *drawn, class_="stack", role="img", aria_label=label)
    return tag("div", figure, tag("ul", *legend, class_="legend"))


def compared(label: str, before: Bar, after: Bar, said: str, *, better: bool) -> Html:
    """Two bars of one scale below each other, and what came of it."""
    whole = max(before.length, after.length)
    lines = tag("div", _line(before, whole), _line(after, whole), class_="waterfall", role="list", aria_label=label)
    return tag(
        "div", tag("h3", label), lines, tag("p", said, class_="came" if better else "came bad"), class_="compared"
    )

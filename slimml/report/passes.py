"""What the passes did to the graph, as parts of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimml.report.html import Html, tag
from slimml.report.page import Cell, section, table

Json = dict[str, Any]


def passes_section(passes: Sequence[Json]) -> Html:
    """A table of the passes: how exact each is, what it did, and why it held back."""
    rows = [
        [
            Cell(tag("code", p["name"])),
            Cell(p["exactness"]),
            Cell(f"{p['fired']}", p["fired"]),
            Cell(f"{p['before']} → {p['after']}", p["after"] - p["before"]),
            Cell("; ".join(f"{count}x: {reason}" for reason, count in p["skipped"].items()), kind="wide"),
        ]
        for p in passes
    ]
    headers = ("pass", "exactness", "fired", "ops", "held back, and why")
    return section("Passes", table("in the order in which they ran", headers, rows, numbers=(2, 3)))


def graph_section(title: str, text: str, lead: str) -> Html:
    """A graph op by op, as it is printed."""
    return section(title, tag("pre", text), lead=lead)

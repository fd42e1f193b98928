"""What the passes did, in lines."""

from __future__ import annotations

from typing import Any

from slimml.cli.render import Screen


def show_passes(passes: list[dict[str, Any]], screen: Screen, *, idle: bool = False) -> None:
    """A line for each pass that found something to do, or a reason not to; `idle`: for the others too."""
    for p in passes:
        said = [f"fired {p['fired']}x, {p['before']} -> {p['after']} ops"] if p["fired"] else []
        said += [f"held back {count}x: {reason}" for reason, count in p["skipped"].items()]
        if said or idle:
            screen.line(f"pass {p['name']} ({p['exactness']}): {'; '.join(said) or 'its pattern is not there'}")

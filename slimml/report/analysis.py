"""The page of `slimml analyze --html`, made from the document that `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimml.report.charts import Bar, Box, stacked, treemap, waterfall
from slimml.report.html import Content, Html, join, tag
from slimml.report.page import Cell, notes, page, section, strong, table, tiles
from slimml.report.passes import graph_section, passes_section
from slimml.units import duration, rate, size

Json = dict[str, Any]
# A share of the whole below which an attribute has no rectangle of its own, and rows of the table of attributes.
_SMALLEST, _ROWS = 0.004, 60
_SAVINGS = 8


def analysis_page(found: Json) -> str:
    """The page. `found`: what `AnalyzeResult.to_json` answers; everything in it is a stranger's."""
    model = found["model"]
    libraries = [f"{name} {version}" for name, version in model["library_versions"].items()]
    about = [model["path"] or "a live model", model["format"], *libraries]
    colours = _colours(found["bytes"]["steps"])
    charts = [_figures(found), _bytes(found["bytes"], colours), _times(found["latency"], colours)]
    sections = [*charts, _steps(found), _attributes(found)]
    return page("slimml analyze", _headline(found), about, *sections, *_graph(found["graph"]), _remarks(found))


def _graph(graph: Json | None) -> list[Html]:
    if graph is None:
        return []
    before = graph_section("What the model means", graph["before"], "Op by op, as its steps compute it.")
    after = graph_section("What is compiled", graph["after"], "The same once the passes have run.")
    return [before, passes_section(graph["passes"]), after]


def _headline(found: Json) -> Html:
    model, held, latency = found["model"], found["bytes"], found["latency"]
    said: list[Content] = [strong(size(model["bytes"]))]
    if model["decoded_bytes"] != model["bytes"]:
        said.append(f" ({size(model['decoded_bytes'])} decompressed)")
    said += [", of which ", strong(percent(held["fit_only"], held["total"])), " is never read by prediction"]
    slowest = _slowest(latency)
    if slowest is not None and slowest["path"] == "model":
        said += ["; one row takes ", strong(duration(latency["one_row"]["us"]))]
        said.append("" if latency["of"] == "original" else " in slimml's plain evaluation")
    elif slowest is not None:
        share = percent(slowest["one_row_us"], latency["one_row"]["us"])
        said += ["; one row takes ", strong(duration(latency["one_row"]["us"]))]
        said.append("" if latency["of"] == "original" else " in slimml's plain evaluation")
        name = slowest["class"] or next((_class(s) for s in held["steps"] if s["path"] == slowest["path"]), "")
        said += [", of which ", strong(share), " is ", _named(slowest["path"], name)]
    return join(*said, ".")


def _named(path: str, name: str) -> str:
    """A step in a sentence: by its path, and its class where that says more."""
    short = _short(path)
    return short if not name or name.lower() in short.lower() else f"{short}, the {name}"


def _colours(steps: Sequence[Json]) -> dict[str, int]:
    """A colour for each step, the same in every chart: those that hold no other steps first."""
    paths = [s["path"] for s in steps]
    inner = [p for p in paths if any(other.startswith(f"{p}.") for other in paths)]
    return {p: i for i, p in enumerate([*(p for p in paths if p not in inner), *inner])}


def _slowest(latency: Json) -> Json | None:
    steps = [s for s in latency["steps"] if not s["holds_steps"]]
    return max(steps, key=lambda s: float(s["one_row_us"]), default=None) if latency["one_row"]["us"] else None


def _figures(found: Json) -> Html:
    model, held, latency = found["model"], found["bytes"], found["latency"]
    one, batch = latency["one_row"], latency["batch"]
    stored = f"{size(model['decoded_bytes'])} decompressed" if model["decoded_bytes"] != model["bytes"] else "as stored"
    pairs = [(size(model["bytes"]), "the file", stored)]
    pairs.append((size(held["fit_only"]), "never read", f"{percent(held['fit_only'], held['total'])} of the bytes"))
    if one["us"]:
        pairs.append((duration(one["us"]), "one row", f"median of {one['calls']} calls of {latency['method']}"))
        pairs.append((percent(one["overhead_us"], one["us"]), "between the steps", "checks, copies and hand-overs"))
    if batch["us"]:
        pairs.append((rate(batch["rows"] / batch["us"] * 1e6), "rows a second", f"in a batch of {batch['rows']:,}"))
    forests = [s["forest"] for s in held["steps"] if s["forest"]]
    if forests:
        nodes = sum(f["nodes"] for f in forests)
        depth = max(f["depth"] for f in forests)
        pairs.append((f"{sum(f['trees'] for f in forests):,}", "trees", f"{nodes:,} nodes, up to depth {depth}"))
    return tiles(*pairs)


def _bytes(held: Json, colours: dict[str, int]) -> Html:
    total, unread, framing = held["total"], held["fit_only"], held["outside"]
    read = total - unread - framing
    bars = [
        Bar("may be read", 0, read, size(read), "bytes that prediction may read", kind="whole"),
        Bar("never read by prediction", 0, unread, size(unread), "state that only training used", kind="unread"),
    ]
    if framing:
        bars.append(Bar("outside of the model", 0, framing, size(framing), "other objects, framing", 0, "between"))
    made = [_box(step, colours[step["path"]], total) for step in held["steps"]]
    boxes = sorted(made, key=lambda b: b.size, reverse=True)
    lead = "Each area is as large as the bytes of that attribute in the file; hatched is state that no method reads."
    savings = [
        join(strong(size(s["bytes"])), f" ({percent(s['bytes'], total)}): {s['why']}, in {_listed(s['where'])}")
        for s in held["savings"][:_SAVINGS]
    ]
    said = tag("h3", "What prediction never reads") if savings else Html("")
    drawn = treemap("bytes by step and attribute", [b for b in boxes if b.size > 0])
    return section(
        "Where the bytes are", stacked("bytes that may be read and bytes never read", bars, total), drawn, said,
        notes(savings), lead=lead,
    )  # fmt: skip


def _box(step: Json, colour: int, total: float) -> Box:
    """A step, with a rectangle for what is read and one for what is not of each of its larger attributes."""
    parts: list[Box] = []
    small = {False: 0, True: 0}
    for a in step["attributes"]:
        for hatched, held in ((True, a["fit_only"]), (False, a["bytes"] - a["fit_only"])):
            if held < _SMALLEST * total:
                small[hatched] += held
            else:
                parts.append(_attribute_box(step, a, held, colour, hatched))
    whole = f"{_short(step['path'])} ({_class(step)})"
    for hatched, held in small.items():
        if held:
            # A step that is small altogether goes by its name.
            name = _short(step["path"]) if not parts else "the rest"
            what = "smaller attributes that nothing reads" if hatched else "smaller attributes"
            parts.append(Box(name, held, size(held), f"{whole}\n{what}: {size(held)}", colour, hatched))
    parts.sort(key=lambda b: b.size, reverse=True)
    return Box(whole, step["bytes"], size(step["bytes"]), whole, colour, parts=parts)


def _attribute_box(step: Json, a: Json, held: int, colour: int, hatched: bool) -> Box:
    said = [f"{_short(step['path'])} ({_class(step)})", a["path"] or "itself", f"{held:,} bytes"]
    said += [f"never read: {a['why']}"] if hatched else []
    name = (a["path"] or _short(step["path"])).rpartition(".")[2]
    return Box(name, held, size(held), "\n".join(said), colour, hatched)


def _times(latency: Json, colours: dict[str, int]) -> Html:
    title = "Where the microseconds go"
    if not latency["one_row"]["us"]:
        return section(title, lead=f"{latency['sentence'].capitalize()}.")
    told = latency["sentence"]
    lead = f"{told[:1].upper()}{told[1:]}. Medians; a step's time leaves out the steps inside of it."
    one = _waterfall(latency, "one_row", 1, colours)
    batch = latency["batch"]
    if not batch["us"]:
        return section(title, one, lead=lead)
    many = _waterfall(latency, "batch", batch["rows"], colours)
    choice = tag(
        "fieldset",
        tag("label", tag("input", type="radio", name="view", id="view-one", checked=True), "one row"),
        tag("label", tag("input", type="radio", name="view", id="view-batch"), f"{batch['rows']:,} rows"),
        class_="choice", aria_label="how many rows",
    )  # fmt: skip
    views = tag("div", tag("div", one, class_="view-one"), tag("div", many, class_="view-batch"), class_="views")
    return section(title, choice, views, lead=lead)


def _waterfall(latency: Json, what: str, rows: int, colours: dict[str, int]) -> Html:
    whole, overhead = latency[what]["us"], latency[what]["overhead_us"]
    bars: list[Bar] = []
    at = 0.0
    for step in latency["steps"]:
        if step["holds_steps"]:
            continue
        took = float(step[f"{what}_us"] or 0.0)
        colour = colours.get(step["path"], 0)
        bars.append(_bar(_short(step["path"]), step["class"], at, took, whole, rows, colour))
        at += took
    bars.append(_bar("between the steps", "checks, copies, hand-overs", at, overhead, whole, rows, 0, "between"))
    scale = max(whole, at + overhead)  # medians of parts may add up to more than the median of the whole
    bars.append(_bar("whole call", latency["method"], 0.0, whole, whole, rows, 0, "whole"))
    return waterfall("microseconds by step", bars, scale)


def _bar(name: str, what: str, at: float, took: float, whole: float, rows: int, colour: int, kind: str = "") -> Bar:
    each = f"\n{duration(took / rows)} a row" if rows > 1 else ""
    tip = f"{name}{f' ({what})' if what else ''}\n{duration(took)}, {percent(took, whole)} of the call{each}"
    return Bar(name, at, took, f"{duration(took)} ({percent(took, whole)})", tip, colour, kind)


def _steps(found: Json) -> Html:
    timed = {s["path"]: s for s in found["latency"]["steps"]}
    whole = found["latency"]["one_row"]["us"]
    rows = []
    for step in found["bytes"]["steps"]:
        time = timed.get(step["path"])
        took = time["one_row_us"] if time and not time["holds_steps"] else None
        rows.append(
            [
                Cell(tag("code", _short(step["path"]))),
                Cell(_class(step) + ("" if step["known"] else " (not known)"), kind="word"),
                Cell(size(step["bytes"]), step["bytes"]),
                Cell(percent(step["fit_only"], step["bytes"]), _ratio(step["fit_only"], step["bytes"])),
                Cell(duration(took), took or 0.0),
                Cell(percent(took, whole) if took is not None else "-", took or 0.0),
            ]
        )
    headers = ("step", "class", "bytes", "never read", "one row", "share of time")
    made = table("every step, its own bytes and its own time", headers, rows, numbers=(2, 3, 4, 5))
    return section("Step by step", made)


def _attributes(found: Json) -> Html:
    held = found["bytes"]
    listed = [(s, a) for s in held["steps"] for a in s["attributes"]]
    listed.sort(key=lambda pair: float(pair[1]["bytes"]), reverse=True)
    rows = [
        [
            Cell(tag("code", f"{_short(step['path'])} {a['path']}")),
            Cell(_what(a), kind="faint word"),
            Cell(size(a["bytes"]), a["bytes"]),
            Cell(percent(a["bytes"], held["total"]), a["bytes"]),
            Cell(percent(a["fit_only"], a["bytes"]), _ratio(a["fit_only"], a["bytes"])),
            Cell(a["why"], kind="wide" if a["why"] else ""),
        ]
        for step, a in listed[:_ROWS]
    ]
    headers = ("attribute", "holds", "bytes", "share", "never read", "why")
    many = f", the largest {_ROWS} of {len(listed):,}" if len(listed) > _ROWS else ""
    made = table(f"bytes in the file{many}; members of a list are taken together", headers, rows, numbers=(2, 3, 4))
    return section("Attribute by attribute", made)


def _remarks(found: Json) -> Html:
    refused = [join("slimml cannot compile ", tag("code", r["path"]), f": {r['why']}") for r in found["refused"]]
    said = [*refused, *found["warnings"]]
    if found["reference"]["how"] == "none":
        told = found["reference"]["sentence"]
        said.append(told.replace("not compared with the original", "the original was not run"))
    return section("Notes", notes(said)) if said else Html("")


def _what(a: Json) -> str:
    return f"{a['count']:,} x {a['what']}" if a["count"] > 1 and a["what"] else str(a["what"])


def _class(step: Json) -> str:
    return str(step["class"]).rpartition(".")[2]


def _short(path: str) -> str:
    """A step's path without the "model." that they all begin with."""
    return path.removeprefix("model.")


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join("the model itself" if p == "model" else _short(p) for p in paths[:4])
    return shown if len(paths) <= 4 else f"{shown} and {len(paths) - 4} more"


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def percent(part: float | None, whole: float | None) -> str:
    """A share, as people read it."""
    if part is None or not whole:
        return "-"
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 1 or share == 0 else "<1 %"

"""The page of `slimml shrink --report`, made from the document that `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimml.report.charts import Bar, compared
from slimml.report.html import Content, Html, join, tag
from slimml.report.page import Cell, badge, notes, page, section, strong, table, tiles
from slimml.report.passes import passes_section
from slimml.units import duration, rate, ratio, size

Json = dict[str, Any]

_VERDICTS = {
    "bitwise": ("equal to the last bit", "good"),
    "rounding": ("equal within the proved rounding bound", "good"),
    "approximate": ("close, but not equal", "plain"),
    "different": ("different answers", "bad"),
}
_SEAMS = {
    "frontend": "the original and slimml's reading of it",
    "passes": "before and after the passes",
    "backend": "after the passes and the artifact",
    "whole": "the original and the artifact",
}
_COLUMNS = 500
# Sorts behind every figure.
_LAST = 1e300


def shrink_page(found: Json) -> str:
    """The page. `found`: what `ShrinkResult.to_json` answers; everything in it is a stranger's."""
    model = found["model"]
    chosen = next((c for c in found["candidates"] if c["backend"] == found["chosen"]), None)
    libraries = [f"{name} {version}" for name, version in model["library_versions"].items()]
    about = [model["path"] or "a live model", model["format"], *libraries]
    sections = [_figures(found, chosen), _compared(found, chosen)] if chosen else [_none(found)]
    columns = found["schema"]["columns"] if found["schema"] else ()
    sections += [_candidates(found), _parity(found, chosen), passes_section(found["passes"]), _schema(columns)]
    return page("slimml shrink", _headline(found, chosen), about, *sections, _artifact(found))


def _headline(found: Json, chosen: Json | None) -> Html:
    model = found["model"]
    if chosen is None:
        return join(strong("No artifact was written"), ": no candidate may ship.")
    after = found["artifact"]["bytes"]
    said: list[Content] = [f"{size(model['bytes'])} became ", strong(size(after))]
    said.append(_brackets(ratio(model["bytes"], after, "smaller", "larger")))
    old, new = _p50(found["model"], chosen, "dict")
    if old and new:
        said += [f"; one row took {duration(old)} and takes ", strong(duration(new))]
        said.append(_brackets(ratio(old, new, "faster", "slower")))
    verdict = (chosen["parity"] or {}).get("verdict")
    if verdict and found["reference"]["how"] != "none":
        said += ["; the answers are ", strong(_VERDICTS[verdict][0])]
    elif verdict:
        said.append("; the answers were not compared with the original's")
    return join(*said, ".")


def _brackets(words: str) -> str:
    return f" ({words})" if words else ""


def _p50(model: Json, chosen: Json, form: str) -> tuple[float | None, float | None]:
    after = (chosen["latency_us"] or {}).get(form) or {}
    return model["latency_us"].get(form), after.get("p50")


def _figures(found: Json, chosen: Json) -> Html:
    parity, foot = chosen["parity"] or {}, chosen["footprint"]
    pairs = [(size(found["artifact"]["bytes"]), "the artifact", f"of {size(found['model']['bytes'])}")]
    latency = (chosen["latency_us"] or {}).get("dict")
    if latency:
        pairs.append((duration(latency["p50"]), "one row from a dict", f"p99 {duration(latency['p99'])}"))
    if chosen["rows_per_s"]:
        before = found["model"]["rows_per_s"]
        pairs.append((rate(chosen["rows_per_s"]), "rows a second", f"{rate(before)} before" if before else ""))
    if foot:
        pairs.append((duration(foot["startup_s"] * 1e6), "cold start", f"{size(foot['grown_bytes'])} of memory"))
    if parity:
        largest = f"largest error {parity['max_abs']:.3g}"
        pairs.append(
            (f"{parity['rows']:,}", "rows compared", f"{parity['label_mismatches']} labels changed, {largest}")
        )
    return tiles(*pairs)


def _compared(found: Json, chosen: Json) -> Html:
    model, after = found["model"], found["artifact"]["bytes"]
    pairs = [_pair("Size", model["bytes"], after, size, ratio(model["bytes"], after, "smaller", "larger"))]
    for form, name in (("dict", "One row from a dict, p50"), ("frame", "One row from a frame, p50")):
        old, new = _p50(model, chosen, form)
        if old and new:
            pairs.append(_pair(name, old, new, duration, ratio(old, new, "faster", "slower")))
    old, new = model["rows_per_s"], chosen["rows_per_s"]
    if old and new:
        pairs.append(_pair("Rows a second, in a batch", old, new, rate, ratio(new, old, "more", "fewer"), more=True))
    return section("Before and after", *pairs, lead="Both bars of a pair have one scale, which begins at nothing.")


def _pair(name: str, old: float, new: float, shown: Any, said: str, *, more: bool = False) -> Html:
    before = Bar("before", 0, old, shown(old), f"{name}\nbefore: {shown(old)}", 0, "between")
    after = Bar("after", 0, new, shown(new), f"{name}\nafter: {shown(new)}", 0)
    return compared(name, before, after, said, better=new >= old if more else new <= old)


def _none(found: Json) -> Html:
    said = [join(tag("b", c["backend"]), ": ", _fate(c)) for c in found["candidates"]]
    return section("Why nothing was written", notes(said))


def _candidates(found: Json) -> Html:
    rows = []
    for c in found["candidates"]:
        latency = c["latency_us"] or {}
        verdict = (c["parity"] or {}).get("verdict")
        won = c["backend"] == found["chosen"]
        times: list[Cell] = []
        for form in ("dict", "frame"):
            for point in ("p50", "p99"):
                took = (latency.get(form) or {}).get(point)
                times.append(Cell(duration(took), took or _LAST))
        rows.append(
            [
                Cell(join(tag("b", c["backend"]), " ", badge("chosen", "good") if won else "")),
                Cell(size(c["bytes"]), c["bytes"] or _LAST),
                *times,
                Cell(rate(c["rows_per_s"]), c["rows_per_s"] or 0.0),
                Cell(badge(verdict, _VERDICTS[verdict][1]) if verdict else "-"),
                Cell("" if won else _fate(c), kind="wide"),
            ]
        )
    headers = ("backend", "bytes", "dict p50", "dict p99", "frame p50", "frame p99", "rows/s", "answers", "why not")
    made = table("what each backend made of the same graph", headers, rows, numbers=(1, 2, 3, 4, 5, 6))
    lead = "Each was written, opened again by the runtime that a server uses, compared and timed in turns."
    said = [join(tag("b", c["backend"]), f": {note}") for c in found["candidates"] for note in c["notes"]]
    return section("Candidates", made, notes(said), lead=lead)


def _fate(c: Json) -> str:
    return str(c["lost"] or (f"refused: {c['refused']}" if c["refused"] else ""))


def _parity(found: Json, chosen: Json | None) -> Html:
    compared_ = chosen or next((c for c in found["candidates"] if c["parity"]), None)
    parity = compared_["parity"] if compared_ else None
    lead = f"{_sentence(found['reference']['sentence'])}"
    said: list[Content] = [w for w in found["warnings"] if w != found["reference"]["sentence"]]
    if parity is None or compared_ is None:
        return section("Are the answers the same?", notes(said), lead=lead)
    rows = [_seam(s) for s in parity["seams"]]
    headers = ("compared", "rows", "refused by both", "largest error", "relative", "99.9 % below", "labels changed", "")
    seams = table(f"the {compared_['backend']} artifact, seam by seam", headers, rows, numbers=(1, 2, 3, 4, 5, 6))
    nets = [_net(n) for n in parity["nets"] if n["total"]]
    said += [s for s in parity["sentences"] if s not in said and s != found["reference"]["sentence"]]
    return section("Are the answers the same?", seams, notes([*nets, *said]), lead=lead)


def _seam(s: Json) -> list[Cell]:
    high = s["quantiles"].get("0.999")
    return [
        Cell(_SEAMS[s["seam"]]),
        Cell(f"{s['rows']:,}", s["rows"]),
        Cell(f"{s['refused']:,}", s["refused"]),
        Cell(f"{s['max_abs']:.3g}", s["max_abs"]),
        Cell(f"{s['max_rel']:.3g}", s["max_rel"]),
        Cell("-" if high is None else f"{high:.3g}", high),
        Cell(f"{s['label_mismatches']:,}", s["label_mismatches"]),
        Cell(badge(s["verdict"], _VERDICTS[s["verdict"]][1])),
    ]


def _net(n: Json) -> Html:
    what = {"cuts": "cuts of columns", "witnesses": "nodes, each reached by rows of its own"}.get(n["net"], n["net"])
    found = f"{n['faults']:,} differ" if n["faults"] else "all agree"
    return join(f"{n['seam']}: {n['checked']:,} of {n['total']:,} {what} tried, ", tag("b", found))


def _schema(columns: Sequence[Json]) -> Html:
    if not columns:
        return Html("")
    rows = [
        [
            Cell(tag("code", c["name"])),
            Cell(c["kind"]),
            Cell(c["dtype"]),
            Cell("yes" if c["read"] else badge("never read", "plain"), float(c["read"])),
        ]
        for c in columns[:_COLUMNS]
    ]
    more = f", the first {_COLUMNS} of {len(columns):,}" if len(columns) > _COLUMNS else ""
    made = table(f"what the artifact takes{more}", ("column", "kind", "dtype", "read"), rows)
    return section("Columns", made)


def _artifact(found: Json) -> Html:
    made = found["artifact"]
    if made["bytes"] is None:
        return Html("")
    said: list[Content] = [join(tag("code", made["path"]))] if made["path"] else []
    said.append(join("SHA-256 ", tag("code", made["sha256"])))
    said.append(f"made in {found['seconds']:.1f} s")
    return section("The artifact", notes(said))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")

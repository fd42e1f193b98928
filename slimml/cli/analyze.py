"""slimml analyze MODEL: where the bytes and the microseconds go."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from slimml.artifact.files import check_writable
from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_data, add_json, add_running
from slimml.cli.passes import show_passes
from slimml.cli.progress import progress
from slimml.cli.render import Screen, duration, size

_DETAILS = """\
The bytes are told from the file before anything of it is loaded, so this is safe for any file; state that was only
needed for training is marked. The microseconds are the original's, in a process of its own, where every name in the
file is known to be harmless and the library that wrote it is installed; else those of slimml's own plain evaluation.
At the end the model's graph is printed as its steps mean it and as the passes leave it, with what each pass did, how
exact it is, and why it held back.

examples:
  slimml analyze model.pkl
  slimml analyze model.pkl --data rows.csv --html model.html
"""
_SHOWN_ATTRIBUTES, _SHOWN_STEPS = 14, 40
# Characters of a line of the graph; --json has all of them.
_LONGEST = 160

Row = tuple[str, str, str, str, str, str, str]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the fitted model: a pickle, a joblib dump or a skops file")
    add_data(parser, "rows to time the model on")
    add_running(parser)
    parser.add_argument("--html", metavar="FILE", help="write a page with charts, for any browser, without a network")
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.analysis.run import analyze

    if args.html is not None:
        check_writable(args.html)  # before the work, not after it
    with progress(quiet=args.quiet) as say:
        result = analyze(
            args.model,
            data=args.data,
            select=args.select,
            reference_python=args.reference_python,
            trust=args.trust,
            progress=say,
        )
    content = result.to_json()
    if args.html is not None:
        result.write_html(args.html)
    return Outcome(document=content, show=lambda screen: _show(content, screen))


def _show(found: dict[str, Any], screen: Screen) -> None:
    model = found["model"]
    libraries = ", ".join(f"{n} {v}" for n, v in model["library_versions"].items())
    screen.line(f"{model['path'] or 'the model'}: {', '.join(filter(None, [model['format'], libraries]))}")
    screen.line(found["headline"])
    screen.line()
    _steps(found, screen)
    screen.line()
    _attributes(found["bytes"], screen)
    for saving in found["bytes"]["savings"][:5]:
        where = ", ".join(saving["where"][:3]) + (", ..." if len(saving["where"]) > 3 else "")
        screen.line(f"never read: {size(saving['bytes'])} of {saving['why']} ({where})")
    screen.line(f"timed: {found['latency']['sentence']}")
    if found["graph"] is not None:
        screen.line()
        _graph(found["graph"], screen)
    for refusal in found["refused"]:
        screen.line(f"refused: {refusal['path']}: {refusal['why']}")
    for sentence in found["warnings"]:
        screen.line(f"note: {sentence}")


def _graph(graph: dict[str, Any], screen: Screen) -> None:
    """What the model means, what the passes made of it, and why they did no more."""
    screen.line("what the model means, op by op:")
    _listing(graph["before"], screen)
    screen.line()
    show_passes(graph["passes"], screen, idle=True)
    screen.line()
    screen.line("what is compiled:")
    _listing(graph["after"], screen)


def _listing(text: str, screen: Screen) -> None:
    for line in text.splitlines():
        screen.line(f"  {line if len(line) <= _LONGEST else line[: _LONGEST - 3] + '...'}")


def _steps(found: dict[str, Any], screen: Screen) -> None:
    """Bytes and microseconds of each step, side by side."""
    held = {s["path"]: s for s in found["bytes"]["steps"]}
    timed = {s["path"]: s for s in found["latency"]["steps"]}
    whole, total = found["latency"]["one_row"], found["bytes"]
    paths = [*held, *(p for p in timed if p not in held)]
    rows = [_step(p, held.get(p), timed.get(p), whole["us"]) for p in paths[:_SHOWN_STEPS]]
    if total["outside"]:
        rows.append(("(outside of the model)", "", size(total["outside"]), "-", "-", "-", ""))
    if whole["us"] is not None:
        between = whole["overhead_us"]
        rows.append(("(between the steps)", "", "-", "-", duration(between), share(between, whole["us"]), ""))
    unread = share(total["fit_only"], total["total"])
    rows.append(("total", "", size(total["total"]), unread, duration(whole["us"]), "", ""))
    screen.table(("step", "class", "bytes", "never read", "one row", "share", ""), rows, numbers=(2, 3, 4, 5))


def _step(path: str, held: dict[str, Any] | None, timed: dict[str, Any] | None, whole: float | None) -> Row:
    name = (held or timed or {})["class"].rpartition(".")[2]
    trees = held["forest"] if held else None
    note = f"{trees['trees']:,} trees, {trees['nodes']:,} nodes, depth {trees['depth']}" if trees else ""
    taken = None if timed is None or timed["holds_steps"] else timed["one_row_us"]
    sizes = (size(held["bytes"]), share(held["fit_only"], held["bytes"])) if held else ("-", "-")
    return (path, name, *sizes, duration(taken), share(taken, whole), note)


def _attributes(found: dict[str, Any], screen: Screen) -> None:
    """The largest attributes of all steps."""
    listed = [(f"{s['path']}.{a['path']}", a) for s in found["steps"] for a in s["attributes"]]
    listed.sort(key=lambda pair: pair[1]["bytes"], reverse=True)
    rows = []
    for path, a in listed[:_SHOWN_ATTRIBUTES]:
        unread = share(a["fit_only"], a["bytes"])
        rows.append((path, size(a["bytes"]), share(a["bytes"], found["total"]), unread, a["why"]))
    screen.table(("attribute", "bytes", "share", "never read", ""), rows, numbers=(1, 2, 3))


def share(part: float | None, whole: float | None) -> str:
    """A percentage."""
    if part is None or not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else "<1 %"


ANALYZE = Command("analyze", "show where the bytes and the microseconds of a model go", _DETAILS, _add_arguments, _run)

"""slimml bench ARTIFACT [MODEL]: latency and throughput, beside the original."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_data, add_json, add_running
from slimml.cli.progress import progress
from slimml.cli.render import Screen
from slimml.errors import UsageError
from slimml.units import duration, rate, ratio, size

_DETAILS = """\
With MODEL, the original runs in a process of its own and the two take turns, once their answers were compared: where
they differ nothing is timed. p50 and p99 are percentiles of single calls, garbage collection off, the median of four
turns; rows/s is the best run of a batch. Without --data, rows are made from the artifact.

examples:
  slimml bench model.slim
  slimml bench model.slim model.pkl --data rows.csv --json bench.json

exit code: 0 if it was timed, 1 if the answers differ
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="the .slim file")
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model that it was made from")
    add_data(parser, "rows to time on")
    add_running(parser)
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.judge.bench import bench

    if args.model is None and any((args.select, args.trust, args.reference_python)):
        hint = "run: slimml bench ARTIFACT MODEL; or leave --select, --trust and --reference-python out"
        raise UsageError("there is no MODEL to time beside the artifact", hint=hint)
    with progress(quiet=args.quiet) as say:
        result = bench(
            args.artifact,
            args.model,
            data=args.data,
            select=args.select,
            trust=args.trust,
            reference_python=args.reference_python,
            progress=say,
        )
    content = result.to_json()
    return Outcome(code=0 if result.ok else 1, document=content, show=lambda screen: _show(content, screen))


def _show(found: dict[str, Any], screen: Screen) -> None:
    artifact, original, faster = found["artifact"], found["original"], found["faster"] or {}
    screen.line(f"{artifact['path']}: {size(artifact['bytes'])}, {artifact['engine']}, {artifact['exactness']}")
    if found["reference"] is not None:
        screen.line(found["reference"]["sentence"])
    if not found["ok"]:
        compared = "THE ANSWERS DIFFER, so " if found["parity"] is not None else ""
        screen.line(f"{compared}nothing was timed")
        return
    screen.line()
    columns = [(artifact, "artifact")] + ([(original, "original")] if original is not None else [])
    rows = []
    for way in ("dict", "frame"):
        for mark in ("p50", "p99"):
            cells = [duration((of["latency_us"][way] or {}).get(mark)) for of, _ in columns]
            times = faster.get(way) if mark == "p50" else None
            rows.append((f"one row from a {way}, {mark}", *cells, _times(times)))
    for count, own in artifact["rows_per_s"].items():
        cells = [rate(own)] + ([rate(original["rows_per_s"].get(count))] if original is not None else [])
        rows.append((f"rows/s, {int(count):,} at once", *cells, _times(faster.get("batch", {}).get(count))))
    screen.table(("", *(name for _, name in columns), ""), rows, numbers=range(1, len(columns) + 1))
    for warning in dict.fromkeys(found["warnings"]):
        if found["reference"] is None or warning != found["reference"]["sentence"]:
            screen.line(f"note: {warning}")


def _times(faster: float | None) -> str:
    return "" if faster is None else ratio(faster, 1.0, "faster", "slower")


BENCH = Command("bench", "time an artifact, beside its model if that is given", _DETAILS, _add_arguments, _run)

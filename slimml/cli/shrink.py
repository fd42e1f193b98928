"""slimml shrink MODEL: compile, compare, measure, choose, write."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_data, add_json, add_original
from slimml.cli.passes import show_passes
from slimml.cli.progress import progress
from slimml.cli.render import Screen, duration, rate, ratio, size
from slimml.cli.usercode import look_in_current_folder
from slimml.errors import NoBackendError, ParityError, UsageError
from slimml.options import BACKENDS, GOALS

_DETAILS = """\
MODEL is a pickle, joblib dump or skops file (gzip, bz2, xz, lz4 or zip around it is fine). It is read as data: nothing
that it names is imported or called. Where the library that wrote it is installed and every name in it is known to be
harmless, the original is run in a process of its own and every answer is compared with its answers.

examples:
  slimml shrink model.pkl
  slimml shrink model.pkl -o model.slim --data rows.csv --target income
  slimml shrink model.pkl -o model.onnx
  slimml shrink bundle.joblib --select model --exactness bitwise --goal size --json report.json
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the fitted model: a pickle, a joblib dump or a skops file")
    parser.add_argument(
        "-o", "--out", metavar="OUT", help="what to write: .slim, .onnx or .tl (default: MODEL's name .slim, here)"
    )
    add_data(parser, "rows to compare and measure on")
    parser.add_argument("--target", metavar="COL", help="the column of --data that is the answer, not an input")
    parser.add_argument("--schema", metavar="FILE", help="what is promised about the columns: JSON or TOML")
    add_original(parser)
    parser.add_argument(
        "--keep",
        metavar="PATH=MODULE:NAME",
        action="append",
        help="leave a first or last step as a Python function of yours, which the artifact names and does not hold",
    )
    parser.add_argument("--backend", choices=("auto", *BACKENDS), default="auto", help="how to run it (default: auto)")
    parser.add_argument(
        "--exactness",
        choices=("rounding", "bitwise"),
        default="rounding",
        help="rounding (default): differences within a proved rounding bound; bitwise: none",
    )
    parser.add_argument("--goal", choices=GOALS, default="balanced", help="what the result should be best at")
    parser.add_argument("--max-loss", metavar="X", type=float, help="how much of --metric approximations may cost")
    parser.add_argument("--metric", metavar="M", help="the metric of --max-loss")
    parser.add_argument("--report", metavar="FILE.html", help="write a page with charts, for any browser, no network")
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.driver import shrink

    out = args.out or _default_out(args.model)
    if os.path.exists(out) and os.path.exists(args.model) and os.path.samefile(out, args.model):
        raise UsageError(f"{out} is the model itself", hint="name another file with -o")
    with progress(quiet=args.quiet) as say:
        try:
            result = shrink(
                args.model,
                data=args.data,
                target=args.target,
                schema=args.schema,
                out=out,
                select=args.select,
                backend=args.backend,
                exactness=args.exactness,
                goal=args.goal,
                max_loss=args.max_loss,
                metric=args.metric,
                expected=args.expected,
                reference_python=args.reference_python,
                trust=args.trust,
                keep=_kept(args.keep),
                report=args.report,
                progress=say,
            )
        except (ParityError, NoBackendError) as error:
            found = getattr(error, "result", None)
            if found is None:
                raise
            content = found.to_json()
            return Outcome(code=error.exit_code, document=content, show=lambda s: show(content, s), error=error)
    content = result.to_json()
    return Outcome(document=content, show=lambda screen: show(content, screen))


def _kept(given: list[str] | None) -> dict[str, str] | None:
    """--keep PATH=MODULE:NAME as path -> import path. Raises UsageError."""
    for each in given or ():
        if "=" not in each:
            raise UsageError(f"--keep {each} names no function", hint="Write --keep PATH=package.module:function.")
    if given:
        look_in_current_folder()
    return dict(each.split("=", 1) for each in given) if given else None


def _default_out(model: str) -> str:
    """`model.slim` for `models/model.pkl`, in the current folder, as compilers do: the model's own may be read-only."""
    name = Path(model).name
    for ending in (".gz", ".bz2", ".xz", ".lz4", ".z", ".zip"):
        name = name.removesuffix(ending)
    return f"{Path(name).stem}.slim"


def show(found: dict[str, Any], screen: Screen) -> None:
    """Print what `ShrinkResult.to_json` holds."""
    model = found["model"]
    libraries = ", ".join(f"{n} {v}" for n, v in model["library_versions"].items())
    screen.line(f"{model['path'] or 'the model'}: {', '.join(filter(None, [model['format'], libraries]))}")
    chosen = next((c for c in found["candidates"] if c["backend"] == found["chosen"]), None)
    if chosen is not None:
        screen.line()
        _before_after(model, found, chosen, screen)
    screen.line()
    _candidates(found, screen)
    screen.line()
    show_passes(found["passes"], screen)
    screen.line(found["reference"]["sentence"])
    for sentence in found["warnings"]:
        if sentence != found["reference"]["sentence"]:
            screen.line(f"note: {sentence}")
    if found["artifact"]["path"] is not None:
        written = found["artifact"]
        screen.line(f"{written['path']}: {size(written['bytes'])}, {found['chosen']}, in {found['seconds']:.1f} s")


def _before_after(model: dict[str, Any], found: dict[str, Any], chosen: dict[str, Any], screen: Screen) -> None:
    before, after = model["latency_us"] or {}, chosen["latency_us"] or {}
    rows = [("file", size(model["bytes"]), size(found["artifact"]["bytes"]))]
    ends = [ratio(model["bytes"], found["artifact"]["bytes"], "smaller", "larger")]
    for form in ("dict", "frame"):
        old, new = before.get(form), (after.get(form) or {}).get("p50")
        rows.append((f"one row from a {form}", duration(old), duration(new)))
        ends.append(ratio(old, new, "faster", "slower"))
    screen.table(("", "before", "after", ""), [(*r, e) for r, e in zip(rows, ends, strict=True)], numbers=(1, 2))


def _candidates(found: dict[str, Any], screen: Screen) -> None:
    headers = ("backend", "bytes", "p50 dict", "p50 frame", "rows/s", "exactness", "")
    rows = []
    for c in found["candidates"]:
        latency = c["latency_us"] or {}
        p50 = [duration((latency.get(form) or {}).get("p50")) for form in ("dict", "frame")]
        verdict = (c["parity"] or {}).get("verdict") or "-"
        end = (
            "chosen"
            if c["backend"] == found["chosen"]
            else c.get("lost") or (c["refused"] and f"refused: {c['refused']}")
        )
        rows.append((c["backend"], size(c["bytes"]), *p50, rate(c["rows_per_s"]), verdict, end or ""))
    screen.table(headers, rows, numbers=(1, 2, 3, 4))


SHRINK = Command(
    "shrink", "compile a fitted model, prove that it answers the same, write it", _DETAILS, _add_arguments, _run
)

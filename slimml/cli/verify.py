"""slimml verify [MODEL] ARTIFACT: parity again, any time later."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_data, add_json, add_original
from slimml.cli.progress import progress
from slimml.cli.render import Screen
from slimml.cli.usercode import add_python, python_of
from slimml.errors import UsageError

_DETAILS = """\
With MODEL, the original's answers are compared with the artifact's; where the original cannot run, MODEL is read again
and what it means is compared, and a note says so. Without MODEL, the artifact answers the golden rows that it carries,
and the answers are compared with those of the day it was made.

exit code: 0 if all answers agree, 1 if not
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model that the artifact was made from")
    parser.add_argument("artifact", metavar="ARTIFACT", help="the .slim file")
    add_data(parser, "rows to compare on")
    add_original(parser)
    add_python(parser)
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.driver import verify

    if args.model is None and any((args.data, args.expected, args.select, args.trust, args.reference_python)):
        hint = "run: slimml verify MODEL ARTIFACT; or give the artifact alone"
        raise UsageError("there is no MODEL to compare the artifact with", hint=hint)
    with progress(quiet=args.quiet):
        result = verify(
            args.model,
            args.artifact,
            data=args.data,
            expected=args.expected,
            select=args.select,
            trust=args.trust,
            reference_python=args.reference_python,
            python=python_of(args.python),
        )
    content = result.to_json()
    return Outcome(code=0 if result.ok else 1, document=content, show=lambda screen: _show(content, screen))


def _show(found: dict[str, Any], screen: Screen) -> None:
    if found["golden"] is not None:
        golden = found["golden"]
        changed = f"largest difference {golden['max_abs']:.3g}, {golden['label_mismatches']} labels changed"
        screen.line(f"golden rows: {golden['rows']}, {'all as they were' if golden['equal'] else changed}")
    if found["parity"] is not None:
        _show_parity(found["parity"], screen)
    screen.line(found["reference"]["sentence"])
    for sentence in dict.fromkeys([*found["warnings"], *(found["parity"] or {}).get("sentences", [])]):
        if sentence != found["reference"]["sentence"]:
            screen.line(f"note: {sentence}")
    if found["golden"] is not None or found["parity"] is not None:
        screen.line("the answers agree" if found["ok"] else "THE ANSWERS DIFFER")


def _show_parity(parity: dict[str, Any], screen: Screen) -> None:
    headers = ("compared", "rows", "largest error", "relative", "labels changed", "verdict")
    rows = [
        (
            seam["seam"],
            f"{seam['rows']:,}",
            f"{seam['max_abs']:.3g}",
            f"{seam['max_rel']:.3g}",
            str(seam["label_mismatches"]),
            seam["verdict"],
        )
        for seam in parity["seams"]
    ]
    screen.table(headers, rows, numbers=(1, 2, 3, 4))
    for net in parity["nets"]:
        fault = f"{net['faults']} differ" if net["faults"] else "all agree"
        screen.line(f"{net['net']} ({net['seam']}): {net['checked']:,} of {net['total']:,} tried, {fault}")


VERIFY = Command(
    "verify", "compare an artifact with its model again, or replay its golden rows", _DETAILS, _add_arguments, _run
)

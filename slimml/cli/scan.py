"""slimml scan MODEL: what a pickle would import and call."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_json
from slimml.cli.render import Screen, size
from slimml.errors import IngestError

_DETAILS = """\
Nothing in the file is imported, called or unpickled. A name is harmless if it is on the list of names that honest
models need, dangerous if it runs programs or code, opens files or connections, or lends such a function; else unknown.
Steps that `slimml shrink` cannot compile are listed with their reasons; they do not change the exit code.

exit code: 0 if nothing dangerous is named, 1 if something is, 3 if the file could not be read to its end
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a pickle, a joblib dump or a skops file")
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.ingest.names import DANGEROUS
    from slimml.ingest.scan import ScanReport
    from slimml.refusals import scan

    def show(screen: Screen, report: ScanReport) -> None:
        screen.line(f"{args.model}: {report.format or 'no format that is known'}, {size(report.bytes)}")
        if report.imports:
            rows = [(i.verdict, i.path, i.effect) for i in report.imports]
            screen.table(("verdict", "name", "what importing or calling it would do"), rows)
        for warning in report.warnings:
            screen.line(f"note: {warning}")
        for refusal in report.refusals:
            screen.line(f"not compiled: {refusal}")
        screen.line(f"{report.verdict}: {len(report.imports)} names")

    report = scan(args.model)
    # A stream that was not read to its end may name anything further on.
    code = 1 if report.verdict == DANGEROUS else 0 if report.complete else IngestError.exit_code
    error = None
    if not report.complete:
        hint = "names after this place are not listed"
        error = IngestError(
            report.stopped, hint=hint, offset=report.stopped_at if "at byte" not in report.stopped else None
        )
    return Outcome(code=code, document=report.to_json(), show=lambda screen: show(screen, report), error=error)


SCAN = Command("scan", "list what a pickle would import and call, without doing it", _DETAILS, _add_arguments, _run)

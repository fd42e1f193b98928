"""slimml gate ARTIFACT: yes or no, for a continuous integration job."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from slimml.artifact.files import check_writable, write_whole
from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_data, add_json
from slimml.cli.progress import progress
from slimml.cli.render import Screen
from slimml.errors import BudgetError
from slimml.units import duration, size

_DETAILS = """\
Sizes: B, kB = 1000, MB, GB; KiB = 1024, MiB, GiB. Times: ns, us, ms, s; they are percentiles of one row from a dict,
measured now on this machine (p99: of a thousand calls or more, garbage collection off; a limit that is not kept is
measured up to three times and the best run counts).

With an artifact as the baseline, --max-diff compares its answers with this one's (labels have to be equal) and
--max-slower measures the two in turns, one row and batches, so that a busy machine hits both. An earlier
`gate --json` and a pytest-benchmark file hold times of another moment. Without a baseline, --max-diff replays the
golden rows that the artifact carries.

With --baseline and no limit: --max-diff 0 --max-slower 10% --max-larger 5%.

examples:
  slimml gate model.slim --max-size 5MB --max-p99 2ms
  slimml gate model.slim --baseline released.slim --max-larger 5% --max-slower 10% --max-diff 0 --junit gate.xml

exit code: 0 if every limit is kept, 1 if one is not
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="the .slim file")
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="an artifact, an earlier gate --json, or a pytest-benchmark JSON (FILE::NAME for one of its benchmarks)",
    )
    parser.add_argument("--max-size", metavar="SIZE", help="the most that the file may weigh: 5MB, 512KiB")
    parser.add_argument("--max-p50", metavar="TIME", help="the most that half of all single rows may take: 200us")
    parser.add_argument("--max-p99", metavar="TIME", help="the most that 99 of 100 single rows may take: 500us")
    parser.add_argument("--max-diff", metavar="X", help="the largest difference of a number in the answers: 0, 1e-9")
    parser.add_argument("--max-slower", metavar="SHARE", help="how much slower than the baseline it may be: 10%%")
    parser.add_argument("--max-larger", metavar="SHARE", help="how much larger than the baseline it may be: 5%%")
    add_data(parser, "rows to time and compare on")
    parser.add_argument("--junit", metavar="FILE", help="write the checks as JUnit XML")
    parser.add_argument("--markdown", metavar="FILE", help="write the checks as a Markdown table")
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.judge.gate import gate
    from slimml.judge.reports import junit, markdown

    for path in filter(None, (args.junit, args.markdown)):
        check_writable(path)  # before the work, not after it
    with progress(quiet=args.quiet) as say:
        result = gate(
            args.artifact,
            baseline=args.baseline,
            max_size=args.max_size,
            max_p50=args.max_p50,
            max_p99=args.max_p99,
            max_diff=args.max_diff,
            max_slower=args.max_slower,
            max_larger=args.max_larger,
            data=args.data,
            progress=say,
        )
    if args.junit:
        write_whole(args.junit, junit(result))
    if args.markdown:
        write_whole(args.markdown, markdown(result).encode())

    def show(screen: Screen) -> None:
        found = result.timing.dict
        latency = f", one row p50 {duration(found.p50)}, p99 {duration(found.p99)}" if found is not None else ""
        screen.line(f"{args.artifact}: {size(result.artifact.bytes)}, {result.artifact.engine}{latency}")
        rows = [("pass" if c.ok else "FAIL", c.what, c.figure, c.limit, c.note) for c in result.checks]
        screen.table(("", "check", "found", "limit", ""), rows)
        for note in result.notes:
            screen.line(f"note: {note}")

    error = None
    if not result.ok:
        what = f"{len(result.failed)} of {len(result.checks)} checks say no"
        error = BudgetError(what, where=args.artifact, hint="\n  ".join(map(str, result.failed)))
    return Outcome(code=0 if result.ok else 1, document=result.to_json(), show=show, error=error)


GATE = Command("gate", "hold an artifact to limits of size, speed and answers", _DETAILS, _add_arguments, _run)

"""The command line: which commands there are, and how arguments become a Namespace."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from slimml.cli.analyze import ANALYZE
from slimml.cli.bench import BENCH
from slimml.cli.command import Command
from slimml.cli.export import EXPORT
from slimml.cli.gate import GATE
from slimml.cli.inspect import INSPECT
from slimml.cli.predict import PREDICT
from slimml.cli.scan import SCAN
from slimml.cli.shrink import SHRINK
from slimml.cli.verify import VERIFY
from slimml.errors import UsageError

COMMANDS = {c.name: c for c in (SHRINK, ANALYZE, VERIFY, INSPECT, PREDICT, BENCH, GATE, EXPORT, SCAN)}

_EXIT_CODES = """\
exit codes:
  0   yes
  1   a gate, a comparison or a budget says no, or scan found something dangerous
  2   wrong usage, a missing file or a missing extra
  3   the input is refused: damaged, hostile, of an unknown kind, or not supported
  70  a bug in slimml
"""


class Parser(argparse.ArgumentParser):
    """argparse, with errors raised as UsageError rather than printed."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"run: {self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments, with `command` the Command that is to run. Raises UsageError, and SystemExit after --help."""
    top = _top_parser()
    given = top.parse_args(argv)
    if given.name is None:
        top.error("which command?")
    if given.name not in COMMANDS:
        top.error(f"there is no command {given.name!r}; the commands are: {', '.join(COMMANDS)}")
    command = COMMANDS[given.name]
    # Intermixed: `verify MODEL --data FILE ARTIFACT` is as good as any other order.
    args = command_parser(command).parse_intermixed_args(given.rest)
    args.command = command
    args.debug, args.quiet = args.debug or given.debug, args.quiet or given.quiet
    return args


def _top_parser() -> Parser:
    listed = "\n".join(f"  {c.name:<9} {c.summary}" for c in COMMANDS.values())
    parser = Parser(
        prog="slimml",
        usage="slimml [--version] [--debug] [--quiet] COMMAND ...",
        description="Compile a fitted scikit-learn, XGBoost or LightGBM pipeline into a small, fast, safe file.",
        epilog=f"commands:\n{listed}\n\n`slimml COMMAND --help` says more.\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.add_argument("--version", action=_Version, help="print the version")
    _add_common(parser)
    return parser


def version() -> str:
    """The version of this slimml."""
    found: str = sys.modules["slimml"].__version__  # importing the root is for users
    return found


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"slimml {version()}")
        parser.exit()


def command_parser(command: Command) -> Parser:
    """The parser of one command."""
    parser = Parser(
        prog=f"slimml {command.name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=command.details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    _add_common(parser)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print errors and what was asked for, nothing else")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")

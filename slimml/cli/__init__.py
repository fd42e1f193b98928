"""The command `slimml`: parses, calls the library, prints. One file per command.

parser.py     the commands, and arguments to a Namespace      render.py     tables and lines for people
documents.py  JSON for machines                               progress.py   what is being done, while somebody waits
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Sequence

from slimml.artifact.files import check_writable
from slimml.cli.command import Outcome, described
from slimml.cli.documents import deliver, document
from slimml.cli.parser import COMMANDS, parse, version
from slimml.cli.render import Screen, warn_on_stderr
from slimml.cli.usercode import import_module_of_user
from slimml.errors import ArtifactError, IngestError, InternalError, SlimmlError, UnsupportedModelError

_REFUSED, _BUG, _INTERRUPTED, _PIPE = 3, InternalError.exit_code, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error ends here as one message on stderr."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args: Namespace | None = None
    _open_closed_streams()
    try:
        args = parse(argv)
        code = _run(args)
        sys.stdout.flush()
        return code
    except SystemExit as request:  # argparse, after --help
        return request.code if isinstance(request.code, int) else 0
    except BrokenPipeError:
        _close_stdout()
        return _PIPE
    except KeyboardInterrupt as error:
        return _fail(error, argv, args, "interrupted; nothing was written", _INTERRUPTED)
    except SlimmlError as error:
        return _fail(error, argv, args, _message(error, args), error.exit_code)
    except MemoryError as error:
        return _fail(error, argv, args, "not enough memory", _REFUSED)
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever else goes wrong is a bug of ours
        return _fail(error, argv, args, _bug_report(error), _BUG)


def _run(args: Namespace) -> int:
    target = getattr(args, "json", None)
    if target not in (None, "-"):
        check_writable(target)  # before the work, not after it
    with warnings.catch_warnings():
        if not args.debug:
            warnings.simplefilter("ignore")  # those of libraries are no message of ours
        # What a library prints must not get into a document that a machine reads.
        with contextlib.redirect_stdout(sys.stderr) if target == "-" else contextlib.nullcontext():
            outcome = _outcome(args)
    content = outcome.document | ({"error": described(outcome.error)} if outcome.error is not None else {})
    if target is not None:
        deliver(target, document(args.command.name, outcome.code == 0, content))
    outcome.show(Screen(sys.stdout, quiet=args.quiet or target == "-"))
    if outcome.error is not None:
        sys.stdout.flush()
        warn_on_stderr(_message(outcome.error, args))
    return outcome.code


def _outcome(args: Namespace) -> Outcome:
    for module in getattr(args, "plugin", None) or ():
        import_module_of_user(module, "--plugin")
    try:
        outcome: Outcome = args.command.run(args)
        return outcome
    except BrokenPipeError as error:  # not that of our stdout, to which nothing has been written yet
        raise InternalError("a process that slimml started closed its end") from error


def _fail(error: BaseException, argv: Sequence[str], args: Namespace | None, message: str, code: int) -> int:
    """Say what went wrong, to people and to machines."""
    if (args is not None and args.debug) or (args is None and "--debug" in argv):
        traceback.print_exception(error)
    warn_on_stderr(message)
    target = getattr(args, "json", None) if args is not None else _json_target(argv)
    if target is not None:
        name = args.command.name if args is not None else next((a for a in argv if a in COMMANDS), None)
        # The error that is being told of may be that this very file cannot be written.
        with contextlib.suppress(SlimmlError, OSError):
            deliver(target, document(name, False, {"error": described(error)}))
            sys.stdout.flush()
    return code


def _json_target(argv: Sequence[str]) -> str | None:
    """Where a document was asked for on a command line that does not parse: stdout alone, files are left alone."""
    pairs = zip(argv, [*argv[1:], ""])
    return "-" if any(a == "--json=-" or (a == "--json" and b == "-") for a, b in pairs) else None


def _message(error: SlimmlError, args: Namespace | None) -> str:
    """The error's own words, after the file that it is about unless they name it."""
    about = None
    if isinstance(error, IngestError | UnsupportedModelError):
        about = getattr(args, "model", None)
    elif isinstance(error, ArtifactError):
        about = getattr(args, "artifact", None)
    text = str(error)
    return text if about is None or str(about) in text else f"{about}: {text}"


def _bug_report(error: Exception) -> str:
    return (
        f"a bug in slimml: {type(error).__name__}: {error}\n"
        "  Please report it: run the same command with --debug and send what it prints, with the model if you may,\n"
        f"  and these versions: slimml {version()}, Python {platform.python_version()}, {platform.platform()}."
    )


def _open_closed_streams() -> None:
    # `>&-`: Python has None there, and a file that we open would get the descriptor and what libraries print to it.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _close_stdout() -> None:
    # Whoever read our output has gone (`| head`). Python would complain once more when it flushes at exit.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

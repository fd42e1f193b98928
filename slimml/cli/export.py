"""slimml export ARTIFACT -o FILE: to other runtimes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_json
from slimml.cli.render import Screen
from slimml.units import size

_DETAILS = """\
.onnx  a plain ONNX file, for any ONNX Runtime: the whole model
.tl    a Treelite checkpoint, for FIL on GPUs: one forest on raw number columns, with its average or sigmoid
.c     C99 by TL2cgen, one file that needs libm alone: the same forest

What a .tl or .c file leaves out (labels, a softmax, refusing rows) is said. The file is run and compared with the
artifact before it is written; C needs a compiler for that (cc, or what CC names). Nothing is written where the answers
differ or the file cannot hold the model.

examples:
  slimml export model.slim -o model.onnx
  slimml export model.slim -o model.c

exit code: 0 if it was written, 1 if the file's answers differ, 3 if it cannot hold the model
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="the .slim file")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="what to write: .onnx, .tl or .c")
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    from slimml.exported.export import export

    result = export(args.artifact, args.out)

    def show(screen: Screen) -> None:
        screen.line(f"{result.path}: {size(result.bytes)}")
        if result.parity is not None:
            screen.line(f"compared with the artifact on {result.parity.rows:,} rows: {result.parity.verdict}")
        for note in result.notes:
            screen.line(f"note: {note}")

    return Outcome(document=result.to_json(), show=show)


EXPORT = Command("export", "write an artifact as ONNX, a Treelite checkpoint or C", _DETAILS, _add_arguments, _run)

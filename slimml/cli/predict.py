"""slimml predict ARTIFACT DATA: answers to a table, as a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from slimml.artifact.files import check_writable
from slimml.artifact.kept import FRONT
from slimml.cli.command import Command, Outcome
from slimml.cli.options import DATA_FORMATS
from slimml.cli.usercode import add_python, python_of
from slimml.errors import UsageError

if TYPE_CHECKING:
    from slimml.runtime.predictor import Model

_DETAILS = """\
Columns of DATA are matched by name where the model knows names, else by position; extra columns are ignored. The
answer has one row for each row of DATA and columns `predict`, or `predict_proba_<class>`; with several outputs
`predict_<output>` and `predict_proba_<output>_<class>`.

examples:
  slimml predict model.slim rows.csv > answers.csv
  slimml predict model.slim rows.parquet --method predict_proba -o answers.parquet
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="the .slim file")
    parser.add_argument("data", metavar="DATA", help=f"the rows ({DATA_FORMATS}, told by content)")
    parser.add_argument(
        "-o", "--out", metavar="OUT", help="write .csv, .parquet, .feather or .npy (default: CSV to stdout)"
    )
    add_python(parser)
    parser.add_argument("--method", help="predict (default), predict_proba, decision_function, transform, ...")


def _run(args: Namespace) -> Outcome:
    from slimml.keeping import raw_rows
    from slimml.runtime import load
    from slimml.tables import read_table, write_table
    from slimml.tables.answers import answer, answer_as_given
    from slimml.tables.write import csv_text, ending_of

    if args.out is not None:
        ending_of(args.out)  # before the work, not after it
        check_writable(args.out)
    model = load(args.artifact, python=python_of(args.python))
    method, table = _method(model, args.method), read_table(args.data)
    first = next((s for s in model.manifest.kept if s.place == FRONT), None)
    if first is None:
        answers = answer(model, method, table)
    else:
        rows = raw_rows(table, documents=first.takes.form == "documents")
        answers = answer_as_given(model, method, rows.argument())
    if args.out is not None:
        write_table(args.out, answers)
        return Outcome(show=lambda screen: screen.line(f"{args.out}: {len(answers):,} rows"))
    return Outcome(show=lambda screen: screen.raw(csv_text(answers)))


def _method(model: Model, wanted: str | None) -> str:
    if wanted is None:
        return "predict" if "predict" in model.outputs else model.outputs[0]
    if wanted not in model.outputs:
        raise UsageError(f"the model has no {wanted!r}", hint=f"it answers: {', '.join(model.outputs)}")
    return wanted


PREDICT = Command("predict", "answer the rows of a table", _DETAILS, _add_arguments, _run)

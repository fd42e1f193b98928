"""Options that several commands share."""

from __future__ import annotations

from argparse import ArgumentParser

DATA_FORMATS = "CSV, Parquet, Feather, Arrow or NPY"


def add_json(parser: ArgumentParser) -> None:
    """--json."""
    help = "write a JSON document to a file, or to stdout (-); a run that fails writes one too, with ok: false"
    parser.add_argument("--json", metavar="FILE|-", help=help)


def add_data(parser: ArgumentParser, use: str) -> None:
    """--data."""
    parser.add_argument("--data", metavar="FILE", help=f"{use} ({DATA_FORMATS})")


def add_original(parser: ArgumentParser) -> None:
    """How to find and run the original, or its answers."""
    add_running(parser)
    parser.add_argument(
        "--expected", metavar="FILE", help=f"the original's answers to the rows of --data ({DATA_FORMATS})"
    )


def add_running(parser: ArgumentParser) -> None:
    """How to find and run the original."""
    parser.add_argument(
        "--select",
        metavar="PATH",
        help="the model to take from a file that holds several; PATH,PATH: steps that run one after the other",
    )
    parser.add_argument(
        "--reference-python", metavar="PY", help="a Python with the release that wrote the model, to run the original"
    )
    parser.add_argument(
        "--plugin",
        metavar="MODULE",
        action="append",
        help="import a module of yours, from here or installed, that registers lowerings with slimml.lowers",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="unpickle and run the original, although the file names code that slimml does not know",
    )

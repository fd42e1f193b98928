"""A table to a file, whole or not at all; the ending picks the format."""

from __future__ import annotations

import csv
import io
import os
from os import PathLike

import numpy as np

from slimml.artifact.files import write_whole
from slimml.errors import UsageError
from slimml.tables.arrow_file import encode_arrow
from slimml.tables.numpy_file import encode_npy
from slimml.tables.table import Table

ENDINGS = (".csv", ".parquet", ".feather", ".arrow", ".npy")


def write_table(path: str | PathLike[str], table: Table) -> None:
    """Write CSV, Parquet, Feather (or .arrow) or NPY. Raises UsageError, MissingDependencyError, InputError."""
    write_whole(path, encode_table(table, ending_of(path)))


def ending_of(path: str | PathLike[str]) -> str:
    """The ending that picks the format. Raises UsageError where it picks none."""
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in ENDINGS:
        raise UsageError(f"{os.fspath(path)} does not end in {', '.join(ENDINGS)}", hint="the ending picks the format")
    return ending


def encode_table(table: Table, ending: str) -> bytes:
    """The bytes of a file with that ending."""
    if ending == ".csv":
        return csv_text(table).encode()
    return encode_npy(table) if ending == ".npy" else encode_arrow(table, ending)


def csv_text(table: Table) -> str:
    """CSV with a header line: floats in the shortest digits that read back exactly, missing values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.names)
    writer.writerows(zip(*[_fields(table.columns[n]) for n in table.names], strict=True))
    return out.getvalue()


def _fields(values: np.ndarray) -> list[object]:
    return ["" if v is None or v != v else v for v in values.tolist()]

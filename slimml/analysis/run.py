"""analyze(): where the bytes and the microseconds of a model are."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

from slimml.analysis.boosters import booster_shares
from slimml.analysis.clock import Times, of_graph, of_original
from slimml.analysis.result import AnalyzeResult, Compiled
from slimml.analysis.stream import Accounts, Holding, Step, account
from slimml.errors import StepRefusal, UnsupportedModelError
from slimml.ingest.read import Ingested
from slimml.ingest.record import Record
from slimml.intake import check_python, content_of, graphs, ingest, original
from slimml.ir.graph import Graph
from slimml.ir.text import to_text
from slimml.options import MEASURE_SECONDS, ShrinkOptions
from slimml.parity.inputs import trial_rows
from slimml.parity.reference import Reference
from slimml.parity.rows import RawRows
from slimml.result import ReferenceReport
from slimml.sample import Sample, read_sample
from slimml.schema import NUMBER, Column, Schema

# Rows of the batch that is timed; fewer are made up where the user gives none.
_BATCH, _MADE_UP = 1000, 128


def analyze(
    model: Any,
    *,
    data: Any = None,
    select: str | None = None,
    reference_python: str | None = None,
    trust: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> AnalyzeResult:
    """Where the bytes of a model are, by step and attribute, and where its microseconds go, step by step.

    The bytes are told from the file before anything of it is loaded. The microseconds are the original's, run in a
    process of its own under the conditions of `shrink` (`trust`, `reference_python`); otherwise those of slimml's own
    evaluation, and `times.of` says so. A model that slimml cannot compile is analyzed as far as it goes: `refused`.

    `model`: a path, the bytes of a file, an open file, or a live estimator; `data`: rows to time it on; `select`: path
    of the model in a file that holds several. Raises IngestError, UsageError, InputError.
    """
    say = progress or (lambda what, share: None)
    check_python(reference_python)
    model = content_of(model)
    say("reading the model", 0.0)
    source = ingest(model, select)
    accounts = _accounts(source)
    say("lowering", 0.3)
    sample = read_sample(source.root, data, None, None)
    fresh, compiled, refused = _lowered(source, sample, trust)
    with closing(original(model, source, trust, reference_python, fresh=fresh)) as theirs:
        say("timing", 0.5)
        times, told = _times(theirs, fresh, _rows(sample, fresh))
    return AnalyzeResult(
        path=os.fspath(model) if isinstance(model, str | os.PathLike) else None,
        format=source.format,
        library_versions=source.versions,
        bytes=source.bytes,
        decoded=sum(s.bytes for s in accounts.steps) + accounts.outside,
        accounts=accounts,
        times=times,
        reference=told,
        compiled=compiled,
        refused=refused,
        warnings=list(source.warnings),
    )


def _accounts(source: Ingested) -> Accounts:
    root = source.root
    if source.stream is not None and isinstance(root, Record):
        return account(root, source.stream)
    name = root.path if isinstance(root, Record) else type(root).__name__
    content = source.source.data if source.source is not None else b""
    whole = Holding(name, count=1)
    for share in booster_shares(content):
        whole.charge(share, share.bytes)
    whole.own = len(content) - sum(h.own for h in whole.parts.values())
    return Accounts([Step("model", name, isinstance(root, Record), whole)], 0)


def _lowered(source: Ingested, sample: Sample, trust: bool) -> tuple[Graph | None, Compiled | None, list[StepRefusal]]:
    """What the model means, before and after the passes, or which of its steps are refused."""
    try:
        fresh, final, passes = graphs(source, sample, ShrinkOptions(trust=trust))
    except UnsupportedModelError as error:
        return None, None, list(error.refusals)
    return fresh, Compiled(to_text(fresh), to_text(final), passes), []


def _rows(sample: Sample, fresh: Graph | None) -> RawRows | None:
    """Rows to time on: the user's, or such as the graph answers; None where there are neither."""
    if fresh is not None:
        given = sample.rows(fresh.schema)
        if given is not None and len(given):
            return given.take(slice(0, _BATCH))
        return trial_rows(fresh, None, count=_MADE_UP).good
    if sample.table is None or not len(sample.table) or sample.columns is None:
        return None
    names = sample.columns.names
    columns = tuple(Column(n, sample.kinds.get(n, NUMBER), sample.dtypes.get(n, "float64")) for n in names)
    rows = sample.rows(Schema(columns, sample.columns.named, spaced=sample.columns.spaced))
    return None if rows is None else rows.take(slice(0, _BATCH))


def _times(theirs: Reference, fresh: Graph | None, rows: RawRows | None) -> tuple[Times, ReferenceReport]:
    told = ReferenceReport(theirs.how, theirs.library_version, theirs.sentence)
    if rows is None or not len(rows):
        why = "not timed: slimml cannot make up rows for a model that it cannot compile; --data gives some"
        return Times(None, why), told
    found = theirs.profile(rows, MEASURE_SECONDS) if theirs.how != "none" else None
    if found is not None:
        said = f"{theirs.sentence.removeprefix('compared with ')}, with one job"
        return of_original(found, len(rows), said), told
    why = theirs.sentence.removeprefix("not compared with the original: ")
    if theirs.how != "none":
        why = "it did not answer the rows, or not in time"
    if fresh is None:
        return Times(None, f"not timed: {why}"), told
    said = f"slimml's plain evaluation of the same steps, not the original: {why}"
    return of_graph(fresh, rows, MEASURE_SECONDS, said), told

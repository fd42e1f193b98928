"""The model that came in: its Records, what they mean, and the original to compare with."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from slimml.converted import Converter
from slimml.errors import InternalError, UnsupportedEstimatorError, UnsupportedModelError, UsageError
from slimml.frontends.lowerer import lower
from slimml.frontends.narrow import beside, differs, may_differ
from slimml.ingest.live import read_live
from slimml.ingest.names import is_harmless
from slimml.ingest.onnx.doubts import doubts
from slimml.ingest.onnx.model import GRAPH, OnnxGraph
from slimml.ingest.read import Ingested, read
from slimml.ingest.record import Record
from slimml.ir.domain import NUMBER as ANY_NUMBER
from slimml.ir.graph import Graph
from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.delegates import Opaque
from slimml.ir.ops.models import forests
from slimml.options import Exactness, ShrinkOptions
from slimml.parity.process import open_onnx, open_reference
from slimml.parity.reference import LiveReference, NoReference, Reference
from slimml.parity.seams import Checker
from slimml.parity.worker import cut, follow
from slimml.passes import PASSES
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS
from slimml.passes.folding.cells import UnfoldableError
from slimml.passes.folding.widen import widened
from slimml.passes.runner import PassReport, run_passes
from slimml.refusals import refusals, refused
from slimml.result import ReferenceReport, SourceReport
from slimml.runtime.predictor import Model
from slimml.sample import Sample, read_expected
from slimml.schema import NUMBER

# The step behind the passes that says which float64 rows stand for float32 ones.
WIDEN = "widen-float32-rows"
_BYTES = (bytes, bytearray, memoryview)
_FILES = (str, os.PathLike, *_BYTES)


def content_of(model: Any) -> Any:
    """`model`, or the bytes of the open binary file that it is."""
    return model.read() if isinstance(model, io.IOBase) and not isinstance(model, io.TextIOBase) else model


def check_python(python: str | None) -> None:
    """Raise UsageError where --reference-python names no program; one that cannot run the original is told of later."""
    if python is not None and shutil.which(python) is None:
        raise UsageError(
            f"--reference-python {python} is not a program", hint="Name a Python: /path/to/venv/bin/python."
        )


def ingest(model: Any, select: str | None) -> Ingested:
    """The Records of a path, of the bytes of a file, or of a live estimator. Raises IngestError, UsageError."""
    if isinstance(model, _FILES):
        return read(bytes(model) if isinstance(model, _BYTES) else model, select=select)
    return read_live(model, select=select)


def graphs(
    source: Ingested, sample: Sample, options: ShrinkOptions, model: Any = None
) -> tuple[Graph, Graph, list[PassReport]]:
    """What a model means as its frontends say it, the same after the passes, and what each pass did.

    `model`: the file or live estimator itself, for what no frontend knows (`--backend onnx --trust`). Raises
    UnsupportedModelError; InternalError where a frontend or a pass contradicts itself.
    """
    converter = Converter(model, source.path) if model is not None and _may_convert(options) else None
    try:
        fresh = lower(source.root, **_declared(sample), fallback=converter)
    except UnsupportedModelError as error:
        raise refused(refusals(source.root, error), error) from None
    except MalformedGraphError as error:
        raise InternalError(f"a frontend made a graph that contradicts itself: {error}") from error
    finally:
        if converter is not None:
            converter.close()
    final, passes = run_passes(fresh, PASSES, options.allowed)
    final, report = _with_float32(source, sample, fresh, _declaring(final, sample))
    return fresh, final, passes + report


def _declaring(final: Graph, sample: Sample) -> Graph:
    """The graph, whose schema says what the user declared of its numbers: folding counts on it, and verify asks so."""
    if not sample.domains:
        return final
    columns = []
    for column in final.schema.columns:
        known = sample.domains.get(column.name)
        if known is not None and column.kind == NUMBER and replace(known, kind="number") != ANY_NUMBER:
            column = replace(column, declared=(known.integer, known.low, known.high, known.missing))
        columns.append(column)
    return replace(final, schema=replace(final.schema, columns=tuple(columns)))


def _with_float32(source: Ingested, sample: Sample, fresh: Graph, final: Graph) -> tuple[Graph, list[PassReport]]:
    """`final` with what the model means of float32 rows beside it, where that is something else."""
    trees = bool(forests(fresh))
    if any(isinstance(n, Opaque) for n in fresh.nodes()) or (not trees and not may_differ(fresh)):
        return final, []
    try:
        narrow = lower(source.root, **_declared(sample), float32=True)
    except (MalformedGraphError, UnsupportedEstimatorError) as reason:
        return final, _widened_because(reason, final) if trees else []
    if trees:
        return _in_front_of_trees(fresh, narrow, final)
    if not differs(fresh, narrow):
        return final, []
    return beside(final, run_passes(narrow, (DROP_DEAD_COLUMNS,))[0]), []


def _in_front_of_trees(fresh: Graph, narrow: Graph, final: Graph) -> tuple[Graph, list[PassReport]]:
    """`final` with the float64 rows that stand for float32 rows; where none do, the report says why."""
    try:
        float32 = widened(fresh, narrow, final)
    except UnfoldableError as reason:
        return final, _widened_because(reason, final)
    before = len(final.nodes())
    after = before if float32 is None else len(float32.nodes())
    report = PassReport(WIDEN, Exactness.BITWISE, after - before, {}, before, after)
    return replace(final, float32=float32), [report]


def _widened_because(reason: object, final: Graph) -> list[PassReport]:
    return [given_up(str(reason).partition("\n")[0], len(final.nodes()))]


def given_up(reason: str, nodes: int) -> PassReport:
    """What is said where float32 rows are answered as the same values in float64."""
    why = {f"they are answered as the same values in float64: {reason}": 1}
    return PassReport(WIDEN, Exactness.BITWISE, 0, why, nodes, nodes)


def _declared(sample: Sample) -> dict[str, Any]:
    """What the user's data and schema say, as lower() takes it."""
    given = {"kinds": sample.kinds, "dtypes": sample.dtypes, "domains": sample.domains}
    return {"offered": sample.columns, **given}


def _may_convert(options: ShrinkOptions) -> bool:
    """Whether the user lets skl2onnx have the live estimator, and takes what may drift."""
    return options.trust and options.backend == "onnx" and options.exactness == "rounding"


def reference(
    model: Any,
    source: Ingested,
    sample: Sample,
    fresh: Graph,
    trust: bool,
    expected: Any,
    python: str | None,
    span: tuple[int, int] | None = None,
) -> Reference:
    """The original, in the first way that is open: given answers, the live object, a process of its own, or none."""
    if expected is not None:
        rows = sample.rows(fresh.schema)
        if rows is None:
            raise UsageError("--expected holds answers to the rows of --data, which is not given")
        return read_expected(expected, rows, fresh)
    return original(model, source, trust, python, span, fresh)


def original(
    model: Any,
    source: Ingested,
    trust: bool,
    python: str | None,
    span: tuple[int, int] | None = None,
    fresh: Graph | None = None,
) -> Reference:
    """The original as it can be run: the live object, a process of its own, or not at all and why.

    `span`: which steps of a pipeline are asked; None for the whole model. `fresh`: what the model means, which tells
    what the outputs of an ONNX file answer.
    """
    if not isinstance(model, _FILES):
        return LiveReference(cut(follow(model, source.path) if source.path else model, span))
    given = bytes(model) if isinstance(model, _BYTES) else model
    if isinstance(source.root, Record) and isinstance(source.root.get(GRAPH), OnnxGraph):
        return _onnx_runtime(given, source.root.get(GRAPH), fresh, trust, python)
    if not source.versions and not source.unsaid:
        return NoReference("the file does not say which release of which library wrote it")
    unknown = is_harmless(source.imports)
    return open_reference(
        given,
        source.versions,
        unknown,
        unsaid=source.unsaid,
        opener=source.opener,
        select=source.path,
        span=span,
        trust=trust,
        python=python,
    )


def _onnx_runtime(given: Any, graph: OnnxGraph, fresh: Graph | None, trust: bool, python: str | None) -> Reference:
    """ONNX Runtime, where the frontend has looked at every operator: a tree may point beside its columns."""
    if fresh is None:
        return NoReference("ONNX Runtime is only handed files that slimml can compile")
    classes = [table.tolist() for o in fresh.outputs for table in o.labels]
    answers = [o.name for o in fresh.outputs], classes[0] if classes else []
    return open_onnx(given, answers, doubts(graph), trust=trust, python=python)


def described(model: Any, source: Ingested) -> SourceReport:
    """What the report says of the file."""
    path = os.fspath(model) if isinstance(model, str | os.PathLike) else None
    return SourceReport(path, source.bytes, source.format, source.versions)


def summary(original: Reference, checker: Checker | None = None) -> ReferenceReport:
    """What the report says of the original; of one that broke down while `checker` asked it, that there was none."""
    if checker is not None and checker.failed:
        return ReferenceReport("none", original.library_version, f"not compared with the original: {checker.failed}")
    return ReferenceReport(original.how, original.library_version, original.sentence)


def apart(fresh: Graph, opened: Model) -> str:
    """Why the answers of a model and an artifact cannot be compared at all, or ""."""
    mine, theirs = fresh.schema.names, opened.schema.names
    if mine != theirs:
        return f"which takes the columns {_some(theirs)} and not {_some(mine)}"
    answers = tuple(o.name for o in fresh.outputs)
    return "" if answers == opened.outputs else f"which answers {_some(opened.outputs)} and not {_some(answers)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")

"""`read`: a file or its bytes to Records."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from slimml.errors import IngestError
from slimml.ingest import formats, lightgbm
from slimml.ingest.boosters import complete
from slimml.ingest.container import Opened, open_source
from slimml.ingest.containers import choose
from slimml.ingest.decode import decode
from slimml.ingest.excused import excuse
from slimml.ingest.hazards import hazards
from slimml.ingest.limits import DEFAULT, Limits
from slimml.ingest.machine import Context
from slimml.ingest.names import HARMLESS, Import, imports_of, refuse_dangerous
from slimml.ingest.onnx import model as onnx
from slimml.ingest.skops.file import read_skops
from slimml.ingest.spans import Stream
from slimml.ingest.structure import check_structure
from slimml.ingest.versions import versions_in
from slimml.ingest.walk import survey
from slimml.ingest.xgboost import model as xgboost


@dataclass(eq=False)
class Ingested:
    """What a file holds.

    `root`      the model: a Record, or a plain value
    `format`    such as "pickle protocol 4", "joblib zlib", "gzip+pickle protocol 5"
    `bytes`     size of the source
    `imports`   every name in the stream with its verdict
    `versions`  library -> the release that wrote it, as far as the file says
    `unsaid`    library -> the format in which it wrote, which does not name the release
    `warnings`  sentences for the user
    `path`      where in the file the root stands ("" for the whole)
    `source`    the bytes themselves; None for a live object
    `stream`    the pickle, to ask which of its bytes are what; None where the model was not in a pickle
    `opener`    the package that loads the file, where that is none of `versions`
    """

    root: Any
    format: str
    bytes: int
    imports: list[Import] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    unsaid: dict[str, str] = field(default_factory=dict)
    path: str = ""
    source: Opened | None = field(default=None, repr=False)
    stream: Stream | None = field(default=None, repr=False)
    opener: str = ""

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the source bytes; "" for a live object. Computed when first asked for."""
        return self.source.sha256 if self.source is not None else ""


def read(
    source: str | os.PathLike[str] | bytes | memoryview, *, limits: Limits = DEFAULT, select: str | None = None
) -> Ingested:
    """Decode a model file, or its bytes, into Records; nothing that it names is imported or called.

    `select` is the path of one model in a dict, list or tuple of them. Raises UsageError where there is no such file
    and an IngestError for everything that is not read: UnknownFormatError names what the content is instead,
    CorruptInputError the byte and the damage, LimitError the limit, UntrustedError the names that no model needs.
    """
    opened = open_source(source, limits)
    context = Context(limits)
    if lightgbm.is_text_model(opened.head):
        return _read_text(opened, context, limits, select)
    if xgboost.format_of(opened.head) is not None:
        return _read_xgboost(opened, context, limits, select)
    if onnx.is_onnx(opened.head):
        return _read_onnx(opened, context, limits, select)
    if opened.skops:
        return _read_skops(opened, context, limits, select)
    try:
        root, end = decode(opened.data, context)
    except IngestError as e:
        if _never_was_a_pickle(opened, context):
            raise formats.unknown(opened.head) from None
        refuse_dangerous(imports_of(context), broken=f"; besides, {e.what}")
        raise
    ingested = checked(root, context, limits)
    ingested.path, ingested.root = choose(root, select)
    ingested.format, ingested.bytes = format_name(opened, context), opened.size
    ingested.source, ingested.stream = opened, Stream(opened.data, root, context.jumps)
    if end < len(opened.data):
        ingested.warnings.append(f"{len(opened.data) - end} bytes after the end of the pickle were not read")
    return ingested


def _read_text(opened: Opened, context: Context, limits: Limits, select: str | None) -> Ingested:
    root = lightgbm.booster_of(opened.data)
    return _own_format(
        root, opened, context, limits, select, lambda: f"LightGBM text {root.fields[lightgbm.PARSED].version}"
    )


def _read_xgboost(opened: Opened, context: Context, limits: Limits, select: str | None) -> Ingested:
    root = xgboost.booster_of(opened.data)
    return _own_format(root, opened, context, limits, select, lambda: f"XGBoost {root.fields[xgboost.PARSED].form}")


def _read_onnx(opened: Opened, context: Context, limits: Limits, select: str | None) -> Ingested:
    root = onnx.model_of(memoryview(opened.data))
    return _own_format(root, opened, context, limits, select, lambda: "ONNX")


def _read_skops(opened: Opened, context: Context, limits: Limits, select: str | None) -> Ingested:
    try:
        file = read_skops(memoryview(opened.data), context, opened.spent)
    except IngestError as e:
        refuse_dangerous(imports_of(context), broken=f"; besides, {e.what}")
        raise
    ingested = _own_format(file.root, opened, context, limits, select, lambda: file.form)
    ingested.opener = "skops"
    return ingested


def _own_format(
    root: Any, opened: Opened, context: Context, limits: Limits, select: str | None, name: Callable[[], str]
) -> Ingested:
    """A library's own file; what it is called is known once it has been read."""
    ingested = checked(root, context, limits)
    ingested.path, ingested.root = choose(root, select)
    ingested.format = "+".join([*opened.layers, name()])
    ingested.bytes, ingested.source = opened.size, opened
    return ingested


def _never_was_a_pickle(opened: Opened, context: Context) -> bool:
    """Whether this is a text whose first letter happens to be an instruction of protocol 0."""
    head = opened.head
    named = any(_is_dotted(s.module) and _is_dotted(s.name) for s in context.symbols.values())
    return head[:1] != b"\x80" and not named and formats.is_text(head)


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def checked(root: Any, context: Context, limits: Limits) -> Ingested:
    """What holds for files and live objects alike: verdicts, structure, versions. Raises IngestError."""
    imports = imports_of(context)
    refuse_dangerous(imports, root)
    records = survey(root, limits)
    imports = excuse(imports, records)
    texts = complete(records, lightgbm.LIBRARY)
    complete(records, xgboost.LIBRARY)
    check_structure(records)
    versions, warnings = versions_in(records)
    warnings += context.warnings + hazards(records)
    doubtful = [i.path for i in imports if i.verdict != HARMLESS]
    if doubtful:
        listed = ", ".join(doubtful[:10]) + (f" and {len(doubtful) - 10} more" if len(doubtful) > 10 else "")
        warnings.append(f"names that are not known from honest models, none of them imported or called: {listed}")
    if not records:
        warnings.append(f"the file holds no model, only a value of type {type(root).__name__}")
    unsaid = {"lightgbm": f"LightGBM text {texts[-1].version}"} if texts else {}
    return Ingested(root, "", 0, imports, versions, warnings, unsaid=unsaid)


def format_name(opened: Opened, context: Context) -> str:
    """How the file is written, such as "gzip+pickle protocol 5" or "joblib zlib"."""
    layers = opened.layers
    # Only joblib wraps arrays so, and only joblib writes bare zlib and LZ4 streams.
    if context.wrapped_arrays or "zlib" in layers or "lz4" in layers:
        return " ".join(["joblib", *layers])
    protocol = str(context.protocol) if context.protocol else "0 or 1"
    return "+".join([*layers, f"pickle protocol {protocol}"])

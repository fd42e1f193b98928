"""Every step of a model that cannot be lowered, all at once: where it stands, its class, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from slimml.errors import (
    SlimmlError,
    StepRefusal,
    UnfittedModelError,
    UnsupportedEstimatorError,
    UnsupportedModelError,
    UserCodeError,
)
from slimml.frontends.imblearn import is_sampler
from slimml.frontends.lowerer import lower
from slimml.frontends.registry import WAYS_OUT, lowering
from slimml.frontends.strangers import why_unknown
from slimml.frontends.width import Columns, columns_of
from slimml.ingest import scan as ingest
from slimml.ingest.containers import is_model, models
from slimml.ingest.limits import DEFAULT, Limits
from slimml.ingest.record import Record
from slimml.ir.node import MalformedGraphError
from slimml.parity.profiling import all_steps, steps_inside

# A message lists so many steps; a file can hold more.
_MOST = 40


def scan(source: str | os.PathLike[str] | bytes | memoryview, *, limits: Limits = DEFAULT) -> ingest.ScanReport:
    """List what a file would import, and which steps of its models cannot be compiled, without running any of it.

    Also of files that `read` refuses, as far as the stream goes. Raises UsageError where there is no such file;
    whatever is wrong with the content is in the report.
    """
    report = ingest.scan(source, limits=limits)
    for path, record in models(report.root):
        try:
            lower(record)
        except UnsupportedModelError as error:
            report.refusals += refusals(record, error, path or "model")
        except (SlimmlError, MalformedGraphError) as error:
            report.refusals.append(StepRefusal(path or "model", record.path, str(error)))
    return report


def refusals(root: Any, first: UnsupportedModelError, name: str = "model") -> list[StepRefusal]:
    """What keeps a model from being lowered, of which lowering it met `first`, in the order of its pipeline.

    A step whose class is unknown is named wherever it stands. One whose class is known and that holds no others is
    lowered by itself, so that an option which no frontend handles is named as well. `name`: what paths start with.
    """
    steps = _steps(root) if isinstance(root, Record) else []
    known = {path: record.path for path, record in steps}
    found = {path: StepRefusal(path, record.path, why) for path, record in steps if (why := _why(record))}
    # Where the model is of unknown steps, they are why it does not say how many columns it takes.
    led = isinstance(first, UnfittedModelError) or first.what in {r.why for r in found.values()}
    if first.where not in found and not (found and led):
        found[first.where] = StepRefusal(first.where, known.get(first.where, ""), first.what)
    order = {path: at for at, path in enumerate(known)}
    listed = sorted(found.values(), key=lambda r: order.get(r.path, -1))
    return [StepRefusal(name + r.path.removeprefix("model"), r.class_path, r.why) for r in listed]


def refused(found: Sequence[StepRefusal], first: UnsupportedModelError) -> UnsupportedModelError:
    """The error that names all of them; `first` itself, with them on it, where there is no more."""
    if len(found) > 1:
        listed = "".join(f"\n    {r}" for r in found[:_MOST])
        more = f"\n    and {len(found) - _MOST} more" if len(found) > _MOST else ""
        error: UnsupportedModelError = UnsupportedEstimatorError(
            f"{len(found)} steps cannot be lowered:{listed}{more}", hint=WAYS_OUT
        )
    elif found and found[0].path != first.where:
        error = UnsupportedEstimatorError(found[0].why, where=found[0].path, hint=WAYS_OUT)
    else:
        error = first
    error.refusals = tuple(found)
    return error


def _steps(root: Record) -> list[tuple[str, Record]]:
    steps: list[tuple[str, Record]] = all_steps(root, lambda r: steps_inside(r.fields.get, is_model))
    return steps


def _why(record: Record) -> str:
    """Why a step is refused as far as it can be told by itself, or ""."""
    if is_sampler(record):
        return ""
    if lowering(record.path) is None:
        return why_unknown(record.path)[0]
    if steps_inside(record.fields.get, is_model):
        return ""
    stateless = not any(name.endswith("_") for name in record.fields)
    try:
        columns_of(record)
    except UnsupportedModelError:
        if not stateless:
            return ""  # what comes in, the steps before it know
    try:
        lower(record, offered=Columns(("x0",)))
    except (UnsupportedEstimatorError, UserCodeError) as error:
        return error.what
    except UnfittedModelError as error:
        return "" if stateless else f"{error.what}: {error.hint}"
    return ""

"""`read_live`: a fitted object of this process to Records, its arrays shared and not copied."""

from __future__ import annotations

import pickle
from typing import Any

from slimml.errors import MissingDependencyError, UnsupportedModelError
from slimml.ingest.containers import choose
from slimml.ingest.decode import decode
from slimml.ingest.limits import DEFAULT, Limits
from slimml.ingest.machine import Context
from slimml.ingest.read import Ingested, checked
from slimml.ingest.spans import Stream

_REFUSALS = (pickle.PicklingError, AttributeError, TypeError)


def read_live(model: object, *, limits: Limits = DEFAULT, select: str | None = None) -> Ingested:
    """Decode a live object as a file of it would be, through the same reader.

    Contiguous arrays stay where they are: their views in the Records are read-only, and change if the model is fitted
    again. `bytes` counts the pickle and the shared arrays. Raises UnsupportedModelError where the object cannot be
    pickled, MissingDependencyError where cloudpickle could.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = _dump(model, buffers)
    shared = [buffer.raw() for buffer in buffers]
    context = Context(limits, buffers=shared)
    root, _ = decode(stream, context)
    ingested = checked(root, context, limits)
    ingested.path, ingested.root = choose(root, select)
    ingested.format = f"live object, pickle protocol {context.protocol}"
    ingested.bytes = len(stream) + sum(len(view) for view in shared)
    ingested.stream = Stream(stream, root, context.jumps, [len(view) for view in shared])
    return ingested


def _dump(model: object, buffers: list[pickle.PickleBuffer]) -> bytes:
    try:
        return pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    except _REFUSALS as e:
        reason = str(e)
    buffers.clear()
    try:
        import cloudpickle  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise MissingDependencyError(
            f"pickle refuses the model: {reason}", hint="pip install cloudpickle, or name the function in a module."
        ) from None
    try:
        return _cloud(cloudpickle, model, buffers)
    except (*_REFUSALS, RecursionError) as e:
        raise UnsupportedModelError(
            f"the model cannot be pickled: {e}", hint="Remove open files, locks and generators from it."
        ) from None


def _cloud(cloudpickle: Any, model: object, buffers: list[pickle.PickleBuffer]) -> bytes:
    dumped: bytes = cloudpickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    return dumped

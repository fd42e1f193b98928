"""A lowering that the user wrote: run so that what goes wrong in it is told as theirs, with the step's path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimml.errors import SlimmlError, UserCodeError
from slimml.ingest.record import Record
from slimml.ir.graph import Output, topological
from slimml.ir.node import MalformedGraphError, Node
from slimml.ir.verify import verify_output

if TYPE_CHECKING:
    from slimml.frontends.lowerer import Lowered, Lowerer, Lowering, Source

_HINT = "It is code of yours, registered with slimml.lowers; --debug prints where it was raised."


def guarded(function: Lowering, est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """What a user's lowering makes of a step. Raises UserCodeError where it raises, or answers no sound graph."""
    where, name = ctx.where, f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"
    try:
        lowered = function(est, x, ctx)
        _check(lowered)
    except SlimmlError:
        raise
    except Exception as error:
        said = f"the lowering {name} of {est.path} raised {type(error).__name__}: {error}"
        raise UserCodeError(said, where=where, hint=_HINT) from error
    return lowered


def _check(lowered: object) -> None:
    outputs = getattr(lowered, "outputs", None)
    nodes = [lowered] if isinstance(lowered, Node) else []
    if isinstance(outputs, tuple) and all(isinstance(o, Output) for o in outputs):
        for output in outputs:
            verify_output(output)
        nodes = [n for o in outputs for n in o.nodes]
    if not nodes:
        raise TypeError(f"it returned a {type(lowered).__name__}, not a Node or a Model with outputs")
    for node in topological(nodes):
        if not type(node).__module__.startswith("slimml.ir.ops."):
            raise MalformedGraphError(f"{type(node).__name__} is no op of slimml's: a plan holds none but those")

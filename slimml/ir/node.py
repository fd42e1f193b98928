"""The base of every op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slimml.ir.csr import Csr
from slimml.ir.types import ValueType

Value = np.ndarray | Csr


class MalformedGraphError(ValueError):
    """A node or graph whose fields contradict each other.

    Whoever builds the graph says whose fault that is: a frontend's or a pass's (InternalError), or the file's
    (ArtifactCorruptError).
    """


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Node:
    """One op: its fields, its output type and its meaning, in one place. Compared by identity.

    `inputs` are nodes; `origin` says where in the user's pipeline the op came from; `type` is inferred once, when the
    node is made, so that no walk has to recurse.
    """

    inputs: tuple[Node, ...] = ()
    origin: str = ""
    type: ValueType = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.check()
        object.__setattr__(self, "type", self.infer())

    def check(self) -> None:
        """Raise MalformedGraphError where fields contradict each other or the inputs."""

    def infer(self) -> ValueType:
        """The output's type."""
        raise NotImplementedError(type(self).__name__)

    def evaluate(self, *values: Any) -> Any:
        """The reference meaning: one value per input, (n, width) each, to the output value."""
        raise NotImplementedError(type(self).__name__)

    @property
    def source(self) -> ValueType:
        """The type of the only input."""
        return self.inputs[0].type


def require(condition: object, message: str) -> None:
    """Raise MalformedGraphError(message) unless the condition holds."""
    if not condition:
        raise MalformedGraphError(message)


def require_inputs(node: Node, count: int, *, layouts: Sequence[str] = ("dense",), numeric: bool = True) -> None:
    """Check how many inputs a node has, their layouts and that they are numbers."""
    require(len(node.inputs) == count, f"{type(node).__name__} takes {count} inputs, got {len(node.inputs)}")
    for x in node.inputs:
        require(x.type.layout in layouts, f"{type(node).__name__} does not take {x.type.layout} values")
        require(x.type.numeric or not numeric, f"{type(node).__name__} takes numbers, got {x.type}")


def on_entries(function: Any, x: Value) -> Value:
    """Apply an elementwise function that keeps zero at zero to the stored entries."""
    return x.with_data(function(x.data)) if isinstance(x, Csr) else function(x)

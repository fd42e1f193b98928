"""A model in ONNX's own terms, under construction: ops over named tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

ML = "ai.onnx.ml"

# TreeEnsemble came with version 5 of ai.onnx.ml; runtimes that know it know version 19 of the main domain, which
# brought Equal on strings.
OPSETS = {"": 19, ML: 5}

Attribute = int | str | list[int] | list[str] | np.ndarray


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model. A string in `shape` is a size known at run time only."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operator; an array among the attributes is a tensor, a list of int or str is itself. `encoded`: attributes
    of another model, as its bytes say them.
    """

    type: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Attribute]
    domain: str
    encoded: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Program:
    """The model so far. Every method answers the name of the tensor that it made."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    _shared: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _next: int = 0

    def input(self, name: str, dtype: str, shape: tuple[int | str, ...]) -> str:
        """Declare an input; before any op, so that no name made up collides with it."""
        self.inputs.append(Port(name, dtype, shape))
        self._taken.add(name)
        return name

    def output(self, name: str, value: str, dtype: str, shape: tuple[int | str, ...]) -> None:
        """Answer the tensor `value` under `name`."""
        self.ops.append(Op("Identity", (value,), name, {}, ""))
        self.outputs.append(Port(name, dtype, shape))

    def op(self, type: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Append an operator of one output."""
        output = self._name()
        self.ops.append(Op(type, inputs, output, attributes, domain))
        return output

    def copy(self, type: str, inputs: Iterable[str], domain: str, encoded: tuple[bytes, ...]) -> str:
        """Append an operator of another model, with attributes as its bytes say them."""
        output = self._name()
        self.ops.append(Op(type, tuple(inputs), output, {}, domain, encoded))
        return output

    def constant(self, value: np.ndarray) -> str:
        """A constant tensor; equal ones are stored once."""
        key = (
            value.dtype.str,
            value.shape,
            value.tobytes() if value.dtype != object else repr(value.tolist()).encode(),
        )
        if key not in self._shared:
            self._shared[key] = self._name()
            self.constants[self._shared[key]] = value
        return self._shared[key]

    def reserve(self, *names: str) -> None:
        """Names that no tensor made up may have."""
        self._taken.update(names)

    def _name(self) -> str:
        while (name := f"t{self._next}") in self._taken:
            self._next += 1
        self._next += 1
        return name

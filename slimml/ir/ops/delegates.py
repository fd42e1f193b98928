"""Parts of a graph that another engine runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from slimml.ir.domain import Domain
from slimml.ir.node import Node, require
from slimml.ir.types import ValueType


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OnnxCall(Node):
    """The ONNX model in `section`, fed with the dense inputs in order; it answers one float64 block of `width`."""

    section: str
    width: int

    def check(self) -> None:
        require(self.inputs and 0 < self.width <= 2**24, "OnnxCall needs inputs and a width")
        dense = all(x.type.layout == "dense" and x.type.numeric for x in self.inputs)
        require(dense, "OnnxCall reads dense blocks of numbers")

    def infer(self) -> ValueType:
        return ValueType("float64", (Domain(),) * self.width)

    def evaluate(self, *values: np.ndarray) -> NoReturn:
        raise NotImplementedError("OnnxCall runs in the onnx engine alone")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Opaque(Node):
    """What another tool made of a live estimator: `model`, in ONNX, from a float64 block to one of `width` columns.

    `run` is how it is evaluated. No plan holds it: the onnx backend writes an OnnxCall instead, all others refuse it.
    """

    model: bytes
    width: int
    run: Callable[[np.ndarray], np.ndarray]

    def check(self) -> None:
        require(len(self.inputs) == 1 and 0 < self.width <= 2**24, "Opaque needs an input and a width")
        x = self.inputs[0].type
        require(x.layout == "dense" and x.dtype == "float64", "Opaque reads a dense block of float64")

    def infer(self) -> ValueType:
        return ValueType("float64", (Domain(),) * self.width)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return self.run(x)

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
    """What is there in ONNX alone: `model`, from dense blocks to one block of `width` float64 columns.

    Another tool made it of a live estimator, or an artifact holds it. `run` is how it is evaluated. No plan holds it:
    the onnx backend writes an OnnxCall instead, all others refuse it.
    """

    model: bytes
    width: int
    run: Callable[..., np.ndarray]

    def check(self) -> None:
        require(self.inputs and 0 < self.width <= 2**24, "Opaque needs inputs and a width")
        dense = all(x.type.layout == "dense" and x.type.numeric for x in self.inputs)
        require(dense, "Opaque reads dense blocks of numbers")

    def infer(self) -> ValueType:
        return ValueType("float64", (Domain(),) * self.width)

    def evaluate(self, *values: np.ndarray) -> np.ndarray:
        return self.run(*values)

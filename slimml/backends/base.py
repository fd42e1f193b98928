"""What a backend is: a way to run a graph, or a reasoned no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from slimml.ir.graph import Graph
from slimml.options import ShrinkOptions


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a backend cannot express a graph, and which part of the user's pipeline is in the way."""

    reason: str
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.reason}" if self.origin else self.reason


@dataclass(frozen=True, slots=True)
class Cost:
    """What compiling and loading are expected to take: `seconds` and peak `bytes` of memory, order of magnitude."""

    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """What a backend made: the engine that runs it, the graph that is left for the plan, and its own sections."""

    engine: str
    graph: Graph
    sections: Mapping[str, bytes] = field(default_factory=dict)


class Backend(Protocol):
    """A way to run a graph."""

    name: str

    def missing(self) -> str | None:
        """Why it cannot run here (which extra to install), or None."""

    def refuses(self, graph: Graph) -> list[Refusal]:
        """What it cannot express; empty where it can."""

    def cost(self, graph: Graph) -> Cost:
        """What compiling would take. One that is out of proportion is refused before it starts."""

    def compile(self, graph: Graph, options: ShrinkOptions) -> Payload:
        """The graph in this backend's terms."""

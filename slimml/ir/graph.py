"""A graph: named outputs over a directed acyclic graph of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.node import Node, Value
from slimml.ir.ops.columns import Input
from slimml.schema import Schema


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One method of the original: its nodes, and the shape in which it answers.

    `form`    vector: (n,) from one node of one column; matrix: (n, k) from one node; list: one (n, k) per node;
              stack: those in one (nodes, n, k) array
    `labels`  where the nodes hold positions in a table of labels: the table of each column; else empty
    """

    name: str
    nodes: tuple[Node, ...]
    form: str
    labels: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """What a pipeline means. `classes`: the original's classes_, one table per target (empty for a regressor).

    `float32`: what it means of rows whose number columns are float32, where that is something else.
    """

    schema: Schema
    outputs: tuple[Output, ...]
    classes: tuple[np.ndarray, ...] = ()
    float32: Graph | None = None

    def nodes(self) -> list[Node]:
        """Every node that an output needs, each after its inputs."""
        return topological(n for o in self.outputs for n in o.nodes)

    def inputs(self) -> list[Input]:
        """The input nodes, in order of first use."""
        return [n for n in self.nodes() if isinstance(n, Input)]

    def output(self, name: str) -> Output:
        """The output of that name; KeyError where there is none."""
        for output in self.outputs:
            if output.name == name:
                return output
        raise KeyError(name)

    def replace(self, new: Mapping[Node, Node]) -> Graph:
        """The graph with nodes replaced and their users rebuilt; self where nothing changes."""
        mapping = rebuilt(self.nodes(), lambda node: new.get(node, node))
        return self.with_nodes(mapping)

    def map(self, rule: Callable[[Node], Node]) -> Graph:
        """The graph with `rule` applied to every node, inputs first; self where every node comes back as it was."""
        return self.with_nodes(rebuilt(self.nodes(), rule))

    def with_nodes(self, mapping: Mapping[Node, Node]) -> Graph:
        """The graph whose outputs read the mapped nodes."""
        if all(mapping[n] is n for o in self.outputs for n in o.nodes):
            return self
        outputs = tuple(replace(o, nodes=tuple(mapping[n] for n in o.nodes)) for o in self.outputs)
        return replace(self, outputs=outputs)


def topological(ends: Iterable[Node]) -> list[Node]:
    """`ends` and all that they read, each node once and after its inputs; a loop, not recursion."""
    order: list[Node] = []
    done: set[Node] = set()
    stack = [(n, False) for n in reversed(list(ends))]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done.add(node)
            order.append(node)
        else:
            stack.append((node, True))
            stack += [(x, False) for x in reversed(node.inputs) if x not in done]
    return order


def rebuilt(order: list[Node], rule: Callable[[Node], Node]) -> dict[Node, Node]:
    """Each node of `order` (inputs first) to what `rule` makes of it once its inputs are replaced."""
    mapping: dict[Node, Node] = {}
    for node in order:
        inputs = tuple(mapping[x] for x in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        mapping[node] = rule(node if same else replace(node, inputs=inputs))
    return mapping


def evaluate(ends: Iterable[Node], blocks: Mapping[Input, np.ndarray]) -> dict[Node, Value]:
    """The value of every node that `ends` need, from one (n, width) block per input node.

    Raises InputError where a Guard or a Lookup refuses a row.
    """
    values: dict[Node, Value] = {}
    for node in topological(ends):
        values[node] = blocks[node] if isinstance(node, Input) else node.evaluate(*(values[x] for x in node.inputs))
    return values

"""The ONNX candidate of an artifact: calls in the middle of the portable plan, one where no model reads another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from slimml._optional import missing
from slimml.backends.base import Cost, Payload, Refusal
from slimml.backends.onnx import rules
from slimml.backends.onnx.program import Program
from slimml.backends.onnx.protobuf import serialize
from slimml.backends.onnx.region import Region, regions_of
from slimml.backends.spread_sets import spread_sets
from slimml.backends.treelite import refusal_of_sums
from slimml.ir.graph import Graph, topological
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast, Dense, Select
from slimml.ir.ops.delegates import OnnxCall, Opaque
from slimml.ir.ops.kernels import SquaredDistances
from slimml.ir.ops.models import Forest
from slimml.options import ShrinkOptions
from slimml.runtime.engines.onnx_check import MAX_DEPTH

SECTION = "onnx"

# Emitting and loading measured at 0.1 M, 0.5 M and 2 M nodes with onnxruntime 1.32 on two cores of a server: about
# 1.5 us, 20 bytes in the file and 250 bytes of memory a node.
_SECONDS, _BYTES = 1.5e-6, 300
# A protobuf message ends at 2 GB; one node takes at most 40 bytes of it.
_MOST_NODES = (1 << 31) // 40
# Differences between a row and all support vectors, which ONNX holds at once for all rows of a batch.
_MOST_APART = 1 << 12
# Beyond this a sparse block is not written out.
_MOST_COLUMNS = 8192
# Each call is a section of the artifact, which holds only so many.
_MOST_CALLS = 16


class OnnxBackend:
    """The models of a graph, and the arithmetic around them, as one ONNX model run by ONNX Runtime."""

    name = "onnx"

    def missing(self) -> str | None:
        """Whether onnxruntime has to be installed first."""
        return missing("onnxruntime", "onnx")

    def refuses(self, graph: Graph) -> list[Refusal]:
        """Graphs without a model that ONNX expresses, and those that it would answer otherwise."""
        regions = regions_of(graph)
        if not regions and not _opaques(graph):
            return [Refusal("no forest, linear model or kernel in it that ONNX could run")]
        if len(regions) + len(_opaques(graph)) > _MOST_CALLS:
            return [Refusal(f"{len(regions)} models in a row, each reading the one before")]
        wide = [_wide(e) for region in regions for e in region.entries if e.type.layout == "csr"]
        return [r for r in wide if r] + [r for region in regions for r in refusals_of(region.inside)]

    def cost(self, graph: Graph) -> Cost:
        """What emitting takes, and loading in the server."""
        nodes = _tree_nodes(graph.nodes())
        return Cost(0.05 + nodes * _SECONDS, (20 << 20) + nodes * _BYTES)

    def compile(self, graph: Graph, options: ShrinkOptions) -> Payload:
        """Each region, and each model that comes in ONNX already, as an OnnxCall, the rest of the graph around them."""
        graph, made = _called(spread_sets(graph))
        regions = regions_of(graph)
        names = [SECTION if i == 0 else f"{SECTION}{i}" for i in range(len(regions))]
        sections = made | {name: serialize(_program(r)) for name, r in zip(names, regions, strict=True)}
        return Payload(self.name, graph.with_nodes(_around(graph, dict(zip(names, regions, strict=True)))), sections)


def _opaques(graph: Graph) -> list[Opaque]:
    return [n for n in graph.nodes() if isinstance(n, Opaque)]


def _called(graph: Graph) -> tuple[Graph, dict[str, bytes]]:
    """The graph with a call of every model that came in ONNX, and these by the name of their section."""
    names = {n.model: f"converted{i}" for i, n in enumerate(_opaques(graph))}

    def rule(node: Node) -> Node:
        if not isinstance(node, Opaque):
            return node
        return OnnxCall(inputs=node.inputs, section=names[node.model], width=node.width, origin=node.origin)

    return graph.map(rule), {name: model for model, name in names.items()}


def refusals_of(nodes: tuple[Node, ...]) -> list[Refusal]:
    """What no rule can mend: sizes, and the sign of a zero."""
    refusals = [Refusal(r, n.origin) for n in nodes if isinstance(n, Forest) for r in [refusal_of_sums(n.trees)] if r]
    if _tree_nodes(nodes) > _MOST_NODES:
        refusals.append(Refusal("its forests are larger than the 2 GB that an ONNX file may hold"))
    for node in nodes:
        if isinstance(node, Forest) and not _fits_float32(node):
            refusals.append(Refusal("more categories, cuts or leaves than a float32 can count", node.origin))
        if isinstance(node, Forest) and node.trees.depth() > MAX_DEPTH:
            refusals.append(
                Refusal(f"a tree deeper than {MAX_DEPTH}, which ONNX Runtime builds by recursion", node.origin)
            )
        if isinstance(node, SquaredDistances) and node.points.size > _MOST_APART:
            held = f"{node.points.size} squared differences, which ONNX would hold for all rows at once"
            refusals.append(Refusal(held, node.origin))
        if node.type.layout == "csr" and (wide := _wide(node)):
            return [*refusals, wide]
    return refusals


def _wide(node: Node) -> Refusal | None:
    """Why a sparse block is not handed to ONNX, or None."""
    if node.type.width <= _MOST_COLUMNS:
        return None
    return Refusal(f"a sparse block of {node.type.width} columns, which ONNX would write out in full", node.origin)


def _program(region: Region) -> Program:
    program = Program()
    scope = rules.Scope(program, {})
    for i, entry in enumerate(region.entries):
        scope.tensors[entry] = program.input(f"x{i}", entry.type.dtype, ("rows", entry.type.width))
    program.reserve("y")
    for node in region.inside:
        rules.lower(scope, node)
    exits = [scope.cast(scope.tensors[n], n.type.dtype, "float64") for n in region.exits]
    answer = program.op("Concat", *exits, axis=1) if len(exits) > 1 else exits[0]
    program.output("y", answer, "float64", ("rows", sum(n.type.width for n in region.exits)))
    return program


def _around(graph: Graph, regions: Mapping[str, Region]) -> dict[Node, Node]:
    """Every node of the graph to what stands for it, the exits of a region to columns of its call."""
    exit_of = {n: name for name, region in regions.items() for n in region.exits}
    inside = {n for region in regions.values() for n in region.inside}
    calls: dict[str, OnnxCall] = {}
    mapping: dict[Node, Node] = {}
    # A call reads the entries of all its models, so they stand before the first of its exits.
    entries = [e for region in regions.values() for e in region.entries]
    for node in topological([*entries, *graph.nodes()]):
        if node in exit_of:
            name = exit_of[node]
            if name not in calls:
                calls[name] = _call(name, regions[name], mapping)
            mapping[node] = _columns(calls[name], regions[name], node)
            continue
        # What only a call reads is left as it is, and nothing of the new graph reads it.
        inputs = node.inputs if node in inside else tuple(mapping[x] for x in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        mapping[node] = node if same else replace(node, inputs=inputs)
    return mapping


def _call(name: str, region: Region, mapping: Mapping[Node, Node]) -> OnnxCall:
    inputs = [mapping[e] for e in region.entries]
    dense = tuple(Dense(inputs=(x,)) if x.type.layout == "csr" else x for x in inputs)
    origin = next((n.origin for n in region.exits if n.origin), "")
    return OnnxCall(inputs=dense, section=name, width=sum(n.type.width for n in region.exits), origin=origin)


def _columns(call: OnnxCall, region: Region, node: Node) -> Node:
    answer: Node = call
    if len(region.exits) > 1:
        start = sum(n.type.width for n in region.exits[: region.exits.index(node)])
        index = np.arange(start, start + node.type.width, dtype=np.int64)
        answer = Select(inputs=(call,), index=index, origin=node.origin)
    # The call answers doubles; what was narrower goes back to what it was, exactly.
    narrow = node.type.dtype != "float64"
    return Cast(inputs=(answer,), dtype=node.type.dtype, origin=node.origin) if narrow else answer


def _fits_float32(forest: Forest) -> bool:
    """Whether every rank and row number of a forest that is run in float32 is a float32."""
    most = max([len(forest.trees.values), *(int(d.high) for d in forest.source.domains if d.high < 2**31)], default=0)
    return forest.trees.dtype != np.float32 or most < 1 << 24


def _tree_nodes(nodes: Iterable[Node]) -> int:
    return sum(n.trees.nodes for n in nodes if isinstance(n, Forest))

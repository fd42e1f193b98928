"""What in an ONNX file keeps slimml from handing it to ONNX Runtime.

What the reader refuses (tensors in other files, operators that the file defines itself) never gets here. The operators
that the outputs need are checked where they are lowered; nothing else may be in the file.
"""

from __future__ import annotations

from slimml.ingest.onnx.model import OnnxGraph, OnnxNode, Unread

_DOMAINS = ("", "ai.onnx.ml")


def doubts(graph: OnnxGraph) -> list[str]:
    """What is not known to be harmless, in words; empty where all of it is."""
    needed = _needed(graph)
    return [
        f"{why} in {n.op:.40} ({n.name or ', '.join(n.outputs):.60})" for n in graph.nodes if (why := _why(n, needed))
    ]


def _why(node: OnnxNode, needed: set[int]) -> str:
    if node.domain not in _DOMAINS:
        return f"an operator of {node.domain:.40}"
    unread = [v.what for v in node.attributes.values() if isinstance(v, Unread)]
    if unread:
        return unread[0]
    return "" if id(node) in needed else "what no output needs"


def _needed(graph: OnnxGraph) -> set[int]:
    """The nodes that the outputs read, by identity."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    found: set[int] = set()
    stack = [p.name for p in graph.outputs]
    while stack:
        node = makers.get(stack.pop())
        if node is not None and id(node) not in found:
            found.add(id(node))
            stack += node.inputs
    return found

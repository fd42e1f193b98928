"""An ONNX model that an artifact holds, as operators of a larger one.

Its names are made anew; what an operator says is copied as its bytes are.
"""

from __future__ import annotations

from slimml.backends.onnx.program import OPSETS, Program
from slimml.runtime.engines import onnx_check
from slimml.runtime.engines.onnx_check import Field, as_array, as_bytes, as_strings, read_message, read_tensor

Message = dict[str, list[Field]]


def inline_refusal(model: bytes) -> str | None:
    """Why a checked model cannot become part of a file of ours, or None."""
    opened, graph = _opened(model)
    ops = [_op(raw) for raw in graph["node"]]
    used = {_text(op["domain"]) for op in ops}
    opsets = [read_message(as_bytes(o), onnx_check.OPSET) for o in opened["opset_import"]]
    versions = {_text(o["domain"]): o["version"] for o in opsets}
    other = [d for d in sorted(used) if versions.get(d) != [OPSETS[d]]]
    if other:
        said = ", ".join(f"{d or 'ai.onnx'} {' '.join(map(str, versions.get(d, [])))}" for d in other)
        return f"a part in another version of ONNX's operators ({said})"
    if any(len(op["output"]) != 1 for op in ops):
        return "a part with operators of several answers"
    return None


def inline(program: Program, model: bytes, inputs: list[str]) -> str:
    """Append the operators of a checked model that reads those tensors; the name of its only answer."""
    _, graph = _opened(model)
    names = dict(zip(_ports(graph["input"]), inputs, strict=True))
    for raw in graph["initializer"]:
        name, parts = read_tensor(as_bytes(raw))
        names[name] = program.constant(as_array(*parts))
    for op in map(_op, graph["node"]):
        # An input that is left out has no name.
        reads = [names[x] if x else "" for x in as_strings(op["input"])]
        encoded = tuple(bytes(as_bytes(a)) for a in op["attribute"])
        names[_text(op["output"])] = program.copy(_text(op["op_type"]), reads, _text(op["domain"]), encoded)
    (output,) = _ports(graph["output"])
    return names[output]


def _opened(model: bytes) -> tuple[Message, Message]:
    opened = read_message(memoryview(model), onnx_check.MODEL)
    return opened, read_message(as_bytes(opened["graph"][0]), onnx_check.GRAPH)


def _op(raw: Field) -> Message:
    return read_message(as_bytes(raw), onnx_check.NODE)


def _ports(fields: list[Field]) -> list[str]:
    return [_text(read_message(as_bytes(f), onnx_check.PORT)["name"]) for f in fields]


def _text(fields: list[Field]) -> str:
    return "".join(as_strings(fields))

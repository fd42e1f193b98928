"""What an ONNX file holds: its graph as plain values. The field numbers are those of onnx.proto."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.errors import IngestError, LimitError
from slimml.ingest.onnx import wire
from slimml.ingest.onnx.wire import Field, Wire, bad, blobs, number, text
from slimml.ingest.record import Record

MODEL = ("onnx", "ModelProto")
GRAPH = "graph_"  # where the Record keeps the graph
_MOST_COLUMNS = 1 << 20
_MOST_NODES, _MOST_OPSETS = 100_000, 100
_ELEMENTS = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 8: "str", 9: "bool", 11: "float64"}
_UNREAD = {
    4: "a tensor without its data",
    5: "a graph inside",
    9: "several tensors",
    10: "graphs inside",
    11: "a sparse tensor",
    13: "a type",
}
_HINT = "Convert the model that the ONNX file was made of: slimml reads pickles, joblib dumps and skops files."


@dataclass(frozen=True, slots=True)
class Unread:
    """An attribute of a kind that no lowering reads, such as a graph inside."""

    what: str


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNode:
    """One operator: `attributes` hold int, float, str, an array (lists of numbers, tensors), list[str] or Unread."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its element type ("" where it is no tensor), and its dimensions, None where they are open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class OnnxGraph:
    """Nodes as they stand in the file, constants by name, and the release of each domain's operators."""

    nodes: tuple[OnnxNode, ...]
    constants: dict[str, np.ndarray]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opsets: dict[str, int]
    producer: str


def is_onnx(head: bytes) -> bool:
    """Whether content begins as a ModelProto: ir_version, a small number; then a string, the graph or the opsets."""
    return len(head) > 2 and head[0] == 8 and 0 < head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42)


def model_of(data: memoryview) -> Record:
    """The model in a file as a Record. Raises CorruptInputError, LimitError, IngestError."""
    graph = read_graph(data)
    fields: dict[str, Any] = {GRAPH: graph, "producer": graph.producer}
    names, widths = [p.name for p in graph.inputs], [width(p) for p in graph.inputs]
    if len(names) == 1 and widths[0] != 1:
        if widths[0] is not None:
            fields["n_features_in_"] = widths[0]
    else:
        fields["feature_names_in_"] = np.array(column_names(graph), dtype=object)
        fields["n_features_in_"] = len(fields["feature_names_in_"])
    return Record(*MODEL, fields=fields)


def column_names(graph: OnnxGraph) -> list[str]:
    """The columns of inputs that have names of their own: one each, or numbered where an input takes several."""
    names = []
    for port in graph.inputs:
        count = width(port)
        if count is None:
            raise IngestError(f"nothing says how many columns the input {port.name!r:.80} takes", hint=_HINT)
        names += [port.name] if count == 1 else [f"{port.name}_{i}" for i in range(count)]
        if len(names) > _MOST_COLUMNS:
            raise LimitError(f"the ONNX model takes more than {_MOST_COLUMNS} columns")
    if len(set(names)) < len(names):
        raise bad("two inputs of one name")
    return names


def width(port: Port) -> int | None:
    """How many columns an input has: its second dimension; None where that is open."""
    if port.shape is None or len(port.shape) != 2 or port.shape[1] == 0:
        raise IngestError(f"the input {port.name!r:.80} is no table of rows and columns", hint=_HINT)
    return port.shape[1]


def read_graph(data: memoryview) -> OnnxGraph:
    """The graph of a file. Raises CorruptInputError, LimitError."""
    read = Wire()
    model = read.message(data)
    if number(model.get(1, [])) <= 0 or len(model.get(7, [])) != 1:
        raise bad("no version or no graph")
    if model.get(25):
        raise IngestError("the ONNX model defines operators of its own", hint=_HINT)
    opsets = {}
    for blob in blobs(model.get(8, []))[:_MOST_OPSETS]:
        said = read.message(blob)
        opsets[_domain(said.get(1, []))] = number(said.get(2, []))
    graph = _only(read, model[7])
    if not graph.get(11) or not graph.get(12):
        raise bad("a graph without inputs or outputs")
    if len(graph.get(1, [])) > _MOST_NODES:
        raise LimitError(f"the ONNX model has more than {_MOST_NODES} operators")
    if graph.get(15):
        raise IngestError("the ONNX model holds sparse tensors", hint=_HINT)
    constants = dict(_named_tensor(read, blob) for blob in blobs(graph.get(5, [])))
    inputs = tuple(_port(read, blob) for blob in blobs(graph.get(11, [])))
    return OnnxGraph(
        nodes=tuple(_node(read, blob) for blob in blobs(graph.get(1, []))),
        constants=constants,
        # Before IR version 4 constants were inputs too.
        inputs=tuple(p for p in inputs if p.name not in constants),
        outputs=tuple(_port(read, blob) for blob in blobs(graph.get(12, []))),
        opsets=opsets,
        producer=" ".join(filter(None, (text(model.get(2, []))[:80], text(model.get(3, []))[:40]))),
    )


def _domain(fields: list[Field]) -> str:
    said = text(fields)
    return "" if said == "ai.onnx" else said


def _node(read: Wire, data: memoryview) -> OnnxNode:
    fields = read.message(data)
    return OnnxNode(
        name=text(fields.get(3, [])),
        op=text(fields.get(4, [])),
        domain=_domain(fields.get(7, [])),
        inputs=tuple(wire.texts(fields.get(1, []))),
        outputs=tuple(wire.texts(fields.get(2, []))),
        attributes=dict(_attribute(read, blob) for blob in blobs(fields.get(5, []))),
    )


def _attribute(read: Wire, data: memoryview) -> tuple[str, Any]:
    fields = read.message(data)
    name, kind = text(fields.get(1, [])), number(fields.get(20, []))
    if kind == 1:
        values = wire.floats(fields.get(2, []))
        return name, float(values[-1]) if len(values) else 0.0
    if kind == 2:
        return name, number(fields.get(3, []))
    if kind == 3:
        return name, text(fields.get(4, []))
    if kind == 4 and fields.get(5):
        return name, _named_tensor(read, _single(fields[5]))[1]
    if kind == 6:
        return name, wire.floats(fields.get(7, []))
    if kind == 7:
        return name, wire.ints(fields.get(8, []))
    if kind == 8:
        return name, wire.texts(fields.get(9, []))
    return name, Unread(_UNREAD.get(kind, f"an attribute of the kind {kind}"))


def _port(read: Wire, data: memoryview) -> Port:
    fields = read.message(data)
    tensor = _only(read, _only(read, fields.get(2, [])).get(1, []))
    if not tensor:
        return Port(text(fields.get(1, [])), "", None)
    element = number(tensor.get(1, []))
    shape = None
    if tensor.get(2):
        dims = [read.message(blob) for blob in blobs(_only(read, tensor[2]).get(1, []))]
        shape = tuple(_dimension(d) for d in dims)
    return Port(text(fields.get(1, [])), _ELEMENTS.get(element, f"element type {element}"), shape)


def _dimension(fields: dict[int, list[Field]]) -> int | None:
    if not fields.get(1):
        return None
    value = number(fields[1])
    if value < 0:
        return None
    if value > _MOST_COLUMNS:
        raise LimitError(f"an input or output of {value} columns; ONNX models of up to {_MOST_COLUMNS} are read")
    return value


def _only(read: Wire, fields: list[Field]) -> dict[int, list[Field]]:
    return read.message(_single(fields)) if fields else {}


def _single(fields: list[Field]) -> memoryview:
    """The only message of a field: protobuf would merge several, and so read what neither says alone."""
    if len(fields) != 1:
        raise bad("a message twice where one belongs")
    return blobs(fields)[0]


def _named_tensor(read: Wire, data: memoryview) -> tuple[str, np.ndarray]:
    fields = read.message(data)
    name = text(fields.get(8, []))
    if fields.get(13) or number(fields.get(14, [])):
        raise IngestError(f"the constant {name!r:.80} is in a file of its own", hint=_HINT)
    element = _ELEMENTS.get(number(fields.get(2, [])))
    if element is None:
        kind = number(fields.get(2, []))
        raise IngestError(f"the constant {name!r:.80} is of the element type {kind}", hint=_HINT)
    dims = wire.ints(fields.get(1, [])).tolist()
    values = _content(fields, element)
    if len(dims) > 8 or min(dims, default=0) < 0 or math.prod(dims) != len(values):
        raise bad(f"a constant of {len(values)} values whose shape is {dims[:8]}")
    return name, values.reshape(dims)


def _content(fields: dict[int, list[Field]], element: str) -> np.ndarray:
    """The values of a tensor, flat."""
    if element == "str":
        out = np.empty(len(found := wire.texts(fields.get(6, []))), dtype=object)
        out[:] = found
        return out
    if fields.get(9):
        raw = blobs(fields[9])[-1]
        dtype = np.dtype(element).newbyteorder("<")
        if len(raw) % dtype.itemsize:
            raise bad("a constant that ends inside of a value")
        return np.frombuffer(raw, dtype=np.uint8).view(dtype).astype(element)
    if element == "float32":
        return wire.floats(fields.get(4, [])).astype(element)
    if element == "float64":
        return wire.floats(fields.get(10, []), "<f8").astype(element)
    return wire.ints(fields.get(7 if element == "int64" else 5, [])).astype(element)

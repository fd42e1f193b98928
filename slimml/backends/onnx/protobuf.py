"""A program as the bytes of an ONNX file.

The few message types that it takes are written here: without the onnx package, in seconds for millions of nodes, and
with lists of integers packed (which every reader of protobuf takes, and which is a quarter smaller). The numbers are
those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from slimml.backends.onnx.program import OPSETS, Attribute, Op, Port, Program

ELEMENT = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "str": 8, "bool": 9, "float64": 11}

# IR version 10 is that of ONNX 1.16, the first release with version 5 of ai.onnx.ml.
_IR_VERSION = 10
_INT, _STRING, _TENSOR, _INTS, _STRINGS = 2, 3, 4, 7, 8


def serialize(program: Program) -> bytes:
    """The file. The same program gives the same bytes."""
    graph = [
        *(_message(1, _node(op)) for op in program.ops),
        _message(2, [b"slimml"]),
        *(_message(5, _tensor(value, name)) for name, value in program.constants.items()),
        *(_message(11, _port(p)) for p in program.inputs),
        *(_message(12, _port(p)) for p in program.outputs),
    ]
    domains = dict.fromkeys(["", *(op.domain for op in program.ops)])
    model = [
        _number(1, _IR_VERSION),
        _message(2, [b"slimml"]),
        _message(7, graph),
        *(_message(8, [_text(1, d), _number(2, OPSETS[d])]) for d in domains),
        *(_message(14, [_text(1, k), _text(2, v)]) for k, v in sorted(program.metadata.items())),
    ]
    return b"".join(model)


def _node(op: Op) -> list[bytes]:
    return [
        *(_text(1, name) for name in op.inputs),
        _text(2, op.output),
        _text(4, op.type),
        *(_message(5, _attribute(name, value)) for name, value in op.attributes.items()),
        *(_message(5, [attribute]) for attribute in op.encoded),
        *([_text(7, op.domain)] if op.domain else []),
    ]


def _attribute(name: str, value: Attribute) -> list[bytes]:
    if isinstance(value, np.ndarray):
        kind, payload = _TENSOR, [_message(5, _tensor(value, name))]
    elif isinstance(value, list):
        texts = [v for v in value if isinstance(v, str)]
        numbers = [v for v in value if isinstance(v, int)]
        kind = _STRINGS if texts else _INTS
        payload = [_text(9, t) for t in texts] if texts else [_message(8, [packed(np.array(numbers, dtype=np.int64))])]
    elif isinstance(value, str):
        kind, payload = _STRING, [_text(4, value)]
    else:
        kind, payload = _INT, [_number(3, value)]
    return [_text(1, name), *payload, _number(20, kind)]


def _tensor(value: np.ndarray, name: str) -> list[bytes]:
    dims = [_number(1, d) for d in value.shape]
    if value.dtype.kind in "OU":
        return [*dims, _number(2, ELEMENT["str"]), *(_text(6, t) for t in value.ravel().tolist()), _text(8, name)]
    little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    return [*dims, _number(2, ELEMENT[value.dtype.name]), _text(8, name), _message(9, [little.tobytes()])]


def _port(port: Port) -> list[bytes]:
    dims = [_message(1, [_text(2, d) if isinstance(d, str) else _number(1, d)]) for d in port.shape]
    tensor = [_number(1, ELEMENT[port.dtype]), _message(2, dims)]
    return [_text(1, port.name), _message(2, [_message(1, tensor)])]


def packed(values: np.ndarray) -> bytes:
    """int64 (n,) as varints, one after another."""
    bits = np.ascontiguousarray(values, dtype=np.int64).view(np.uint64)
    length = np.ones(len(bits), dtype=np.int64)
    for seven in range(7, 64, 7):
        length += bits >= np.uint64(1 << seven)
    start = np.cumsum(length) - length
    out = np.empty(int(length.sum()), dtype=np.uint8)
    for i in range(int(length.max(initial=0))):
        here = length > i
        low = ((bits[here] >> np.uint64(7 * i)) & np.uint64(0x7F)).astype(np.uint8)
        out[start[here] + i] = low | ((length[here] > i + 1) * np.uint8(0x80))
    return out.tobytes()


def _message(field: int, parts: Iterable[bytes]) -> bytes:
    body = b"".join(parts)
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, value: str) -> bytes:
    return _message(field, [value.encode()])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

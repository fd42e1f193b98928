"""Holds the bytes of an ONNX model to what slimml writes, before a library in C++ sees them. Standard library first.

Everything not listed here is refused: other fields, operators and domains, subgraphs, functions, external data. The
field numbers are those of onnx.proto. ONNX Runtime follows the node numbers of a TreeEnsemble unchecked, so its arrays
are checked as those of any other forest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slimml.errors import ArtifactCorruptError

if TYPE_CHECKING:
    import numpy as np

ML = "ai.onnx.ml"
_MAIN = (
    "Abs Add And ArgMax Cast Ceil Concat CumSum Div Equal Exp Floor Gather Greater GreaterOrEqual Identity IsNaN Less "
    "LessOrEqual MatMul Mul Neg Not Or ReduceSum Reshape Round Sign Sqrt Sub Tanh Where"
)
# What skl2onnx writes besides (`converted.py`): nothing that makes blocks of a size of its own choosing (Expand, Tile,
# ConstantOfShape, Range), that holds a graph (Scan, Loop, If), or whose arrays ONNX Runtime follows unchecked.
_CONVERTED = (
    "Abs ArgMin Clip Erf Exp Flatten Floor Gemm Log Max Min Neg Pow Reciprocal ReduceLogSumExp ReduceMax ReduceMean "
    "ReduceMin ReduceSumSquare Relu Shape Sigmoid Sign Softmax Sqrt Squeeze Sum Tanh TopK Transpose Unsqueeze"
)
OPERATORS = {
    (ML, "TreeEnsemble"),
    (ML, "ArrayFeatureExtractor"),
    *(("", name) for name in f"{_MAIN} {_CONVERTED}".split()),
}

# Fields of each message that may be there, by number.
MODEL = {1: "ir_version", 2: "producer_name", 7: "graph", 8: "opset_import"}
GRAPH = {1: "node", 2: "name", 5: "initializer", 11: "input", 12: "output"}
NODE = {1: "input", 2: "output", 4: "op_type", 5: "attribute", 7: "domain"}
_ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 5: "t", 8: "ints", 20: "type"}
_TENSOR = {1: "dims", 2: "data_type", 8: "name", 9: "raw_data"}
PORT = {1: "name", 2: "type"}
OPSET = {1: "domain", 2: "version"}
_ELEMENTS = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}
_MAX_OPS = 10_000
_MAX_FIELDS = 100_000
# Deeper trees than any that is grown; ONNX Runtime builds them by recursion.
MAX_DEPTH = 4096

Field = int | memoryview


def check_model(data: memoryview) -> None:
    """Raise ArtifactCorruptError unless the bytes are a model of the kind that slimml writes."""
    model = read_message(data, MODEL)
    _require(len(model["graph"]) == 1, "an ONNX model without a graph")
    for opset in model["opset_import"]:
        domain = as_strings(read_message(as_bytes(opset), OPSET)["domain"])
        _require(domain in ([""], [ML]), f"operators of the domain {domain}")
    graph = read_message(as_bytes(model["graph"][0]), GRAPH)
    _require(0 < len(graph["node"]) <= _MAX_OPS, "an ONNX graph of an odd size")
    for port in graph["input"] + graph["output"]:
        as_strings(read_message(as_bytes(port), PORT)["name"])
    constants = dict(read_tensor(as_bytes(t)) for t in graph["initializer"])
    produced: dict[str, dict[str, list[Field]]] = {}
    for raw in graph["node"]:
        node = read_message(as_bytes(raw), NODE)
        _check_node(node, produced, constants)
        for name in as_strings(node["output"]):
            produced[name] = node


def _check_node(
    node: dict[str, list[Field]],
    produced: dict[str, dict[str, list[Field]]],
    constants: dict[str, tuple[str, list[int], memoryview]],
) -> None:
    domain, op_type = "".join(as_strings(node["domain"])), "".join(as_strings(node["op_type"]))
    _require((domain, op_type) in OPERATORS, f"the operator {domain}.{op_type:.80}")
    attributes = dict(_attribute(as_bytes(a)) for a in node["attribute"])
    if op_type != "TreeEnsemble":
        return
    reshape = produced.get("".join(as_strings(node["input"])))
    _require(reshape is not None and as_strings(reshape["op_type"]) == ["Reshape"], "a forest of unknown width")
    _, _, shape = constants.get(as_strings(reshape["input"] if reshape else [])[-1], ("", [], memoryview(b"")))
    _require(len(shape) == 16, "a forest of unknown width")
    check_ensemble(attributes, int(shape.cast("q")[1]))


def check_ensemble(attributes: dict[str, object], width: int) -> None:
    """Raise ArtifactCorruptError unless a TreeEnsemble's arrays are trees over `width` features."""
    import numpy as np

    _require(set(attributes) - {"membership_values"} == set(_ENSEMBLE), "a forest of odd attributes")
    weights = attributes.get("leaf_weights")
    number = "float32" if isinstance(weights, np.ndarray) and weights.dtype == np.float32 else "float64"
    for name, kind in (_ENSEMBLE | {"membership_values": "number"}).items():
        value, kind = attributes.get(name), number if kind == "number" else kind
        vector = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == kind
        fits = isinstance(value, int) if kind == "i" else vector
        _require(fits or (value is None and name == "membership_values"), f"a forest whose {name} is no {kind}")
    a: dict[str, np.ndarray] = attributes  # type: ignore[assignment]  # the single numbers are looked at first
    _require(attributes["aggregate_function"] == 1 and attributes["post_transform"] == 0, "a forest that does not add")
    nodes, leaves = len(a["nodes_modes"]), len(a["leaf_weights"])
    _require(0 < nodes < 2**31 and 0 < leaves < 2**31, "a forest of an odd size")
    _require(all(len(v) == nodes for k, v in a.items() if k.startswith("nodes_")), "node arrays differ in length")
    targets = a["leaf_targetids"]
    _require(len(targets) == leaves and 0 < attributes["n_targets"] <= leaves + 4096, "odd targets")  # type: ignore[operator]
    _require((targets >= 0).all() and (targets < attributes["n_targets"]).all(), "a leaf of no target")
    _require((a["nodes_featureids"] >= 0).all() and (a["nodes_featureids"] < width).all(), "a split of no feature")
    _check_members(a["nodes_modes"], a.get("membership_values", np.zeros(0)))
    _check_branches(a, nodes, leaves)


def _check_members(modes: np.ndarray, members: np.ndarray) -> None:
    import numpy as np

    _require(np.isin(modes, (0, 6)).all(), "a split of an unknown mode")
    ends = np.flatnonzero(np.isnan(members))
    _require(len(ends) == int((modes == 6).sum()), "sets and their splits differ in number")
    _require((np.diff(ends, prepend=-1) > 1).all(), "an empty set")
    _require(not len(members) or ends[-1] == len(members) - 1, "a set without an end")


def _check_branches(a: dict[str, np.ndarray], nodes: int, leaves: int) -> None:
    import numpy as np

    children = []
    for side in ("true", "false"):
        is_leaf, to = a[f"nodes_{side}leafs"], a[f"nodes_{side}nodeids"]
        _require(np.isin(is_leaf, (0, 1)).all(), "a branch that is neither a leaf nor a node")
        _require((to >= 0).all() and (to < np.where(is_leaf == 1, leaves, nodes)).all(), "a branch to nowhere")
        children.append(np.where(is_leaf == 1, -1, to))
    roots = a["tree_roots"]
    _require(len(roots) > 0 and (roots >= 0).all() and (roots < nodes).all(), "a root that is no node")
    below = np.stack(children, axis=1)
    parents = np.bincount(np.concatenate([roots, below[below >= 0]]), minlength=nodes)
    _require((parents == 1).all(), "a node has no parent, or two")
    level = roots
    for _ in range(MAX_DEPTH):
        level = below[level].ravel()
        level = level[level >= 0]
        if not len(level):
            return
    _require(False, f"a tree deeper than {MAX_DEPTH}")


_ENSEMBLE = {
    "aggregate_function": "i",
    "leaf_targetids": "int64",
    "leaf_weights": "number",
    "n_targets": "i",
    "nodes_falseleafs": "int64",
    "nodes_falsenodeids": "int64",
    "nodes_featureids": "int64",
    "nodes_modes": "uint8",
    "nodes_splits": "number",
    "nodes_trueleafs": "int64",
    "nodes_truenodeids": "int64",
    "post_transform": "i",
    "tree_roots": "int64",
}


def _attribute(data: memoryview) -> tuple[str, object]:
    fields = read_message(data, _ATTRIBUTE)
    name = "".join(as_strings(fields["name"]))
    values = [(k, v) for k in ("f", "i", "s", "t", "ints") for v in fields[k]]
    if len(values) > 1 and all(k == "ints" and isinstance(v, int) for k, v in values):
        return name, [v for _, v in values]  # one after another, as the onnx package writes short lists
    _require(len(values) == 1, f"an attribute {name:.80} of no single value")
    kind, value = values[0]
    if kind == "t":
        return name, as_array(*read_tensor(as_bytes(value))[1])
    if kind == "ints" and not isinstance(value, int):
        return name, _varints(value)
    return name, value


def read_tensor(data: memoryview) -> tuple[str, tuple[str, list[int], memoryview]]:
    """A tensor's name; its element type, dimensions and data."""
    fields = read_message(data, _TENSOR)
    dims = [d for d in fields["dims"] if isinstance(d, int)]
    _require(len(fields["data_type"]) == 1 and fields["data_type"][0] in _ELEMENTS, "a constant of an unknown type")
    _require(len(fields["raw_data"]) == 1 and len(dims) == len(fields["dims"]), "a constant without its data")
    raw = as_bytes(fields["raw_data"][0])
    element = _ELEMENTS[fields["data_type"][0]]  # type: ignore[index]
    size = 1
    for d in dims:
        size *= d
    width = {"float32": 4, "uint8": 1, "int32": 4, "int64": 8, "bool": 1, "float64": 8}[element]
    _require(size * width == len(raw), "a constant of another size than its data")
    return "".join(as_strings(fields["name"])), (element, dims, raw)


def as_array(element: str, dims: list[int], raw: memoryview) -> np.ndarray:
    """A tensor's data as an array that shares it."""
    import numpy as np

    return np.frombuffer(raw, dtype=element).reshape(dims)


def _varints(data: memoryview) -> np.ndarray:
    """Numbers below 2**35, one after another."""
    import numpy as np

    octets = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    _require(not len(octets) or (len(ends) and ends[-1] == len(octets) - 1), "a list of numbers that breaks off")
    length = np.diff(ends, prepend=-1)
    _require((length <= 5).all(), "a number that is too large")
    values = np.zeros(len(ends), dtype=np.int64)
    for i in range(int(length.max(initial=0))):
        here = length > i
        values[here] |= (octets[(ends - length + 1)[here] + i].astype(np.int64) & 0x7F) << (7 * i)
    return values


def read_message(data: memoryview, known: dict[int, str]) -> dict[str, list[Field]]:
    """The fields of a protobuf message, by name; only those that are known."""
    found: dict[str, list[Field]] = {name: [] for name in known.values()}
    for number, value in _fields(data):
        _require(number in known, f"a field {number} that slimml does not write")
        found[known[number]].append(value)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, Field]]:
    at, count = 0, 0
    while at < len(data):
        count += 1
        _require(count <= _MAX_FIELDS, "a message of too many fields")
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        _require(tag & 7 in (2, 5), "a field of an odd wire type")
        size, at = _varint(data, at) if tag & 7 == 2 else (4, at)
        _require(size <= len(data) - at, "a field that ends beyond its message")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i in range(10):
        _require(at + i < len(data), "a message that breaks off")
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            return value, at + i + 1
    _require(False, "a number that does not end")
    return 0, 0


def as_bytes(field: Field) -> memoryview:
    """A field that holds bytes."""
    _require(isinstance(field, memoryview), "a number where a message should be")
    return field if isinstance(field, memoryview) else memoryview(b"")


def as_strings(fields: list[Field]) -> list[str]:
    """Fields that hold names."""
    texts = [bytes(as_bytes(f)) for f in fields]
    _require(all(t.isascii() and len(t) < 64 for t in texts), "a name that slimml would not make up")
    return [t.decode() for t in texts]


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ArtifactCorruptError(f"the ONNX model holds {message}")

"""Bytes to a plan, trusting nothing. Standard library only: an engine that needs no numpy starts here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slimml.artifact import strictjson
from slimml.artifact.exact import from_exact
from slimml.artifact.tensors import Tensor, unpack_tensors
from slimml.errors import ArtifactCorruptError
from slimml.plan.ops import FORMS, SPECS, TEXTS, TREES, fits
from slimml.plan.strings import unpack_strings


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One op of a plan. `fields`: JSON values as they are, arrays as Tensor, trees as a dict of Tensors,
    long lists of strings as tuples."""

    op: str
    inputs: tuple[int, ...]
    fields: dict[str, Any]
    origin: str


@dataclass(frozen=True, slots=True)
class PlanOutput:
    """One method: positions of its nodes, its form (vector, matrix, list), and positions of its label tables."""

    name: str
    form: str
    nodes: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Nodes in order of evaluation, the outputs that read them, and positions of the tables of classes."""

    nodes: tuple[PlanNode, ...]
    outputs: tuple[PlanOutput, ...]
    classes: tuple[int, ...] = ()


def decode(plan: memoryview, tensors: memoryview, forest: memoryview) -> Plan:
    """The plan in those sections. Raises ArtifactCorruptError for whatever the closed list of ops does not allow."""
    document = strictjson.loads(plan)
    odd = not isinstance(document, Mapping) or set(document) != {"nodes", "outputs", "classes"}
    _require(not odd, "the plan has odd keys")
    _require(isinstance(document["nodes"], list) and document["nodes"], "the plan has no nodes")
    _require(isinstance(document["outputs"], list) and document["outputs"], "the plan has no outputs")
    arrays, trees = unpack_tensors(tensors), unpack_tensors(forest)
    nodes = tuple(_node(n, i, arrays, trees) for i, n in enumerate(document["nodes"]))
    _require(not arrays and not trees, "the plan leaves tables unread")
    outputs = tuple(_output(o, len(nodes)) for o in document["outputs"])
    return Plan(nodes, outputs, _tables(document["classes"], "the plan has odd classes"))


def _node(value: Any, position: int, arrays: dict[str, Tensor], trees: dict[str, Tensor]) -> PlanNode:
    where = f"plan node {position}"
    shape = isinstance(value, Mapping) and set(value) == {"op", "inputs", "fields", "origin"}
    _require(shape and isinstance(value["op"], str) and value["op"] in SPECS, f"{where} is no op of the closed list")
    inputs = value["inputs"]
    _require(isinstance(inputs, list), f"{where} has no list of inputs")
    _require(all(type(i) is int and 0 <= i < position for i in inputs), f"{where} reads a node that is not before it")
    _require(isinstance(value["origin"], str), f"{where} has an odd origin")
    own = from_exact(value["fields"])
    _require(isinstance(own, dict), f"{where} has odd fields")
    fields: dict[str, Any] = {}
    for name, kind in SPECS[value["op"]].items():
        key = f"{position}.{name}"
        if kind == TREES:
            fields[name] = {k.removeprefix(key + "."): trees.pop(k) for k in list(trees) if k.startswith(key + ".")}
        elif kind == TEXTS:
            _require(key in arrays and arrays[key].dtype == "uint8", f"{where} lacks a list of strings {name}")
            fields[name] = unpack_strings(bytes(arrays.pop(key).data))
        elif kind.startswith("array:"):
            allowed = kind.removeprefix("array:").split(",")
            _require(key in arrays and arrays[key].dtype in allowed, f"{where} lacks a table {name} of {kind}")
            fields[name] = arrays.pop(key)
        else:
            _require(name in own and fits(kind, own[name]), f"{where} has a field {name} that is no {kind}")
            fields[name] = own.pop(name)
    _require(not own, f"{where} has fields that {value['op']} does not know")
    return PlanNode(value["op"], tuple(inputs), fields, value["origin"])


def _output(value: Any, count: int) -> PlanOutput:
    shape = isinstance(value, Mapping) and set(value) == {"name", "form", "nodes", "labels"}
    _require(shape and isinstance(value["name"], str) and value["form"] in FORMS, "an output of the plan is malformed")
    nodes, labels = value["nodes"], value["labels"]
    _require(isinstance(nodes, list) and isinstance(labels, list), "an output of the plan is malformed")
    _require(all(type(n) is int and 0 <= n < count for n in nodes), "an output reads a node that is not there")
    return PlanOutput(value["name"], value["form"], tuple(nodes), _tables(labels, "an output has odd labels"))


def _tables(value: Any, message: str) -> tuple[int, ...]:
    _require(isinstance(value, list) and all(type(n) is int and n >= 0 for n in value), message)
    return tuple(value)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ArtifactCorruptError(message)

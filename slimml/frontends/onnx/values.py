"""What flows between operators, and how an operator's attributes and constants are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import Lowerer
from slimml.ingest.onnx.model import OnnxGraph, OnnxNode, Unread
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.models import Forest
from slimml.ir.types import DType

WAYS_OUT = (
    "Convert the model that the ONNX file was made of instead: slimml reads its pickle, joblib dump or skops file, and "
    "lowers more steps of it."
)
ML = "ai.onnx.ml"
NAN = float("nan")
# What a missing cell turns into where a tensor of strings is made of it.
MISSING_TEXTS: dict[str, object] = {"nan": NAN, "None": None}
DTYPES: dict[int, DType] = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A block of rows.

    `axes`    1 for a vector, 2 for rows and columns; 3 for a group of columns for each column, such as one-hot codes
    `table`   the node holds positions in it, and the tensor is what stands there
    `keys`    the names of the columns, where each row is a dictionary
    `forest`  whose sums the node is
    `codes`   what the node's integers are positions by
    """

    node: Node
    axes: int = 2
    table: np.ndarray | None = None
    keys: np.ndarray | None = None
    forest: Forest | None = None
    codes: Codes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Positions in tables, shifted by a constant each: what `Tensor.node` holds as integers, as a Lookup says it."""

    node: Node
    shift: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Where a block compares with a constant.

    `test`     "missing", "equal", "above", "below"; "empty": where the sum of a row is 0; "itself", "always"
    `value`    one for each column, or one for all; None where a test needs none
    `negated`  where it does not hold
    """

    test: str
    tensor: Tensor
    value: np.ndarray | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RowSum:
    """The sum of a row, one column. `empty`: what stands for it where it is 0."""

    node: Node
    empty: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EvenRow:
    """A row of a block, of ones where its sum is 0."""

    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A row of numbers for each tree of a forest: (n, trees, width). `added`: its sums so far."""

    forest: Forest
    values: np.ndarray
    added: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Which of some keys the value of a column equals, one column each; `closed`: and a last one that always holds.

    Keys are numbers, each once; a string stands for one that nothing equals.
    """

    node: Node
    keys: tuple[object, ...]
    closed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How many of its cuts lie below each of some columns of a block; `tables`: what stands for each count."""

    node: Node
    columns: tuple[int, ...]
    cuts: tuple[np.ndarray, ...]
    shift: np.ndarray | None = None
    tables: tuple[np.ndarray, ...] = ()


Value = Tensor | Condition | RowSum | EvenRow | Terms | Matches | Counts | np.ndarray


@dataclass(slots=True)
class Step:
    """One operator with its inputs: tensors, constants, or None where an optional one is left out."""

    onnx: OnnxNode
    graph: OnnxGraph
    given: tuple[Value | None, ...]
    ctx: Lowerer
    read: set[str] = field(default_factory=set)

    @property
    def where(self) -> str:
        """Where the operator stands: its name, or what it is."""
        return f"model.{self.onnx.name or self.onnx.op}"

    def unsupported(self, what: str) -> UnsupportedEstimatorError:
        """The error that refuses an attribute or an input of the operator."""
        return UnsupportedEstimatorError(f"{self.onnx.op}: {what}", where=self.where, hint=WAYS_OUT)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, which is then known to be read."""
        self.read.add(name)
        return self.onnx.attributes.get(name, default)

    def whole(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        value = self.get(name, default)
        if type(value) is not int:
            raise self.unsupported(f"{name} is no integer")
        return value

    def word(self, name: str, default: str) -> str:
        """An attribute that is a word."""
        value = self.get(name, default)
        if type(value) is not str:
            raise self.unsupported(f"{name} is no string")
        return value

    def numbers(self, name: str, kind: str = "f") -> np.ndarray | None:
        """An attribute that is a list of floats (`kind` "f") or integers ("i"), None where it is not there."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, np.ndarray) or value.dtype.kind != kind or value.ndim != 1:
            raise self.unsupported(f"{name} is no list of numbers")
        return value

    def whole_numbers(self, name: str, count: int | None = None, *, optional: bool = False) -> np.ndarray:
        """An attribute that is a list of `count` integers; one that is `optional` is zeros where it is not there."""
        value = self.numbers(name, "i")
        if optional and count is not None and (value is None or not len(value)):
            return np.zeros(count, dtype=np.int64)
        if value is None or (count is not None and len(value) != count):
            raise self.unsupported(f"{name} is missing, or of another length than its neighbours")
        return value

    def strings(self, name: str) -> list[str] | None:
        """An attribute that is a list of strings, None where it is not there."""
        value = self.get(name)
        if value is not None and not (isinstance(value, list) and all(type(v) is str for v in value)):
            raise self.unsupported(f"{name} is no list of strings")
        return value

    def check_read(self) -> None:
        """Refuse attributes that the lowering never asked for."""
        left = sorted(set(self.onnx.attributes) - self.read)
        if left:
            value = self.onnx.attributes[left[0]]
            told = f" holds {value.what}" if isinstance(value, Unread) else ""
            raise self.unsupported(f"the attribute {left[0]!r:.60}{told} is not handled")

    def tensor(self, at: int = 0) -> Tensor:
        """An input that is computed from the rows."""
        value = self.given[at] if at < len(self.given) else None
        if not isinstance(value, Tensor):
            raise self.unsupported(f"input {at} is not computed from the rows")
        return value

    def condition(self, at: int = 0) -> Condition:
        """An input that is a comparison with a constant."""
        value = self.given[at] if at < len(self.given) else None
        if not isinstance(value, Condition):
            raise self.unsupported(f"input {at} is no comparison with a constant")
        return value

    def constant(self, at: int) -> np.ndarray:
        """An input that is the same for all rows."""
        value = self.given[at] if at < len(self.given) else None
        if not isinstance(value, np.ndarray):
            raise self.unsupported(f"input {at} is no constant")
        return value

    def numeric(self, at: int = 0) -> Node:
        """An input as rows of numbers."""
        value = self.tensor(at)
        if value.table is not None or not value.node.type.numeric or value.axes != 2 or value.keys is not None:
            raise self.unsupported(f"input {at} is no table of numbers")
        return value.node

    def floats(self, at: int = 0) -> Node:
        """An input as float32, which the operators of ai.onnx.ml make of whatever numbers they are given."""
        return as_dtype(self.numeric(at), "float32", self.ctx)

    def same_floats(self, at: int = 0) -> Node:
        """An input that has to hold floats, in their dtype."""
        node = self.numeric(at)
        if node.type.dtype not in ("float32", "float64"):
            raise self.unsupported(f"{node.type.dtype} is not handled")
        return node


Rule = Callable[[Step], tuple[Value, ...]]
RULES: dict[tuple[str, str], Rule] = {}


def operator(domain: str, *names: str) -> Callable[[Rule], Rule]:
    """Register what operators of a domain mean."""

    def register(rule: Rule) -> Rule:
        RULES.update({(domain, name): rule for name in names})
        return rule

    return register


def as_dtype(node: Node, dtype: Any, ctx: Lowerer) -> Node:
    """The node in a dtype; itself where it is."""
    return node if node.type.dtype == dtype else Cast(inputs=(node,), dtype=dtype, origin=ctx.where)


def one_each(step: Step, values: np.ndarray, width: int, dtype: str, what: str) -> np.ndarray:
    """A constant as a vector of one value a column."""
    flat = values.reshape(-1)
    if values.ndim > 2 or (values.ndim == 2 and values.shape[0] != 1) or len(flat) not in (1, width):
        raise step.unsupported(f"{what} of the shape {list(values.shape)} for {width} columns")
    if flat.dtype.kind not in "fiub":
        raise step.unsupported(f"{what} is no number")
    return np.ascontiguousarray(np.broadcast_to(flat, (width,))).astype(dtype)

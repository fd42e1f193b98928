"""The Lowerer: walks a pipeline of Records and hands each to the function registered for its class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from slimml.errors import UnfittedModelError, UnsupportedEstimatorError
from slimml.frontends.frame import Frame, RawTable
from slimml.frontends.guarded import guarded
from slimml.frontends.registry import WAYS_OUT, inverse, is_own, lowering, reads_vectors
from slimml.frontends.strangers import why_unknown
from slimml.frontends.width import Columns, columns_of
from slimml.ingest.record import Record
from slimml.ir.domain import Domain
from slimml.ir.graph import Graph, Output, rebuilt
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup
from slimml.ir.ops.columns import FLOAT32, Cast, Concat, Dense, Input, Select
from slimml.ir.ops.numeric import FillMissing, Guard
from slimml.ir.types import distinct
from slimml.ir.verify import verify
from slimml.schema import CATEGORY, FLOAT64, NUMBER, REFUSED, ZERO

Source = Frame | Node
Finite = Literal["all", "missing", "any"]

_LARGEST = {"float64": np.finfo(np.float64).max, "float32": float(np.finfo(np.float32).max)}


@dataclass(frozen=True, slots=True)
class Model:
    """What an estimator with a `predict` lowers to."""

    outputs: tuple[Output, ...]
    classes: tuple[np.ndarray, ...] = ()


Lowered = Node | Model
Lowering = Callable[[Record, Source, "Lowerer"], Lowered]
Inverse = Callable[[Record, Node, "Lowerer"], Node]


@dataclass(slots=True)
class Lowerer:
    """The context of a lowering: where in the pipeline we are, and what every frontend needs."""

    path: list[str] = field(default_factory=lambda: ["model"])
    versions: list[str] = field(default_factory=list)
    fallback: Lowering | None = None

    @property
    def where(self) -> str:
        """The path of the step at hand, e.g. `model.prep.num.scaler`."""
        return ".".join(self.path)

    @property
    def version(self) -> tuple[int, int]:
        """(major, minor) of the scikit-learn release that wrote the step at hand; (0, 0) where the file is silent."""
        major, _, rest = (self.versions[-1] if self.versions else "0.0").partition(".")
        return int(major), int(rest.split(".")[0])

    def lower(self, est: Any, x: Source, step: str | None = None) -> Lowered:
        """What an estimator means on x. Raises UnsupportedEstimatorError, UnfittedModelError."""
        with self._inside(est, step):
            if not isinstance(est, Record):
                raise self.unsupported(f"{est!r:.80} is no estimator")
            where, function = self.where, lowering(est.path)
            try:
                if function is None:
                    raise _unknown(est, where)
                return self._checked(function, est, x)
            except UnsupportedEstimatorError as error:
                if self.fallback is None or error.where != where:
                    raise
                return self._fallen_back(self.fallback, est, x, error)

    def transform(self, est: Any, x: Source, step: str | None = None) -> Node:
        """The block that a transformer makes of x."""
        lowered = self.lower(est, x, step)
        if isinstance(lowered, Node):
            return lowered
        for output in lowered.outputs:
            if output.name == "transform":
                return output.nodes[0]
        raise UnsupportedEstimatorError(f"{est.name} has no transform", where=f"{self.where}.{step}", hint=WAYS_OUT)

    def inverse(self, est: Any, x: Node, step: str | None = None) -> Node:
        """The block that inverse_transform of a fitted transformer makes of x."""
        with self._inside(est, step):
            function = inverse(est.path) if isinstance(est, Record) else None
            if function is None:
                name = est.path if isinstance(est, Record) else f"{est!r:.80}"
                raise self.unsupported(f"inverse_transform of {name} is not handled")
            return function(est, x, self)

    def floats(
        self,
        x: Source,
        *,
        finite: Finite = "any",
        csr: bool = False,
        sparse: str = REFUSED,
        narrow: bool = False,
        integers: str = FLOAT64,
    ) -> Node:
        """x as numbers, as the original's check_array makes them: float64, dense unless `csr` is fine.

        `finite`: "all" refuses NaN and infinities, "missing" infinities alone, "any" nothing. `sparse`: what the
        original takes a sparse matrix's empty cells for. `narrow`: the original keeps float32
        (check_array(dtype=[float64, float32])), of rows that are so or that a step before made so. `integers`: as of
        Schema.
        """
        names: tuple[str, ...] = ()
        if isinstance(x, Frame):
            names, x = x.names, x.floats(self.where, sparse=sparse, integers=integers)
        if x.type.dtype != "float64" and not (narrow and x.type.dtype == "float32"):
            x = Cast(inputs=(x,), dtype="float64", origin=self.where)
        if x.type.layout == "csr" and not csr:
            x = Dense(inputs=(x,), origin=self.where)
        return self.guard(x, finite, names)

    def float32(self, x: Source, *, finite: Finite) -> Node:
        """x as sklearn's trees read it: dense float32; what overflows to infinity is refused.

        They take sparse rows too, but for trees that learned from missing values.
        """
        names = x.names if isinstance(x, Frame) else ()
        sparse = ZERO if finite == "all" else REFUSED
        narrow = Cast(inputs=(self.floats(x, sparse=sparse),), dtype="float32", origin=self.where)
        return self.guard(narrow, finite, names)

    def guard(self, x: Node, finite: Finite, names: tuple[str, ...] = ()) -> Node:
        """x, with the rows refused that the original's validation refuses."""
        if finite == "any" or not x.type.width or _is_finite(x):
            return x
        bound = np.full(x.type.width, _LARGEST.get(x.type.dtype, np.inf))
        missing = np.full(x.type.width, finite == "missing")
        return Guard(inputs=(x,), low=-bound, high=bound, missing=missing, names=names, origin=self.where)

    def unsupported(self, what: str) -> UnsupportedEstimatorError:
        """The error that refuses an option or a state of the step at hand."""
        return UnsupportedEstimatorError(what, where=self.where, hint=WAYS_OUT)

    def check_release(self, older: bool, first: tuple[int, int], what: str) -> None:
        """Refuse state that the file's release did not write: `older` state is of the releases before `first`."""
        if self.version > (0, 0) and older != (self.version < first):
            side = "before" if older else "from"
            said = f"{what}, of releases {side} {first[0]}.{first[1]}{'' if older else ' on'}"
            raise UnsupportedEstimatorError(
                f"{said}, in a file of release {self.version[0]}.{self.version[1]}",
                where=self.where,
                hint="The file contradicts itself: fit and save the pipeline again.",
            )

    def check_width(self, est: Record, x: Source) -> None:
        """Refuse a step whose n_features_in_ is not what comes in: the file contradicts itself."""
        width = x.width if isinstance(x, Frame) else x.type.width
        expected = est.get("n_features_in_")
        if isinstance(expected, int | np.integer) and int(expected) != width:
            raise UnsupportedEstimatorError(
                f"{est.name} was fitted on {expected} columns and is handed {width}",
                where=self.where,
                hint="The file contradicts itself: fit and save the pipeline again.",
            )

    def _checked(self, function: Lowering, est: Record, x: Source) -> Lowered:
        try:
            return function(est, x, self) if is_own(function) else guarded(function, est, x, self)
        except UnfittedModelError as error:
            if error.where:
                raise
            raise UnfittedModelError(error.what, where=self.where, hint=error.hint) from None

    def _fallen_back(self, fallback: Lowering, est: Record, x: Source, first: UnsupportedEstimatorError) -> Lowered:
        try:
            return fallback(est, x, self)
        except UnsupportedEstimatorError as error:
            raise self.unsupported(f"{first.what}, and {error.what}") from None

    @contextmanager
    def _inside(self, est: Any, step: str | None) -> Iterator[None]:
        version = est.get("_sklearn_version") if isinstance(est, Record) else None
        if step is not None:
            self.path.append(step)
        if isinstance(version, str):
            self.versions.append(version)
        yield
        # Not in a `finally`: an error carries the path at which it happened.
        if isinstance(version, str):
            self.versions.pop()
        if step is not None:
            self.path.pop()


def lower(
    record: Any,
    *,
    offered: Columns | None = None,
    kinds: Mapping[str, str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    domains: Mapping[str, Domain] | None = None,
    fallback: Lowering | None = None,
    float32: bool = False,
) -> Graph:
    """The graph of a fitted pipeline.

    `offered`: the columns of the user's data or schema, for a model that does not say how many it takes.
    `kinds`, `dtypes`, `domains`: what the user's data or schema says of the columns, by name (x0, x1, ... where the
    original knows no names). `fallback` lowers what no frontend does. `float32`: for number columns that are float32.
    Raises UnsupportedEstimatorError,
    UnfittedModelError.
    """
    if not isinstance(record, Record):
        what = "nothing that could be a model" if record is None else f"a {type(record).__name__}, not a fitted model"
        raise UnsupportedEstimatorError(f"the file holds {what}", where="model", hint="Save the fitted pipeline.")
    if fallback is None and lowering(record.path) is None:
        raise _unknown(record, "model")
    columns = columns_of(record, offered)
    flat = reads_vectors(record.path)
    table = RawTable(columns.names, columns.named, float32=float32, spaced=columns.spaced, flat=flat)
    position = {n: i for i, n in enumerate(columns.names)}
    table.kinds |= {position[k]: v for k, v in (kinds or {}).items() if k in position}
    table.dtypes |= {position[k]: v for k, v in (dtypes or {}).items() if k in position}
    table.domains |= {position[k]: v for k, v in (domains or {}).items() if k in position}
    frame = Frame(table, tuple(range(len(columns.names))), flat=columns.documents)
    lowered = Lowerer(fallback=fallback).lower(record, frame)
    if isinstance(lowered, Node):
        lowered = Model((Output("transform", (lowered,), "matrix"),))
    return _finished(lowered, table)


def _unknown(est: Record, where: str) -> UnsupportedEstimatorError:
    what, hint = why_unknown(est.path)
    return UnsupportedEstimatorError(what, where=where, hint=hint)


def _is_finite(x: Node) -> bool:
    """Whether every value is proved to be finite; asked of wide sparse blocks, whose guards would be large."""
    largest = _LARGEST.get(x.type.dtype, np.inf)
    found = distinct(x.type.domains) if x.type.layout == "csr" else ()
    return len(found) == 1 and not found[0].missing and -largest <= found[0].low and found[0].high <= largest


def _finished(model: Model, table: RawTable) -> Graph:
    """The graph with inputs narrowed to the columns that some step asked for, by kind."""
    columns = {i for i in range(len(table.names)) if i in table.kinds}
    graph = Graph(table.schema(columns), model.outputs, model.classes)
    users = [n for n in graph.nodes() if n.inputs and isinstance(n.inputs[0], Input)]
    new: dict[Node, Node] = {}
    for source in graph.inputs():
        wanted = {c for n in users if n.inputs[0] is source and isinstance(n, Select) for c in n.index.tolist()}
        _refuse_two_kinds(table, wanted, NUMBER if source.kind == FLOAT32 else source.kind)
        keep = tuple(sorted(wanted))
        domains = tuple(source.domains[c] for c in keep) if source.domains else ()
        narrow = Input(kind=source.kind, columns=keep, domains=domains)
        at = {c: i for i, c in enumerate(keep)}
        for n in users:
            if n.inputs[0] is source and isinstance(n, Select):
                index = np.array([at[c] for c in n.index.tolist()], dtype=np.int64)
                whole = np.array_equal(index, np.arange(len(keep)))
                new[n] = narrow if whole else Select(inputs=(narrow,), index=index, origin=n.origin)
    graph = graph.with_nodes(_substituted(graph, new))
    table.nan_only -= _none_known(graph)
    graph = Graph(table.schema({c for x in graph.inputs() for c in x.columns}), graph.outputs, graph.classes)
    verify(graph)
    return graph


def _none_known(graph: Graph) -> set[int]:
    """The raw columns in which None is a category, so that it was a value of its own when the model was fitted."""
    found = set()
    for node in graph.nodes():
        if isinstance(node, Lookup):
            found |= {_raw_column(node.inputs[0], c) for c, table in enumerate(node.tables) if None in table}
    return found - {-1}


def _raw_column(node: Node, column: int) -> int:
    """The raw column that a step handed on, filled or not, as a column of `node`; -1 where it was made of others."""
    while not isinstance(node, Input):
        if isinstance(node, Select):
            column = int(node.index[column])
        elif isinstance(node, Concat):
            parts = iter(node.inputs)
            node = next(parts)
            while column >= node.type.width:
                column -= node.type.width
                node = next(parts)
            continue
        elif not isinstance(node, FillMissing | Guard | Cast):
            return -1
        node = node.inputs[0]
    return node.columns[column]


def _substituted(graph: Graph, new: dict[Node, Node]) -> dict[Node, Node]:
    # `rebuilt` hands over nodes whose inputs did not change as they are, so Selects of inputs are met by identity.
    return rebuilt(graph.nodes(), lambda node: new.get(node, node))


def _refuse_two_kinds(table: RawTable, columns: set[int], kind: str) -> None:
    for c in columns:
        if (table.kinds.get(c, kind) == NUMBER) != (kind == NUMBER):
            other = NUMBER if kind == CATEGORY else CATEGORY
            raise UnsupportedEstimatorError(
                f"column {table.names[c]!r} is read as a {kind} by one step and as a {other} by another",
                where="model",
                hint="Pass --data (or --schema) whose column holds what the model was fitted on.",
            )

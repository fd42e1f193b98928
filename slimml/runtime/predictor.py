"""The loaded model: a drop-in for the pickled one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from slimml.artifact.manifest import Manifest
from slimml.artifact.read import Artifact, read_artifact
from slimml.errors import ArtifactCorruptError
from slimml.runtime.columns import RowReader, Rows
from slimml.runtime.engines import open_engine, open_float32
from slimml.schema import NUMBER, Schema

if TYPE_CHECKING:
    import numpy as np

    from slimml.ir.graph import Graph, Output


class Model:
    """A model that answers every method that the original had (`predict`, `predict_proba`, `transform`, ...).

    Several rows (a table, a list of rows) are answered with numpy arrays of the original's shape and dtype; one row (a
    dict, a flat list or tuple, one str of a text model) with Python scalars and lists. Raises InputError for a row that
    the original would refuse. Safe to share between threads and across a fork; picklable.
    """

    def __init__(self, artifact: Artifact, *, threads: int | None = None, strict: bool = True) -> None:
        self._artifact = artifact
        self._threads = threads
        self._strict = strict
        self._engine = open_engine(artifact, threads)
        self._float32 = open_float32(artifact, self._engine, threads)
        self._reader = RowReader(artifact.manifest.schema, strict=strict, float32=self._float32 is not None)
        self._outputs: dict[str, Output] = {o.name: o for o in self._engine.graph.outputs}
        self._outputs32 = {o.name: o for o in self._float32.graph.outputs} if self._float32 else {}
        self._blocks = self._block_plan(self._engine.graph, NUMBER)
        self._blocks32 = self._block_plan(self._float32.graph, "float32") if self._float32 else []
        for name in self._outputs:
            setattr(self, name, partial(self._answer, name))

    @property
    def manifest(self) -> Manifest:
        """What the artifact says of itself: schema, provenance, evidence, sections."""
        return self._artifact.manifest

    @property
    def schema(self) -> Schema:
        """The columns that the model takes."""
        return self._artifact.manifest.schema

    @property
    def outputs(self) -> tuple[str, ...]:
        """The methods that the model answers."""
        return tuple(self._outputs)

    @property
    def graph(self) -> Graph:
        """The plan that the artifact runs, as a graph; `float32` is that of float32 rows, where there is one."""
        return self._engine.graph if self._float32 is None else replace(self._engine.graph, float32=self._float32.graph)

    def check(self) -> None:
        """Check and decode every section of the artifact, also those not needed yet. Raises ArtifactCorruptError."""
        self._artifact.check()

    @property
    def n_features_in_(self) -> int:
        """Number of raw columns."""
        return len(self.schema.columns)

    def __getattr__(self, name: str) -> Any:
        # Attributes that the original has only sometimes, so that hasattr() answers as it did there.
        tables = self._engine.graph.classes if name == "classes_" else ()
        if tables:
            return tables[0] if len(tables) == 1 else list(tables)
        if name == "feature_names_in_" and self.schema.named:
            import numpy as np

            return np.array(self.schema.names, dtype=object)
        answers = ", ".join(self.__dict__.get("_outputs", ()))
        raise AttributeError(f"this model has no {name!r}; it answers: {answers}")

    def __dir__(self) -> list[str]:
        extra = [n for n in ("classes_", "feature_names_in_") if hasattr(self, n)]
        return sorted({*super().__dir__(), *extra})

    def __repr__(self) -> str:
        return f"<slimml model: {len(self.schema.columns)} columns, {', '.join(self._outputs)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (bytes(self._artifact.data), self._threads, self._strict)

    def _block_plan(self, graph: Graph, numeric: str) -> list[tuple[str, bool, list[int] | None]]:
        """For each input kind: whether it reads the number block, and which columns of the block (None: all).

        `numeric`: the kind of input that a plan reads numbers as.
        """
        columns = self.schema.columns
        numbers = [i for i, c in enumerate(columns) if c.read and c.kind == NUMBER]
        others = [i for i, c in enumerate(columns) if c.read and c.kind != NUMBER]
        plan: list[tuple[str, bool, list[int] | None]] = []
        for source in graph.inputs():
            block = numbers if source.kind == numeric else others
            if not set(source.columns) <= set(block) or source.kind in {NUMBER, "float32"} - {numeric}:
                raise ArtifactCorruptError("the plan reads a column as another kind than the schema says")
            at = [block.index(c) for c in source.columns]
            plan.append((source.kind, source.kind == numeric, None if at == list(range(len(block))) else at))
        return plan

    def _answer(self, name: str, X: Any) -> Any:
        rows = self._reader.read(X)
        if rows.float32 and self._float32 is not None:
            values = self._float32.run(name, _input_blocks(self._blocks32, rows))
            return _several(self._outputs32[name], values)
        values = self._engine.run(name, _input_blocks(self._blocks, rows))
        output = self._outputs[name]
        if rows.single:
            return _single(output, values)
        return _several(output, values)


def _input_blocks(plan: list[tuple[str, bool, list[int] | None]], rows: Rows) -> dict[str, np.ndarray]:
    blocks = {}
    for kind, number, at in plan:
        block = rows.numbers if number else rows.objects
        blocks[kind] = block if at is None else block[:, at]
    return blocks


def _reopened(data: bytes, threads: int | None, strict: bool) -> Model:
    return Model(read_artifact(data), threads=threads, strict=strict)


def _several(output: Output, values: list[Any]) -> Any:
    if output.form == "list":
        return values
    if output.form == "stack":
        return _on_top(values)
    value = values[0]
    if output.labels:
        return _labelled(output, value)
    if output.form == "vector":
        return value[:, 0]
    return _scipy(value) if hasattr(value, "indptr") else value


def _labelled(output: Output, value: np.ndarray) -> Any:
    import numpy as np

    if output.form == "vector":
        return output.labels[0].take(value[:, 0])
    # The original fills an array of the first table's dtype, column by column.
    out = np.empty(value.shape, dtype=output.labels[0].dtype)
    for k, table in enumerate(output.labels):
        out[:, k] = table.take(value[:, k])
    return out


def _on_top(values: list[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.stack(values)


def _scipy(value: Any) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((value.data, value.indices, value.indptr), shape=value.shape)


def _single(output: Output, values: list[Any]) -> Any:
    rows = [v.toarray()[0].tolist() if hasattr(v, "indptr") else v[0].tolist() for v in values]
    if output.form in ("list", "stack"):
        return rows
    row = rows[0]
    if output.labels:
        row = [_plain(t[i]) for t, i in zip(output.labels, row, strict=True)]
    return row[0] if output.form == "vector" else row


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label

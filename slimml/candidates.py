"""A backend's payload, made into the artifact that ships, opened by the runtime that a server uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slimml.artifact.codecs import Stored
from slimml.artifact.kept import Kept
from slimml.artifact.manifest import Manifest
from slimml.artifact.write import Written, write_artifact
from slimml.backends.base import Backend, Payload
from slimml.ir.graph import Graph, Output
from slimml.ir.ops.ranks import Widen
from slimml.options import ShrinkOptions
from slimml.plan.encode import encode, label_tables
from slimml.runtime import golden, load_compiled
from slimml.runtime.engines import FLOAT32, WIDENED
from slimml.runtime.labels import write_labels
from slimml.runtime.predictor import Model

# What a backend may take to compile and to load before it is refused unasked.
MAX_SECONDS, MAX_BYTES = 120.0, 8 << 30
# Sections that a stock codec makes smaller; raw where it does not (see artifact/codecs.py).
_CODEC = "xz"


@dataclass(slots=True, eq=False)
class Candidate:
    """What a backend made of the graph: its bytes, and the model that they open to."""

    payload: Payload
    sections: Mapping[str, Stored]
    provenance: Mapping[str, Any]
    written: Written
    model: Model
    golden_rows: list[dict[str, Any]]
    kept: tuple[Kept, ...] = ()

    @property
    def data(self) -> bytes:
        """The bytes that ship."""
        return self.written.data

    def sealed(self, exactness: str, evidence: dict[str, Any]) -> Candidate:
        """The same model with its evidence and golden answers in the header: the bytes that ship, opened again."""
        answers = golden.record(self.model, self.golden_rows)
        written = _written(self.payload, self.sections, self.provenance, exactness, evidence, answers, self.kept)
        return replace(self, written=written, model=load_compiled(written.data))


def refusal(backend: Backend, graph: Graph, *, asked: bool) -> str | None:
    """Why there is no candidate of this backend, or None. `asked`: the user named it, so its cost is accepted."""
    missing = backend.missing()
    if missing:
        return missing
    reasons = backend.refuses(graph)
    if reasons:
        return "; ".join(dict.fromkeys(str(r) for r in reasons))
    cost = backend.cost(graph)
    if not asked and (cost.seconds > MAX_SECONDS or cost.bytes > MAX_BYTES):
        return (
            f"it would take about {cost.seconds:.0f} s and {cost.bytes / 1e9:.1f} GB; "
            f"--backend {backend.name} runs it all the same"
        )
    return None


def build(
    backend: Backend,
    graph: Graph,
    options: ShrinkOptions,
    provenance: Mapping[str, Any],
    golden_rows: Sequence[dict[str, Any]],
    kept: tuple[Kept, ...] = (),
) -> Candidate:
    """Compile, write and reopen. Raises MissingDependencyError where the engine's library is not installed.

    `kept`: the steps around the graph that stay Python, for the header.
    """
    payload = backend.compile(graph, options)
    raw: dict[str, bytes] = {**encode(payload.graph), **payload.sections}
    if graph.float32 is not None:
        raw |= {name + FLOAT32: data for name, data in encode(_apart(graph.float32)).items()}
    sections = {name: Stored.of(data, _CODEC) for name, data in raw.items()}
    # Until it has been compared, it may claim nothing.
    written = _written(payload, sections, provenance, "approximate", {}, None, kept)
    return Candidate(payload, sections, provenance, written, load_compiled(written.data), list(golden_rows), kept)


def _apart(float32: Graph) -> Graph:
    """What the plan for float32 rows has of its own: all of it, or what makes float64 rows for the other plan."""
    widens = tuple(n for n in float32.nodes() if isinstance(n, Widen))
    if not widens:
        return float32
    return replace(float32, outputs=(Output(WIDENED, widens, "matrix"),), classes=())


def _written(
    payload: Payload,
    sections: Mapping[str, Stored],
    provenance: Mapping[str, Any],
    exactness: str,
    evidence: dict[str, Any],
    answers: Any,
    kept: tuple[Kept, ...],
) -> Written:
    graph = payload.graph
    manifest = Manifest(
        schema=graph.schema,
        engine=payload.engine,
        exactness=exactness,
        outputs=[{"name": o.name, "form": o.form} for o in graph.outputs],
        classes=write_labels(label_tables(graph)),
        provenance=dict(provenance),
        evidence=evidence,
        golden=answers,
        kept=kept,
    )
    return write_artifact(None, manifest, sections)

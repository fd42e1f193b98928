"""One engine per way to run a plan. `open_engine` loads the one that an artifact names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimml.artifact.read import Artifact
from slimml.errors import ArtifactCorruptError

if TYPE_CHECKING:
    from slimml.runtime.engines.portable import PortableEngine
    from slimml.runtime.engines.widened import WidenedEngine

# What the names of the sections of a plan end with that is for rows whose numbers are float32.
FLOAT32 = "32"
# The only output of such a plan that makes float64 rows for the other plan of float32 rows.
WIDENED = "float64 rows"


def open_float32(
    artifact: Artifact, beside: PortableEngine, threads: int | None
) -> PortableEngine | WidenedEngine | None:
    """The engine for float32 rows, or None where the artifact has no plan for them. Raises ArtifactCorruptError."""
    if not any(s.name == "plan" + FLOAT32 for s in artifact.manifest.sections):
        return None
    from slimml.runtime.engines.portable import PortableEngine

    engine = PortableEngine(artifact, threads, FLOAT32)
    if [o.name for o in engine.graph.outputs] == [WIDENED]:
        from slimml.runtime.engines.widened import WidenedEngine

        return WidenedEngine(engine, beside)
    if _answers(engine) != _answers(beside):
        raise ArtifactCorruptError("the plan for float32 rows does not answer what the other one does")
    return engine


def _answers(engine: PortableEngine) -> list[tuple[object, ...]]:
    return [(o.name, o.form, len(o.nodes), len(o.labels)) for o in engine.graph.outputs]


def open_engine(artifact: Artifact, threads: int | None) -> PortableEngine:
    """The engine of an opened artifact. Raises ArtifactCorruptError, MissingDependencyError."""
    # Imported here: an engine's library is woken by the artifact that needs it, and by no other.
    name = artifact.manifest.engine
    if name == "portable":
        from slimml.runtime.engines.portable import PortableEngine

        return PortableEngine(artifact, threads)
    if name == "onnx":
        from slimml.runtime.engines.onnx import OnnxEngine

        return OnnxEngine(artifact, threads)
    if name == "treelite":
        from slimml.runtime.engines.treelite import TreeliteEngine

        return TreeliteEngine(artifact, threads)
    if name == "hummingbird":
        from slimml.runtime.engines.torch import TorchEngine

        return TorchEngine(artifact, threads)
    raise ArtifactCorruptError(f"the artifact names an engine {name!r} that this slimml does not have")

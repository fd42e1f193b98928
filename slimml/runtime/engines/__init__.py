"""One engine per way to run a plan. `open_engine` loads the one that an artifact names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimml.artifact.read import Artifact
from slimml.errors import ArtifactCorruptError

if TYPE_CHECKING:
    from slimml.runtime.engines.portable import PortableEngine


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

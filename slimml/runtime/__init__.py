"""The runtime: what a server imports. It wakes no compiler, and no numpy before the first predict.

model = slimml.runtime.load("model.slim")
model.predict({"age": 39, "job": "clerk"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimml.artifact.read import Source, read_artifact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from slimml.runtime.predictor import Model


def load(
    source: Source, threads: int | None = None, strict: bool = True, *, python: Mapping[str, Any] | None = None
) -> Model:
    """Open an artifact: a path, bytes or a binary file object.

    `threads`: how many threads an engine may use (None: one where the order of sums matters, else its own choice).
    `strict`: with False, columns that the compiled model does not read may be left out of the rows.
    `python`: the steps that stay Python of yours (`shrink --keep`), by the import path that the artifact names; nothing
    is imported to find them, and without them the model says what it needs and answers nothing.

    Raises ArtifactError and its kinds for what is not a sound artifact, MissingDependencyError where the engine that
    it needs is not installed, UsageError where there is no such file.
    """
    compiled = load_compiled(source, threads, strict)
    if not compiled.manifest.kept and not python:
        return compiled
    from slimml.runtime.kept import KeptModel

    return KeptModel(compiled, python or {})


def load_compiled(source: Source, threads: int | None = None, strict: bool = True) -> Model:
    """As `load`, but the compiled part alone of a model that keeps steps as Python."""
    from slimml.runtime.predictor import Model

    return Model(read_artifact(source), threads=threads, strict=strict)

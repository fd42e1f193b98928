"""What an artifact is held against: another artifact, an earlier `gate --json`, or a pytest-benchmark file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from slimml.artifact.layout import MAGIC
from slimml.errors import ArtifactError, UsageError
from slimml.runtime import load_compiled
from slimml.runtime.predictor import Model

_KINDS = "A baseline is a .slim file, what `slimml gate --json` wrote, or what pytest-benchmark saved."
_NAMED = "::"


@dataclass(frozen=True, slots=True)
class Baseline:
    """`kind`: artifact, gate or pytest-benchmark. What a kind does not tell is None.

    `p50_us`   microseconds of one row from a dict, as they were measured then
    `golden`   golden rows and answers, as an artifact carries them
    `machine`  what the figures were measured on
    """

    kind: str
    path: str
    size: int | None = None
    p50_us: float | None = None
    golden: Any = None
    model: Model | None = None
    content: bytes | None = None
    sha256: str | None = None
    machine: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"kind": self.kind, "path": self.path, "bytes": self.size, "p50_us": self.p50_us, "sha256": self.sha256}


def read_baseline(source: str | os.PathLike[str]) -> Baseline:
    """The baseline at a path; `FILE::NAME` names one benchmark of a pytest-benchmark file.

    Raises UsageError where there is no such file or it is of no such kind, ArtifactError for a damaged artifact.
    """
    path, _, name = os.fspath(source).partition(_NAMED) if not os.path.exists(source) else (os.fspath(source), "", "")
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the baseline {path} cannot be read: {reason}", hint=_KINDS) from None
    if data.startswith(MAGIC):
        return _artifact(path, data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(f"the baseline {path} is of no known kind", hint=_KINDS) from None
    if isinstance(document, dict) and document.get("command") == "gate":
        return _gate(path, document)
    if isinstance(document, dict) and isinstance(document.get("benchmarks"), list):
        return _pytest_benchmark(path, name, document)
    raise UsageError(f"the baseline {path} is of no known kind", hint=_KINDS)


def _artifact(path: str, data: bytes) -> Baseline:
    try:
        model = load_compiled(data)
        model.check()
    except ArtifactError as error:
        where = f"the baseline {path}" + f", {error.where}" * bool(error.where)
        raise type(error)(error.what, where=where, hint=error.hint) from None
    digest = sha256(data).hexdigest()
    return Baseline("artifact", path, len(data), golden=model.manifest.golden, model=model, content=data, sha256=digest)


def _gate(path: str, document: Mapping[str, Any]) -> Baseline:
    try:
        artifact, latency = document["artifact"], document["latency_us"]["dict"]
        size, p50 = int(artifact["bytes"]), float(latency["p50"])
        return Baseline(
            "gate", path, size, p50, document["golden"], sha256=str(artifact["sha256"]), machine=document["machine"]
        )
    except (KeyError, TypeError, ValueError):
        hint = "Make it anew: slimml gate ARTIFACT --json FILE."
        raise UsageError(f"the baseline {path} holds no figures; that run ended with an error", hint=hint) from None


def _pytest_benchmark(path: str, name: str, document: Mapping[str, Any]) -> Baseline:
    """The median of a benchmark, in seconds there, stands for one row from a dict."""
    try:
        found = {str(b["fullname"]): float(b["stats"]["median"]) * 1e6 for b in document["benchmarks"]}
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"the baseline {path} is no whole pytest-benchmark file", hint=_KINDS) from None
    chosen = [k for k in found if not name or name in (k, k.rpartition(_NAMED)[2])]
    if len(chosen) != 1:
        names = ", ".join(sorted(k.rpartition(_NAMED)[2] for k in found)) or "none"
        what = f"there are {len(chosen)} benchmarks {name!r}" if name else f"there are {len(found)} benchmarks"
        raise UsageError(f"the baseline {path}: {what}", hint=f"Name one of them, {path}::NAME: {names}")
    info = document.get("machine_info")
    cpu = info.get("cpu", {}).get("brand_raw") if isinstance(info, dict) and isinstance(info.get("cpu"), dict) else None
    return Baseline("pytest-benchmark", path, p50_us=found[chosen[0]], machine={"processor": cpu} if cpu else None)

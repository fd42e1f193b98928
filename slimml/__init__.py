"""slimml: an optimizing compiler for fitted classical-ML pipelines.

    result = slimml.shrink("model.pkl", data=X, out="model.slim")
    model = slimml.load("model.slim")
    model.predict({"age": 39, "job": "clerk"})

The verbs are bound on first use: importing slimml loads no numpy, and loading an artifact loads no compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slimml import errors as errors
    from slimml.analysis.result import AnalyzeResult as AnalyzeResult
    from slimml.analysis.run import analyze as analyze
    from slimml.driver import shrink as shrink
    from slimml.driver import verify as verify
    from slimml.exported.export import export as export
    from slimml.frontends.registry import lowers as lowers
    from slimml.judge.bench import bench as bench
    from slimml.judge.gate import gate as gate
    from slimml.refusals import scan as scan
    from slimml.result import ShrinkResult as ShrinkResult
    from slimml.runtime import load as load

__version__ = "0.1.0.dev0"

_HOME = {
    "AnalyzeResult": "slimml.analysis.result",
    "ShrinkResult": "slimml.result",
    "analyze": "slimml.analysis.run",
    "bench": "slimml.judge.bench",
    "export": "slimml.exported.export",
    "gate": "slimml.judge.gate",
    "load": "slimml.runtime",
    "lowers": "slimml.frontends.registry",
    "scan": "slimml.refusals",
    "shrink": "slimml.driver",
    "verify": "slimml.driver",
}

__all__ = [
    "AnalyzeResult",
    "ShrinkResult",
    "__version__",
    "analyze",
    "bench",
    "errors",
    "export",
    "gate",
    "load",
    "lowers",
    "scan",
    "shrink",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("slimml.errors")
    if name not in _HOME:
        raise AttributeError(f"module 'slimml' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""Imports go one way: what each part of slimml may import, read from the source and seen in fresh interpreters.

cli > driver, analysis, judge > choice > parity, measure > backends > frontends, passes > ingest, tables
    > runtime > plan > ir, artifact > _optional > options, schema, units > errors
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.shared import ROOT

# From the top down. A part imports only from steps below its own.
STEPS = (
    ("__init__", "__main__"),
    ("cli", "pytest_plugin"),
    ("driver", "analysis", "judge"),
    ("ends",),
    ("intake", "keeping"),
    ("exported",),
    ("candidates", "converted", "refusals", "result", "sample"),
    ("choice", "report"),
    ("parity", "measure"),
    ("backends",),
    ("frontends", "passes"),
    ("ingest", "tables"),
    ("runtime",),
    ("plan",),
    ("ir", "artifact"),
    ("_optional",),
    ("options", "schema", "units"),
    ("errors",),
)
STEP = {part: number for number, parts in enumerate(STEPS) for part in parts}

# Third-party packages that a part may import while it is itself imported; all others belong inside functions.
NUMERICAL = frozenset({"numpy", "scipy"})
AT_THE_TOP = {
    "cli": frozenset({"rich"}),
    "pytest_plugin": frozenset({"pytest"}),
    "driver": NUMERICAL,
    "analysis": NUMERICAL,
    "judge": NUMERICAL,
    "converted": NUMERICAL,
    "ends": NUMERICAL,
    "keeping": NUMERICAL,
    "exported": NUMERICAL,
    "sample": NUMERICAL,
    "choice": NUMERICAL,
    "parity": NUMERICAL,
    "measure": NUMERICAL,
    "backends": NUMERICAL,
    "frontends": NUMERICAL,
    "ingest": NUMERICAL,
    "tables": frozenset({"numpy"}),
    "passes": frozenset({"numpy"}),
    "ir": frozenset({"numpy"}),
    "plan": frozenset({"numpy"}),
}
STANDARD_LIBRARY_ALONE = ("plan/__init__.py", "plan/ops.py", "plan/decode.py", "plan/strings.py")
# May be loaded with the runtime, hence only the standard library at the top, all the way down.
LIGHT = ("errors", "options", "schema", "_optional", "artifact", "runtime", "plan.ops", "plan.decode", "plan.strings")

SOURCES = sorted(p.relative_to(ROOT / "slimml").as_posix() for p in (ROOT / "slimml").rglob("*.py"))


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    at_the_top: bool  # runs when the module is imported
    for_types: bool  # under `if TYPE_CHECKING`


def imports_of(source: str) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, at_the_top: bool, for_types: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(a.name, node.lineno, at_the_top, for_types) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append(Import(module, node.lineno, at_the_top, for_types))
        elif isinstance(node, ast.If) and ast.unparse(node.test).removeprefix("typing.") == "TYPE_CHECKING":
            for statement in node.body:
                visit(statement, at_the_top, True)
            for statement in node.orelse:
                visit(statement, at_the_top, for_types)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                visit(child, at_the_top and not inside, for_types)

    visit(ast.parse(source), True, False)
    return found


def violations(path: str, source: str) -> list[str]:
    """What `source` at `path` (below slimml/) imports and must not."""
    part = path.split("/")[0].removesuffix(".py")
    if part not in STEP:
        return [f"slimml/{path}: {part} has no step; give it one here and in the order that the docstring shows"]
    said = [(i, why) for i in imports_of(source) if (why := _objection(path, part, i))]
    return [f"slimml/{path}:{i.line} imports {i.module}: {why}" for i, why in said]


def _objection(path: str, part: str, found: Import) -> str | None:
    package, *rest = found.module.split(".")
    if not package:
        return "imports are absolute"
    if package == "slimml":
        return _objection_inside(part, rest[0] if rest else "")
    if found.for_types or not found.at_the_top or package in sys.stdlib_module_names:
        return None
    if path in STANDARD_LIBRARY_ALONE:
        return "the runtime stands on it, so it starts with the standard library alone"
    if package not in AT_THE_TOP.get(part, frozenset()):
        return f"{part} starts without it; import it inside the function that needs it"
    return None


def _objection_inside(part: str, target: str) -> str | None:
    if not target:
        return None if part == "__init__" else "import the file that is needed, never the root"
    if target not in STEP:
        return f"{target} has no step"
    if part != target and STEP[target] <= STEP[part]:
        return f"{part} does not stand above {target}"
    return None


@pytest.mark.parametrize("path", SOURCES)
def test_imports_point_down(path: str):
    assert violations(path, (ROOT / "slimml" / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [p for p in SOURCES if p.removesuffix(".py").replace("/", ".").startswith(LIGHT)])
def test_what_the_runtime_loads_starts_with_light_modules_alone(path: str):
    found = imports_of((ROOT / "slimml" / path).read_text(encoding="utf-8"))
    inside = [i.module.removeprefix("slimml.") for i in found if i.at_the_top and not i.for_types]
    heavy = [m for m in inside if m.split(".")[0] in STEP and not m.startswith(LIGHT)]
    assert heavy == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ir/graph.py", "from slimml.passes.runner import run"),
        ("ir/graph.py", "def f():\n    from slimml.backends import BACKENDS"),
        ("ir/graph.py", "import scipy"),
        ("artifact/read.py", "from slimml.ir.graph import Graph"),
        ("passes/base.py", "from slimml.frontends.registry import lowers"),
        ("passes/base.py", "try:\n    import sklearn\nexcept ImportError:\n    pass"),
        ("measure/size.py", "from slimml.parity.report import Report"),
        ("runtime/predictor.py", "import numpy as np"),
        ("runtime/predictor.py", "from slimml import errors"),
        ("runtime/predictor.py", "from .columns import read"),
        ("runtime/predictor.py", "if TYPE_CHECKING:\n    from slimml.ingest.record import Record"),
        ("plan/decode.py", "import numpy"),
        ("frontends/xgboost.py", "import xgboost"),
        ("driver.py", "import pandas as pd"),
        ("helpers.py", ""),
    ],
)
def test_a_wrong_import_is_found(path: str, source: str):
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ir/graph.py", "import ast\nimport numpy as np\nfrom slimml.ir.node import Node\nfrom slimml.errors import X"),
        ("runtime/engines/portable.py", "def f():\n    import numpy\n    from slimml.ir.graph import Graph"),
        ("runtime/predictor.py", "if TYPE_CHECKING:\n    import numpy as np"),
        ("backends/onnx.py", "def f():\n    import onnx"),
        ("cli/shrink.py", "from slimml.driver import shrink"),
    ],
)
def test_a_right_import_is_let_through(path: str, source: str):
    assert violations(path, source) == []


HEAVY = {"numpy", "scipy", "sklearn", "pandas", "pyarrow", "joblib", "onnx", "onnxruntime", "treelite", "torch"}


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running with `arguments`."""
    run = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=True)
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def test_importing_slimml_loads_nothing_else():
    loaded = loaded_by("-c", "import slimml")
    assert "slimml" in loaded
    assert {m for m in loaded if m.startswith("slimml.")} == set()
    assert {m.split(".")[0] for m in loaded} & {*HEAVY, "rich"} == set()


def test_importing_the_runtime_wakes_no_compiler_and_no_numpy():
    loaded = loaded_by("-c", "import slimml.runtime")
    assert {m.split(".")[0] for m in loaded} & {*HEAVY, "rich"} == set()
    inside = {m.removeprefix("slimml.") for m in loaded if m.startswith("slimml.")}
    assert {m for m in inside if not m.startswith((*LIGHT, "plan"))} == set()


def test_help_wakes_no_numpy():
    if not (ROOT / "slimml" / "cli" / "__init__.py").is_file():
        pytest.skip("no command line yet")
    loaded = loaded_by("-m", "slimml", "--help")
    assert {m.split(".")[0] for m in loaded} & HEAVY == set()

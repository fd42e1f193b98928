"""slimml inspect ARTIFACT: schema, plan, provenance, evidence, sections."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from slimml.artifact.read import Artifact, read_artifact
from slimml.cli.command import Command, Outcome
from slimml.cli.options import add_json
from slimml.cli.render import Screen, size
from slimml.plan.decode import decode

_DETAILS = """\
Opening an artifact runs nothing that came in it. Every hash is checked before anything is shown.
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="the .slim file")
    add_json(parser)


def _run(args: Namespace) -> Outcome:
    with read_artifact(args.artifact) as artifact:
        artifact.check()
        content = _content(args.artifact, artifact)
    return Outcome(document=content, show=lambda screen: _show(content, screen))


def _content(path: str, artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    golden = manifest.golden.get("rows") if isinstance(manifest.golden, Mapping) else None
    return {
        "artifact": {"path": path, "bytes": artifact.size, "sha256": artifact.sha256},
        "format_version": manifest.format_version,
        "engine": manifest.engine,
        "exactness": manifest.exactness,
        "schema": manifest.schema.to_json(),
        "outputs": manifest.outputs,
        "classes": manifest.classes,
        "kept": [k.to_json() for k in manifest.kept],
        "plan": _plan(artifact),
        "provenance": manifest.provenance,
        "evidence": manifest.evidence,
        "golden_rows": len(golden) if isinstance(golden, list) else 0,
        "sections": [asdict(s) for s in manifest.sections],
    }


def _plan(artifact: Artifact) -> list[dict[str, Any]]:
    plan = decode(*(artifact.section(name) for name in ("plan", "tensors", "forest")))
    return [{"op": n.op, "inputs": list(n.inputs), "origin": n.origin} for n in plan.nodes]


def _show(found: dict[str, Any], screen: Screen) -> None:
    artifact = found["artifact"]
    screen.line(f"{artifact['path']}: {size(artifact['bytes'])}, sha256 {artifact['sha256']}")
    screen.line(f"format {found['format_version']}, engine {found['engine']}, {found['exactness']}")
    screen.line(f"answers: {', '.join(o['name'] for o in found['outputs'])}")
    for step in found["kept"]:
        there = "in front of" if step["place"] == "front" else "behind"
        screen.line(f"Python of yours, {there} the compiled part: {step['path']} ({step['function']})")
    _show_columns(found["schema"], screen)
    screen.line()
    plan = found["plan"]
    rows = [(str(i), n["op"], " ".join(map(str, n["inputs"])), n["origin"]) for i, n in enumerate(plan)]
    screen.table(("#", "op", "reads", "from"), rows, numbers=(0,))
    for title in ("provenance", "evidence"):
        screen.line(f"\n{title}:")
        for line in _lines(found[title]):
            screen.line(f"  {line}")
    screen.line(f"\ngolden rows: {found['golden_rows']}\n")
    sections = [(s["name"], size(s["size"]), s["codec"], size(s["raw_size"])) for s in found["sections"]]
    screen.table(("section", "stored", "codec", "decoded"), sections, numbers=(1, 3))


def _show_columns(schema: dict[str, Any], screen: Screen) -> None:
    screen.line()
    rows = [(c["name"], c["kind"], c["dtype"], "yes" if c["read"] else "no") for c in schema["columns"]]
    screen.table(("column", "kind", "dtype", "read"), rows)
    if not schema["named"]:
        screen.line("the original was fitted without names: columns are known by position")


def _lines(value: Any, name: str = "") -> list[str]:
    """A JSON value as lines of `a.b: value`."""
    if isinstance(value, Mapping):
        return [line for k, v in value.items() for line in _lines(v, f"{name}.{k}" if name else str(k))]
    if isinstance(value, list) and any(isinstance(v, Mapping | list) for v in value):
        return [line for i, v in enumerate(value) for line in _lines(v, f"{name}[{i}]")]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return [f"{name}: {text}"]


INSPECT = Command("inspect", "show what is in an artifact", _DETAILS, _add_arguments, _run)

"""Shrink every benchmark pipeline with the command that users run, and keep what it reports.

    python -m benchmarks.run [NAME ...] [-o FILE]

writes FILE (benchmarks/results/shrink.json): the machine, and per pipeline the answer of `slimml shrink --json`. The
README's table is the one that is printed here.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.pipelines import PIPELINES, build
from tests.shared import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("slimml", "numpy", "scipy", "scikit-learn", "pandas", "onnxruntime", "treelite")


def shrink(name: str) -> dict[str, Any]:
    """The report of one run; names in it are relative, so that no folder of this machine is kept."""
    built = build(name)
    command = [sys.executable, "-m", "slimml", "shrink", built.path.name, "-o", f"{name}.slim"]
    command += ["--data", built.csv.name, "--json", "-"]
    done = subprocess.run(command, cwd=built.path.parent, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"benchmarks: {name}: slimml shrink ended with {done.returncode}\n{done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def environment() -> dict[str, str]:
    """The command must find slimml where it is not installed, too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {p: versions[p] for p in PACKAGES if p in versions},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(reports: dict[str, dict[str, Any]]) -> str:
    """The runs as a Markdown table."""
    head = ("pipeline", "pickle", "artifact", "smaller", "one row before", "frame", "dict", "backend", "parity")
    lines = [head, ("---",) * len(head), *(_cells(name, report) for name, report in reports.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(name: str, report: dict[str, Any]) -> tuple[str, ...]:
    before, after = report["model"]["bytes"], report["artifact"]["bytes"]
    chosen = next(c for c in report["candidates"] if c["backend"] == report["chosen"])
    original = report["model"]["latency_us"] or {}
    return (
        name,
        f"{before / 1e6:,.2f} MB",
        f"{after / 1e6:,.2f} MB",
        f"{before / after:,.1f}x",
        _microseconds(original.get("frame")),
        _microseconds(chosen["latency_us"]["frame"]),
        _microseconds(chosen["latency_us"]["dict"]),
        chosen["backend"],
        chosen["parity"]["verdict"],
    )


def _microseconds(value: Any) -> str:
    median = value["p50"] if isinstance(value, dict) else value
    return "" if median is None else f"{median:,.0f} us"


def main(arguments: list[str] | None = None) -> int:
    """Shrink the pipelines that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Shrink the benchmark pipelines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PIPELINES))
    parser.add_argument("-o", type=Path, dest="out", default=RESULTS / "shrink.json")
    options = parser.parse_args(arguments)
    reports = {}
    for name in options.names or PIPELINES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        reports[name] = shrink(name)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"machine": machine(), "runs": reports}, indent=1) + "\n")
    print(table(reports))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

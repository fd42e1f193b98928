"""Shrink every benchmark pipeline with the command that users run, and keep what it reports.

    python -m benchmarks.run [NAME ...] [-o FILE]

writes FILE (benchmarks/results/shrink.json): the machine, and per pipeline the answer of `slimml shrink --json`; and
what one run printed. README shows that run, and the table that is printed here.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.pipelines import PIPELINES, build
from tests.shared import ROOT

RESULTS = ROOT / "benchmarks" / "results"
# The run that README shows.
SHOWN = "adult-forest"
PACKAGES = ("slimml", "numpy", "scipy", "scikit-learn", "pandas", "onnxruntime", "treelite", "xgboost-cpu", "lightgbm")


def shrink(name: str) -> tuple[dict[str, Any], str]:
    """The report of one run and what it printed; names in both are relative, so that no folder of this machine is
    kept.
    """
    built = build(name)
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "report.json"
        arguments = ["shrink", built.path.name, "--data", built.csv.name, "-o", f"{name}.slim"]
        done = subprocess.run(
            [sys.executable, "-m", "slimml", *arguments, "--json", str(found)],
            cwd=built.path.parent, env=environment(), capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"benchmarks: {name}: slimml shrink ended with {done.returncode}\n{done.stderr}")
        report: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return report, f"$ slimml {' '.join(arguments)}\n{done.stdout}"


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
    """The runs as the Markdown table that README shows."""
    head = ("pipeline", "pickle", "artifact", "smaller", "one row, pickle", "one row, artifact", "faster", "parity")
    lines = [head, ("---",) * len(head), *(_cells(name, report) for name, report in reports.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(name: str, report: dict[str, Any]) -> tuple[str, ...]:
    before, after = report["model"]["bytes"], report["artifact"]["bytes"]
    chosen = next(c for c in report["candidates"] if c["backend"] == report["chosen"])
    old, new = report["model"]["latency_us"]["dict"], chosen["latency_us"]["dict"]["p50"]
    return (
        name,
        _bytes(before),
        f"{_bytes(after)} ({chosen['backend']})",
        f"{before / after:,.1f}x",
        f"{old / 1e3:,.1f} ms",
        f"{new:,.0f} us",
        f"{old / new:,.0f}x",
        chosen["parity"]["verdict"],
    )


def _bytes(value: float) -> str:
    return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.1f} kB"


def main(arguments: list[str] | None = None) -> int:
    """Shrink the pipelines that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Shrink the benchmark pipelines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PIPELINES))
    parser.add_argument("-o", type=Path, dest="out", default=RESULTS / "shrink.json")
    options = parser.parse_args(arguments)
    reports = {}
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in options.names or PIPELINES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        reports[name], printed = shrink(name)
        if name == SHOWN:
            (RESULTS / f"{name}.txt").write_text(printed, encoding="utf-8")
    options.out.write_text(json.dumps({"machine": machine(), "runs": reports}, indent=1) + "\n")
    print(table(reports))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

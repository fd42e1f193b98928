"""Reading a 270 MB forest as data, beside pickle.load: fresh processes in turns, medians.

    python -m benchmarks.decode [-o FILE] [--rounds N]

writes FILE (benchmarks/results/decode.json): seconds, and by how much memory grew, of each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.pipelines import build
from benchmarks.run import RESULTS, environment, machine

PIPELINE = "housing-forest"

# Imports are over before the clock starts, and only what grows while the file is read counts as memory.
_TIMED = """
import resource, sys, time
{imports}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before, start = peak(), time.perf_counter()
model = {read}
print(time.perf_counter() - start, peak() - before)
"""
CONTENDERS = {
    "slimml": ("from slimml.ingest.read import read", "read(sys.argv[1])"),
    "pickle": ("import pickle, sklearn.compose, sklearn.ensemble, sklearn.impute, sklearn.pipeline",
               "pickle.load(open(sys.argv[1], 'rb'))"),
}  # fmt: skip


def once(contender: str, path: Path) -> tuple[float, int]:
    """Seconds, and bytes by which the process grew."""
    imports, read = CONTENDERS[contender]
    code = _TIMED.format(imports=imports, read=read)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, env=environment(), check=True
    )
    seconds, grown = done.stdout.split()
    return float(seconds), int(grown)


def run(rounds: int) -> dict[str, Any]:
    """Medians of both, each round in turns."""
    path = build(PIPELINE).path
    size = path.stat().st_size
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, results in found.items():
            results.append(once(name, path))
    medians = {
        name: {
            "seconds": statistics.median(s for s, _ in results),
            "grown_bytes": statistics.median(b for _, b in results),
        }
        for name, results in found.items()
    }
    return {
        "machine": machine(),
        "pipeline": PIPELINE,
        "bytes": size,
        **medians,
        "seconds_ratio": medians["slimml"]["seconds"] / medians["pickle"]["seconds"],
        "memory_per_byte": medians["slimml"]["grown_bytes"] / size,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--out", type=Path, default=RESULTS / "decode.json")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    report = run(given.rounds)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{report['seconds_ratio']:.2f}x the time of pickle.load, {report['memory_per_byte']:.2f} bytes a byte")

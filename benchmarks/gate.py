"""Does the CI gate say the right thing every time? The example's script, on equal, grown, slowed and drifted artifacts.

    python -m benchmarks.gate [--runs 10] [--busy N] [-o FILE]

runs examples/ci-gate/gate.sh on each of four artifacts N times, beside processes that keep the machine busy, and writes
FILE (benchmarks/results/gate.json): how often it was right, which checks said no, and the ratios that it measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.run import RESULTS, machine
from tests.judge.conftest import Family, make_family
from tests.test_examples import gate_job

# What has to say no of each artifact, and nothing else: a right answer for a wrong reason is luck.
EXPECTED = {"twin": set(), "grown": {"larger"}, "slowed": {"difference", "larger", "slower"}, "drifted": {"difference"}}
_BUSY = "while True: pass"


@dataclass(slots=True)
class Case:
    """What the gate said of one artifact. `ratios`: times of the released one, by what was timed."""

    wanted: set[str]
    runs: int = 0
    right: int = 0
    said_no: Counter[str] = field(default_factory=Counter)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    stages: list[int] = field(default_factory=list)

    def take(self, code: int, report: dict[str, Any]) -> bool:
        """Count one run; whether it was right."""
        failed = {c["what"].partition(" at ")[0] for c in report["checks"] if not c["ok"]}
        right = failed == self.wanted and code == bool(self.wanted)
        self.runs += 1
        self.right += right
        self.said_no.update(failed)
        for name, duel in report["duels"].items():
            self.ratios.setdefault(name, []).append(round(duel["ratio"], 4))
            self.stages.append(len(duel["stages"]))
        return right

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "runs": self.runs,
            "right": self.right,
            "wanted": sorted(self.wanted),
            "said_no": dict(self.said_no),
            "ratios": self.ratios,
            "stages": self.stages,
        }


def run(runs: int) -> dict[str, Case]:
    """Every artifact once a turn."""
    found = {name: Case(wanted) for name, wanted in EXPECTED.items()}
    with tempfile.TemporaryDirectory() as name:
        family = make_family(Path(name))
        for turn in range(runs):
            for which, case in found.items():
                code, report = _job(family, which, Path(name) / f"{which}-{turn}")
                right = case.take(code, report)
                print(f"{turn + 1}/{runs} {which}: {'right' if right else 'WRONG'}", file=sys.stderr, flush=True)
    return found


def _job(family: Family, which: str, folder: Path) -> tuple[int, dict[str, Any]]:
    done = gate_job(getattr(family, which), family.base, folder)
    written = folder / "reports" / "gate.json"
    if not written.is_file():
        raise SystemExit(f"benchmarks: the gate on {which} ended with {done.returncode}\n{done.stderr}")
    report: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return done.returncode, report


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    others = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main(arguments: list[str] | None = None) -> int:
    """1 where the gate was ever wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description="Try the CI gate.")
    parser.add_argument("--runs", type=int, default=10, help="of each artifact")
    parser.add_argument("--busy", type=int, default=0, help="processes that keep the machine busy meanwhile")
    parser.add_argument("-o", type=Path, dest="out", default=RESULTS / "gate.json")
    given = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    with busy(given.busy):
        found = run(given.runs)
    load = {"before": round(before, 2), "after": round(os.getloadavg()[0], 2)}
    cases = {name: case.to_json() for name, case in found.items()}
    document = {"machine": machine(), "busy": given.busy, "load_average": load, "cases": cases}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, case in found.items():
        print(f"{name:8} right {case.right} of {case.runs}  said no: {dict(case.said_no)}")
    return int(any(case.right != case.runs for case in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())

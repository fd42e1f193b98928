"""What it takes to start: a fresh process that imports the runtime, opens an artifact and answers one row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slimml.errors import InternalError
from slimml.measure.report import Footprint

_SECONDS = 120.0
# A start that takes this many seconds is not timed a second time to be rid of noise.
_SLOW = 1.0

# What the fresh process runs: argv is the artifact, the method and a file with the row. Memory is what the kernel says,
# so that the measurement itself imports nothing that a server would not.
_PROGRAM = """
import sys, time
def rss():
    try:
        with open("/proc/self/statm") as file:
            import os
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(sys.argv[3], encoding="utf-8") as file:
    import json
    row = json.load(file)
before, t0 = rss(), time.perf_counter()
from slimml.runtime import load_compiled
t1 = time.perf_counter()
model = load_compiled(sys.argv[1])
t2 = time.perf_counter()
getattr(model, sys.argv[2])(row)
t3 = time.perf_counter()
after = rss()
print(json.dumps([t1 - t0, t2 - t1, t3 - t2, after, after - before]))
"""


def footprint(
    artifact: bytes | str | os.PathLike[str], row: Mapping[str, Any], *, method: str = "predict", runs: int = 3
) -> Footprint:
    """The fastest of a few fresh starts; a slow one is not repeated. Raises InternalError where the process fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.slim"
        if isinstance(artifact, bytes):
            path.write_bytes(artifact)
        else:
            path = Path(artifact)
        given = Path(folder) / "row"
        given.write_text(json.dumps(dict(row)), encoding="utf-8")
        found = [_start(path, method, given)]
        while len(found) < runs and found[-1].startup_s < _SLOW:
            found.append(_start(path, method, given))
    return min(found, key=lambda f: f.startup_s)


def _start(path: Path, method: str, row: Path) -> Footprint:
    command = [sys.executable, "-c", _PROGRAM, str(path), method, str(row)]
    # The package of this process, wherever it was imported from.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, env=environment, encoding="utf-8", check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InternalError(f"a fresh process could not answer a row: {last}")
    return Footprint(*json.loads(done.stdout))

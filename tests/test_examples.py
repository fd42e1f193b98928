"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys

from tests.shared import ROOT


def test_the_quickstart_runs():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "class_" in done.stdout

"""Where the data is that tests and benchmarks use and the project does not carry."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shared_dir() -> Path | None:
    """The folder of `SLIMML_SHARED`, else `shared` beside the repository; None where it is not there."""
    folder = Path(os.environ.get("SLIMML_SHARED") or ROOT.parent / "shared")
    return folder if folder.is_dir() else None


def why_no_shared() -> str:
    """The reason that a skipped test gives."""
    return "the shared data is not here (set SLIMML_SHARED to its folder, or put it beside the repository)"

"""No hostile file runs its payload, whatever command it is given to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran

Run = Callable[..., Ran]


@pytest.mark.parametrize("command", ["scan", "shrink", "inspect", "verify"])
def test_hostile_files_are_refused_and_run_nothing(
    command: str, run: Run, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    attacks = shared / "attacks"
    canaries = tmp_path / "canaries"
    canaries.mkdir()
    monkeypatch.setenv("SLIMML_CANARY_DIR", str(canaries))
    monkeypatch.chdir(tmp_path)
    for attack in json.loads((attacks / "manifest.json").read_text(encoding="utf-8")):
        done = run(command, attacks / attack["file"])
        # A scan of an attack that only a later use would set off may find nothing worse than an odd name.
        allowed = {3} if command != "scan" else {1, 3} if attack["expect"] == "canary" else {0, 1, 3}
        assert done.code in allowed, (attack["file"], done)
    assert list(canaries.iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["canaries"]

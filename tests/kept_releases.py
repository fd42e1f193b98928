"""Models of older releases that the repository keeps, and what these answered: tests/data/releases and /boosters."""

from __future__ import annotations

import io
import tarfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from slimml.frontends.width import Columns
from slimml.tables.table import positional

_DATA = Path(__file__).parent / "data"


@dataclass
class Kept:
    """Of one release the models, by file name, and the answers, by what was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    packed: bytes = b""

    @cached_property
    def answers(self) -> dict[str, np.ndarray]:
        return dict(np.load(io.BytesIO(self.packed)))

    def add(self, name: str, data: bytes) -> None:
        """A file of an archive."""
        if name == "answers.npz":
            self.packed = data
        else:
            self.files[name] = data


@cache
def boosters() -> dict[str, Kept]:
    """Those of XGBoost and LightGBM, by library and release: "xgboost-1.7.6"."""
    held: dict[str, Kept] = defaultdict(Kept)
    for path in sorted((_DATA / "boosters").glob("*.tar.xz")):
        for name, data in _members(path):
            held[path.name.removesuffix(".tar.xz")].add(name, data)
    return dict(held)


@cache
def scikit_learn() -> dict[str, Kept]:
    """Those of scikit-learn, by release, oldest first."""
    held: dict[str, Kept] = defaultdict(Kept)
    for entry, data in _members(_DATA / "releases" / "sklearn.tar.xz"):
        name, release = entry.split("/")
        held[release].add(name, data)
    return {release: held[release] for release in sorted(held, key=order)}


def order(release: str) -> list[int]:
    """A release as numbers, by which releases are sorted."""
    return [int(part) for part in release.split(".")[:2]]


def columns_of(kept: Kept, model: str) -> Columns:
    """The columns that a model of scikit-learn was asked about, of which the files of old releases say nothing."""
    rows = rows_of("releases", str(kept.answers[f"{model}/blocks"][0]))
    return Columns(positional(1 if isinstance(rows, list) else rows.shape[1]), False)


def rows_of(folder: str, block: str) -> Any:
    """Rows that the releases of a folder were asked about: texts as a list, words as objects."""
    rows = _rows(folder)[block]
    if block == "texts":
        return rows.tolist()
    rows = rows.astype(object) if rows.dtype.kind == "U" else rows
    return rows[:, None] if rows.ndim == 1 else rows


@cache
def _rows(folder: str) -> dict[str, np.ndarray]:
    return dict(np.load(_DATA / folder / "rows.npz"))


def _members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as held:
        return [(entry.name, held.extractfile(entry).read()) for entry in held]

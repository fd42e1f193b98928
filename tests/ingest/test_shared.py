"""Every honest pickle of the shared folder decodes, whatever release wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slimml.errors import IngestError
from slimml.ingest.containers import models
from slimml.ingest.names import is_harmless
from slimml.ingest.read import read
from slimml.ingest.scan import scan

# A lambda in the corpus, a partial and ufuncs of numpy < 1.20: honest, but never called without --trust.
_LENT = {"functools.partial", "numpy.core._ufunc_reconstruct"}


def _pickles(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.suffix in (".pkl", ".joblib", ".sav", ".gz", ".dat"))


def test_models_of_older_releases_decode(shared: Path) -> None:
    for path in [*_pickles(shared / "pickles"), *_pickles(shared / "versions")]:
        ingested = read(path)
        assert models(ingested.root)[0][0] == "", path
        stated = path.parent.name.split("-")[0]
        if path.is_relative_to(shared / "versions"):
            assert ingested.versions.get("scikit-learn", stated) == stated


def test_their_names_are_harmless(shared: Path) -> None:
    doubtful = {name for path in _pickles(shared / "pickles") for name in is_harmless(scan(path).imports)}
    assert not doubtful - _LENT


def test_the_corpus_decodes(shared: Path) -> None:
    for path in list(_pickles(shared / "corpus"))[::10]:
        read(path)


def test_wild_files_decode_or_list_their_models(shared: Path) -> None:
    for path in _pickles(shared / "wild"):
        try:
            read(path)
        except IngestError as e:
            assert "--select" in e.hint, path


@pytest.mark.parametrize("ending", ["txt", "json", "gbm"])
def test_wild_files_of_boosters_are_read(shared: Path, ending: str) -> None:
    for path in (shared / "wild").rglob(f"*.{ending}"):
        assert read(path).root.name == "Booster", path

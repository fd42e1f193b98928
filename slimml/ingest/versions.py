"""Which releases wrote the file, as far as it says."""

from __future__ import annotations

from collections.abc import Iterable

from slimml.ingest.record import Record
from slimml.ingest.xgboost.model import PARSED, BoosterModel

_FIELDS = {"_sklearn_version": "scikit-learn", "_skrub_version": "skrub", "_imblearn_version": "imbalanced-learn"}
_LONGEST = 40


def versions_in(records: Iterable[Record]) -> tuple[dict[str, str], list[str]]:
    """Library -> release of the outermost object that says, and a sentence for each library that says several."""
    found: dict[str, list[str]] = {}
    for record in records:
        for field, library in _FIELDS.items():
            said = record.fields.get(field)
            if type(said) is str and len(said) <= _LONGEST:
                found.setdefault(library, []).append(said)
        booster = record.fields.get(PARSED)
        if isinstance(booster, BoosterModel) and booster.version:
            found.setdefault("xgboost", []).append(".".join(map(str, booster.version)))
    warnings = [
        f"parts of the file come from different releases of {library}: {', '.join(sorted(set(said)))}"
        for library, said in found.items()
        if len(set(said)) > 1
    ]
    return {library: said[0] for library, said in found.items()}, warnings

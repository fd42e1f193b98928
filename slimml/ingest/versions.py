"""Which releases wrote the file, as far as it says."""

from __future__ import annotations

import re
from collections.abc import Iterable

from slimml.ingest.record import Record

_FIELDS = {"_sklearn_version": "scikit-learn", "_skrub_version": "skrub", "_imblearn_version": "imbalanced-learn"}
# An XGBoost model names its writer as JSON or as UBJSON (an array of three one-byte integers).
_XGBOOST = re.compile(
    rb'"version"\s*:\s*\[(\d{1,4}),\s*(\d{1,4}),\s*(\d{1,4})\]|version\[(?:#L.{8})?i(.)i(.)i(.)\]?', re.DOTALL
)
_LONGEST = 40


def versions_in(records: Iterable[Record]) -> tuple[dict[str, str], list[str]]:
    """Library -> release of the outermost object that says, and a sentence for each library that says several."""
    found: dict[str, list[str]] = {}
    for record in records:
        for field, library in _FIELDS.items():
            said = record.fields.get(field)
            if type(said) is str and len(said) <= _LONGEST:
                found.setdefault(library, []).append(said)
        if record.name == "Booster" and record.module.split(".")[0] == "xgboost":
            said = _xgboost(record.fields.get("handle"))
            if said:
                found.setdefault("xgboost", []).append(said)
    warnings = [
        f"parts of the file come from different releases of {library}: {', '.join(sorted(set(said)))}"
        for library, said in found.items()
        if len(set(said)) > 1
    ]
    return {library: said[0] for library, said in found.items()}, warnings


def _xgboost(handle: object) -> str | None:
    if not isinstance(handle, (bytes, bytearray)):
        return None
    match = _XGBOOST.search(handle)
    if match is None:
        return None
    if match[1] is not None:
        return ".".join(part.decode() for part in match.group(1, 2, 3))
    return ".".join(str(part[0]) for part in match.group(4, 5, 6))

"""Honest-looking hyper-parameters that act on whoever uses the model: named in a warning, judged by the frontends."""

from __future__ import annotations

import re
from collections.abc import Iterable

from slimml.ingest.record import Record

# A quantifier on a group that ends in a quantifier, or on alternatives: matching may take exponential time.
_BACKTRACKS = re.compile(r"\([^()]*(?:[+*]|\{\d+,\d*\}|\|)[^()]*\)(?:[+*]|\{\d+,\d*\})")
_LONGEST_PATTERN = 1000


def hazards(records: Iterable[Record]) -> list[str]:
    """A sentence for each hyper-parameter that opens files or may never finish."""
    found = []
    for record in records:
        source = record.fields.get("input")
        if type(source) is str and source in ("filename", "file") and record.name.endswith("Vectorizer"):
            found.append(f"{record.name} has input={source!r}: it opens the files that its rows name")
        pattern = record.fields.get("token_pattern")
        if type(pattern) is str and (len(pattern) > _LONGEST_PATTERN or _BACKTRACKS.search(pattern)):
            found.append(f"{record.name} has a token_pattern that may take exponential time: {pattern[:60]!r}")
    return found

"""Names that are gadgets in general, and harmless in the one form in which honest models hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from slimml.ingest.names import HARMLESS, Import
from slimml.ingest.record import Record, Symbol

# HistGradientBoosting with categories keeps `partial(check_array, dtype=[...], ensure_all_finite=False)` to validate
# its numbers with (_preprocess_X of _hist_gradient_boosting/gradient_boosting.py). `force_all_finite` until 1.5.
_VALIDATION = "sklearn.utils.validation.check_array"
_OPTIONS = {"dtype", "ensure_all_finite", "force_all_finite"}


def excuse(imports: Sequence[Import], records: Sequence[Record]) -> list[Import]:
    """The imports, with functools.partial harmless where every one in the file only holds scikit-learn's validation."""
    partials = [r for r in records if r.path == "functools.partial"]
    if not partials or not all(_is_validation(r) for r in partials):
        return list(imports)
    effect = "keeps scikit-learn's check_array and its options, as honest models do"
    return [
        replace(i, verdict=HARMLESS, effect=effect) if i.path == "functools.partial" and not i.refused else i
        for i in imports
    ]


def _is_validation(partial: Record) -> bool:
    """partial(check_array) whose state says the same function, no positional arguments and plain options."""
    state = partial.state
    if partial.kwargs or partial.items or partial.pairs or partial.fields or len(partial.args) != 1:
        return False
    if not (
        type(state) is tuple and len(state) == 4 and _is_check_array(state[0]) and _is_check_array(partial.args[0])
    ):
        return False
    _, arguments, options, attributes = state
    known = type(options) is dict and set(options) <= _OPTIONS and all(_is_plain(v) for v in options.values())
    return arguments == () and known and not attributes


def _is_check_array(value: Any) -> bool:
    return type(value) is Symbol and value.path == _VALIDATION


def _is_plain(value: Any) -> bool:
    if type(value) is list:
        return all(_is_plain(v) for v in value)
    if type(value) is Symbol:
        return value.module == "numpy" and value.name in ("float64", "float32")
    return value is None or type(value) in (bool, str)

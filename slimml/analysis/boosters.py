"""The bytes of XGBoost's and LightGBM's own formats, by what they hold; found by name, nothing is parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slimml.analysis.trees import Share

_LIGHTGBM_UNREAD = {
    "split_gain": "gain of each split",
    "leaf_weight": "weight of the training rows in each leaf",
    "leaf_count": "training rows in each leaf",
    "internal_value": "values of inner nodes, where no row ends",
    "internal_weight": "weight of the training rows in each node",
    "internal_count": "training rows in each node",
    "feature_importances": "importances of the features",
}
_XGBOOST_UNREAD = {
    "loss_changes": "gain of each split",
    "sum_hessian": "weight of the training rows in each node",
}
_XGBOOST_NAMES = (
    "base_weights categories categories_nodes categories_segments categories_sizes default_left left_children "
    "loss_changes parents right_children split_conditions split_indices split_type sum_hessian"
).split()
_NAMES = "|".join(sorted(_XGBOOST_NAMES, key=len, reverse=True)).encode()
_UBJSON = re.compile(rb"(" + _NAMES + rb")\[\$([iUIlLdD])#([iUIlL])", re.DOTALL)
_JSON = re.compile(rb'"(' + _NAMES + rb')"\s*:\s*\[([^\[\]]*)\]')
_WIDTHS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8, b"d": 4, b"D": 8}


def booster_shares(content: Any) -> list[Share]:
    """The parts of a booster's own format, "the rest" last; none where the content is of another kind."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    head = bytes(data[:64])
    if head.startswith((b"tree\n", b"tree\r\n")):
        return _summed(_lines(bytes(data)), len(data), _LIGHTGBM_UNREAD)
    if head[:1] != b"{":
        return []
    found = _texts(data) if head[1:2] in (b'"', b" ", b"\n", b"\r") else _arrays(data)
    return _summed(found, len(data), _XGBOOST_UNREAD)


def _summed(found: Iterator[tuple[str, int]], whole: int, reasons: dict[str, str]) -> list[Share]:
    sums: dict[str, int] = {}
    for name, size in found:
        sums[name] = sums.get(name, 0) + size
    rest = whole - sum(sums.values())
    shares = [Share(name, size, reasons.get(name, "")) for name, size in sums.items()]
    return [*shares, Share("(the rest)", rest)] if shares else []


def _lines(text: bytes) -> Iterator[tuple[str, int]]:
    """Of LightGBM's text the lines of each tree by their key, and the sections behind the trees."""
    trees, _, rest = text.partition(b"end of trees")
    start = trees.find(b"\nTree=")
    for line in trees[start:].split(b"\n") if start >= 0 else ():
        key, sign, _ = line.partition(b"=")
        if sign and len(key) < 40 and key.replace(b"_", b"").isalpha():
            yield key.decode(), len(line) + 1
    importances, sign, parameters = rest.partition(b"parameters:")
    yield "feature_importances", len(importances)
    yield "parameters", len(sign + parameters)


def _arrays(data: Any) -> Iterator[tuple[str, int]]:
    """Of XGBoost's UBJSON the typed arrays by their name."""
    at = 0
    while (found := _UBJSON.search(data, at)) is not None:
        width = _WIDTHS[found[3]]
        count = int.from_bytes(data[found.end() : found.end() + width], "big")
        at = min(found.end() + width + count * _WIDTHS[found[2]], len(data))
        yield found[1].decode(), at - found.start()


def _texts(data: Any) -> Iterator[tuple[str, int]]:
    """Of XGBoost's JSON the arrays of numbers by their name."""
    for found in _JSON.finditer(data):
        yield found[1].decode(), len(found[0])

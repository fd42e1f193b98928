"""Compare a freshly fitted estimator with what its pickle lowers to, method by method."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph
from tests.hostile import graph_answer, limits, original_answer, same_cells

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")


def fitted(estimator: Any, x: Any, y: Any = None) -> Any:
    """The estimator after fit, without what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(x, y)


def graph_of(estimator: Any) -> Graph:
    """What the pickle of an estimator lowers to."""
    return lower(read(pickle.dumps(estimator)).root)


def hold(estimator: Any, rows: Any, *, bitwise: tuple[str, ...] = (), missing: Iterable[str] = ()) -> None:
    """Every method answers as the original's does, within the bounds of parity; those of `bitwise` bit for bit.

    `missing`: methods that the original has and only raises in.
    """
    graph = graph_of(estimator)
    assert {o.name for o in graph.outputs} == {m for m in METHODS if hasattr(estimator, m)} - set(missing)
    for output in graph.outputs:
        expected, got = original_answer(estimator, output.name, rows), graph_answer(graph, output.name, rows)
        assert expected is not None and got is not None, f"{output.name} is refused: {expected is None} {got is None}"
        for one, other, limit in zip(expected, got, limits(graph, output.name, rows), strict=True):
            assert one.shape == other.shape and one.dtype == other.dtype, f"{output.name}: {other.dtype} {other.shape}"
            same = same_cells(one, other)
            if limit is not None and output.name not in bitwise:
                with np.errstate(invalid="ignore"):
                    same |= limit if limit.dtype == bool else (np.abs(one - other) <= limit) | np.isinf(limit)
            at = tuple(np.argwhere(~same)[0]) if not same.all() else ()
            assert same.all(), f"{output.name}: {(~same).sum()} of {same.size} cells, {one[at]!r} is not {other[at]!r}"

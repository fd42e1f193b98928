"""Feature selection that the fitted scores alone decide: variances, univariate tests.

Each `get_support` is that of the original; the ties of its sorts matter, so they are its sorts.
(sklearn/feature_selection/_univariate_selection.py, _variance_threshold.py)
"""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import est_array
from slimml.ingest.record import Record
from slimml.ir.node import Node
from slimml.ir.ops.columns import Select

_UNIVARIATE = "sklearn.feature_selection._univariate_selection"


@lowers("sklearn.feature_selection._variance_threshold.VarianceThreshold")
@lowers("sklearn.feature_selection.variance_threshold.VarianceThreshold")
def variance_threshold(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Columns whose variance is above the threshold."""
    # From 0.22 on it takes whatever comes, infinities too.
    mask = _fitted(est, "variances_", ctx) > float(est.threshold)
    return selected(mask, est, x, ctx, checked=ctx.version < (0, 22))


@lowers(*moved(_UNIVARIATE, "SelectKBest"))
def select_k_best(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The best columns by their scores, ties as the original breaks them."""
    return selected(_k_best(est, est.k, ctx), est, x, ctx)


@lowers(*moved(_UNIVARIATE, "SelectPercentile"))
def select_percentile(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The best share of columns by their scores, ties as the original breaks them."""
    return selected(_percentile(est, est.percentile, ctx), est, x, ctx)


@lowers(*moved(_UNIVARIATE, "SelectFpr"))
def select_fpr(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Columns whose p-value is below `alpha`."""
    return selected(_fpr(est, est.alpha, ctx), est, x, ctx)


@lowers(*moved(_UNIVARIATE, "SelectFdr"))
def select_fdr(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Columns by the procedure of Benjamini and Hochberg."""
    return selected(_fdr(est, est.alpha, ctx), est, x, ctx)


@lowers(*moved(_UNIVARIATE, "SelectFwe"))
def select_fwe(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Columns by the bound of Bonferroni."""
    return selected(_fwe(est, est.alpha, ctx), est, x, ctx)


@lowers(*moved(_UNIVARIATE, "GenericUnivariateSelect"))
def generic_univariate_select(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any mode of univariate selection."""
    rules = {"percentile": _percentile, "k_best": _k_best, "fpr": _fpr, "fdr": _fdr, "fwe": _fwe}
    if est.mode not in rules:
        raise ctx.unsupported(f"mode={est.mode!r:.40} is not handled")
    return selected(rules[est.mode](est, est.param, ctx), est, x, ctx)


def selected(mask: np.ndarray, est: Record, x: Source, ctx: Lowerer, *, checked: bool = True) -> Node:
    """The columns of x where `mask`, bool (n,), says so; `checked`: every cell of x is a finite number."""
    ctx.check_width(est, x)
    block = ctx.floats(x, finite="all" if checked else "any", csr=True, narrow=True)
    if len(mask) != block.type.width:
        raise ctx.unsupported(f"{est.name} was fitted on {len(mask)} columns and is handed {block.type.width}")
    return Select(inputs=(block,), index=np.flatnonzero(mask), origin=ctx.where)


def _k_best(est: Record, k: object, ctx: Lowerer) -> np.ndarray:
    scores = _scores(est, ctx)
    if k == "all":
        return np.ones(len(scores), dtype=bool)
    mask = np.zeros(len(scores), dtype=bool)
    if int(k) > 0:  # type: ignore[call-overload]
        mask[np.argsort(scores, kind="mergesort")[-int(k) :]] = True  # type: ignore[call-overload]
    return mask


def _percentile(est: Record, percentile: float, ctx: Lowerer) -> np.ndarray:
    scores = _scores(est, ctx)
    if percentile in (0, 100):
        return np.full(len(scores), percentile == 100)
    threshold = np.percentile(scores, 100 - percentile)
    mask = np.asarray(scores > threshold)
    ties = np.flatnonzero(scores == threshold)
    mask[ties[: int(len(scores) * percentile / 100) - mask.sum()]] = True
    return mask


def _fpr(est: Record, alpha: float, ctx: Lowerer) -> np.ndarray:
    return np.asarray(_fitted(est, "pvalues_", ctx) < alpha)


def _fdr(est: Record, alpha: float, ctx: Lowerer) -> np.ndarray:
    chances = _fitted(est, "pvalues_", ctx)
    rising = np.sort(chances)
    below = rising[rising <= float(alpha) / len(rising) * np.arange(1, len(rising) + 1)]
    return np.asarray(chances <= below.max()) if below.size else np.zeros(len(chances), dtype=bool)


def _fwe(est: Record, alpha: float, ctx: Lowerer) -> np.ndarray:
    chances = _fitted(est, "pvalues_", ctx)
    return np.asarray(chances < alpha / len(chances))


def _scores(est: Record, ctx: Lowerer) -> np.ndarray:
    scores = _fitted(est, "scores_", ctx)
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)
    return np.where(np.isnan(scores), np.finfo(scores.dtype).min, scores)


def _fitted(est: Record, name: str, ctx: Lowerer) -> np.ndarray:
    # In its own dtype, because numpy compares it with a Python number in that.
    value = est_array(est, name, ctx)
    if value.ndim != 1:
        raise ctx.unsupported(f"{est.name}.{name} has shape {value.shape}, expected one number a column")
    return value

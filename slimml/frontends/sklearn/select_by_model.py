"""Feature selection by what a model makes of the columns: RFE, SelectFromModel, SequentialFeatureSelector."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import est_array
from slimml.frontends.sklearn.importances import importances
from slimml.frontends.sklearn.select import selected
from slimml.frontends.sklearn.trees import CRITERIA_WITH_MISSING, learns_missing
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node

_PACKAGE = "sklearn.feature_selection"
# What RFE hands on to the estimator that it ended with.
_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@lowers(*moved(f"{_PACKAGE}._rfe", "RFE", "RFECV"))
def rfe(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The columns that were left, and the answers of the estimator that reads them, which has to be supported."""
    block = selected(_support(est, ctx), est, x, ctx, checked=not takes_missing(est.estimator, ctx))
    inner = ctx.lower(est.estimator_, block, "estimator_")
    if isinstance(inner, Node):
        raise ctx.unsupported(f"{est.name} of something that does not predict is not handled")
    answers = tuple(o for o in inner.outputs if o.name in _METHODS)
    return Model((*answers, Output("transform", (block,), "matrix")), inner.classes)


@lowers(f"{_PACKAGE}._sequential.SequentialFeatureSelector")
def sequential_feature_selector(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The columns that were added, or left."""
    return selected(_support(est, ctx), est, x, ctx, checked=not takes_missing(est.estimator, ctx))


@lowers(*moved(f"{_PACKAGE}._from_model", "SelectFromModel"))
def select_from_model(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """By the `coef_` or the `feature_importances_` of linear models, trees, their ensembles and LightGBM.

    Other importances, and functions of the user's own, are refused.
    """
    judge = est.get("estimator_", est.estimator)  # a prefit one need not be fitted again
    if not isinstance(judge, Record):
        raise ctx.unsupported("the estimator of SelectFromModel is none")
    found = importances(judge, est.get("importance_getter", "auto"), ctx)  # appears in 0.24
    scores = np.abs(found) if found.ndim == 1 else np.linalg.norm(found, axis=0, ord=_order(est))
    mask = np.ones(len(scores), dtype=bool)
    if est.get("max_features") is not None:  # appears in 0.20
        mask = np.zeros(len(scores), dtype=bool)
        mask[np.argsort(-scores, kind="mergesort")[: _most(est, ctx)]] = True
    mask[scores < _threshold(est.threshold, judge, scores, ctx)] = False
    return selected(mask, est, x, ctx, checked=not takes_missing(est.estimator, ctx))


def takes_missing(est: Any, ctx: Lowerer) -> bool:
    """Whether an estimator says that it takes missing values (its tag allow_nan), so that a selector looks for none.

    Selectors ask from 0.22 on; they take no infinities before, and then all.
    """
    if not isinstance(est, Record) or ctx.version < (0, 22):
        return False
    if est.module.startswith(("xgboost.", "lightgbm.")) or est.name.startswith("HistGradientBoosting"):
        return True
    if est.module.startswith("sklearn.tree."):
        return learns_missing(est, ctx)
    if est.name.startswith(("RandomForest", "ExtraTrees")):
        since = (1, 6) if est.name.startswith("ExtraTrees") else (1, 4)
        return ctx.version >= since and (ctx.version >= (1, 9) or est.get("criterion") in CRITERIA_WITH_MISSING)
    if est.name in ("RFE", "RFECV", "SelectFromModel", "FrozenEstimator"):
        return takes_missing(est.estimator, ctx)
    return bool(est.get("metric") == "nan_euclidean")


def _support(est: Record, ctx: Lowerer) -> np.ndarray:
    mask = est_array(est, "support_", ctx)
    if mask.ndim != 1 or mask.dtype != np.bool_:
        raise ctx.unsupported(f"{est.name}.support_ of dtype {mask.dtype} and shape {mask.shape} is no mask")
    return mask


def _order(est: Record) -> float:
    return float(est.get("norm_order", 1))  # appears in 0.19


def _most(est: Record, ctx: Lowerer) -> int:
    most = est.get("max_features_", est.max_features)  # the former appears in 1.1
    if not isinstance(most, int | np.integer):
        raise ctx.unsupported("max_features that is a function, of a selector that was never fitted")
    return int(most)


def _threshold(given: Any, judge: Record, scores: np.ndarray, ctx: Lowerer) -> Any:
    """_calculate_threshold of _from_model.py; a number of the scores' dtype, or Python's."""
    if given is None:
        given = 1e-5 if _is_sparse(judge, ctx) else "mean"
    if not isinstance(given, str):
        return float(given)
    factor, _, reference = given.rpartition("*")
    if reference.strip() not in ("mean", "median"):
        raise ctx.unsupported(f"threshold={given!r:.40} is not handled")
    value = np.mean(scores) if reference.strip() == "mean" else np.median(scores)
    return float(factor.strip()) * value if factor else value


def _is_sparse(judge: Record, ctx: Lowerer) -> bool:
    """Whether coefficients were driven to zero, so that what is not zero is selected where no threshold is given."""
    if judge.get("penalty") == "l1" or "Lasso" in judge.name:
        return True
    names = {"ElasticNet": "l1_ratio", "ElasticNetCV": "l1_ratio_"}
    if ctx.version >= (1, 8):
        names |= {"LogisticRegression": "l1_ratio", "LogisticRegressionCV": "l1_ratio_"}
    share = judge.get(names.get(judge.name, ""))
    whole = share is not None and bool(np.all(np.isclose(np.asarray(share, dtype=np.float64), 1.0)))
    if whole and ctx.version < (1, 4):
        raise ctx.unsupported(f"a default threshold for {judge.name} of l1_ratio=1 before 1.4 is not handled")
    return whole

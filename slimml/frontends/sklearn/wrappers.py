"""Models that hand on what one fitted model inside of them answers: searches, frozen models, other thresholds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.sklearn.members import answer, as_type, columns, has, member
from slimml.ingest.record import Record, Symbol
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import IsPositive
from slimml.ir.ops.numeric import Multiply, Subtract

_SEARCHES = "sklearn.model_selection._search", "sklearn.grid_search"
_HALVING = "sklearn.model_selection._search_successive_halving"
_THRESHOLDS = "sklearn.model_selection._classification_threshold"

# The methods that a search hands on (_search.py, BaseSearchCV).
_SEARCHED = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
# Metrics that a threshold is tuned for, by what they take for the positive class unless they are told.
_POSITIVE: dict[str, int | None] = {
    **dict.fromkeys(("f1_score", "fbeta_score", "precision_score", "recall_score", "jaccard_score"), 1),
    **dict.fromkeys(("accuracy_score", "balanced_accuracy_score", "matthews_corrcoef", "cohen_kappa_score")),
}


@lowers(
    *(f"{m}.{c}" for m in _SEARCHES for c in ("GridSearchCV", "RandomizedSearchCV")),
    *(f"{_HALVING}.{c}" for c in ("HalvingGridSearchCV", "HalvingRandomSearchCV")),
)
def search(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The best model of the search, refitted; refused where it was not (`refit=False`)."""
    if est.get("best_estimator_") is None:
        raise ctx.unsupported(f"{est.name} without best_estimator_, as with refit=False: it cannot predict")
    best = ctx.lower(est.best_estimator_, x, "best_estimator_")
    if isinstance(best, Node):
        return best
    methods = (*_SEARCHED, "score_samples") if ctx.version >= (0, 24) else _SEARCHED
    return replace(best, outputs=tuple(o for o in best.outputs if o.name in methods))


@lowers("sklearn.frozen._frozen.FrozenEstimator")
def frozen(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any fitted model that is supported."""
    return ctx.lower(est.estimator, x, "estimator")


@lowers(
    "sklearn.semi_supervised._self_training.SelfTrainingClassifier",
)
def self_training(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any classifier that is supported."""
    ctx.check_width(est, x)
    name = "estimator_" if est.has("estimator_") else "base_estimator_"  # renamed in 1.6
    inner = member(getattr(est, name), x, name, ctx)
    return replace(inner, outputs=tuple(o for o in inner.outputs if o.name in _SEARCHED and o.name != "transform"))


@lowers(f"{_THRESHOLDS}.FixedThresholdClassifier")
def fixed_threshold(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any classifier of two classes that is supported."""
    name = "estimator_" if est.has("estimator_") else "estimator"
    return _with_threshold(est, x, name, est.threshold, est.pos_label, ctx)


@lowers(f"{_THRESHOLDS}.TunedThresholdClassifierCV")
def tuned_threshold(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any classifier of two classes that is supported, tuned for a metric whose positive class is known."""
    return _with_threshold(est, x, "estimator_", est.best_threshold_, _positive(est, ctx), ctx)


def _with_threshold(est: Record, x: Source, name: str, threshold: Any, positive: Any, ctx: Lowerer) -> Lowered:
    """The positive class where its score is the threshold or more (_threshold_scores_to_class_labels)."""
    inner = member(getattr(est, name), x, name, ctx)
    if len(inner.classes) != 1 or len(inner.classes[0]) != 2:
        raise ctx.unsupported(f"{est.name} of anything but two classes")
    classes, asked = labels(inner.classes[0], ctx), est.response_method
    method = asked if asked != "auto" else "predict_proba" if has(inner, "predict_proba") else "decision_function"
    found = [i for i, c in enumerate(classes.tolist()) if c == positive]
    if positive is not None and not found:
        raise ctx.unsupported(f"pos_label={positive!r:.40} is none of its classes")
    at = 1 if positive is None else found[0]
    score = answer(inner, method, ctx).nodes[0]
    if method == "predict_proba":
        score = columns(score, [at], ctx)
    elif at == 0:
        score = Multiply(inputs=(score,), value=np.full(1, -1, dtype=score.type.dtype), origin=ctx.where)
    if isinstance(threshold, str):
        threshold = 0.5 if method == "predict_proba" else 0.0
    choice = _reaches(score, threshold, ctx)
    order = classes[[1 - at, at]]
    others = tuple(o for o in inner.outputs if o.name in _SEARCHED and o.name not in ("predict", "transform"))
    return replace(inner, outputs=(Output("predict", (choice,), "vector", (order,)), *others))


def _reaches(score: Node, threshold: Any, ctx: Lowerer) -> Node:
    """1 where score >= threshold. A difference has the sign that it should, however it is rounded."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.integer | np.floating):
        raise ctx.unsupported(f"a threshold of {threshold!r:.40}")
    # numpy compares float32 with its own double in double, with Python's in float32.
    dtype = np.result_type(np.dtype(score.type.dtype), threshold)
    score = as_type("float32" if dtype == np.float32 else "float64", score, ctx)
    apart = Subtract(inputs=(score,), value=np.full(1, threshold, dtype=dtype), origin=ctx.where)
    return IsPositive(inputs=(apart,), or_zero=True, origin=ctx.where)


def _positive(est: Record, ctx: Lowerer) -> Any:
    """The positive class of the metric that the threshold was tuned for; None for the second class."""
    scorer = est.get("_curve_scorer")
    if not isinstance(scorer, Record):
        raise ctx.unsupported("the metric that the threshold was tuned for is not in the file")
    given, metric = scorer.get("_kwargs") or {}, scorer.get("_score_func")
    if isinstance(given, dict) and "pos_label" in given:
        return given["pos_label"]
    if not isinstance(metric, Symbol) or metric.name not in _POSITIVE or not metric.module.startswith("sklearn."):
        raise ctx.unsupported(f"a threshold tuned for {metric!r:.80}, whose positive class is not known")
    return _POSITIVE[metric.name]

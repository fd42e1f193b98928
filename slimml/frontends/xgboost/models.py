"""XGBClassifier, XGBRegressor, XGBRanker, their random forests, and Boosters."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.xgboost.margin import margin
from slimml.ingest.record import Record
from slimml.ingest.xgboost.model import PARSED, BoosterModel
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.heads import ArgMax, Complement, Exp, IsPositive, Sigmoid, Softmax
from slimml.ir.ops.numeric import Clip, Subtract

_LOGISTIC = ("reg:logistic", "binary:logistic")
_EXPONENTIAL = ("reg:gamma", "reg:tweedie", "count:poisson", "survival:cox", "survival:aft")
_IDENTITY = (
    *("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"),
    *("reg:quantileerror", "binary:logitraw", "rank:pairwise", "rank:ndcg", "rank:map"),
)
# Sigmoid of common/math.h clips what goes into expf.
_STEEPEST = 88.7


@lowers("xgboost.core.Booster")
def booster(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Booster.predict(DMatrix(X)): every tree, whatever round was best."""
    model = _parsed(est, ctx)
    total = margin(model, x, ctx, missing=float("nan"), best=None, in_place=False)
    return _predicted(_linked(model, total, ctx))


@lowers("xgboost.sklearn.XGBRegressor", "xgboost.sklearn.XGBRFRegressor", "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBModel")  # fmt: skip
def regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every booster, early stopping, categories and any `missing`; objectives that are not known are refused."""
    model = _parsed(est._Booster, ctx)
    return _predicted(_linked(model, _margin(est, model, x, ctx), ctx))


@lowers("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRFClassifier")
def classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every booster, early stopping, categories and any `missing`; several labels a row."""
    model = _parsed(est._Booster, ctx)
    total = _margin(est, model, x, ctx)
    table = _classes(est, model, ctx)
    if model.objective.startswith("multi:") and len(table) != 2:
        chance: Node = Softmax(inputs=(total,), origin=ctx.where)
        # multi:softmax votes on the margins and answers the votes as int32.
        votes = total if model.objective == "multi:softmax" else chance
        given = table.astype(np.int32) if model.objective == "multi:softmax" and est.get("_le") is None else table
        choice = ArgMax(inputs=(votes,), origin=ctx.where)
        return _classified(choice, given, chance, table)
    if model.objective.startswith("multi:"):
        raise ctx.unsupported(f"{model.objective} with two classes")
    value = _linked(model, total, ctx)
    half = np.full(value.type.width, 0.5, dtype=np.float32)
    above = Subtract(inputs=(value,), value=half, origin=ctx.where)
    choice_of_two = IsPositive(inputs=(above,), origin=ctx.where)
    if value.type.width == 1:
        if len(table) == 1 and est.get("_le") is None:
            # Of a single class the original still answers which side of one half a row is on.
            return _classified(choice_of_two, np.arange(2), Complement(inputs=(value,), origin=ctx.where), table)
        if len(table) != 2:
            raise ctx.unsupported(f"a single sum for {len(table)} classes")
        return _classified(choice_of_two, table, Complement(inputs=(value,), origin=ctx.where), table)
    # Several labels a row: a matrix of 0.0 and 1.0, and the chance of each.
    flags = Cast(inputs=(choice_of_two,), dtype="float64", origin=ctx.where)
    return Model((Output("predict", (flags,), "matrix"), Output("predict_proba", (value,), "matrix")), (table,))


def _classified(choice: Node, given: np.ndarray, chance: Node, table: np.ndarray) -> Model:
    outputs = (Output("predict", (choice,), "vector", (given,)), Output("predict_proba", (chance,), "matrix"))
    return Model(outputs, (table,))


def _predicted(value: Node) -> Model:
    return Model((Output("predict", (value,), "vector" if value.type.width == 1 else "matrix"),))


def _parsed(est: Any, ctx: Lowerer) -> BoosterModel:
    model = est.get(PARSED) if isinstance(est, Record) and est.path == "xgboost.core.Booster" else None
    if not isinstance(model, BoosterModel):
        raise ctx.unsupported("a Booster without its model")
    return model


def _margin(est: Record, model: BoosterModel, x: Source, ctx: Lowerer) -> Node:
    missing = est.get("missing", float("nan"))
    missing = float("nan") if missing is None else missing
    if not isinstance(missing, int | float | np.number):
        raise ctx.unsupported(f"missing={missing!r:.60} is not handled")
    linear = model.booster == "gblinear"
    # Before 1.6 the best round was an attribute of the object, set by every training.
    best = model.best if model.best is not None else est._Booster.get("best_iteration")
    best = int(best) if isinstance(best, int | np.integer) else None
    return margin(model, x, ctx, missing=float(missing), best=best, in_place=not linear)


def _linked(model: BoosterModel, total: Node, ctx: Lowerer) -> Node:
    """PredTransform of the objectives: what `predict` makes of the sums, float32."""
    name = model.objective
    if name in _LOGISTIC:
        clipped = Clip(inputs=(total,), low=-_STEEPEST, high=float("inf"), origin=ctx.where)
        return Sigmoid(inputs=(clipped,), origin=ctx.where)
    if name in _EXPONENTIAL:
        return Exp(inputs=(total,), origin=ctx.where)
    if name == "binary:hinge":
        return Cast(inputs=(IsPositive(inputs=(total,), origin=ctx.where),), dtype="float32", origin=ctx.where)
    if name == "multi:softprob":
        return Softmax(inputs=(total,), origin=ctx.where)
    if name == "multi:softmax":
        return Cast(inputs=(ArgMax(inputs=(total,), origin=ctx.where),), dtype="float32", origin=ctx.where)
    if name not in _IDENTITY:
        raise ctx.unsupported(f"objective={name!r} is not handled")
    return total


def _classes(est: Record, model: BoosterModel, ctx: Lowerer) -> np.ndarray:
    """0, 1, ...; before 1.6 a label encoder kept the user's own labels."""
    encoder = est.get("_le")
    own = encoder.get("classes_") if isinstance(encoder, Record) else est.get("classes_")
    if own is not None:
        return labels(own, ctx)
    count = est.get("n_classes_")
    if not isinstance(count, int | np.integer) or not 0 < int(count) < 1 << 24:
        raise ctx.unsupported("a classifier that does not say how many classes it has")
    return np.arange(int(count))

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
from slimml.ir.ops.numeric import Clip, Guard, Subtract

_LOGISTIC = ("reg:logistic", "binary:logistic")
_EXPONENTIAL = ("reg:gamma", "reg:tweedie", "count:poisson", "survival:cox", "survival:aft")
_IDENTITY = (
    *("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"),
    *("reg:quantileerror", "binary:logitraw", "rank:pairwise", "rank:ndcg", "rank:map"),
)
# From 1.6 on Sigmoid of common/math.h clips what goes into expf.
_FIRST_CLAMP, _STEEPEST = (1, 6), 88.7
# sklearn.py. 1.4: inplace_predict, and the best round in place of the first `best_ntree_limit` trees of each output;
# 1.6: several labels a row, and multi:softmax is left to be that; 2.0: no `predictor` any more.
_FIRST_IN_PLACE, _FIRST_SEVERAL_LABELS, _FIRST_WITHOUT_PREDICTOR = (1, 4), (1, 6), (2,)


@lowers("xgboost.core.Booster")
def booster(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Booster.predict(DMatrix(X)): every tree, whatever round was best."""
    model = _parsed(est, ctx)
    total = margin(model, x, ctx, missing=float("nan"))
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
    table, given = _classes(est, ctx)
    if model.objective.startswith("multi:"):
        return _of_softmax(model, total, table, given, ctx)
    value = _linked(model, total, ctx)
    if value.type.width > 1:
        return _several_labels(value, table, ctx)
    choice = _above_half(value, ctx)
    if len(table) == 1:
        # Of a single class the original still answers which side of one half a row is on.
        if len(given) == 1:
            choice = _above_half(_at_most_half(value, ctx), ctx)
            given = np.resize(given, 2)
        else:
            given = np.arange(2)
    elif len(table) != 2:
        raise ctx.unsupported(f"a single sum for {len(table)} classes")
    return _classified(choice, given, Complement(inputs=(value,), origin=ctx.where), table)


def _of_softmax(model: BoosterModel, total: Node, table: np.ndarray, given: np.ndarray, ctx: Lowerer) -> Model:
    """One sum for each class."""
    chance: Node = Softmax(inputs=(total,), origin=ctx.where)
    votes = chance
    if model.objective == "multi:softmax":
        # Before 1.6 every fit made multi:softprob of it.
        if len(table) == 2 or model.version < _FIRST_SEVERAL_LABELS:
            raise ctx.unsupported("multi:softmax with two classes, or of a classifier before XGBoost 1.6")
        # It votes on the margins, and answers the votes as int32.
        votes, given = total, given.astype(np.int32)
    elif len(table) == 2 and model.version >= _FIRST_SEVERAL_LABELS:
        return _several_labels(chance, table, ctx)  # which it takes two columns for
    return _classified(ArgMax(inputs=(votes,), origin=ctx.where), given, chance, table)


def _several_labels(value: Node, table: np.ndarray, ctx: Lowerer) -> Model:
    """A matrix of 0.0 and 1.0, and the chance of each."""
    flags = Cast(inputs=(_above_half(value, ctx),), dtype="float64", origin=ctx.where)
    return Model((Output("predict", (flags,), "matrix"), Output("predict_proba", (value,), "matrix")), (table,))


def _above_half(value: Node, ctx: Lowerer) -> Node:
    half = np.full(value.type.width, 0.5, dtype=np.float32)
    above = Subtract(inputs=(value,), value=half, origin=ctx.where)
    return IsPositive(inputs=(above,), origin=ctx.where)


def _at_most_half(value: Node, ctx: Lowerer) -> Node:
    """A label encoder that knows one class has no name for another (ValueError of its inverse_transform)."""
    low, high, missing = np.full(1, -np.inf), np.full(1, 0.5), np.ones(1, dtype=bool)
    return Guard(inputs=(value,), low=low, high=high, missing=missing, origin=ctx.where)


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
    in_place = model.version >= _FIRST_IN_PLACE and model.booster != "gblinear"
    if model.version < _FIRST_WITHOUT_PREDICTOR:
        # A predictor that the user chose went by way of a DMatrix.
        in_place = in_place and est.get("predictor") in (None, "auto")
    return margin(model, x, ctx, missing=float(missing), count=_tree_count(est, model, ctx), in_place=in_place)


def _tree_count(est: Record, model: BoosterModel, ctx: Lowerer) -> int | None:
    """How many trees answer: those up to the best round of early stopping, which every face but one stops at."""
    if model.version < _FIRST_IN_PLACE:
        limit = est.get("best_ntree_limit") if est.name != "XGBRanker" else None
        if limit is None:
            return None
        if model.booster == "gblinear":
            raise ctx.unsupported("gblinear that stopped early, of XGBoost before 1.4, which raises when it predicts")
        if not isinstance(limit, int | np.integer) or limit < 0:
            raise ctx.unsupported(f"best_ntree_limit={limit!r:.60}")
        return int(limit) * model.outputs or None  # 0: all of them
    # Before 2.0 the best round was an attribute of the object, set by every training.
    best = est._Booster.get("best_iteration", model.best)
    if not isinstance(best, int | np.integer) or best < 0:
        return None
    return int(model.rounds[min(int(best) + 1, len(model.rounds) - 1)])


def _linked(model: BoosterModel, total: Node, ctx: Lowerer) -> Node:
    """PredTransform of the objectives: what `predict` makes of the sums, float32."""
    name = model.objective
    if name in _LOGISTIC:
        if model.version >= _FIRST_CLAMP:
            total = Clip(inputs=(total,), low=-_STEEPEST, high=float("inf"), origin=ctx.where)
        return Sigmoid(inputs=(total,), origin=ctx.where)
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


def _classes(est: Record, ctx: Lowerer) -> tuple[np.ndarray, np.ndarray]:
    """`classes_`, and the labels that `predict` answers: 0, 1, ..., or (before 1.6) the user's own of an encoder."""
    encoder, own = est.get("_le"), est.get("classes_")
    if isinstance(encoder, Record):
        given = labels(encoder.get("classes_"), ctx)
        return given, given
    count = est.get("n_classes_") if own is None else len(own)
    if not isinstance(count, int | np.integer) or not 0 < int(count) < 1 << 24:
        raise ctx.unsupported("a classifier that does not say how many classes it has")
    given = np.arange(int(count))
    return given if own is None else labels(own, ctx), given

"""Calibrated classifiers, and the isotonic regression that calibrates some of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.fields import est_array, labels, vector
from slimml.frontends.sklearn.linear import classifier
from slimml.frontends.sklearn.members import answer, as_type, beside, columns, has, member
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Constant
from slimml.ir.ops.heads import ArgMax, Complement, Log, NormalizeRows, ShareGuard, Sigmoid, Softmax
from slimml.ir.ops.lines import Interpolate
from slimml.ir.ops.numeric import Add, Clip, Divide, Guard, Multiply, Sum

# What temperature scaling adds to a probability, so that it has a logarithm (_convert_to_logits).
_LEAST = 1e-12
_ISOTONIC = "sklearn.isotonic.IsotonicRegression"
_SIGMOID = "sklearn.calibration._SigmoidCalibration"
_TEMPERATURE = "sklearn.calibration._TemperatureScaling"


@lowers("sklearn.calibration.CalibratedClassifierCV")
def calibrated_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Sigmoid, isotonic and temperature, ensembles or one, prefit and frozen, of any classifier that is supported."""
    ctx.check_width(est, x)
    classes = labels(est.classes_, ctx)
    parts = [_shares(c, i, x, classes, ctx) for i, c in enumerate(est.calibrated_classifiers_)]
    if not parts:
        raise ctx.unsupported("no calibrated classifier in it")
    total = Sum(inputs=tuple(parts), origin=ctx.where)
    mean = Divide(inputs=(total,), value=np.full(len(classes), float(len(parts))), origin=ctx.where)
    return classifier(classes, None, ArgMax(inputs=(mean,), origin=ctx.where), mean, log=False)


@lowers("sklearn.isotonic.IsotonicRegression", vector=True)
def isotonic_regression(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Rising and falling, with every `out_of_bounds`, of one column: a 1-D array or a list of values is many rows."""
    block = ctx.floats(x, narrow=True)
    if block.type.width != 1:
        raise ctx.unsupported(f"{est.name} of {block.type.width} columns")
    value = isotonic(est, block, ctx)
    return Model((Output("predict", (value,), "vector"), Output("transform", (value,), "vector")))


def isotonic(est: Record, block: Node, ctx: Lowerer) -> Node:
    """The line through the thresholds, in their dtype (isotonic.py, _transform)."""
    names = ("X_thresholds_", "y_thresholds_") if ctx.version >= (0, 24) else ("_necessary_X_", "_necessary_y_")
    dtype = np.asarray(getattr(est, names[0])).dtype
    if dtype not in (np.float32, np.float64):
        raise ctx.unsupported(f"thresholds of {dtype}")
    xs, ys = (vector(est, name, ctx).astype(dtype) for name in names)
    block = as_type("float32" if dtype == np.float32 else "float64", block, ctx)
    beyond = est.out_of_bounds
    if beyond not in ("clip", "nan", "raise") or not len(xs):
        raise ctx.unsupported(f"out_of_bounds={beyond!r:.40} with {len(xs)} thresholds")
    if ctx.version >= (0, 20):  # before, as_float_array let NaN pass
        block = ctx.guard(block, "all")
    if beyond == "raise" and len(xs) > 1:
        low, high = xs[:1].astype(np.float64), xs[-1:].astype(np.float64)
        block = Guard(inputs=(block,), low=low, high=high, missing=np.ones(1, dtype=bool), origin=ctx.where)
    return Interpolate(
        inputs=(block,),
        xs=xs,
        ys=ys,
        offsets=np.array([0, len(xs)]),
        beyond="missing" if beyond == "nan" and len(xs) > 1 else "ends",
        origin=ctx.where,
    )


# ------------------------------------------------------------------------------------------------- one of the ensemble


def _shares(part: Any, index: int, x: Source, classes: np.ndarray, ctx: Lowerer) -> Node:
    """The probabilities of one calibrated classifier, (n, classes) in float64 (_CalibratedClassifier.predict_proba)."""
    if not isinstance(part, Record) or part.path != "sklearn.calibration._CalibratedClassifier":
        raise ctx.unsupported("one of its calibrated classifiers is none")
    name = "estimator" if part.has("estimator") else "base_estimator"  # renamed in 1.2
    inner = member(getattr(part, name), x, f"calibrated_classifiers_[{index}]", ctx)
    method = "decision_function" if has(inner, "decision_function") else "predict_proba"
    scores = answer(inner, method, ctx).nodes[0]
    if method == "predict_proba" and len(classes) == 2:
        scores = columns(scores, [1], ctx)
    calibrators = list(part.calibrators if part.has("calibrators") else part.calibrators_)  # renamed in 0.24
    if part.method == "temperature":
        return _cooled(scores, method, calibrators, len(classes), ctx)
    if ctx.version >= (1, 10) and method == "predict_proba":
        raise ctx.unsupported("probabilities that scikit-learn 1.10 turns into logits before it calibrates them")
    known = [int(np.flatnonzero(classes == c)[0]) for c in _classes(inner, classes, ctx)]
    places = [1] if len(classes) == 2 else known
    made = {}
    for at, column, calibrator in zip(places, range(scores.type.width), calibrators, strict=False):
        made[at] = _curve(part.method, calibrator, columns(scores, [column], ctx), ctx)
    if len(classes) == 2:
        return _both(made[1], part.method, ctx)
    none = Constant(inputs=(scores,), value=np.zeros(1), origin=ctx.where)
    block = beside([made.get(k, none) for k in range(len(classes))], ctx)
    return NormalizeRows(inputs=(block,), origin=ctx.where)


def _classes(inner: Model, classes: np.ndarray, ctx: Lowerer) -> np.ndarray:
    """The classes that a member was fitted on: all of the ensemble's, or those that its part of the rows had."""
    own = inner.classes[0] if len(inner.classes) == 1 else np.zeros(0)
    whole = len(own) == len(classes) or len(own) > 2
    if not whole or not np.isin(own, classes).all():
        raise ctx.unsupported(f"a member that knows {len(own)} of its {len(classes)} classes")
    return own


def _curve(method: str, calibrator: Any, score: Node, ctx: Lowerer) -> Node:
    """What a calibrator makes of one column of scores, in float64."""
    if method == "isotonic" and isinstance(calibrator, Record) and calibrator.path == _ISOTONIC:
        return as_type("float64", isotonic(calibrator, score, ctx), ctx)
    if method != "sigmoid" or not isinstance(calibrator, Record) or calibrator.path != _SIGMOID:
        raise ctx.unsupported(f"calibration by {method!r:.40} with {calibrator!r:.60}")
    if score.type.dtype == "float32" and ctx.version < (1, 4):
        raise ctx.unsupported("scores in float32, which this release under numpy 1 calibrated in float32")
    slope, shift = (est_array(calibrator, n, ctx).astype(np.float64).reshape(1) for n in ("a_", "b_"))
    # -(a t + b) to the last bit: signs move through roundings.
    steep = Multiply(inputs=(as_type("float64", score, ctx),), value=-slope, origin=ctx.where)
    return Sigmoid(inputs=(Add(inputs=(steep,), value=-shift, origin=ctx.where),), origin=ctx.where)


def _both(chance: Node, method: str, ctx: Lowerer) -> Node:
    """(1 - p, p); a line between two points may exceed 1 by a rounding, which the original takes back."""
    both = Complement(inputs=(chance,), origin=ctx.where)
    return Clip(inputs=(both,), low=-np.inf, high=1.0, origin=ctx.where) if method == "isotonic" else both


def _cooled(scores: Node, method: str, calibrators: list[Any], classes: int, ctx: Lowerer) -> Node:
    """softmax(beta * logits) (_TemperatureScaling.predict, since 1.8).

    The original takes a batch of several columns for probabilities where in every row they lie between 0 and 1 and add
    up to 1, whatever method they came of. Here they are what they are asked for as, and a row that would part from
    the others is refused: what the original makes of it depends on the rows beside it.
    """
    if len(calibrators) != 1 or not isinstance(calibrators[0], Record) or calibrators[0].path != _TEMPERATURE:
        raise ctx.unsupported("temperature scaling without its temperature")
    if scores.type.dtype != "float64":
        raise ctx.unsupported("temperature scaling of scores in float32 is not handled")
    scores = ctx.guard(scores, "all")
    if method == "predict_proba":
        both: Node = Complement(inputs=(scores,), origin=ctx.where) if scores.type.width == 1 else scores
        both = ShareGuard(inputs=(both,), shares=True, origin=ctx.where)
        lifted = Add(inputs=(both,), value=np.full(both.type.width, _LEAST), origin=ctx.where)
        logits: Node = Log(inputs=(lifted,), origin=ctx.where)
    else:
        logits = scores
        if scores.type.width == 1:
            logits = beside([Multiply(inputs=(scores,), value=np.array([-1.0]), origin=ctx.where), scores], ctx)
        else:
            logits = ShareGuard(inputs=(scores,), shares=False, origin=ctx.where)
    if logits.type.width != classes:
        raise ctx.unsupported(f"{logits.type.width} scores of {classes} classes")
    beta = np.full(classes, est_array(calibrators[0], "beta_", ctx).astype(np.float64))
    return Softmax(inputs=(Multiply(inputs=(logits,), value=beta, origin=ctx.where),), origin=ctx.where)

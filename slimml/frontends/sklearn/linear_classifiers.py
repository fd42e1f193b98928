"""Linear classifiers that are fitted otherwise than by a logistic loss: SGD, perceptrons, ridge."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers, moved
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.sklearn.linear import classifier, linear
from slimml.frontends.sklearn.members import beside, columns
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Complement, IsPositive, NormalizeRows, Sigmoid
from slimml.ir.ops.numeric import Add, Clip, Divide, Guard


@lowers(
    *moved("sklearn.linear_model._stochastic_gradient", "SGDClassifier"),
    *moved("sklearn.linear_model._perceptron", "Perceptron"),
    *moved("sklearn.linear_model._passive_aggressive", "PassiveAggressiveClassifier"),
)
def sgd_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every loss; probabilities of those that have them."""
    classes = labels(est.classes_, ctx)
    decision = linear(est, x, ctx)
    return classifier(classes, decision, choice(decision, classes, ctx), _probability(est, decision, ctx))


@lowers(*moved("sklearn.linear_model._ridge", "RidgeClassifier", "RidgeClassifierCV"))
def ridge_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Two and more classes, several labels a row."""
    binarizer = est.get("_label_binarizer")
    if not isinstance(binarizer, Record):
        raise ctx.unsupported(f"{est.name} without the label binarizer that it was fitted with")
    classes = labels(binarizer.classes_, ctx)
    decision = linear(est, x, ctx)
    # Before 1.0 the largest was chosen of several labels, too (_RidgeClassifierMixin.predict appears).
    if str(binarizer.get("y_type_")).startswith("multilabel") and ctx.version >= (1, 0):
        if decision.type.width != len(classes):
            raise ctx.unsupported(f"{decision.type.width} rows of coef_ for {len(classes)} labels")
        each = [IsPositive(inputs=(columns(decision, [i], ctx),), origin=ctx.where) for i in range(len(classes))]
        predict = Output("predict", (beside(each, ctx),), "matrix")
        return Model((predict, Output("decision_function", (decision,), "matrix")), (classes,))
    return classifier(classes, decision, choice(decision, classes, ctx), None)


def choice(decision: Node, classes: np.ndarray, ctx: Lowerer) -> Node:
    """The position of the class, as LinearClassifierMixin.predict chooses it."""
    width = decision.type.width
    if width == len(classes) == 1:  # the original has no second class to take, and raises where it would
        least, most, missing = np.full(1, -np.inf), np.zeros(1), np.ones(1, dtype=bool)
        only = Guard(inputs=(decision,), low=least, high=most, missing=missing, origin=ctx.where)
        return ArgMax(inputs=(only,), origin=ctx.where)
    if width != (1 if len(classes) == 2 else len(classes)):
        raise ctx.unsupported(f"{width} rows of coef_ for {len(classes)} classes")
    return (IsPositive if width == 1 else ArgMax)(inputs=(decision,), origin=ctx.where)


def _probability(est: Record, decision: Node, ctx: Lowerer) -> Node | None:
    """What predict_proba answers; None for the losses that have none. ("log" is the name before 1.1.)"""
    loss, binary = est.get("loss"), decision.type.width == 1
    if loss not in ("log_loss", "log", "modified_huber") or est.name != "SGDClassifier":
        return None
    if loss != "modified_huber":
        chance: Node = Sigmoid(inputs=(decision,), origin=ctx.where)
    else:
        ones = np.ones(decision.type.width, dtype=decision.type.dtype)
        clipped = Clip(inputs=(decision,), low=-1.0, high=1.0, origin=ctx.where)
        raised = Add(inputs=(clipped,), value=ones, origin=ctx.where)
        chance = Divide(inputs=(raised,), value=2 * ones, origin=ctx.where)
    return (Complement if binary else NormalizeRows)(inputs=(chance,), origin=ctx.where)

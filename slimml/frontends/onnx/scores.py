"""From the sums of a model to labels and probabilities, as ONNX Runtime's ai.onnx.ml operators have it."""

from __future__ import annotations

import numpy as np

from slimml.frontends.onnx.values import Step, Tensor
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.heads import ArgMax, Complement, IsPositive, Sigmoid, Softmax
from slimml.ir.ops.numeric import Add, Clip, FillMissing, Multiply, Subtract, Sum

_TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX")


def class_table(step: Step, integers: str) -> np.ndarray:
    """The labels of a classifier: int64, or strings."""
    whole, words = step.numbers(integers, "i"), step.strings("classlabels_strings")
    if (whole is None or not len(whole)) == (not words):
        raise step.unsupported("its labels are neither all integers nor all strings")
    table = np.array(words, dtype=str) if words else np.asarray(whole)
    if len(set(table.tolist())) < len(table):
        raise step.unsupported("two classes have one label")
    return table


def transform_of(step: Step) -> str:
    """The name of what is done with the sums."""
    name = step.word("post_transform", "NONE")
    if name not in _TRANSFORMS:
        raise step.unsupported(f"post_transform {name!r:.40} is not handled")
    return name


def transformed(scores: Node, name: str, origin: str) -> Node:
    """The sums of one column each, after the function of that name."""
    if name == "LOGISTIC":
        return logistic(scores, origin)
    if name == "SOFTMAX":
        return Softmax(inputs=(scores,), origin=origin)
    return scores


def logistic(x: Node, origin: str) -> Node:
    """v = 1 / (1 + exp(-|x|)) where x is not negative, else 1 - v, which keeps fewer digits than 1 / (1 + exp(-x)).

    (ComputeLogistic in onnxruntime/core/providers/cpu/ml/ml_common.h; so does Sigmoid in double, and in float32 it adds
    something to 1/2.) One of the two sides is 1/2, so that the
    differences and the sum below are exact.
    """
    dtype, width = np.dtype(x.type.dtype), x.type.width
    minus, half = np.full(width, -1, dtype), np.full(width, 0.5, dtype)
    above = Sigmoid(inputs=(Clip(inputs=(x,), low=0.0, high=np.inf, origin=origin),), origin=origin)
    turned = Clip(inputs=(Multiply(inputs=(x,), value=minus, origin=origin),), low=0.0, high=np.inf, origin=origin)
    below = Multiply(inputs=(Sigmoid(inputs=(turned,), origin=origin),), value=minus, origin=origin)
    return Sum(inputs=(above, Add(inputs=(below,), value=half, origin=origin)), origin=origin)


def by_largest(scores: Node, table: np.ndarray, name: str, origin: str) -> tuple[Tensor, Tensor]:
    """A sum for each class: the label of the largest."""
    label = Tensor(largest(scores, origin), 1, table)
    return label, Tensor(transformed(scores, name, origin))


def largest(scores: Node, origin: str) -> Node:
    """The first column that is larger than all before it.

    What is no number is never larger, and nothing is larger than it where it comes first.
    """
    compared = scores
    if any(d.missing for d in scores.type.domains):
        fill = (np.inf, *[-np.inf] * (scores.type.width - 1))
        compared = FillMissing(inputs=(scores,), sentinel=float("nan"), fill=fill, origin=origin)
    return ArgMax(inputs=(compared,), origin=origin)


def by_sign(score: Node, table: np.ndarray, name: str, share: bool, origin: str) -> tuple[Tensor, Tensor]:
    """One sum for two classes. `share`: it is the chance of the second class; else its sign tells."""
    if share:
        half = np.full(1, 0.5, dtype=score.type.dtype)
        above = Subtract(inputs=(score,), value=half, origin=origin)
        label = Tensor(IsPositive(inputs=(above,), origin=origin), 1, table)
        return label, Tensor(Complement(inputs=(score,), origin=origin))
    label = Tensor(IsPositive(inputs=(score,), origin=origin), 1, table)
    minus = Multiply(inputs=(score,), value=np.full(1, -1, dtype=score.type.dtype), origin=origin)
    return label, Tensor(transformed(Concat(inputs=(minus, score), origin=origin), name, origin))

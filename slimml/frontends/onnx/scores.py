"""From the sums of a model to labels and probabilities, as ONNX Runtime's ai.onnx.ml operators have it."""

from __future__ import annotations

import numpy as np

from slimml.frontends.onnx.values import Step, Tensor
from slimml.ir.node import Node
from slimml.ir.ops.columns import Concat
from slimml.ir.ops.heads import ArgMax, Complement, IsPositive, Sigmoid, Softmax
from slimml.ir.ops.numeric import Multiply, Subtract

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
        return Sigmoid(inputs=(scores,), origin=origin)
    if name == "SOFTMAX":
        return Softmax(inputs=(scores,), origin=origin)
    return scores


def by_largest(scores: Node, table: np.ndarray, name: str, origin: str) -> tuple[Tensor, Tensor]:
    """A sum for each class: the label of the first that is largest."""
    label = Tensor(ArgMax(inputs=(scores,), origin=origin), 1, table)
    return label, Tensor(transformed(scores, name, origin))


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

"""Multi-layer perceptrons."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.arithmetic import product
from slimml.frontends.sklearn.fields import labels
from slimml.frontends.sklearn.linear import classifier
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import ArgMax, Complement, Exp, IsPositive, Log, Sigmoid, Softmax, Tanh
from slimml.ir.ops.numeric import Clip, Subtract
from slimml.schema import ZERO

_ACTIVATIONS = {"logistic": Sigmoid, "tanh": Tanh, "softmax": Softmax, "exp": Exp}


@lowers("sklearn.neural_network._multilayer_perceptron.MLPRegressor",
        "sklearn.neural_network.multilayer_perceptron.MLPRegressor")  # fmt: skip
def mlp_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every activation, one and several targets."""
    out = _forward(est, x, ctx)
    return Model((Output("predict", (out,), "vector" if out.type.width == 1 else "matrix"),))


@lowers("sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.neural_network.multilayer_perceptron.MLPClassifier")  # fmt: skip
def mlp_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every activation; two and more classes, several labels a row."""
    out = _forward(est, x, ctx)
    binarizer = est.get("_label_binarizer")
    kind = binarizer.get("y_type_") if isinstance(binarizer, Record) else None
    classes = labels(est.classes_, ctx)
    if kind == "multilabel-indicator":
        return _multilabel(out, classes, ctx)
    if kind == "multiclass" and out.type.width == len(classes) > 1:
        return classifier(classes, None, ArgMax(inputs=(out,), origin=ctx.where), out)
    if kind == "binary" and out.type.width == 1 and len(classes) == 2:
        chance = Complement(inputs=(out,), origin=ctx.where)
        return classifier(classes, None, _above_half(out, ctx), chance)
    raise ctx.unsupported(f"{out.type.width} outputs for {len(classes)} classes of a target that is {kind!r:.40}")


def _multilabel(out: Node, classes: np.ndarray, ctx: Lowerer) -> Model:
    off_on = np.array([0, 1])
    return Model(
        (
            Output("predict", (_above_half(out, ctx),), "matrix", (off_on,) * out.type.width),
            Output("predict_proba", (out,), "matrix"),
            Output("predict_log_proba", (Log(inputs=(out,), origin=ctx.where),), "matrix"),
        ),
        (classes,),
    )


def _above_half(out: Node, ctx: Lowerer) -> Node:
    """out > 0.5: what is taken away is exact near 0.5 and keeps the sign elsewhere."""
    half = Subtract(inputs=(out,), value=np.full(out.type.width, 0.5, dtype=out.type.dtype), origin=ctx.where)
    return IsPositive(inputs=(half,), origin=ctx.where)


def _forward(est: Record, x: Source, ctx: Lowerer) -> Node:
    """MLP's _forward_pass_fast."""
    ctx.check_width(est, x)
    out = ctx.floats(x, finite="all", csr=True, sparse=ZERO, narrow=True)
    layers = list(zip(_matrices(est, "coefs_", 2, ctx), _matrices(est, "intercepts_", 1, ctx), strict=True))
    for i, (weights, bias) in enumerate(layers):
        if weights.shape != (out.type.width, len(bias)):
            raise ctx.unsupported(f"layer {i} has weights {weights.shape} for {out.type.width} columns")
        out = product(out, weights.T, bias, ctx)
        out = _activated(out, est.out_activation_ if i == len(layers) - 1 else est.activation, ctx)
    return out


def _matrices(est: Record, name: str, ndim: int, ctx: Lowerer) -> list[np.ndarray]:
    value: Any = getattr(est, name)
    arrays = [np.asarray(a) for a in value] if isinstance(value, list | tuple) else []
    if not arrays or any(a.ndim != ndim or a.dtype.kind != "f" for a in arrays):
        raise ctx.unsupported(f"{est.name}.{name} is no list of arrays of {ndim} dimensions")
    if len(arrays) != int(est.n_layers_) - 1:
        raise ctx.unsupported(f"{est.name}.{name} has {len(arrays)} arrays for {est.n_layers_} layers")
    return [a.astype(np.float32 if a.dtype == np.float32 else np.float64) for a in arrays]


def _activated(x: Node, name: Any, ctx: Lowerer) -> Node:
    if name == "identity":
        return x
    if name == "relu":
        return Clip(inputs=(x,), low=0.0, high=np.inf, origin=ctx.where)
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise ctx.unsupported(f"the activation {name!r:.40}")
    return _ACTIVATIONS[name](inputs=(x,), origin=ctx.where)

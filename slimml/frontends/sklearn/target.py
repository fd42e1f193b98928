"""Regressors of a transformed target, whose answers are transformed back."""

from __future__ import annotations

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.members import answer, encoded, member
from slimml.ingest.record import Record
from slimml.ir.graph import Output


@lowers("sklearn.compose._target.TransformedTargetRegressor")
def transformed_target_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Any regressor that is supported; of transformers the scalers, PowerTransformer, QuantileTransformer, numpy's
    functions and pipelines of them.
    """
    inner = member(est.regressor_, x, "regressor_", ctx)
    value = ctx.inverse(est.transformer_, encoded(answer(inner, "predict", ctx), ctx), "transformer_")
    flat = int(est.get("_training_dim", 1)) == 1 and value.type.width == 1
    return Model((Output("predict", (value,), "vector" if flat else "matrix"),))

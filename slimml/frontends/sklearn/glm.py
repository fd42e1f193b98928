"""Generalized linear models: a product, then the inverse of the link."""

from __future__ import annotations

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.linear import linear
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.heads import Exp


@lowers("sklearn.linear_model._glm.glm.PoissonRegressor", "sklearn.linear_model._glm.glm.GammaRegressor")
def log_link(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """The exponential of one product."""
    return _regressor(Exp(inputs=(linear(est, x, ctx),), origin=ctx.where))


@lowers("sklearn.linear_model._glm.glm.TweedieRegressor")
def tweedie_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every power, with the identity and the log as links."""
    link = est.get("link", "auto")
    if link == "auto":  # TweedieRegressor._get_loss: the normal distribution alone keeps the identity
        link = "identity" if float(est.get("power", 0.0)) <= 0 else "log"
    if link not in ("identity", "log"):
        raise ctx.unsupported(f"link={link!r:.40} is not handled")
    if link == "identity":
        return _regressor(linear(est, x, ctx))
    return log_link(est, x, ctx)


def _regressor(value: Node) -> Model:
    return Model((Output("predict", (value,), "vector"),))

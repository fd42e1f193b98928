"""Models that say the same of every row."""

from __future__ import annotations

import numpy as np

from slimml.frontends.lowerer import Lowered, Lowerer, Model, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.compose import as_block
from slimml.frontends.sklearn.fields import est_array, labels
from slimml.frontends.sklearn.members import as_type
from slimml.ingest.record import Record
from slimml.ir.graph import Output
from slimml.ir.node import Node
from slimml.ir.ops.columns import Constant
from slimml.ir.ops.heads import Log
from slimml.ir.types import DType
from slimml.schema import ZERO


@lowers("sklearn.dummy.DummyClassifier")
def dummy_classifier(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Strategies most_frequent, prior and constant, of one target or several; those that draw lots are refused."""
    strategy = est.get("_strategy", est.strategy)  # kept apart from 0.22 to 1.x, where "warn" stood for a default
    if strategy not in ("most_frequent", "prior", "constant") or est.get("sparse_output_"):
        raise ctx.unsupported(
            f"strategy={strategy!r:.40}, or sparse answers: such an answer is drawn anew on each call"
        )
    several = int(est.n_outputs_) > 1
    tables = tuple(labels(c, ctx) for c in (est.classes_ if several else [est.classes_]))
    priors = [np.asarray(p, dtype=np.float64) for p in (est.class_prior_ if several else [est.class_prior_])]
    if [p.shape for p in priors] != [t.shape for t in tables]:
        raise ctx.unsupported("class_prior_ does not fit classes_")
    if strategy == "constant":
        given = np.ravel(np.asarray(est.constant))
        at = [np.flatnonzero(t == g) for t, g in zip(tables, given.tolist(), strict=True)]
    else:
        at = [np.array([int(p.argmax())]) for p in priors]
        given = np.array([t[i[0]] for t, i in zip(tables, at, strict=True)])
    if any(len(i) != 1 for i in at):
        raise ctx.unsupported("a constant that is none of its classes")
    rows = _rows(x, ctx)
    said = [p if strategy == "prior" else _one(len(p), i[0]) for p, i in zip(priors, at, strict=True)]
    chances = tuple(_same(rows, p, ctx) for p in said)
    form = "list" if several else "matrix"
    # numpy.tile makes the labels an array of their own, strings no longer than they are.
    words = tuple(given[i : i + 1] for i in range(len(given)))
    first = as_type("int64", _same(rows, np.zeros(len(given)), ctx), ctx)
    logs = tuple(Log(inputs=(c,), origin=ctx.where) for c in chances)
    return Model(
        (
            Output("predict", (first,), "matrix" if several else "vector", words),
            Output("predict_proba", chances, form),
            Output("predict_log_proba", logs, form),
        ),
        tables,
    )


@lowers("sklearn.dummy.DummyRegressor")
def dummy_regressor(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """Every strategy, of one target or several."""
    value = est_array(est, "constant_", ctx)
    several = int(est.n_outputs_) > 1
    if value.dtype.kind not in "iuf" or value.size != int(est.n_outputs_):
        raise ctx.unsupported(f"constant_ of {value.dtype} and shape {value.shape} for {est.n_outputs_} targets")
    block = _same(_rows(x, ctx), value.ravel().astype(np.float64), ctx)
    own: DType = "float32" if value.dtype == np.float32 else "float64" if value.dtype.kind == "f" else "int64"
    return Model((Output("predict", (as_type(own, block, ctx),), "matrix" if several else "vector"),))


def _rows(x: Source, ctx: Lowerer) -> Node:
    """A block of as many rows as come in; of raw columns, which may hold anything, it reads none.

    Before 0.19 they were looked at (check_array in dummy.py), and refused where they are not finite numbers.
    """
    if (0, 0) < ctx.version < (0, 19):
        return ctx.floats(x, finite="all", csr=True, sparse=ZERO)
    return x if isinstance(x, Node) else as_block(x.select([]), ctx)


def _same(rows: Node, value: np.ndarray, ctx: Lowerer) -> Node:
    return Constant(inputs=(rows,), value=value, origin=ctx.where)


def _one(width: int, at: int) -> np.ndarray:
    out = np.zeros(width)
    out[at] = 1.0
    return out

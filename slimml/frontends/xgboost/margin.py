"""The raw sums of a Booster: trees, trees with weights (dart), or a linear sum, in float32 as XGBoost makes them."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowerer, Source
from slimml.frontends.xgboost.forest import sum_trees
from slimml.ingest.xgboost.model import BoosterModel
from slimml.ir.libm import logf
from slimml.ir.narrow import COLUMN_BY_COLUMN
from slimml.ir.node import Node
from slimml.ir.ops.categories import LowerBound, Recode, char_order
from slimml.ir.ops.columns import Cast, Concat, Dense, Select
from slimml.ir.ops.models import LinearSum
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing
from slimml.schema import MISSING

_LOGIT = ("reg:logistic", "binary:logistic")
_LOG = ("reg:gamma", "reg:tweedie", "count:poisson", "survival:cox", "survival:aft")
_FIRST_ENCODER = (3, 1)
# Beyond every code of a tree, and no value that a caller would name as missing.
_NO_CODE = 2.0**24 - 1
# Before 1.3.1 binary:logitraw took its base score for a chance; from 1.4 on a DMatrix refuses infinities.
_FIRST_RAW_BASE, _FIRST_FINITE = (1, 3, 1), (1, 4)
# From 3.2 on a base score that is a chance is taken no nearer to 0 or 1 before its logit.
_FIRST_CLIP, _LEAST_CHANCE = (3, 2), np.float32(1e-6)


def margin(
    model: BoosterModel, x: Source, ctx: Lowerer, *, missing: float, count: int | None = None, in_place: bool = False
) -> Node:
    """The sums before any link, float32 (n, outputs).

    `missing`: the value that counts as missing besides NaN; `count`: how many trees answer, None for all of them;
    `in_place`: as inplace_predict answers, which the scikit-learn faces of trees call, else as a DMatrix does.
    """
    block = _block(model, x, ctx, missing, in_place)
    base = _base(model, ctx)
    if model.booster == "gblinear":
        # The first output's score serves all of them (PredictBatchInternal of gbm/gblinear.cc).
        bias = model.weights[-1] + base[0]
        filled = FillMissing(inputs=(block,), sentinel=float("nan"), fill=(0.0,) * model.features, origin=ctx.where)
        weights = np.ascontiguousarray(model.weights[:-1].T)
        return LinearSum(inputs=(filled,), weights=weights, bias=bias, origin=ctx.where)
    return sum_trees(model, block, base, count, in_place, ctx)


def _block(model: BoosterModel, x: Source, ctx: Lowerer, missing: float, in_place: bool) -> Node:
    """The columns as XGBoost stores them: float32, missing as NaN, categories as codes."""
    width = x.width if isinstance(x, Frame) else x.type.width
    if width != model.features:
        raise ctx.unsupported(f"a model of {model.features} columns that is handed {width}")
    narrow = _numbers(model, x, ctx)
    names = x.names if isinstance(x, Frame) else ()
    if not in_place and missing != np.inf and model.version >= _FIRST_FINITE:
        # inplace_predict takes infinities.
        narrow = ctx.guard(narrow, "missing", names)
    sentinel = float(np.float32(missing))
    if isnan(sentinel):
        return narrow
    fill = (float("nan"),) * model.features
    return FillMissing(inputs=(narrow,), sentinel=sentinel, fill=fill, origin=ctx.where)


def _numbers(model: BoosterModel, x: Source, ctx: Lowerer) -> Node:
    encoded = [i for i, table in enumerate(model.categories) if table is not None]
    if isinstance(x, Frame) and encoded:
        kinds = x.kinds(["number" if _are_codes(t) else "category" for t in model.categories])
        for i in encoded:
            if kinds[i] != "number":
                x.table.dtypes.setdefault(x.columns[i], "category")
        pairs = zip(kinds, model.categories, strict=True)
        if any((not _are_codes(t)) if kind == "number" else t is None for kind, t in pairs):
            raise ctx.unsupported("a column of numbers where the model was trained on categories, or the reverse")
        # A frame's categories are looked up; an array's numbers are their codes.
        return x.by_kind(
            kinds,
            ctx.where,
            lambda block, at: _encoded(model, block, at, ctx),
            sparse=MISSING,
            codes=model.categories,
        )
    codes = any(kind == "c" for kind in model.types)
    if codes and model.names and isinstance(x, Frame) and model.version < _FIRST_ENCODER:
        raise ctx.unsupported(
            "categories of XGBoost before 3.1: it does not store them, and their codes come from the caller's own frame"
        )
    if isinstance(x, Node) and x.type.layout == "csr":
        x = ctx.floats(x, csr=True)  # counts of terms are whole numbers, which cannot be missing
        x = Dense(inputs=(x,), absent=float("nan"), origin=ctx.where)
    if isinstance(x, Node) and _imputed_sparse(x):
        # The original's rows stay sparse there, so that XGBoost takes for missing what is not stored.
        raise ctx.unsupported("an imputer of sparse rows in front of XGBoost is not handled")
    return Cast(inputs=(ctx.floats(x, sparse=MISSING),), dtype="float32", origin=ctx.where)


def _imputed_sparse(x: Node) -> bool:
    """Whether a block is what an imputer, or an indicator, made of sparse rows."""
    while isinstance(x, (Select, *COLUMN_BY_COLUMN)):
        if isinstance(x, FillMissing | IsMissing):
            source = x.inputs[0]
            while isinstance(source, Select | Guard | Cast):
                source = source.inputs[0]
            return isinstance(source, Dense) and source.source.layout == "csr"
        x = x.inputs[0]
    return isinstance(x, Concat) and any(p.origin == x.origin and _imputed_sparse(p) for p in x.inputs)


def _are_codes(table: tuple[object, ...] | None) -> bool:
    """Whether the values of a column are what the trees read: numbers, or categories 0, 1, ... that are their codes.

    XGBoost takes an array's values for codes and looks up a frame's; here the two are the same.
    """
    return table is None or table == tuple(range(len(table)))


def _encoded(model: BoosterModel, block: Node, at: list[int], ctx: Lowerer) -> Node:
    """Numbers as float32; categories as the codes of training, missing as NaN.

    An unseen category is the next one of training in XGBoost's order, and beyond the last one is refused
    (CatAccessor of src/encoder). A number of an array that is no code is in no set.
    """
    if block.type.numeric:
        return Cast(inputs=(block,), dtype="float32", origin=ctx.where)
    tables = [tuple(model.categories[i] or ()) for i in at]
    if not all(v.isascii() for t in tables for v in t if isinstance(v, str)):
        # Measured on 3.2: "Köln", "Oslo" become "Köl", "nOsl", and the last letters of the last name are gone.
        raise ctx.unsupported("names of categories beyond ASCII, which XGBoost stores cut at the wrong letters")
    order = [_searched(t) for t in tables]
    found = LowerBound(
        inputs=(block,),
        tables=tuple(tuple(t[i] for i in o) for t, o in zip(tables, order, strict=True)),
        refuse=(True,) * len(tables),
        origin=ctx.where,
    )
    parts = [np.array([*o, np.nan, _NO_CODE, _NO_CODE], dtype=np.float32) for o in order]
    offsets = np.cumsum([0] + [len(p) for p in parts]).astype(np.int64)
    return Recode(inputs=(found,), values=np.concatenate(parts), offsets=offsets, origin=ctx.where)


def _searched(table: tuple[object, ...]) -> list[int]:
    """The codes of a table's categories, in the order in which XGBoost searches them."""
    keys: list[Any] = [char_order(v) if isinstance(v, str) else v for v in table]
    return sorted(range(len(table)), key=keys.__getitem__)


def _base(model: BoosterModel, ctx: Lowerer) -> np.ndarray:
    """The base score as a margin (ProbToMargin of the objectives), with the C library's logf."""
    score = model.base_score
    if model.base_is_margin:
        return score
    raw = model.objective == "binary:logitraw" and model.version < _FIRST_RAW_BASE
    if raw and model.version == _FIRST_RAW_BASE[:2]:
        raise ctx.unsupported("binary:logitraw in a binary of XGBoost 1.3, which does not say whether 1.3.0 wrote it")
    if model.objective in _LOGIT or raw:
        one = np.float32(1)
        if model.version >= _FIRST_CLIP:
            score = np.clip(score, _LEAST_CHANCE, one - _LEAST_CHANCE)
        elif (score <= 0).any() or (score >= one).any():
            raise ctx.unsupported("a base score of 0 or 1, which XGBoost before 3.2 refuses")
        return np.asarray(-logf(one / score - one))
    if model.objective in _LOG:
        return logf(score)
    return score

"""FunctionTransformer: one of numpy's functions on every cell, or nothing at all."""

from __future__ import annotations

from typing import Any

from slimml.frontends.frame import Frame
from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import inverts, lowers, moved
from slimml.frontends.sklearn.compose import as_block
from slimml.ingest.record import Record, Symbol
from slimml.ir.node import Node
from slimml.ir.ops.functions import FUNCTIONS, Apply
from slimml.schema import NUMBER

# Where releases of numpy keep what is numpy.log1p to the user.
_HOMES = ("numpy", "numpy.core.umath", "numpy.core._multiarray_umath", "numpy._core._multiarray_umath",
          "numpy.core.numeric", "numpy.lib.type_check", "numpy.lib._type_check_impl", "numpy.core.fromnumeric",
          "numpy._core.fromnumeric")  # fmt: skip
_ALIASES = {
    "abs": "absolute",
    "acos": "arccos",
    "acosh": "arccosh",
    "around": "rint",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atanh": "arctanh",
    "degrees": "rad2deg",
    "radians": "deg2rad",
    "round": "rint",
    "round_": "rint",
}
# scipy's sparse matrices have these as methods, which numpy finds; of others it raises, square multiplies matrices, and
# nan_to_num does nothing.
_ON_SPARSE = frozenset(
    "absolute arcsin arcsinh arctan arctanh deg2rad expm1 log1p negative rad2deg rint sin sinh sqrt tan tanh".split()
)


@lowers(*moved("sklearn.preprocessing._function_transformer", "FunctionTransformer"))
def function_transformer(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """No function, or one of numpy's on numbers (log1p, sqrt, exp, ...), with and without `validate`; no `kw_args`."""
    if est.get("kw_args"):
        raise ctx.unsupported("FunctionTransformer with kw_args is not handled")
    if est.get("pass_y", False) not in (False, "deprecated"):  # until 0.21
        raise ctx.unsupported("FunctionTransformer with pass_y is not handled")
    name = None if est.func is None else function_name(est.func, ctx)
    if name is not None and isinstance(x, Frame):
        _refuse_other_dtypes(x, name, ctx)
    block = as_block(x, ctx)
    if name is not None and block.type.layout == "csr" and est.func.name not in _ON_SPARSE:
        raise ctx.unsupported(f"numpy.{est.func.name} of a sparse block is not handled")
    if _validates(est, ctx):
        block = ctx.floats(block, finite="all", csr=bool(est.get("accept_sparse", False)), narrow=True)
    return block if name is None else applied(name, block, ctx)


@inverts(*moved("sklearn.preprocessing._function_transformer", "FunctionTransformer"))
def function_transformer_inverse(est: Record, x: Node, ctx: Lowerer) -> Node:
    if est.get("inv_kw_args"):
        raise ctx.unsupported("FunctionTransformer with inv_kw_args is not handled")
    if _validates(est, ctx):
        x = ctx.guard(x, "all")
    function = est.get("inverse_func")
    return x if function is None else applied(function_name(function, ctx), x, ctx)


def function_name(function: Any, ctx: Lowerer) -> str:
    """The name in FUNCTIONS of a function that the file names; refuses others by their path."""
    if isinstance(function, Symbol) and function.module in _HOMES:
        name = _ALIASES.get(function.name, function.name)
        if name in FUNCTIONS:
            return name
    path = function.path if isinstance(function, Symbol | Record) else f"{function!r:.60}"
    raise ctx.unsupported(
        f"FunctionTransformer of {path}, which is none of numpy's functions on numbers, is not handled"
    )


def applied(name: str, block: Node, ctx: Lowerer) -> Node:
    """One of FUNCTIONS on a block, in the dtype in which numpy computes it."""
    if not block.type.numeric:
        raise ctx.unsupported(f"numpy.{name} of columns that do not hold numbers is not handled")
    whole = block.type.dtype not in ("float64", "float32")
    if block.type.dtype == "bool" or (whole and name == "reciprocal"):
        raise ctx.unsupported(f"numpy.{name} of {block.type.dtype}, which numpy computes otherwise, is not handled")
    if whole:
        block = ctx.floats(block, csr=True)
    return Apply(inputs=(block,), function=name, origin=ctx.where)


def _validates(est: Record, ctx: Lowerer) -> bool:
    # On by default before 0.22, which 0.20 and 0.21 write as None.
    validate = est.get("validate", False)
    return ctx.version < (0, 22) if validate is None else bool(validate)


def _refuse_other_dtypes(x: Frame, name: str, ctx: Lowerer) -> None:
    """Of truth values numpy computes in half precision, and of integers 1/x is an integer."""
    if name == "nan_to_num":
        return
    kept = ("bool", "int64") if name == "reciprocal" else ("bool",)
    for c in x.columns:
        known = x.table.dtypes.get(c) if x.table.kind(c, NUMBER) == NUMBER else None
        if known in kept:
            where = f"column {x.table.names[c]!r}, which holds {known}"
            raise ctx.unsupported(f"numpy.{name} of {where}, is computed otherwise there and not handled")

"""One function of one variable on every cell: what `FunctionTransformer` and its like are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from slimml.ir.domain import Domain
from slimml.ir.node import Node, Value, on_entries, require, require_inputs
from slimml.ir.normal import ndtr, ndtri
from slimml.ir.types import ValueType, each

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Function:
    """What is known of a function.

    `run`     numpy's own (ndtr, ndtri: scipy's), in the dtype of the block
    `exact`   one correctly rounded operation: the same bits on every machine
    `stored`  of a sparse block it takes the stored entries alone, as f(0) is 0 (or as the original has it)
    `inside`  closed interval on which f makes no NaN of a number
    `least`   f is never less
    """

    run: Callable[[np.ndarray], np.ndarray]
    exact: bool = False
    stored: bool = False
    inside: tuple[float, float] = (-inf, inf)
    least: float = -inf


# The functions that a plan may name. What is not correctly rounded differs in last bits between numpy's releases, and
# from one processor to the next.
FUNCTIONS: dict[str, Function] = {
    "absolute": Function(np.absolute, exact=True, stored=True, least=0.0),
    "ceil": Function(np.ceil, exact=True, stored=True),
    "fabs": Function(np.fabs, exact=True, stored=True, least=0.0),
    "floor": Function(np.floor, exact=True, stored=True),
    "nan_to_num": Function(np.nan_to_num, exact=True, stored=True),
    "negative": Function(np.negative, exact=True, stored=True),
    "reciprocal": Function(np.reciprocal, exact=True),
    "rint": Function(np.rint, exact=True, stored=True),
    "sign": Function(np.sign, exact=True, stored=True, least=-1.0),
    "sqrt": Function(np.sqrt, exact=True, stored=True, inside=(0.0, inf), least=0.0),
    "square": Function(np.square, exact=True, stored=True, least=0.0),
    "trunc": Function(np.trunc, exact=True, stored=True),
    # One multiplication by a constant.
    "deg2rad": Function(np.deg2rad, exact=True, stored=True),
    "rad2deg": Function(np.rad2deg, exact=True, stored=True),
    "arccos": Function(np.arccos, inside=(-1.0, 1.0), least=0.0),
    "arccosh": Function(np.arccosh, inside=(1.0, inf), least=0.0),
    "arcsin": Function(np.arcsin, stored=True, inside=(-1.0, 1.0)),
    "arcsinh": Function(np.arcsinh, stored=True),
    "arctan": Function(np.arctan, stored=True),
    "arctanh": Function(np.arctanh, stored=True, inside=(-1.0, 1.0)),
    "cbrt": Function(np.cbrt, stored=True),
    "cos": Function(np.cos, inside=(-_LARGEST, _LARGEST)),
    "cosh": Function(np.cosh, least=0.0),
    "exp": Function(np.exp, least=0.0),
    "exp2": Function(np.exp2, least=0.0),
    "expm1": Function(np.expm1, stored=True),
    "log": Function(np.log, inside=(0.0, inf)),
    "log10": Function(np.log10, inside=(0.0, inf)),
    "log1p": Function(np.log1p, stored=True, inside=(-1.0, inf)),
    "log2": Function(np.log2, inside=(0.0, inf)),
    "ndtr": Function(ndtr, least=0.0),
    "ndtri": Function(ndtri, stored=True, inside=(0.0, 1.0)),
    "sin": Function(np.sin, stored=True, inside=(-_LARGEST, _LARGEST)),
    "sinh": Function(np.sinh, stored=True),
    "tan": Function(np.tan, stored=True, inside=(-_LARGEST, _LARGEST)),
    "tanh": Function(np.tanh, stored=True),
}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Apply(Node):
    """y = f(x), f one of FUNCTIONS by its name; of csr the stored entries"""

    function: str

    def check(self) -> None:
        require(self.function in FUNCTIONS, f"no function {self.function!r:.40}")
        require_inputs(self, 1, layouts=("dense", "csr") if FUNCTIONS[self.function].stored else ("dense",))
        require(self.source.dtype in ("float64", "float32"), f"Apply takes floats, got {self.source}")

    def infer(self) -> ValueType:
        known = FUNCTIONS[self.function]
        low, high = known.inside

        def image(domain: Domain) -> Domain:
            safe = low <= domain.low and domain.high <= high
            missing = (domain.missing and self.function != "nan_to_num") or not safe
            return Domain(low=known.least, missing=missing)

        return replace(self.source, domains=each(self.source.domains, image), groups=())

    def evaluate(self, x: Value) -> Value:
        with np.errstate(all="ignore"):
            return on_entries(FUNCTIONS[self.function].run, x)

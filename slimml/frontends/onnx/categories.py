"""Categories by name: one-hot columns and numbers for keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from slimml.frontends.onnx.values import (
    ML,
    Codes,
    Step,
    Tensor,
    Value,
    operator,
)
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.numeric import FillMissing

_Out = tuple[Value, ...]


@operator(ML, "OneHotEncoder")
def one_hot(step: Step) -> _Out:
    """A column for each category; what is none of them gives zeros, or is refused."""
    value, known = step.tensor(), _keys(step, ("cats_strings", "cats_int64s"))
    if value.axes > 2 or value.table is not None or value.node.type.width != 1:
        raise step.unsupported("of several columns at once")
    _check_kind(step, value, known)
    cells, places = _as_read(known)
    refuse = not step.whole("zeros", 1)
    codes = Lookup(inputs=(value.node,), tables=(cells,), refuse=(refuse,), origin=step.ctx.where)
    targets = np.append(places, np.int32(-1))
    offsets, sizes = np.array([0, len(targets)], dtype=np.int64), np.array([len(known)], dtype=np.int64)
    node = OneHot(
        inputs=(codes,), targets=targets, offsets=offsets, sizes=sizes, dtype="float32", origin=step.ctx.where
    )
    return (Tensor(node, value.axes + 1),)


@operator(ML, "LabelEncoder")
def label_encoder(step: Step) -> _Out:
    """A number for each key."""
    value, known = step.tensor(), _keys(step, ("keys_strings", "keys_int64s"))
    if value.table is not None or value.axes > 2:
        raise step.unsupported("of labels that a model answers")
    _check_kind(step, value, known)
    floats, whole = step.numbers("values_floats"), step.numbers("values_int64s", "i")
    rest: Any = step.get("default_float", -0.0) if floats is not None else step.get("default_int64", -1)
    values = floats if floats is not None else whole
    step.get("default_string")
    if values is None or len(values) != len(known) or not isinstance(rest, int | float):
        raise step.unsupported("values that are no numbers")
    width, origin = value.node.type.width, step.ctx.where
    if values.dtype.kind == "i" and np.array_equal(values, np.arange(len(known))) and rest == len(known):
        return (_positions(step, value, known),)
    cells, places = _as_read(known)
    codes = Lookup(inputs=(value.node,), tables=(cells,) * width, refuse=(False,) * width, origin=origin)
    each = np.append(values[places], np.array([rest], dtype=values.dtype))
    offsets = np.arange(width + 1, dtype=np.int64) * len(each)
    node = Recode(inputs=(codes,), values=np.tile(each, width), offsets=offsets, origin=origin)
    return (Tensor(node, value.axes),)


def _positions(step: Step, value: Tensor, known: tuple[object, ...]) -> Tensor:
    """The position of each cell among the keys, their number where it is none of them."""
    cells, places = _as_read(known)
    width, origin = value.node.type.width, step.ctx.where
    node: Node = Lookup(inputs=(value.node,), tables=(known,) * width, refuse=(False,) * width, origin=origin)
    if len(cells) > len(known):
        # Missing cells are strings here: the first key that they meet takes them.
        filled = value.node
        for cell, place in zip(cells[len(known) :], places[len(known) :].tolist(), strict=True):
            filled = FillMissing(inputs=(filled,), sentinel=cell, fill=(known[place],) * width, origin=origin)
        node = Lookup(inputs=(filled,), tables=(known,) * width, refuse=(False,) * width, origin=origin)
    shift = np.zeros(width, dtype=np.int64)
    return Tensor(Cast(inputs=(node,), dtype="int64", origin=origin), value.axes, codes=Codes(node, shift))


def _keys(step: Step, names: tuple[str, str]) -> tuple[object, ...]:
    """Categories: strings, or integers."""
    words, whole = step.strings(names[0]), step.numbers(names[1], "i")
    known: tuple[object, ...] = tuple(words or (whole.tolist() if whole is not None else ()))
    if not known or len(set(known)) < len(known):
        raise step.unsupported("no categories, or one of them twice")
    return known


def _as_read(known: tuple[object, ...]) -> tuple[tuple[object, ...], np.ndarray]:
    """What the cells of a column may be, and the position in `known` of each.

    A tensor of strings is made of str(cell), so that a missing value meets the category "nan" or "None".
    """
    missing = [(value, known.index(str(value))) for value in (math.nan, None) if str(value) in known]
    places = [*range(len(known)), *(at for _, at in missing)]
    return (*known, *(value for value, _ in missing)), np.array(places, dtype=np.int32)


def _check_kind(step: Step, value: Tensor, known: tuple[object, ...]) -> None:
    """Strings are looked up among strings, integers among integers."""
    dtype = value.node.type.dtype
    if (dtype == "object") != isinstance(known[0], str) or dtype.startswith("float"):
        raise step.unsupported(f"{dtype} among categories of another kind")

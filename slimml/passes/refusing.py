"""Which columns of a node may refuse a row by themselves, whatever is made of them."""

from __future__ import annotations

import numpy as np

from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, LowerBound
from slimml.ir.ops.columns import Cast
from slimml.ir.ops.numeric import FillMissing, Guard, IsMissing


def refusing(node: Node) -> np.ndarray:
    """bool (width,): the columns because of which the node may refuse a row."""
    if isinstance(node, Guard):
        domains = node.source.domains
        inside = np.array([d.low for d in domains]) >= node.low
        inside &= np.array([d.high for d in domains]) <= node.high
        absent = np.array([not d.missing for d in domains], dtype=bool) | node.missing
        return np.asarray(~((inside | (not node.source.numeric)) & absent))
    if isinstance(node, Lookup):
        return np.asarray(np.array(node.refuse, dtype=bool) | np.array(node.imputed or False, dtype=bool))
    if isinstance(node, LowerBound):
        return np.array(node.refuse, dtype=bool)
    # Objects that are no numbers are refused by a cast, and pandas.NA by an imputer of NaN.
    numbers = isinstance(node, Cast) and node.dtype != "object"
    imputed = isinstance(node, FillMissing | IsMissing) and node.sentinel != node.sentinel
    return np.full(node.type.width, (numbers or imputed) and not node.source.numeric)


def refuses(node: Node) -> bool:
    """Whether the node may refuse a row."""
    return bool(refusing(node).any())

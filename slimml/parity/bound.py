"""How far rounding may carry: a forward error bound for every node, beside its value.

For each node, `bound` says how far a correct implementation's answer may be from `evaluate`'s, cell by cell:

    exact steps (routing, selection, one correctly rounded operation on exact inputs, sums of leaves): 0
    a sum of terms: 4 eps x the sum of |terms|, plus what came in, carried through
    a smooth function f: |f'| x what came in, plus 4 eps |y|

(DESIGN §7; Higham, Accuracy and Stability of Numerical Algorithms, §3.1.) Ranks and codes are always exact: which way a
row goes is never a matter of rounding. For labels the bound is a mask: where the margin lies inside of the bounds.

None stands for a bound of 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from slimml.errors import InternalError
from slimml.ir.csr import Csr
from slimml.ir.graph import Graph
from slimml.ir.nearest import distances
from slimml.ir.node import Node, Value
from slimml.ir.ops.curves import BACK, BOX_COX, YEO_JOHNSON_BACK, YEO_JOHNSON_POWER
from slimml.ir.ops.functions import FUNCTIONS
from slimml.ir.ops.kernels import power
from slimml.ir.ops.products import COLUMN, ONE
from slimml.ir.ops.splines import CONTINUE
from slimml.options import ROUNDING_EPS
from slimml.parity.compare import Bounds

Bound = Any  # Value | None, but rules are written for what their op takes
Rule = Callable[[Any, list[Any], list[Bound], Any], Bound]

UNIT = ROUNDING_EPS * float(np.finfo(np.float64).eps)
# Below the smallest normal number relative errors mean nothing; a few units of the smallest denormal are allowed.
_TINY = 4 * 5e-324
_TINY32 = 4 * float(np.finfo(np.float32).smallest_subnormal)
# The share of a probability by which a slope is probed: far above rounding, far below what bends a curve.
_NUDGE = 1e-5

# Methods by which distances are rounded, or chosen, as each host has it.
_ROUNDED_DISTANCES = ("expanded", "partition", "ordered_partition")
# Distances that are held at once.
_CELLS = 1 << 22

RULES: dict[str, Rule] = {}
# What takes positions in a table, and so a mask where one may be another.
_CODES = ("Lookup", "OneHot", "Recode", "Select", "LinearTable")


def bounds(graph: Graph, values: Mapping[Node, Value]) -> Bounds:
    """The bounds of every output, given the values of all nodes: one array per block, bool where it holds no floats."""
    found: dict[Node, Bound] = {}
    for node in graph.nodes():
        if node in values:
            found[node] = _bound(node, [values[x] for x in node.inputs], [found[x] for x in node.inputs], values[node])
    outputs = {}
    for output in graph.outputs:
        blocks = [_finished(values[n], found[n], bool(output.labels)) for n in output.nodes if n in found]
        outputs[output.name] = tuple(blocks)
    return outputs


def added(one: Bounds, other: Bounds) -> Bounds:
    """The bounds within which two computations, each within its own bounds, are of each other."""
    return {name: tuple(_sum(a, b) for a, b in zip(blocks, other[name], strict=True)) for name, blocks in one.items()}


def _sum(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    if a is None or b is None:
        return b if a is None else a
    return np.asarray(a | b if a.dtype == np.bool_ else a + b)


def _bound(node: Node, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    name = type(node).__name__
    if name not in _CODES:
        incoming = [_of_positions(b, x) for b, x in zip(incoming, node.inputs, strict=True)]
    if name in RULES:
        with np.errstate(all="ignore"):
            return RULES[name](node, inputs, incoming, value)
    if any(b is not None for b in incoming):
        raise InternalError(f"parity has no error bound for {name}")
    return None


def _of_positions(bound: Bound, node: Node) -> Bound:
    """A mask of positions in a table that may be others, as a bound of numbers."""
    if bound is None or bound.dtype != np.bool_:
        return bound
    return np.where(bound, [d.high - d.low for d in node.type.domains], 0.0)


def _finished(value: Any, bound: Bound, labels: bool) -> np.ndarray | None:
    dense = bound.toarray() if isinstance(bound, Csr) else bound
    if labels or _data(value).dtype.kind != "f":
        return np.zeros(value.shape, dtype=bool) if dense is None else dense.astype(bool)
    # A NaN bound comes of terms that overflow or cancel as infinities: no answer is too far off.
    return None if dense is None else np.where(np.isnan(dense), np.inf, dense)


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def _data(value: Value) -> np.ndarray:
    return value.data if isinstance(value, Csr) else value


def _like(value: Value, data: np.ndarray) -> Value:
    return value.with_data(data) if isinstance(value, Csr) else data


def _rounded(value: Value, carried: np.ndarray) -> Value:
    # One more correctly rounded operation: exact on what is exact, another rounding where the input already moved.
    y = np.abs(_data(value))
    return _like(value, np.where(carried == 0, 0.0, carried + _unit(y)[0] * y))


def _unit(value: np.ndarray) -> tuple[float, float]:
    """What one rounding in the dtype of a value may move, relatively and at the least."""
    if value.dtype != np.float32:
        return UNIT, _TINY
    return ROUNDING_EPS * float(np.finfo(np.float32).eps), _TINY32


def _per_column(value: Value, vector: np.ndarray) -> np.ndarray:
    return vector[value.indices] if isinstance(value, Csr) else vector


@_rule("Rank", "Widen", "IsMissing", "Input", "Constant", "Forest", "CountTerms", "HashTerms", "LowerBound", "Opaque")
def _exact(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    return None


@_rule("Lookup")
def _looked_up(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    # Of numbers the codes are exact; a vote that lies inside of its bound may be another.
    return incoming[0] if incoming[0] is not None and incoming[0].dtype == np.bool_ else None


@_rule("OneHot")
def _one_hot(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    unsure = np.repeat(incoming[0], node.sizes, axis=1).astype(np.float64)
    return value.with_data(unsure[value.rows(), value.indices]) if isinstance(value, Csr) else unsure


@_rule("Recode")
def _recoded(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    ends = zip(node.offsets[:-1].tolist(), node.offsets[1:].tolist(), strict=True)
    return np.where(incoming[0], [float(np.ptp(node.values[a:b])) for a, b in ends], 0.0)


@_rule("Sum")
def _summed(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if all(b is None for b in incoming):
        return None
    carried = sum(np.zeros(value.shape) if b is None else b for b in incoming)
    unit = UNIT if value.dtype != np.float32 else ROUNDING_EPS * float(np.finfo(np.float32).eps)
    return carried + unit * sum(np.abs(x) for x in inputs)


@_rule("Nudge")
def _nudged(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    return None if bound is None else _rounded(value, (1 + node.scale) * _data(bound))


@_rule("Inexact")
def _inexact(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = np.broadcast_to(UNIT * node.reach, value.shape)
    return own if incoming[0] is None else own + incoming[0]


@_rule("Guard", "ShareGuard", "Clip")
def _passed(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    return incoming[0]


@_rule("Cast", "Add", "Subtract")
def _unscaled(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    return None if bound is None else _rounded(value, _data(bound))


@_rule("Select", "Dense")
def _moved(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    return None if bound is None else node.evaluate(bound)


@_rule("Concat")
def _beside(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if all(b is None for b in incoming):
        return None
    dense = np.concatenate([_dense(b, x) for x, b in zip(inputs, incoming, strict=True)], axis=1)
    return value.with_data(dense[value.rows(), value.indices]) if isinstance(value, Csr) else dense


def _dense(bound: Bound, value: Value) -> np.ndarray:
    if bound is None:
        return np.zeros(value.shape)
    return bound.toarray() if isinstance(bound, Csr) else bound


@_rule("FillMissing")
def _filled(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    if bound is None:
        return None
    if isinstance(node.sentinel, float) and np.isnan(node.sentinel):
        return np.where(np.isnan(bound) & ~np.isnan(value), 0.0, bound)
    # What lies close to the sentinel may be filled on one side and not on the other.
    near = (bound > 0) & (np.abs(inputs[0] - node.sentinel) <= bound) if isinstance(node.sentinel, int | float) else 0
    return np.where(near, bound + np.abs(node.fill - inputs[0]), bound)


@_rule("Multiply")
def _multiplied(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    if bound is None:
        return None
    return _rounded(value, _carried(_data(bound), np.abs(_per_column(value, node.value))))


@_rule("Divide")
def _divided(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    if bound is None:
        return None
    return _rounded(value, _carried(_data(bound), 1.0 / np.abs(_per_column(value, node.value))))


def _carried(bound: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.where(bound == 0, 0.0, bound * factor)


@_rule("Affine")
def _affine(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x = inputs[0]
    own = UNIT * (np.abs(x * node.scale) + np.abs(node.shift))
    return own if incoming[0] is None else own + _carried(_data(incoming[0]), np.abs(node.scale))


@_rule("Linear")
def _linear(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x, weights = inputs[0], np.abs(node.weights.astype(np.float64))
    terms = _product(_like(x, np.abs(_data(x))), weights)
    # Another order of summation, or another kernel, may underflow where this one does not.
    unit, tiny = _unit(value)
    reach = terms + np.abs(node.bias)
    # Terms that can add up to more than there is may overflow in one order and not in another.
    own = np.where(reach > np.finfo(value.dtype).max, np.inf, unit * reach + tiny * weights.shape[1])
    return own if incoming[0] is None else own + _product(incoming[0], weights)


@_rule("LinearTable")
def _linear_table(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    weights, table, own = np.abs(node.weights), np.abs(node.table), np.abs(node.bias)
    if node.numbers:
        x = inputs[0]
        own = own + node.products(_like(x, np.abs(_data(x))), weights, np.abs(node.missing))
    if node.codes:
        own = own + node.rows(inputs[-1], table)
    unit, tiny = _unit(value)
    terms = weights.shape[1] + len(node.offsets)
    own = np.where(own > np.finfo(value.dtype).max, np.inf, unit * own + tiny * terms)
    own = np.broadcast_to(own, value.shape)
    if node.numbers and incoming[0] is not None:
        moved = incoming[0] if isinstance(incoming[0], Csr) else node.present(incoming[0])
        own = own + _product(moved, weights)
    if node.codes and incoming[-1] is not None:
        # A vote that lies inside of its bound may name another row.
        pairs = zip(node.offsets[:-1].tolist(), node.offsets[1:].tolist(), strict=True)
        own = own + incoming[-1].astype(np.float64) @ np.stack([np.ptp(node.table[a:b], axis=0) for a, b in pairs])
    return own


@_rule("SquaredDistances")
def _distances(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = UNIT * value + _TINY * node.points.shape[1]
    if incoming[0] is None:
        return own
    # |x + e - p|**2 - |x - p|**2 is at most 2 |x - p| |e| + |e|**2 (Cauchy and Schwarz).
    off = np.sqrt((_data(incoming[0]) ** 2).sum(axis=1))[:, None]
    return own + 2 * np.sqrt(value) * off + off**2


@_rule("ExpandedDistances")
def _expanded(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    # |x|**2 + |p|**2 + 2 |x| |p| is at most twice the two squares.
    own = 2 * UNIT * ((inputs[0] ** 2).sum(axis=1)[:, None] + (node.points**2).sum(axis=1))
    return own + _distances(node, inputs, incoming, value)


@_rule("LatentChance")
def _latent_chance(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    mean, variance = inputs
    own = 2 * UNIT * np.abs(node.terms(mean, variance)).sum(axis=1)[:, None]
    off = [np.zeros(value.shape) if b is None else _data(b) for b in incoming]
    # It rises with the mean; how the variance turns it is monotone on either side of 0.
    least = np.maximum(variance - off[1], variance / 2)
    ends = [node.evaluate(mean + s * off[0], v) for s in (-1, 1) for v in (least, variance + off[1])]
    moved = np.max([np.abs(e - value) for e in ends], axis=0)
    unsure = ~(off[1] < variance / 2)
    return np.where(unsure | np.isnan(moved), np.inf, own + 2 * moved)


@_rule("Power")
def _powered(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    # Squaring doubles the relative error of a factor, so that they add up to `degree` roundings.
    x, bound = np.abs(inputs[0]), _data(incoming[0])
    return node.degree * (power(x + bound, max(0, node.degree - 1)) * bound + UNIT * np.abs(value)) + _TINY


@_rule("PairSums")
def _pair_sums(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    coef = np.abs(node.coef)
    own = UNIT * (node.sums(np.abs(inputs[0]), coef) + np.abs(node.bias)) + _TINY * coef.shape[1]
    return own if incoming[0] is None else own + node.sums(_data(incoming[0]), coef)


@_rule("Interpolate")
def _interpolated(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    x, bound = inputs[0], _data(incoming[0])
    unit, tiny = _unit(value)
    # The line rises or falls throughout; what an end's NaN makes of the difference is no bound at all.
    moved = np.maximum(*(np.abs(node.evaluate(x + sign * bound) - value) for sign in (-1, 1)))
    start = node.starts(x)
    own = moved + unit * (np.abs(start) + np.abs(value - start)) + tiny
    return np.where(bound == 0, 0.0, own)


@_rule("PairVotes")
def _pair_votes(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    x, bound = inputs[0], _data(incoming[0])
    first, second = np.triu_indices(node.classes, 1)
    own = np.zeros(value.shape)
    for pair, ends in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        # A pair inside of its bound may be won by either: a whole vote. s / (3 (|s| + 1)) moves by a third at most.
        # What overflows has a bound that is NaN.
        unsure = ~(bound[:, pair] <= 0) & ~(np.abs(x[:, pair]) > bound[:, pair])
        moved = (bound[:, pair] + UNIT * np.abs(x[:, pair])) / 3 if node.confident else 0.0
        for c in ends:
            own[:, c] += unsure + moved
    return own + UNIT * np.abs(value) if node.confident else own


@_rule("PairCoupling")
def _pair_coupling(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x = inputs[0]
    moved = np.abs(node.slope) * (0.0 if incoming[0] is None else _data(incoming[0]))
    moved = moved + UNIT * (np.abs(x * node.slope) + np.abs(node.shift))
    chance = node.chances(x)
    # Of a sigmoid the slope is at most chance (1 - chance), over a short way.
    off = np.minimum(chance * (1 - chance) * np.expm1(moved) + UNIT, 1.0)
    _, steps, margin = node.coupled(chance)
    total = np.zeros(value.shape)
    for pair in range(chance.shape[1]):
        # The coupling is smooth for a given number of steps: its slope by one difference for each pair.
        nudge = np.where(chance[:, pair] > 0.5, -_NUDGE, _NUDGE) * np.minimum(chance, 1 - chance)[:, pair]
        other = chance.copy()
        other[:, pair] += nudge
        slope = np.abs(node.coupled(other, steps)[0] - value) / np.abs(nudge)[:, None]
        total += 2 * slope * off[:, pair : pair + 1]
    # Each step solves k small systems: k eps of what it divides.
    rounding = UNIT * value.shape[1] * (1 + steps[:, None])
    # A row whose error is enough by less than it may be off may take a step more, or one less.
    step = np.abs(node.coupled(chance, steps + 1)[0] - value)
    before = np.abs(node.coupled(chance, np.maximum(steps - 1, 0))[0] - value)
    unsure = margin[:, None] <= 4 * off.sum(axis=1)[:, None] + rounding
    return total + rounding + np.where(unsure, 2 * (step + before), 0.0)


@_rule("Neighbors")
def _neighbors(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    """Infinite at a position that another point may take, and how far off a distance may be."""
    k, exact = node.count, node.method not in _ROUNDED_DISTANCES and node.metric != "minkowski"
    if exact and incoming[0] is None:
        return None
    found, next_one = value[:, k:], _next_distance(node, inputs[0])
    moved = 0.0 if incoming[0] is None else _stretch(node) * np.abs(_data(incoming[0])).sum(axis=1)[:, None]
    near, far = (_distance_bound(node, inputs[0], d) + moved for d in (found, next_one))
    unsure = (near > 0) & ~(found + near + far < next_one)
    return np.concatenate([np.where(unsure, np.inf, 0.0), near], axis=1)


def _stretch(node: Any) -> float:
    """How much further apart two points may be than their coordinates add up to."""
    if node.metric == "seuclidean":
        return float(1 / np.sqrt(node.scale.min()))
    return float(np.sqrt(np.linalg.norm(node.scale))) if node.metric == "mahalanobis" else 1.0


def _next_distance(node: Any, x: np.ndarray) -> np.ndarray:
    """The distance of the first point that is no neighbour, (n, 1)."""
    if node.count == len(node.points):
        return np.full((len(x), 1), np.inf)
    rows = max(1, _CELLS // len(node.points))
    parts = [np.partition(node.reduced(x[i : i + rows]), node.count, axis=1) for i in range(0, len(x), rows)]
    first = np.concatenate([p[:, node.count] for p in parts])[:, None]
    squared = node.metric == "euclidean" or (node.metric in ("minkowski", "seuclidean") and node.method != "partition")
    return np.asarray(distances(first, node.metric, node.p) if squared else first)


def _distance_bound(node: Any, x: np.ndarray, distance: np.ndarray) -> np.ndarray:
    own = UNIT * distance if node.metric == "minkowski" or "partition" in node.method else 0.0 * distance
    if node.metric == "cosine":
        return own + 2 * UNIT
    if node.metric == "euclidean" and node.method in ("expanded", "partition"):
        # |x|**2 + |p|**2 + 2 |x| |p| is at most twice the two squares.
        widest = float((node.points**2).sum(axis=1).max())
        squares = 2 * UNIT * ((x**2).sum(axis=1)[:, None] + widest)
        return np.asarray(own + np.minimum(np.sqrt(squares), squares / distance))
    return own


@_rule("OutlierFactor")
def _outlier_factor(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = 4 * UNIT * np.abs(value)
    if incoming[0] is None:
        return own
    k = inputs[0].shape[1] // 2
    bound = _data(incoming[0])
    # Another neighbour may lie however densely.
    unsure = np.isinf(bound[:, :k]).any(axis=1)
    moved = bound[:, k:].mean(axis=1) / node.reached(inputs[0]).mean(axis=1)
    own = own + (2 * np.abs(value[:, 0]) * moved)[:, None]
    return np.where(unsure[:, None] | np.isnan(own), np.inf, own)


@_rule("WithinRadius")
def _within_radius(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    """Infinite where a point may lie on the other side of the radius, else how far off a distance may be."""
    exact = node.method == "direct" and node.metric != "minkowski"
    if exact and incoming[0] is None:
        return None
    apart = node.apart(node.compared(inputs[0]))
    off = UNIT * apart
    if node.metric == "euclidean" and node.method in ("expanded", "partition"):
        squares = 2 * UNIT * ((inputs[0] ** 2).sum(axis=1)[:, None] + (node.points**2).sum(axis=1))
        off = off + np.fmin(np.sqrt(squares), squares / apart)
    if incoming[0] is not None:
        off = off + np.abs(_data(incoming[0])).sum(axis=1)[:, None]
    return np.where(np.abs(apart - node.radius) > off, np.where(np.isfinite(value), off, 0.0), np.inf)


@_rule("RadiusVotes")
def _radius_votes(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = 0.0 * value if node.weights == "uniform" else len(node.labels) * UNIT * np.abs(value)
    if incoming[0] is None:
        return None if node.weights == "uniform" else own
    moved, unsure = _unsure_of_radius(node, inputs[0], _data(incoming[0]))
    for c in range(node.classes):
        own[:, c] += moved[:, node.labels == c].sum(axis=1)
    # A row that may have neighbours or none may count where those without do.
    lonely = ~(np.isfinite(inputs[0]) & ~unsure).any(axis=1) & unsure.any(axis=1)
    own[lonely] += 1.0
    return own


@_rule("RadiusMeans")
def _radius_means(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = np.broadcast_to(len(node.targets) * UNIT * np.abs(node.targets).max(axis=0), value.shape)
    if incoming[0] is None:
        return own
    moved, unsure = _unsure_of_radius(node, inputs[0], _data(incoming[0]))
    weights = node.counted(inputs[0]).sum(axis=1)
    share = 2 * moved.sum(axis=1) / weights
    share = np.where(np.isnan(share), 1.0, np.minimum(share, 1.0))
    share = np.where(moved.any(axis=1), share, 0.0)
    alone = ~(np.isfinite(inputs[0]) & ~unsure).any(axis=1) & unsure.any(axis=1)
    return own + np.where(alone[:, None], np.inf, share[:, None] * np.ptp(node.targets, axis=0))


def _unsure_of_radius(node: Any, x: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much the weight of each point may be off, and which points may lie on either side of the radius."""
    unsure, radius = np.isinf(bound), node.inputs[0].radius
    if node.weights == "uniform":
        return unsure.astype(np.float64), unsure
    nearer = np.where(np.isfinite(x), x, radius)
    weight = np.where(nearer > 0, 1.0 / nearer, np.inf)
    off = np.where(unsure, 0.0, bound)
    moved = np.where(off == 0, 0.0, np.where(nearer > off, off / (nearer * (nearer - off)), np.inf))
    return np.where(unsure, weight, moved), unsure


@_rule("NeighborFill")
def _neighbor_fill(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = np.zeros(value.shape) if incoming[0] is None else np.nan_to_num(_data(incoming[0]))
    width, points = value.shape[1], np.nan_to_num(node.points)
    carried = np.sqrt(width * (bound**2).sum(axis=1))
    # What rounding makes of the squares grows by as much as they do for the columns that a row lacks.
    squares = 2 * UNIT * width * ((np.nan_to_num(inputs[0]) ** 2).sum(axis=1) + float((points**2).sum(axis=1).max()))
    for rows, column, distance in node.receivers(inputs[0]):

        def off(apart: np.ndarray, at: np.ndarray = rows) -> np.ndarray:
            return np.asarray(np.fmin(np.sqrt(squares[at]), squares[at] / apart) + carried[at])

        donors, order = node.donors(column), np.sort(distance, axis=1)
        count = min(node.count, len(donors))
        share = np.zeros(len(rows))
        if count < len(donors):
            last, following = order[:, count - 1], order[:, count]
            apart = following - last > off(last) + off(following)
            share = np.where(apart | np.isnan(following), 0.0, 1.0)
        if node.weights == "distance":
            least, reach = order[:, 0], off(order[:, 0])
            share = np.where(least > 2 * reach, np.fmax(share, 4 * reach / least), 1.0)
        # Whoever the points are, and however they count, the mean lies among their values.
        own = 2 * UNIT * np.abs(donors).max() + np.fmin(share, 1.0) * np.ptp(donors)
        bound[rows, column] = np.where(np.isnan(own), np.inf, own)
    return bound


@_rule("NeighborVotes")
def _neighbor_votes(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None if node.weights == "uniform" else UNIT * value
    unsure, weights, moved = _unsure_weights(node, inputs[0], _data(incoming[0]))
    own = 0.0 * value if node.weights == "uniform" else UNIT * value
    return own + (moved + unsure * weights.max(axis=1))[:, None]


@_rule("NeighborMeans")
def _neighbor_means(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = 2 * UNIT * replace(node, targets=np.abs(node.targets)).evaluate(inputs[0])
    if incoming[0] is None:
        return own
    unsure, weights, moved = _unsure_weights(node, inputs[0], _data(incoming[0]))
    share = 2 * (moved + unsure * weights.max(axis=1)) / weights.sum(axis=1)
    share = np.where(np.isnan(share), 1.0, np.minimum(share, 1.0))
    # A mean lies among the targets, whoever the neighbours are.
    return own + share[:, None] * np.ptp(node.targets, axis=0)


def _unsure_weights(node: Any, x: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many neighbours of a row are unsure, their weights, and how far the weights of a row may be off in all."""
    k = bound.shape[1] // 2
    unsure, off, distance = np.isinf(bound[:, :k]).sum(axis=1), bound[:, k:], x[:, k:]
    weights = node.split(x)[1]
    if weights is None:
        return unsure, np.ones((len(x), k)), np.zeros(len(x))
    moved = np.where(off == 0, 0.0, np.where(distance > off, off / (distance * (distance - off)), np.inf))
    return unsure, weights, moved.sum(axis=1)


def _product(x: Value, weights: np.ndarray) -> np.ndarray:
    return x.matmul(weights.T) if isinstance(x, Csr) else x @ weights.T


@_rule("ScaledSquares")
def _squares(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = UNIT * np.abs(value) + _TINY
    if incoming[0] is None:
        return own
    x, bound = inputs[0], _data(incoming[0])
    moved = [((2 * np.abs(x - c) + bound) * bound / np.abs(s)).sum(axis=1) for c, s in zip(node.centers, node.scales)]
    return own + np.stack(moved, axis=1)


@_rule("LogEntries")
def _log_entries(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x, y = _data(inputs[0]), _data(value)
    own = np.where(np.isfinite(y), _unit(y)[0] * (np.abs(y) + 1), 0.0)
    if incoming[0] is not None:
        own = own + np.abs(np.log1p(-_data(incoming[0]) / np.abs(x)))
    return _like(value, own)


@_rule("UnitRows")
def _unit_rows(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x, y = inputs[0], np.abs(_data(value))
    own = _unit(y)[0] * y
    if incoming[0] is not None:
        bound, sparse = _data(incoming[0]), isinstance(x, Csr)
        total, norm = x.sum_rows(bound) if sparse else bound.sum(axis=1), node.norms(x)
        # A row that is nearly nothing may be left as it is, or not.
        norm = np.where((total > 0) & (norm <= node.least + total), 0.0, norm)
        total, norm = (v[x.rows()] if sparse else v[:, None] for v in (total, norm))
        # |d(x / n)| <= b / n + |x| / n^2 times the change of n, which is at most the sum of the row's bounds.
        own = own + np.where(total == 0, 0.0, np.where(norm > 0, (bound + y * total) / norm, np.inf))
    return _like(value, own)


@_rule("WhereMissing")
def _where_missing(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if all(b is None for b in incoming):
        return None
    own, other = (np.zeros(x.shape) if b is None else b for x, b in zip(inputs, incoming, strict=True))
    return np.where(np.isnan(inputs[0]), other, own)


@_rule("Splines")
def _splines(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    bound, k = incoming[0], node.degree
    if k == 0:  # steps
        return np.repeat(np.where(bound > 0, 1.0, 0.0), node.each, axis=1)
    apart = node.knots[:, k:] - node.knots[:, : node.knots.shape[1] - k]
    # |B'| <= k / (t[i + k] - t[i]) + k / (t[i + k + 1] - t[i + 1]) between the knots, and at their ends.
    steepest = 2 * k / np.where(apart > 0, apart, np.inf).min(axis=1)
    moved = bound * steepest
    if node.outside == CONTINUE:
        first, last = node.knots[:, k], node.knots[:, node.knots.shape[1] - k - 1]
        moved = np.where((inputs[0] - bound < first) | (inputs[0] + bound > last), np.inf, moved)
    return _rounded(value, np.repeat(np.where(bound == 0, 0.0, moved), node.each, axis=1))


@_rule("Products")
def _products(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    x, bound, y = (v.toarray() if isinstance(v, Csr) else v for v in (inputs[0], incoming[0], value))
    own, unit = np.zeros(y.shape), _unit(y)[0]
    for t, (p, c) in enumerate(zip(node.parent.tolist(), node.column.tolist(), strict=True)):
        if p == COLUMN:
            own[:, t] = bound[:, c]
        elif p != ONE:
            moved = own[:, p] * (np.abs(x[:, c]) + bound[:, c]) + np.abs(y[:, p]) * bound[:, c]
            own[:, t] = np.where(moved == 0, 0.0, moved + unit * np.abs(y[:, t]))
    return value.with_data(own[value.rows(), value.indices]) if isinstance(value, Csr) else own


@_rule("Binarize")
def _binarized(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    x, bound = inputs[0], incoming[0]
    close = (_data(bound) > 0) & ~(np.abs(_data(x) - node.threshold) > _data(bound))
    if isinstance(value, Csr):
        close = close[_data(x) > node.threshold]
    return _like(value, np.where(close, 1.0, 0.0))


@_rule("LogSoftmax")
def _log_softmax(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x = inputs[0]
    top = np.abs(x).max(axis=1)[:, None]
    own = UNIT * (np.abs(x) + top + np.log(x.shape[1]) + np.abs(value) + 1)
    return own if incoming[0] is None else own + _data(incoming[0]) + _data(incoming[0]).max(axis=1)[:, None]


@_rule("LinearSum")
def _linear_sum(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    # Its order is the original's, so it is exact on what is exact.
    if incoming[0] is None:
        return None
    weights = np.abs(node.weights.astype(np.float64))
    unit, tiny = _unit(value)
    own = unit * weights.shape[1] * (np.abs(inputs[0]) @ weights.T + np.abs(node.bias)) + tiny * weights.shape[1]
    return own + _data(incoming[0]) @ weights.T


@_rule("Sigmoid")
def _sigmoid(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    unit, tiny = _unit(value)
    own = unit * np.abs(value) + tiny
    bound = incoming[0]
    # |f'| = y (1 - y) <= 1/4, and y grows by less than exp(bound) over an interval of that width.
    return own if bound is None else own + np.minimum(_data(bound) / 4, value * np.expm1(_data(bound)))


@_rule("Tanh")
def _tanh(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    unit, tiny = _unit(value)
    own = unit * np.abs(value) + tiny
    return own if incoming[0] is None else own + np.minimum(_data(incoming[0]), 2.0)


@_rule("Apply")
def _applied(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    y, (unit, tiny) = np.abs(_data(value)), _unit(_data(value))
    own = np.zeros_like(y) if FUNCTIONS[node.function].exact else np.where(np.isfinite(y), unit * y + tiny, 0.0)
    if incoming[0] is None:
        return None if FUNCTIONS[node.function].exact else _like(value, own)
    x, bound = _data(inputs[0]), _data(incoming[0])
    # What is proved of a value holds of every implementation's.
    low = -np.inf if isinstance(value, Csr) else np.array([d.low for d in node.source.domains])
    carried = np.where(bound == 0, 0.0, _function_moved(node.function, x, bound, low))
    return _like(value, own + np.where(carried == 0, 0.0, carried + unit * y))


def _function_moved(name: str, x: np.ndarray, bound: np.ndarray, low: np.ndarray | float) -> np.ndarray:
    """How far a function's value may be from that at x, for an argument within `bound` of x and not below `low`."""
    if name in ("sin", "cos"):
        return np.asarray(np.minimum(bound, 2.0))
    run = FUNCTIONS[name].run
    below, here, above = run(np.maximum(x - bound, low)), run(x), run(x + bound)
    # The others have no turning point but at 0, where those that have one are least: the ends are the farthest.
    moved = _ends(below, here, above)
    if name == "tan":  # its slope is 1 + tan**2; an interval that may hold a pole holds everything
        slope = 1 + here**2
        moved = np.where(bound * slope < 0.1, 2 * bound * slope, np.inf)
    elif name == "reciprocal":
        moved = np.where(bound < np.abs(x), moved, np.inf)
    elif name in ("absolute", "fabs"):
        moved = np.minimum(moved, bound)
    elif name in ("square", "cosh"):
        moved = np.maximum(moved, np.where(np.abs(x) <= bound, np.abs(here - run(0 * x)), 0.0))
    return np.asarray(np.where(np.isnan(moved), np.inf, moved))


def _ends(below: np.ndarray, here: np.ndarray, above: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(np.abs(above - here), np.abs(here - below)))


@_rule("PowerCurve")
def _power_curve(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if node.kind in BACK:
        own = np.where(np.isfinite(value), _rounded_back(node, inputs[0].astype(np.float64), value), 0.0)
        return own if incoming[0] is None else own + _curve_moved(node, inputs[0], incoming[0])
    x, (unit, tiny) = inputs[0].astype(np.float64), _unit(value)
    if node.kind == BOX_COX:
        log, power = np.log(x), node.lambdas.astype(np.float64)
    else:  # of x and of -x, each with the power of its side
        log, power = np.log1p(np.abs(x)), np.where(x >= 0, node.lambdas, 2 - node.lambdas.astype(np.float64))
    raised = np.exp(power * log)
    # The exponent is off by a rounding or two of itself, and that is the relative error of its exponential.
    own = unit * (np.abs(value) + raised * np.abs(log)) + tiny
    if node.kind == YEO_JOHNSON_POWER:
        own = own + np.where(
            np.abs(power) < np.spacing(1.0), 0.0, unit * (raised * (1 + np.abs(power)) + 1) / np.abs(power)
        )
    own = np.where(np.isfinite(value), own, 0.0)
    return own if incoming[0] is None else own + _curve_moved(node, inputs[0], incoming[0])


def _rounded_back(node: Any, x: np.ndarray, value: np.ndarray) -> np.ndarray:
    """What rounding makes of (x l + 1)**(1 / l): the product, the sum, its logarithm, and that over l."""
    unit, tiny = _unit(value)
    power = np.broadcast_to(node.lambdas.astype(np.float64), x.shape)
    if node.kind == YEO_JOHNSON_BACK:  # of x and of -x, each with the power of its side
        power, x = np.where(x >= 0, power, 2 - power), np.abs(x)
    base = x * power + 1
    none = np.abs(power) < np.spacing(1.0)
    exponent = np.where(none, np.abs(x), np.abs(np.log(base) / power))
    moved = np.where(none, 0.0, (np.abs(x * power) / base + 1) / np.abs(power))
    raised = np.abs(value) + (1.0 if node.kind == YEO_JOHNSON_BACK else 0.0)
    return np.asarray(unit * raised * (2 + exponent + moved) + tiny)


@_rule("QuantileBack")
def _quantile_back(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    return _rounded(value, _curve_moved(node, inputs[0], _data(incoming[0])))


@_rule("QuantileCurve")
def _quantile_curve(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    return _rounded(value, _curve_moved(node, inputs[0], _data(incoming[0])))


def _curve_moved(node: Any, x: Value, bound: np.ndarray) -> np.ndarray:
    """How far a rising curve may be from its value at x, for arguments that are within `bound` of x."""
    here = _data(x)
    ends = (node.evaluate(_like(x, (here + b).astype(here.dtype))) for b in (-bound, 0 * bound, bound))
    moved = _ends(*(_data(y) for y in ends))
    return np.asarray(np.where(bound == 0, 0.0, np.where(np.isnan(moved), np.inf, moved)))


@_rule("Exp")
def _exp(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    unit, tiny = _unit(value)
    own = unit * np.abs(value) + tiny
    return own if incoming[0] is None else own + value * np.expm1(_data(incoming[0]))


@_rule("LinearForest")
def _linear_leaves(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    ranks, x = inputs
    bound = incoming[1]
    if bound is None:
        return None
    weights, zero = np.abs(node.weights), np.zeros_like(node.trees.base)
    trees = replace(node.trees, values=np.zeros_like(node.trees.values), base=zero)
    spread = replace(node, trees=trees, const=np.zeros_like(node.const), weights=weights)
    terms = replace(spread, const=np.abs(node.const))
    # A value that was missing here is missing there; one near enough to 0 to count as 0 may not.
    return np.asarray(spread.evaluate(ranks, _data(bound)) + UNIT * terms.evaluate(ranks, np.abs(x)))


@_rule("Softplus")
def _softplus(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = UNIT * (np.abs(value) + node.plain) + _TINY
    # f' is at most 1, and y grows by less than exp(bound) over an interval of that width.
    return own if incoming[0] is None else own + np.minimum(incoming[0], value * np.expm1(incoming[0]))


@_rule("SignedSquare")
def _squared(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    return None if bound is None else _rounded(value, bound * (2 * np.abs(inputs[0]) + bound))


@_rule("Log")
def _log(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = np.where(np.isfinite(value), _unit(value)[0] * np.abs(value), 0.0)
    if incoming[0] is None:
        return own
    x, bound = inputs[0], _data(incoming[0])
    below = -np.log1p(-bound / x)
    return own + np.where(bound == 0, 0.0, np.where(bound < x, below, np.inf))


@_rule("LogMean")
def _log_mean(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    # Each of the logarithms that the original adds up lies between 0 and what is answered, or above that by log(terms).
    own = np.where(np.isfinite(value), UNIT * node.terms * (np.abs(value) + np.log(node.terms) + 1), 0.0)
    further = _log(node, inputs, incoming, value) if incoming[0] is not None else 0.0
    return own + further


@_rule("LogAddExp")
def _log_add_exp(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    # Each sum is rounded, and so is the little that is added to the larger of two; what came in is averaged.
    own = np.where(np.isfinite(value), UNIT * len(inputs) * (np.abs(value) + np.log(len(inputs)) + 1), 0.0)
    known = [_data(b) for b in incoming if b is not None]
    return own if not known else own + np.max(known, axis=0)


@_rule("Exp2")
def _exp2(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    own = UNIT * np.abs(value) + _TINY
    return own if incoming[0] is None else own + value * np.expm1(np.log(2.0) * _data(incoming[0]))


@_rule("WeightedMedian")
def _weighted_median(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    # No value moves by more than the largest bound, so neither does the median; but where weights just reach half,
    # those of values that changed places may add up to just below it.
    order, reached = node.reached(inputs[0])
    half = 0.5 * reached[:, -1:]
    gaps = np.diff(np.take_along_axis(inputs[0], order, axis=1), axis=1, append=np.inf)
    narrow = np.abs(reached - half) <= UNIT * len(node.weights) * np.abs(half)
    unsure = np.where(narrow & np.isfinite(gaps), gaps, 0.0).sum(axis=1)
    return (_data(incoming[0]).max(axis=1) + unsure)[:, None]


@_rule("Softmax")
def _softmax(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x = inputs[0]
    unit, tiny = _unit(value)
    top = x.max(axis=1)[:, None]
    moved = unit * (np.abs(x) + np.abs(top))
    if incoming[0] is not None:
        bound = _data(incoming[0])
        moved = moved + bound + bound.max(axis=1)[:, None]
    share = np.expm1(moved) + unit
    total = (value * share).sum(axis=1)[:, None] + unit
    return value * (share + total + share * total + unit) + tiny


@_rule("NormalizeRows")
def _normalized(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    x = inputs[0]
    bound = np.zeros(x.shape) if incoming[0] is None else _data(incoming[0])
    unit, tiny = _unit(value)
    moved = (bound + unit * np.abs(x)).sum(axis=1)[:, None]
    total = np.abs(x.sum(axis=1))[:, None]
    carried = (bound + np.abs(value) * moved) / (total - moved) + unit * np.abs(value) + tiny
    # A total inside of its own bound may be 0 on the other side, which answers a uniform row, or none.
    unsure = np.where(bound.sum(axis=1)[:, None] > 0, np.inf if node.empty == "missing" else 1.0, 0.0)
    return np.where(total > moved, carried, unsure)


@_rule("Complement")
def _complement(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    bound = incoming[0]
    return None if bound is None else _rounded(value, np.concatenate([_data(bound)] * 2, axis=1))


@_rule("Confidence")
def _confidence(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    # Nowhere steeper than 1/3.
    return None if incoming[0] is None else _rounded(value, _data(incoming[0]) / 3)


@_rule("ArgMax")
def _argmax(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    x, bound = inputs[0], _data(incoming[0])
    winner = np.take_along_axis(x, value, axis=1)
    reach = np.take_along_axis(bound, value, axis=1) + bound
    # What overflows has a bound that is NaN: it may be anything.
    close = ~(reach <= 0) & ~(winner - x > reach)
    np.put_along_axis(close, value, False, axis=1)
    return np.asarray(close.any(axis=1)[:, None])


@_rule("IsPositive")
def _positive(node: Any, inputs: list[Any], incoming: list[Bound], value: Any) -> Bound:
    if incoming[0] is None:
        return None
    bound = _data(incoming[0])
    return np.asarray(~(bound <= 0) & ~(np.abs(inputs[0]) > bound))

"""A function of one number that takes few values, as the intervals on which it is constant.

`pulled` moves such a function to the other side of an op: what is constant on intervals of y = f(x) is constant on
intervals of x. Where f rises or falls in floating point each end is one float, found by bisection over the ordered
floats with f's own arithmetic; where it does so only up to rounding every float around an end is asked. (On a flat
curve more floats are within rounding of an end than can be asked. Then those next to it are, and of the others some at
every distance, up to the last that rounding could reach; one that lies on the wrong side keeps the op as it is.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from slimml.ir.floats import from_keys, highest, middle, to_keys

# Floats around the ends of a column that are asked one by one, and at least around each. Where rounding reaches
# farther, as on flat curves, some floats at every distance are asked.
_SCANNED, _LEAST, _DRAWN = 1 << 24, 1 << 9, 1 << 9
# Of all floats that are asked: the most, and how many at once.
_MOST, _BATCH = 1 << 28, 1 << 22
# How far from an approximate solution the ends are looked for first.
_NEAR = 64


class UnfoldableError(Exception):
    """An op whose effect on a column cannot be said of what it reads, and why; caught by who asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Rank `ranks[i]` for what is above i of the `cuts`: float64, rising, i + 1 ranks for i of them.

    `missing` is the rank of NaN, `absent` that of an entry which a sparse block does not store.
    """

    cuts: np.ndarray
    ranks: np.ndarray
    missing: int
    absent: int

    def of(self, values: np.ndarray) -> np.ndarray:
        """The rank of each value; int32."""
        wide = values.astype(np.float64, copy=False)
        ranks = self.ranks[np.searchsorted(self.cuts, wide)]
        nan = np.isnan(wide)
        return np.where(nan, np.int32(self.missing), ranks) if nan.any() else ranks

    @property
    def constant(self) -> bool:
        """Whether every value has one rank."""
        return len(self.ranks) == 1 and self.ranks[0] == self.missing == self.absent

    def trimmed(self, low: float, high: float, *, integer: bool) -> Cells:
        """The same on a column whose values are within [low, high], and whole where `integer`: fewer cuts."""
        cuts, ranks = self.cuts, self.ranks
        if integer:
            cuts = np.floor(cuts)
            # Several cuts between two integers are one: what is above the last of them counts.
            last = np.append(cuts[1:] != cuts[:-1], True) if len(cuts) else np.zeros(0, dtype=bool)
            cuts, ranks = cuts[last], np.concatenate([ranks[:1], ranks[1:][last]])
        inside = (cuts >= low) & (cuts < high)
        first = int(np.searchsorted(cuts, low))
        return merged(cuts[inside], ranks[first : first + int(inside.sum()) + 1], self)


def identity(count: int) -> Cells:
    """Ranks -1 to `count` as they are."""
    ranks = np.arange(-1, count + 1, dtype=np.int32)
    return Cells(ranks[:-1].astype(np.float64), ranks, -1, 0)


def merged(cuts: np.ndarray, ranks: np.ndarray, like: Cells) -> Cells:
    """Those cells, neighbours of one rank joined; `like` gives the ranks of what is no number."""
    kept = ranks[1:] != ranks[:-1]
    return replace(like, cuts=cuts[kept], ranks=np.concatenate([ranks[:1], ranks[1:][kept]]).astype(np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One op on one column, as a function of a number.

    `run`     the op's own arithmetic: (n,) in the dtype of what it reads to (n,)
    `breaks`  values between which, and at each of which, it rises or falls (or is NaN, or is one value) throughout
    `slack`   None where it does so in floating point; else a bound on the rounding error of y = f(x), from x and y
    `guess`   about where it is y, to begin the search with
    `drops`   where it is NaN a sparse block stores nothing any more
    """

    run: Callable[[np.ndarray], np.ndarray]
    breaks: np.ndarray = field(default_factory=lambda: np.zeros(0))
    slack: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    guess: Callable[[np.ndarray], np.ndarray] | None = None
    drops: bool = False

    def wide(self, values: np.ndarray) -> np.ndarray:
        """`run` in float64, quietly."""
        with np.errstate(all="ignore"):
            return self.run(values).astype(np.float64, copy=False)


def pulled(after: Cells, link: Link, dtype: np.dtype) -> Cells:
    """Cells of y = f(x) to cells of x, a float64 or float32. Raises UnfoldableError."""
    if link.drops:
        after = replace(after, missing=after.absent)
    if after.constant:
        return after
    pieces = _pieces(link, dtype)
    asked = _questions(after, link, pieces, dtype)
    found = _ends(link, asked, dtype)
    ends = [found, pieces.high[:-1]]
    if link.slack is not None:
        ends.append(_scanned(after, link, pieces, asked, found, dtype))
    edges = _distinct(np.concatenate(ends))
    edges = edges[(edges >= -highest(dtype)) & (edges < highest(dtype))]
    ranks = after.of(link.wide(from_keys(np.append(edges, highest(dtype)), dtype)))
    cells = merged(from_keys(edges, dtype).astype(np.float64), ranks, after)
    zeros = after.of(link.wide(np.array([0.0, -0.0], dtype=dtype)))
    if zeros[0] != zeros[1]:
        raise UnfoldableError("tells -0.0 from 0.0")
    return replace(cells, missing=int(after.of(link.wide(np.array([np.nan], dtype=dtype)))[0]))


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Closed intervals of keys, one after another, and whether the function rises there."""

    low: np.ndarray
    high: np.ndarray
    first: np.ndarray
    last: np.ndarray
    rising: np.ndarray


def _pieces(link: Link, dtype: np.dtype) -> _Pieces:
    top = highest(dtype)
    breaks = np.unique(to_keys(link.breaks.astype(dtype)))
    low = np.sort(np.concatenate([[-top], breaks, breaks + 1]))
    high = np.sort(np.concatenate([breaks - 1, breaks, [top]]))
    low, high = low[low <= high], high[low <= high]
    first, last = (link.wide(from_keys(ends, dtype)) for ends in (low, high))
    if (np.isnan(first) != np.isnan(last)).any():
        raise UnfoldableError("is a number somewhere and none elsewhere")
    return _Pieces(low, high, first, last, first <= last)


@dataclass(frozen=True, slots=True, eq=False)
class _Questions:
    """Cuts of y that lie inside of what a piece of x maps to: `low` maps to one side, `high` to the other."""

    low: np.ndarray
    high: np.ndarray
    cut: np.ndarray
    rising: np.ndarray

    def take(self, at: np.ndarray) -> _Questions:
        return _Questions(self.low[at], self.high[at], self.cut[at], self.rising[at])


def _questions(after: Cells, link: Link, pieces: _Pieces, dtype: np.dtype) -> _Questions:
    least, most = np.fmin(pieces.first, pieces.last), np.fmax(pieces.first, pieces.last)
    begin, end = np.searchsorted(after.cuts, least), np.searchsorted(after.cuts, most)
    count = np.where(np.isnan(least), 0, end - begin)
    piece = np.repeat(np.arange(len(count)), count)
    cut = after.cuts[begin[piece] + np.arange(len(piece)) - (np.cumsum(count) - count)[piece]]
    return _Questions(pieces.low[piece], pieces.high[piece], cut, pieces.rising[piece])


def _ends(link: Link, asked: _Questions, dtype: np.dtype) -> np.ndarray:
    """The last key of each piece that is still on the side of its low end."""
    low, high = asked.low.copy(), asked.high.copy()
    if link.guess is not None and len(low):
        with np.errstate(all="ignore"):
            near = link.guess(asked.cut).astype(dtype)
        near = to_keys(np.where(np.isnan(near), dtype.type(0), near))
        before, behind = np.clip(near - _NEAR, low, high), np.clip(near + _NEAR, low, high)
        here = _same_side(link, asked, before, dtype)
        there = ~_same_side(link, asked, behind, dtype)
        low, high = np.where(here, before, low), np.where(there, behind, high)
    open_ = np.arange(len(low))
    while True:
        # Keys at both ends of the range have no difference that an integer holds: their middle tells when it is done.
        half = middle(low[open_], high[open_])
        on = half != low[open_]
        open_, half = open_[on], half[on]
        if not len(open_):
            return low
        same = _same_side(link, asked.take(open_), half, dtype)
        low[open_[same]], high[open_[~same]] = half[same], half[~same]


def _same_side(link: Link, asked: _Questions, keys: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Whether those keys map to where the low ends of the pieces do."""
    return np.asarray((link.wide(from_keys(keys, dtype)) <= asked.cut) == asked.rising)


def _scanned(
    after: Cells, link: Link, pieces: _Pieces, asked: _Questions, found: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """Where the rank changes within reach of rounding around the ends that were found, and around turns."""
    windows = np.concatenate([_around_ends(link, asked, found, dtype), *_turns(after, link, pieces, dtype)], axis=1)
    if not windows.size:
        return np.zeros(0, np.int64)
    begin, end = _union(*windows)
    sizes = end - begin + 1
    if sizes.sum() > _MOST:
        raise UnfoldableError("is too flat at its cuts: rounding there decides for more floats than can be asked")
    batch = np.cumsum(sizes) // _BATCH
    changes = [begin - 1, end]
    for some in np.split(np.arange(len(begin)), np.flatnonzero(np.diff(batch)) + 1):
        if len(some):
            changes.append(_changes(after, link, begin[some], sizes[some], dtype))
    return np.concatenate(changes)


def _turns(after: Cells, link: Link, pieces: _Pieces, dtype: np.dtype) -> list[np.ndarray]:
    """Windows (2, n) at the ends of pieces whose values end so close to a cut that rounding may carry them over it."""
    assert link.slack is not None
    # A piece of one float has no rounding, and beyond the largest number there is nothing to turn to.
    several, largest = pieces.low < pieces.high, highest(dtype) - 1
    found = []
    for keys, turn, last in ((pieces.low, pieces.first, False), (pieces.high, pieces.last, True)):
        at = np.flatnonzero(several & (np.abs(keys) < largest) & np.isfinite(turn))
        with np.errstate(all="ignore"):
            room = 2 * link.slack(from_keys(keys[at], dtype).astype(np.float64), turn[at])
        at, room = at[room > 0], room[room > 0]
        # The cuts on the other side of the turn than the piece's values; those on this side are asked anyway.
        above = pieces.rising[at] == last
        first = np.searchsorted(after.cuts, np.where(above, turn[at], turn[at] - room))
        over = np.searchsorted(after.cuts, turn[at] + room, side="right")
        stop = np.where(above, over, np.searchsorted(after.cuts, turn[at]))
        count = np.maximum(stop - first, 0)
        piece = np.repeat(at, count)
        room, above = np.repeat(room, count), np.repeat(above, count)
        cut = after.cuts[np.repeat(first, count) + np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)]
        away = np.where(above, cut - room, cut + room)
        asked = _Questions(pieces.low[piece], pieces.high[piece], away, pieces.rising[piece])
        reached = _reached(link, asked, dtype)
        windows = np.stack([reached, asked.high] if last else [asked.low, np.minimum(reached + 1, asked.high)])
        if (windows[1].astype(np.float64) - windows[0] > _SCANNED).any():
            raise UnfoldableError("turns next to a cut, where rounding decides for more floats than can be asked")
        found.append(windows)
    return found


def _around_ends(link: Link, asked: _Questions, found: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Windows (2, n) within reach of rounding around the ends that were found."""
    assert link.slack is not None
    # What overflows is as far off as the largest number is.
    most = float(np.finfo(np.float64).max)
    asked = _with_cut(asked, np.clip(asked.cut, -most, most))
    with np.errstate(all="ignore"):
        reach = 2 * link.slack(from_keys(found, dtype).astype(np.float64), asked.cut)
    side = np.where(asked.rising, 1.0, -1.0) * np.where(np.isfinite(reach), reach, np.inf)
    start = _reached(link, _with_cut(asked, asked.cut - side), dtype)
    stop = np.minimum(_reached(link, _with_cut(asked, asked.cut + side), dtype) + 1, asked.high)
    # In double: the keys of a wide window differ by more than their dtype holds.
    near = max(_LEAST, _SCANNED // (2 * max(1, len(found))))
    wide = stop.astype(np.float64) - start > near
    if wide.any():
        _require_steady(link, asked.take(wide), found[wide], start[wide], stop[wide], near // 2, dtype)
        start[wide] = np.maximum(start[wide], found[wide] - near // 2)
        stop[wide] = np.minimum(stop[wide], found[wide] + near // 2)
    return np.stack([start, stop])


def _changes(after: Cells, link: Link, begin: np.ndarray, sizes: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The keys in windows after which the rank is another one."""
    keys = np.repeat(begin - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
    ranks = after.of(link.wide(from_keys(keys, dtype)))
    return keys[np.flatnonzero(ranks[1:] != ranks[:-1])]


def _require_steady(
    link: Link, asked: _Questions, found: np.ndarray, start: np.ndarray, stop: np.ndarray, near: int, dtype: np.dtype
) -> None:
    """Raise UnfoldableError unless floats drawn at every distance from the ends, up to those of wide windows, agree."""
    rng = np.random.default_rng(0)
    for octave in range(near.bit_length() - 1, 63):
        away = rng.integers(1 << octave, 1 << (octave + 1), _DRAWN)
        for side, last in ((-1, start), (1, stop)):
            at = np.flatnonzero(np.abs(last.astype(np.float64) - found) > 2.0**octave)
            room = np.abs(last[at] // 2 - found[at] // 2)  # halves, since the keys' difference may overflow
            half = np.minimum(away // 2, room[:, None])
            keys = np.clip(found[at, None] + side * half + side * half, start[at, None], stop[at, None])
            one = asked.take(np.repeat(at, _DRAWN))
            if (_same_side(link, one, keys.ravel(), dtype) != (side < 0)).any():
                raise UnfoldableError("zigzags farther around a cut than all floats can be asked")


def _with_cut(asked: _Questions, cut: np.ndarray) -> _Questions:
    """The same pieces, asked of other cuts."""
    return _Questions(asked.low, asked.high, cut, asked.rising)


def _reached(link: Link, asked: _Questions, dtype: np.dtype) -> np.ndarray:
    """As `_ends`, of cuts that need not lie inside of their piece: then one of its own ends."""
    out = _ends(link, asked, dtype)
    out = np.where(_same_side(link, asked, asked.low, dtype), out, asked.low)
    return np.where(_same_side(link, asked, asked.high, dtype), asked.high, out)


def _distinct(keys: np.ndarray) -> np.ndarray:
    """As np.unique, which hashes where sorting is faster."""
    keys = np.sort(keys)
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


def _union(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closed intervals of integers that cover the same, apart from each other."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    fresh = np.flatnonzero(np.append(True, begin[1:] > end[:-1]))
    return begin[fresh], end[np.append(fresh[1:], len(begin)) - 1]

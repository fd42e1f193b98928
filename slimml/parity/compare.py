"""Answers against answers, under error bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from slimml.options import APPROXIMATE_DRIFT
from slimml.parity.answers import Answer, Answers
from slimml.parity.report import VERDICTS, Seam, SeamReport, Verdict, Worst

# Per output and block: the largest error that rounding explains, or, for labels, whether a change is explained.
Bounds = Mapping[str, tuple[np.ndarray | None, ...]]

_QUANTILES = (0.5, 0.99, 0.999, 1.0)


@dataclass(slots=True)
class _Tally:
    verdict: Verdict = "bitwise"
    output: str = ""
    max_abs: float = 0.0
    max_rel: float = 0.0
    nan_mismatches: int = 0
    label_mismatches: int = 0
    fragile: int = 0
    worst: Worst | None = None
    errors: list[np.ndarray] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict, output: str) -> bool:
        """Take the looser verdict; True where it is now the one of `output`."""
        looser = VERDICTS.index(verdict) > VERDICTS.index(self.verdict)
        if looser or not self.output:
            self.output = output
        if looser:
            self.verdict = verdict
        return looser


def compare_outputs(seam: Seam, expected: Answers, got: Answers, bounds: Bounds | None = None) -> SeamReport:
    """Every method of `expected` against the same one of `got`; without bounds nothing but equal bits is rounding."""
    tally, rows = _Tally(), 0
    for name, answer in expected.items():
        rows = max(rows, len(answer[0]))
        limits = (bounds or {}).get(name, (None,) * len(answer))
        if name not in got or [b.shape for b in got[name]] != [b.shape for b in answer]:
            tally.add("different", name)
            tally.notes.append(f"{name} answers {_shapes(got.get(name, ()))}, not {_shapes(answer)}")
            continue
        for one, other, limit in zip(answer, got[name], limits, strict=True):
            _note_dtypes(name, one, other, tally)
            if _floats(one, other) and not _labels(limit):
                _numbers(name, one, other, limit, tally)
            else:
                _cells(name, one, other, limit, tally)
    return _report(seam, rows, tally)


def merged(reports: list[SeamReport]) -> SeamReport:
    """Reports of one seam on different rows as one; quantiles are those of the largest part."""
    first = max(reports, key=lambda r: VERDICTS.index(r.verdict))
    largest = max(reports, key=lambda r: r.rows)
    return replace(
        first,
        rows=sum(r.rows for r in reports),
        max_abs=max(r.max_abs for r in reports),
        max_rel=max(r.max_rel for r in reports),
        quantiles=largest.quantiles,
        nan_mismatches=sum(r.nan_mismatches for r in reports),
        label_mismatches=sum(r.label_mismatches for r in reports),
        fragile=sum(r.fragile for r in reports),
        refused=sum(r.refused for r in reports),
        refusal_mismatches=sum(r.refusal_mismatches for r in reports),
        worst=first.worst or next((r.worst for r in reports if r.worst), None),
        notes=tuple(dict.fromkeys(n for r in reports for n in r.notes)),
    )


def same_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays of numbers hold the same bits; all NaN are one, 0.0 and -0.0 are not."""
    if a.dtype.kind != "f" and b.dtype.kind != "f":
        return np.asarray(a == b)
    x, y = (np.asarray(v, dtype=np.float64) for v in (a, b))
    same = np.ascontiguousarray(x).view(np.int64) == np.ascontiguousarray(y).view(np.int64)
    return np.asarray(same | (np.isnan(x) & np.isnan(y)))


def _numbers(name: str, one: np.ndarray, other: np.ndarray, limit: np.ndarray | None, tally: _Tally) -> None:
    x, y = (np.asarray(v, dtype=np.float64) for v in (one, other))
    same = same_bits(one, other)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        both = np.isfinite(x) & np.isfinite(y)
        error = np.where(both & ~same, np.abs(x - y), 0.0)
        share = np.where(error > 0, error / np.abs(x), 0.0)
    odd = ~same & ~both
    inside = same | _within(error, odd, limit)
    tally.errors.append(error.ravel())
    tally.nan_mismatches += int((odd & ~inside).sum())
    # Beyond 2**53 a double does not even resolve units: how far off it is, only the relative error says.
    tally.max_abs = max(tally.max_abs, _top(error[np.abs(x) <= 2.0**53]))
    # Beside 0, or the least numbers, an error may be infinitely large.
    tally.max_rel = max(tally.max_rel, min(_top(share), float(np.finfo(np.float64).max)))
    verdict: Verdict = "bitwise" if same.all() else "rounding"
    if not inside.all():
        scale = np.abs(x[both]).max(initial=0.0)
        drift = not odd[~inside].any() and bool((error[~inside] <= APPROXIMATE_DRIFT * scale).all())
        verdict = "approximate" if drift else "different"
    if tally.add(verdict, name) and verdict != "bitwise":
        rank = np.where(inside, error, np.inf if odd.any() else error.max(initial=0.0) + error)
        tally.worst = _worst(name, one, other, rank)


def _within(error: np.ndarray, odd: np.ndarray, limit: np.ndarray | None) -> np.ndarray:
    if limit is None:
        return np.asarray((error == 0) & ~odd)  # 0.0 against -0.0
    # An infinite bound: the original's own terms overflow, so that no error is too large, NaN included.
    return np.asarray(np.where(odd, np.isinf(limit), error <= limit))


def _cells(name: str, one: np.ndarray, other: np.ndarray, limit: np.ndarray | None, tally: _Tally) -> None:
    same = equal_cells(one, other)
    fragile = ~same & (limit if limit is not None else np.zeros(same.shape, dtype=bool))
    tally.label_mismatches += int((~same).sum())
    tally.fragile += int(fragile.sum())
    changed = ~same & ~fragile
    verdict: Verdict = "different" if changed.any() else "rounding" if fragile.any() else "bitwise"
    if tally.add(verdict, name) and verdict != "bitwise":
        tally.worst = _worst(name, one, other, changed if changed.any() else fragile)


def equal_cells(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cell by cell, as Python compares, with NaN equal to NaN."""
    if a.dtype.kind != "O" and b.dtype.kind != "O":
        kinds = {a.dtype.kind, b.dtype.kind}
        if kinds <= set("biuf"):
            return np.asarray((a == b) | ((a != a) & (b != b)))
        return np.asarray(a == b) if kinds <= set("US") else np.zeros(a.shape, dtype=bool)
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    flat = np.fromiter((x == y or (x != x and y != y) for x, y in pairs), dtype=bool, count=a.size)
    return flat.reshape(a.shape)


def _worst(name: str, one: np.ndarray, other: np.ndarray, rank: np.ndarray) -> Worst:
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(rank)), rank.shape))
    return Worst(name, row, column, _scalar(one[row, column]), _scalar(other[row, column]))


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _floats(one: np.ndarray, other: np.ndarray) -> bool:
    kinds = one.dtype.kind, other.dtype.kind
    return "f" in kinds and set(kinds) <= set("biuf")


def _labels(limit: np.ndarray | None) -> bool:
    return limit is not None and limit.dtype == np.bool_


def _note_dtypes(name: str, one: np.ndarray, other: np.ndarray, tally: _Tally) -> None:
    kinds = one.dtype.kind, other.dtype.kind
    if one.dtype != other.dtype and not set(kinds) <= set("UO"):
        tally.notes.append(f"{name} answers in {other.dtype}, not in {one.dtype}")


def _shapes(answer: Answer) -> str:
    return " and ".join(" x ".join(map(str, b.shape)) for b in answer) or "nothing"


def _top(values: np.ndarray) -> float:
    return float(values.max(initial=0.0))


def _report(seam: Seam, rows: int, tally: _Tally) -> SeamReport:
    errors = np.concatenate(tally.errors) if tally.errors else np.zeros(0)
    marks = np.quantile(errors, _QUANTILES).tolist() if len(errors) else [0.0] * len(_QUANTILES)
    return SeamReport(
        seam=seam,
        rows=rows,
        output=tally.output,
        max_abs=tally.max_abs,
        max_rel=tally.max_rel,
        quantiles={f"{q:g}": float(v) for q, v in zip(_QUANTILES, marks, strict=True)},
        nan_mismatches=tally.nan_mismatches,
        label_mismatches=tally.label_mismatches,
        verdict=tally.verdict,
        fragile=tally.fragile,
        worst=tally.worst,
        notes=tuple(dict.fromkeys(tally.notes)),
    )

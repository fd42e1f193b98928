"""Sizes, times and rates as people read them. Standard library only."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: float | None) -> str:
    """Bytes in units of a thousand: 72.4 MB."""
    if count is None:
        return "-"
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {_UNITS[unit]}"


def duration(microseconds: float | None) -> str:
    """A latency: 850 ns, 12.4 us, 6.1 ms, 1.2 s."""
    if microseconds is None:
        return "-"
    for unit, scale in (("ns", 1e-3), ("us", 1.0), ("ms", 1e3)):
        if microseconds < 999.5 * scale:
            return f"{microseconds / scale:.3g} {unit}"
    return f"{microseconds / 1e6:,.3g} s"


def rate(rows_per_second: float | None) -> str:
    """Rows a second: 1.2 M."""
    if rows_per_second is None:
        return "-"
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if rows_per_second >= 0.9995 * scale:
            return f"{rows_per_second / scale:.3g} {unit}"
    return f"{rows_per_second:.3g}"


def ratio(before: float | None, after: float | None, better: str, worse: str) -> str:
    """`45x smaller`, or in the other direction `1.3x larger`; nothing where one side is not known."""
    if not before or not after:
        return ""
    times, word = (before / after, better) if before >= after else (after / before, worse)
    return f"{times:,.0f}x {word}" if times >= 9.95 else f"{times:.1f}x {word}"

"""Limits as people write them: "5MB", "500us", "10%"."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slimml.errors import UsageError

# What is asked of an artifact beside a baseline where no limit is given.
DEFAULTS: Mapping[str, str] = {"max_diff": "0", "max_slower": "10%", "max_larger": "5%"}

_BYTES = {"B": 1, **{f"{p}B": 1000**i for i, p in enumerate("kMGT", 1)}}
_BYTES |= {f"{p}iB": 1024**i for i, p in enumerate("KMGT", 1)}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0}
_WRITTEN = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([^\s0-9]*)\s*")


def size(value: str | float, option: str) -> int:
    """Bytes: "5MB" is 5,000,000, "5MiB" 5,242,880; a bare number is bytes. Raises UsageError."""
    number, unit = _parts(value, option, "a size such as 5MB, 512kB or 2MiB")
    if unit and unit not in _BYTES:
        # kb, KB, mb: one meaning each, and nobody means bits.
        close = [u for u in _BYTES if u.lower() == unit.lower()]
        if not close:
            raise UsageError(f"{option} {value}: there is no size {unit!r}", hint=f"Units: {', '.join(_BYTES)}.")
        unit = close[0]
    return int(number * _BYTES[unit or "B"])


def seconds(value: str | float, option: str) -> float:
    """Seconds: "500us" is 0.0005. A number, which only Python gives, is seconds. Raises UsageError."""
    number, unit = _parts(value, option, "a time such as 500us, 2ms or 1s")
    if not isinstance(value, str):
        return number
    if unit not in _SECONDS:
        raise UsageError(f"{option} {value}: a time needs its unit", hint="Units: ns, us, ms, s.")
    return number * _SECONDS[unit]


def share(value: str | float, option: str) -> float:
    """A share: "10%" and 0.1 are a tenth. Raises UsageError."""
    number, unit = _parts(value, option, "a share such as 10% or 0.1")
    if unit not in ("", "%"):
        raise UsageError(f"{option} {value}: not a share", hint="Write 10% or 0.1.")
    if not unit and number > 1:
        raise UsageError(f"{option} {value}: {number:g} times?", hint=f"Write {number:g}% for that many per cent.")
    return number / 100 if unit else number


def difference(value: str | float, option: str) -> float:
    """The largest |a - b| that is let through. Raises UsageError."""
    number, unit = _parts(value, option, "a number such as 0 or 1e-9")
    if unit:
        raise UsageError(f"{option} {value}: not a number", hint="Write 0 or 1e-9.")
    return number


def _parts(value: str | float, option: str, wanted: str) -> tuple[float, str]:
    if isinstance(value, str):
        found = _WRITTEN.fullmatch(value)
        if found is None:
            raise UsageError(f"{option} {value}: not {wanted}", hint=f"Write {wanted}.")
        return float(found[1].replace("_", "")), found[2]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise UsageError(f"{option} {value!r}: not {wanted}", hint=f"Pass {wanted}.")
    return float(value), ""


_READ: Mapping[str, Callable[[str | float, str], float]] = {
    "max_size": size,
    "max_p50": seconds,
    "max_p99": seconds,
    "max_diff": difference,
    "max_slower": share,
    "max_larger": share,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an artifact is held to: bytes, seconds, a difference, shares over the baseline; None where nothing was
    asked. `by_default`: no limit was given at all.
    """

    max_size: float | None
    max_p50: float | None
    max_p99: float | None
    max_diff: float | None
    max_slower: float | None
    max_larger: float | None
    by_default: bool

    @classmethod
    def read(cls, given: Mapping[str, Any], *, baseline: bool) -> Limits:
        """From words or numbers by the names above. Raises UsageError, which names the option."""
        by_default = all(given[name] is None for name in _READ)
        if by_default and baseline:
            given = {**given, **DEFAULTS}
        if not baseline and (given["max_slower"] is not None or given["max_larger"] is not None):
            hint = "Give --baseline FILE: an artifact, or what an earlier gate wrote with --json."
            raise UsageError("--max-slower and --max-larger are relative to a baseline", hint=hint)
        found: dict[str, Any] = {}
        for name, parse in _READ.items():
            value = given[name]
            found[name] = None if value is None else parse(value, "--" + name.replace("_", "-"))
        return cls(**found, by_default=by_default)


def in_bytes(count: float) -> str:
    """Bytes in words, exact enough to tell a limit from what is just above it: 5.001 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:,.4g} {unit}"
    return f"{count:.0f} B"


def in_time(value: float) -> str:
    """Seconds in words: 850 ns, 12.41 us."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value * 1e9:.4g} ns"


def in_percent(value: float) -> str:
    """A share in words: 10%."""
    return f"{value * 100:.3g}%"

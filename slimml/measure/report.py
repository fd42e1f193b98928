"""What was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Microseconds of one call."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Timing:
    """One row from a frame (or array) and from a dict (None: not to be had), and rows a second of a batch."""

    frame: Percentiles | None
    dict: Percentiles | None
    rows_per_s: float

    def to_json(self) -> Json:
        """`latency_us` and `rows_per_s`."""
        ways = {"frame": self.frame, "dict": self.dict}
        latency = {way: asdict(value) if value is not None else None for way, value in ways.items()}
        return {"latency_us": latency, "rows_per_s": self.rows_per_s}

    @classmethod
    def from_json(cls, value: Json) -> Timing:
        """From what a reference's `timing` answers."""
        ways = [Percentiles(**value[way]) if value[way] is not None else None for way in ("frame", "dict")]
        return cls(ways[0], ways[1], value["rows_per_s"])


@dataclass(frozen=True, slots=True)
class Footprint:
    """A fresh process that opens an artifact and answers one row.

    `import_s`, `load_s`, `first_s`   seconds to import the runtime, to load, and to answer for the first time
    `rss_bytes`                       memory in use after that; `grown_bytes`: by how much loading and answering grew it
    """

    import_s: float
    load_s: float
    first_s: float
    rss_bytes: int
    grown_bytes: int

    @property
    def startup_s(self) -> float:
        """From nothing to the first answer, the interpreter's own start left out."""
        return self.import_s + self.load_s + self.first_s

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self) | {"startup_s": self.startup_s}

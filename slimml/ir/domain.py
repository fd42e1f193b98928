"""What is proved about the values of one column.

A domain holds only what the graph proves or the user declares, never what a sample happens to show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Literal

Kind = Literal["number", "category", "text", "rank"]


@dataclass(frozen=True, slots=True)
class Domain:
    """The values that one column can take.

    `kind`      number, category (any scalar, compared by equality), text, or rank (small integers, -1 is missing)
    `integer`   every value that is not missing is whole
    `low/high`  closed bounds of the values that are not missing
    `missing`   whether NaN (rank: -1) can occur
    """

    kind: Kind = "number"
    integer: bool = False
    low: float = -inf
    high: float = inf
    missing: bool = True

    @property
    def binary(self) -> bool:
        """Whether only 0, 1 (and perhaps missing) can occur."""
        return self.integer and self.low >= 0 and self.high <= 1

    def filled(self, value: float) -> Domain:
        """The domain after missing values became `value`."""
        whole = self.integer and float(value).is_integer()
        return replace(
            self, missing=False, integer=whole, low=min(self.low, float(value)), high=max(self.high, float(value))
        )

    def present(self) -> Domain:
        """The domain once missing values have been refused."""
        return replace(self, missing=False)


NUMBER = Domain()
CATEGORY = Domain(kind="category")
TEXT = Domain(kind="text", missing=False)
BINARY = Domain(integer=True, low=0.0, high=1.0, missing=False)


def ranks(count: int, *, missing: bool = True) -> Domain:
    """Ranks 0..count (and -1 where a value may be missing)."""
    return Domain(kind="rank", integer=True, low=0.0, high=float(count), missing=missing)

"""Verdicts on the names in a file: harmless, unknown or dangerous, by exact (module, name) and by role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from slimml.errors import UntrustedError
from slimml.ingest.dangers import RENAMED, danger
from slimml.ingest.machine import Context, roles
from slimml.ingest.record import Record, Symbol
from slimml.ingest.walk import path_to

HARMLESS, UNKNOWN, DANGEROUS = "harmless", "unknown", "dangerous"
_EFFECTS = {
    "called": "a step of rebuilding arrays and containers, known from honest models",
    "class": "makes an object of this class, known from honest models",
    "value": "is only named, as honest models do",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One name of the stream.

    `roles`    how the file uses it: "called", "class", or "value" (named only)
    `verdict`  harmless, unknown or dangerous
    `effect`   what importing or calling it would do
    `refused`  whether `read` refuses a file that holds it
    `offset`   the byte after which it first stands
    """

    module: str
    name: str
    roles: tuple[str, ...]
    verdict: str
    effect: str
    refused: bool = False
    offset: int = 0

    @property
    def path(self) -> str:
        """`module.name`."""
        return f"{self.module}.{self.name}"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "module": self.module,
            "name": self.name,
            "roles": list(self.roles),
            "verdict": self.verdict,
            "effect": self.effect,
            "offset": self.offset,
        }


@cache
def _honest() -> dict[tuple[str, str], frozenset[str]]:
    """(module, name) -> the roles that it has in honest files."""
    table: dict[tuple[str, str], frozenset[str]] = {}
    text = resources.files("slimml.ingest").joinpath("honest_names.tsv").read_text("utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            allowed, module, names = line.split("\t")
            for name in names.split():
                table[module, name] = table.get((module, name), frozenset()) | set(allowed.split(","))
    return table


def judge(module: str, name: str, uses: tuple[str, ...], offset: int = 0) -> Import:
    """The verdict on one name in the roles that it has."""
    bad = danger(module, name)
    if bad is not None:
        return Import(module, name, uses, DANGEROUS, bad[0], bad[1], offset)
    allowed = _honest().get((RENAMED.get(module, module), name)) or _honest().get((module, name)) or frozenset()
    # Naming a class or a function that honest files may use is no more than using it.
    if allowed and all(use == "value" or use in allowed for use in uses):
        return Import(module, name, uses, HARMLESS, _EFFECTS[uses[0]], False, offset)
    what = "runs code" if "called" in uses or "class" in uses else "may be called when the model is used"
    return Import(module, name, uses, UNKNOWN, f"{what} that is not known from honest models", False, offset)


def imports_of(context: Context) -> list[Import]:
    """Every name that the streams of a file hold, in the order of their first appearance."""
    return [judge(s.module, s.name, uses, context.offsets.get((s.module, s.name), 0)) for s, uses in roles(context)]


def is_harmless(imports: Iterable[Import]) -> list[str]:
    """The names that are not known to be harmless; an empty list means that unpickling runs nothing unknown."""
    return [i.path for i in imports if i.verdict != HARMLESS]


def refuse_dangerous(imports: Iterable[Import], root: Any = None, *, broken: str = "") -> None:
    """Raise UntrustedError that lists every name that must never be called, with the path to one of them."""
    bad = [i for i in imports if i.refused]
    if not bad:
        return
    names = {i.path for i in bad}
    where = path_to(root, lambda v: type(v) in (Symbol, Record) and v.path in names)
    listed = "; ".join(f"{i.path} {i.effect}" for i in bad[:10])
    more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
    raise UntrustedError(
        f"the file names what no model needs: {listed}{more}{broken}",
        where=where,
        hint="Do not load it with pickle or joblib. `slimml scan` lists everything that it would import.",
        offset=bad[0].offset,
    )

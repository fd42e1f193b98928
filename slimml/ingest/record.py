"""The inert stand-in for an object of a pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from slimml.errors import UnfittedModelError


@dataclass(eq=False, slots=True)
class Symbol:
    """A global that the file names without calling it: a class, a function, a ufunc."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """`module.name`."""
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<symbol {self.path}>"


@dataclass(eq=False, slots=True)
class Record:
    """What the file says of one object: its class, how it was to be built, and its state. Never called, never hashed.

    `args`    positional arguments of the constructor or reduce call
    `kwargs`  keyword arguments (NEWOBJ_EX), else empty
    `fields`  the attributes: the state's dict, with the slots' dict merged in
    `state`   the raw state when it is not a dict (a tuple, an array), else None
    `items`   what APPENDS added (list subclasses), `pairs` what SETITEMS added (dict subclasses)
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """`module.name`, as the file spells it."""
        return f"{self.module}.{self.name}"

    def __getattr__(self, name: str) -> Any:
        # Reached only for names that are not slots: fitted attributes and hyper-parameters of the original.
        # Dunder probes (copy, pickle, numpy) must see a plain object.
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.fields[name]
        except KeyError:
            raise UnfittedModelError(
                f"{self.name} has no attribute {name!r}",
                hint="The estimator was never fitted, or the file comes from a release that stores it otherwise.",
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, or `default` where the file has none."""
        return self.fields.get(name, default)

    def has(self, name: str) -> bool:
        """Whether the file holds that attribute."""
        return name in self.fields

    def __repr__(self) -> str:
        return f"<record {self.path}>"

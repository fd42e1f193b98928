"""Steps of a model that stay Python of the user's: an artifact names them by import path, and never holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from slimml.errors import ArtifactCorruptError

FRONT, BEHIND = "front", "behind"
PLACES = (FRONT, BEHIND)
# What rows are handed over as: a pandas frame, a numpy matrix, a list of texts, a scipy csr matrix; "" is not known.
FORMS = ("frame", "array", "documents", "csr", "")
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")

MOST_STEPS, MOST_COLUMNS = 16, 1 << 22
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Rows:
    """A block between two steps, as far as it is known.

    `form`     one of FORMS
    `width`    number of columns, or None
    `names`    one for each column, or empty
    `dtypes`   one for each column, one for all of them, or empty
    """

    form: str = ""
    width: int | None = None
    names: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"form": self.form, "width": self.width, "names": [*self.names], "dtypes": [*self.dtypes]}

    @classmethod
    def from_json(cls, value: object) -> Rows:
        """Read back `to_json`, trusting nothing. Raises ArtifactCorruptError."""
        if not isinstance(value, Mapping) or set(value) != {f.name for f in fields(cls)}:
            raise ArtifactCorruptError("the rows of a kept step need exactly form, width, names, dtypes")
        width = value["width"]
        if value["form"] not in FORMS or not (width is None or (type(width) is int and 0 <= width <= MOST_COLUMNS)):
            raise ArtifactCorruptError("the rows of a kept step have no known form, or no possible width")
        names, dtypes = _texts(value["names"]), _texts(value["dtypes"])
        if (names and len(names) != width) or len(set(names)) != len(names) or len(dtypes) not in (0, 1, width):
            raise ArtifactCorruptError("the names and dtypes of a kept step do not fit its columns")
        return cls(value["form"], width, names, dtypes)


@dataclass(frozen=True, slots=True)
class Kept:
    """One step that stays Python.

    `path`      where it stands in the model
    `function`  "module:name", what the user registers when the artifact is loaded
    `place`     front: it makes the rows that the compiled part takes; behind: it makes the answers of what that gives
    `takes`     the rows that it is handed, `gives` those that it hands on
    `methods`   of the last step behind: the methods that it answers
    """

    path: str
    function: str
    place: str
    takes: Rows = Rows()
    gives: Rows = Rows()
    methods: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        rows = {"takes": self.takes.to_json(), "gives": self.gives.to_json()}
        return {"path": self.path, "function": self.function, "place": self.place, **rows, "methods": [*self.methods]}

    @classmethod
    def from_json(cls, value: object) -> Kept:
        """Read back `to_json`, trusting nothing. Raises ArtifactCorruptError."""
        if not isinstance(value, Mapping) or set(value) != {f.name for f in fields(cls)}:
            raise ArtifactCorruptError("a kept step needs exactly path, function, place, takes, gives, methods")
        path, function, methods = value["path"], value["function"], value["methods"]
        if not (isinstance(path, str) and 0 < len(path) <= _LONGEST and is_import_path(function)):
            raise ArtifactCorruptError(f"a kept step has no path, or no function as module:name: {function!r:.80}")
        if not isinstance(methods, list) or not all(m in METHODS for m in methods) or len(set(methods)) < len(methods):
            raise ArtifactCorruptError(f"the methods of the kept step {path!r:.80} are malformed")
        if value["place"] not in PLACES or (methods and value["place"] != BEHIND):
            raise ArtifactCorruptError(f"the kept step {path!r:.80} stands nowhere that a step can be kept")
        rows = (Rows.from_json(value["takes"]), Rows.from_json(value["gives"]))
        return cls(path, function, value["place"], *rows, tuple(methods))


def kept_from_json(value: object) -> tuple[Kept, ...]:
    """The kept steps of a header, in order: those in front, then those behind, of which the last one answers.

    Raises ArtifactCorruptError.
    """
    if not isinstance(value, list) or not 0 < len(value) <= MOST_STEPS:
        raise ArtifactCorruptError(f"the header's kept steps are not a list of 1 to {MOST_STEPS}")
    steps = tuple(Kept.from_json(s) for s in value)
    places = [s.place for s in steps]
    if places != sorted(places, key=PLACES.index) or len({s.path for s in steps}) != len(steps):
        raise ArtifactCorruptError("the header's kept steps are out of order, or one is there twice")
    behind = [bool(s.methods) for s in steps if s.place == BEHIND]
    if behind and behind != [False] * (len(behind) - 1) + [True]:
        raise ArtifactCorruptError("not the last kept step behind the model is the one that answers")
    return steps


def is_import_path(text: object) -> bool:
    """Whether this is "module:name", dotted names of ASCII on both sides."""
    return isinstance(text, str) and len(text) <= _LONGEST and _FUNCTION.fullmatch(text) is not None


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_COLUMNS or not all(isinstance(v, str) for v in value):
        raise ArtifactCorruptError("the names and dtypes of a kept step are no lists of text")
    return tuple(value)

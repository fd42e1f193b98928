"""Which function lowers which class, by exact name.

A subclass may override `predict`, so a name that is not registered is refused, whatever it derives from. The first
paragraph of a lowering's docstring is what the page of supported estimators says of its classes: what of them is
supported, and what is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimml.frontends.lowerer import Inverse, Lowering

_LOWERINGS: dict[str, Lowering] = {}
# Those that user code registered.
_USERS: dict[str, Lowering] = {}
_INVERSES: dict[str, Inverse] = {}
_READERS_OF_TEXT: set[str] = set()
_READERS_OF_VECTORS: set[str] = set()

# What a user can do about a class, an option or a state that no lowering handles.
WAYS_OUT = (
    "Write a lowering for it (one function under slimml.lowers, in a module that --plugin names), "
    "have skl2onnx convert it (--backend onnx --trust, which loads the file), or leave the step outside: "
    "--keep PATH=module:function keeps a first or last step of a Pipeline as Python of yours."
)

# The modules whose import registers slimml's own lowerings.
_SKLEARN = (
    "compose",
    "functions",
    "scale",
    "impute",
    "skewed",
    "polynomial",
    "encode",
    "encode_integers",
    "labels",
    "bin",
    "select",
    "select_by_model",
    "text",
    "linear",
    "linear_classifiers",
    "glm",
    "naive_bayes",
    "svm",
    "decompose",
    "neural",
    "neighbors",
    "clusters",
    "impute_neighbors",
    "impute_iterative",
    "radius",
    "centroids",
    "outliers",
    "kernel_models",
    "process_classifiers",
    "discriminant",
    "trees",
    "boosting",
    "hist_boosting",
    "meta",
    "ada_boost",
    "bagging",
    "isolation",
    "wrappers",
    "calibrate",
    "multiclass",
    "multioutput",
    "dummy",
    "target",
)
_FAMILIES = (
    *(f"sklearn.{family}" for family in _SKLEARN),
    "imblearn",
    "lightgbm.models",
    "xgboost.models",
    "onnx.model",
)


def lowers(*paths: str, documents: bool = False, vector: bool = False) -> Callable[[Lowering], Lowering]:
    """Register a lowering for classes, by the `module.Class` that pickles name, oldest module last.

    `documents`: instances take a list of texts, not a table; `vector`: they take one column as a list of values or a
    1-D array. User code may register classes with it (`slimml.lowers`) before it calls `slimml.shrink`, or in a module
    that `--plugin` names; what it registers goes before slimml's own.
    """

    def register(function: Lowering) -> Lowering:
        for path in paths:
            (_LOWERINGS if is_own(function) else _USERS)[path] = function
            if documents:
                _READERS_OF_TEXT.add(path)
            if vector:
                _READERS_OF_VECTORS.add(path)
        return function

    return register


def inverts(*paths: str) -> Callable[[Inverse], Inverse]:
    """Register what `inverse_transform` of classes means, by the names that `lowers` knows them under."""

    def register(function: Inverse) -> Inverse:
        _INVERSES.update(dict.fromkeys(paths, function))
        return function

    return register


def moved(module: str, *classes: str) -> list[str]:
    """Classes of a module whose name got its underscore in scikit-learn 0.22, under both of its names."""
    package, _, name = module.rpartition(".")
    return [f"{m}.{c}" for m in (module, f"{package}.{name.removeprefix('_')}") for c in classes]


def lowering(path: str) -> Lowering | None:
    """The lowering registered for a class, or None."""
    for family in _FAMILIES:
        import_module(f"slimml.frontends.{family}")
    return _USERS.get(path) or _LOWERINGS.get(path)


def inverse(path: str) -> Inverse | None:
    """What is registered as a class's inverse_transform, or None."""
    lowering(path)
    return _INVERSES.get(path)


def reads_documents(path: str) -> bool:
    """Whether instances of a class take a list of texts, not a table."""
    return lowering(path) is not None and path in _READERS_OF_TEXT


def reads_vectors(path: str) -> bool:
    """Whether instances of a class take one column as a vector."""
    return lowering(path) is not None and path in _READERS_OF_VECTORS


def registered() -> list[str]:
    """Every registered class."""
    lowering("")
    return sorted({*_LOWERINGS, *_USERS})


def documentation(path: str) -> str:
    """What the page of supported estimators says of a registered class, on one line; "" where that is nothing."""
    paragraph, *_ = (inspect.getdoc(lowering(path)) or "").split("\n\n")
    return " ".join(paragraph.split())


def own(path: str) -> bool:
    """Whether a registered class is lowered by slimml itself, not by code of the user's."""
    return path in _LOWERINGS and path not in _USERS


def is_own(function: Lowering) -> bool:
    """Whether a lowering is slimml's own."""
    return (getattr(function, "__module__", None) or "").startswith("slimml.frontends.")

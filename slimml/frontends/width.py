"""What columns a model takes, read off whatever its release kept of them.

Estimators keep their number from 0.24 on and their names from 1.0 on. Older ones, and a few classes to this day, keep
neither: then some fitted array tells the number by its shape, a ColumnTransformer has names of its own, and what wraps
an estimator knows what that one knows. A class that nothing here fits gets a line in one of the tables below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.errors import UnfittedModelError, UnsupportedEstimatorError
from slimml.frontends.registry import lowering, reads_documents
from slimml.frontends.strangers import why_unknown
from slimml.ingest.record import Record, Symbol

# A few bytes can claim billions of columns, each of which gets a name.
_MOST_COLUMNS = 1 << 22

# Attributes that are the number itself, and those whose shape has it at an axis (a list: its length). The first that
# the estimator has counts.
_COUNTS = ("n_features_in_", "_n_features", "n_features_", "n_input_features_")
_SHAPES = (
    *(("coef_", -1), ("mean_", 0), ("scale_", 0), ("center_", 0), ("components_", -1), ("statistics_", 0)),
    *(("theta_", -1), ("feature_log_prob_", -1), ("n_values_", 0), ("categories_", 0), ("n_bins_", 0)),
    *(("scores_", 0), ("variances_", 0), ("lambdas_", 0), ("quantiles_", -1), ("cluster_centers_", -1)),
    *(("_fit_X", -1), ("X_train_", -1), ("X_fit_", -1), ("max_abs_", 0), ("shape_fit_", 1)),
    *(("centroids_", -1), ("means_", -1), ("location_", 0)),
)
# Classes in which an attribute of those names means something else, or another one tells it.
_OF_CLASS: dict[str, Callable[[Record], Any]] = {
    **dict.fromkeys(("DecisionTreeClassifier", "DecisionTreeRegressor"), lambda est: _of_tree(est.get("tree_"))),
    **dict.fromkeys(("ExtraTreeClassifier", "ExtraTreeRegressor"), lambda est: _of_tree(est.get("tree_"))),
    "RFE": lambda est: _extent(est.get("support_"), 0),
    "RFECV": lambda est: _extent(est.get("support_"), 0),
    "MLPClassifier": lambda est: _extent(_first(est.get("coefs_")), 0),
    "MLPRegressor": lambda est: _extent(_first(est.get("coefs_")), 0),
    "OneHotEncoder": lambda est: _of_one_hot(est),
    "IsotonicRegression": lambda est: 1,
    "LabelEncoder": lambda est: 1,
    "LabelBinarizer": lambda est: 1,
    "MultiLabelBinarizer": lambda est: 1,
    "ColumnTransformer": lambda est: _extent_of_choices(est),
}  # fmt: skip
# What an estimator hands the columns on to as they came: an estimator, a list of them, or of (name, estimator).
_INSIDE = (
    *("transformer_list", "estimators_", "calibrated_classifiers_"),
    *("best_estimator_", "estimator_", "regressor_", "classifier_", "base_estimator", "estimator"),
)
# Steps that make of n columns n columns, and of which some release says nothing more: the next step may know.
_KEEPS_WIDTH = {"Normalizer", "Binarizer"}


@dataclass(frozen=True, slots=True)
class Columns:
    """The raw columns: their names (x0, x1, ... where the original has none), and whether it knows them.

    `documents`: the model takes a list of texts; the step that sees its input is a vectorizer. `spaced`: the names are
    LightGBM's, which writes "_" for a space (Dataset::set_feature_names of its io/dataset.h).
    """

    names: tuple[str, ...]
    named: bool = False
    documents: bool = False
    spaced: bool = False


def columns_of(record: Record, offered: Columns | None = None) -> Columns:
    """What columns a model takes; those `offered`, which the user's data or schema has, where nothing tells.

    Raises UnfittedModelError, UnsupportedEstimatorError.
    """
    readers = list(_readers(record))
    found = _told(readers) or offered
    if found is None:
        raise _untold(record, readers)
    return found


def _told(readers: Iterable[Record]) -> Columns | None:
    """What the first of the estimators that tells anything tells."""
    count = None
    for est in readers:
        names = _names(est) if count is None else _own_names(est)
        if names is not None:
            return Columns(names, named=True, spaced=est.module.startswith("lightgbm."))
        if count is None and reads_documents(est.path):
            return Columns(("x0",), documents=True)
        # An estimator that knows the number and no names may hold an old ColumnTransformer that does.
        count = _count(est) if count is None else count
    return None if count is None else _numbered(count)


def _names(est: Record) -> tuple[str, ...] | None:
    names = _texts(est.get("feature_names_in_"))
    return _own_names(est) if names is None else names


def _own_names(est: Record) -> tuple[str, ...] | None:
    """The names that a ColumnTransformer keeps in releases 0.21 to 0.24."""
    if est.name != "ColumnTransformer":
        return None
    names = _texts(est.get("_df_columns"))
    return _texts(est.get("_feature_names_in")) if names is None else names


def _texts(names: Any) -> tuple[str, ...] | None:
    if not isinstance(names, np.ndarray | list | tuple) or not all(isinstance(n, str) for n in list(names)):
        return None
    return tuple(str(n) for n in names)


def _count(est: Record) -> int | None:
    if est.name in _OF_CLASS and "n_features_in_" not in est.fields:
        return _as_count(_OF_CLASS[est.name](est))
    for attribute in _COUNTS:
        found = _as_count(est.get(attribute))
        if found is not None:
            return found
    for attribute, axis in _SHAPES:
        found = _extent(est.get(attribute), axis)
        if found is not None:
            return found
    return None


def _numbered(count: int) -> Columns:
    if not 0 <= count <= _MOST_COLUMNS:
        raise UnsupportedEstimatorError(
            f"the model takes {count} columns; models of up to {_MOST_COLUMNS} are read",
            where="model",
            hint="Each has a name in the artifact: select the columns that matter in a step before the model.",
        )
    return Columns(tuple(f"x{i}" for i in range(count)))


def _readers(record: Record) -> Iterator[Record]:
    """The estimators that read the raw columns, outermost first."""
    stack, seen = [record], set()
    while stack:
        est = stack.pop()
        if id(est) in seen:  # a file can hold an estimator that holds itself
            continue
        seen.add(id(est))
        yield est
        stack += reversed(list(_inside(est)))


def _inside(est: Record) -> Iterator[Record]:
    for step in _members(est.get("steps")):
        yield step
        if not _keeps_width(step):
            break
    if est.has("estimators_features_"):
        return  # the members of a bagging read a choice of the columns
    for attribute in _INSIDE:
        yield from _members(est.get(attribute))


def _members(value: Any) -> Iterator[Record]:
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.dtype == object else []
    for member in value if isinstance(value, list | tuple) else [value]:
        member = member[1] if isinstance(member, list | tuple) and len(member) > 1 else member
        if isinstance(member, Record):
            yield member


def _keeps_width(step: Record) -> bool:
    """Whether a step hands on as many columns as it gets: also a FunctionTransformer of nothing or of a ufunc."""
    if step.name != "FunctionTransformer":
        return step.name in _KEEPS_WIDTH
    func = step.get("func")
    return func is None or (isinstance(func, Symbol) and func.module.split(".")[0] == "numpy")


def _of_tree(tree: Any) -> Any:
    return tree.args[0] if isinstance(tree, Record) and tree.args else None


def _of_one_hot(est: Record) -> int | None:
    """Before 0.22 it may encode a choice of the columns, which only a mask tells the number of."""
    chosen = est.get("_categorical_features", est.get("categorical_features"))
    if chosen is None or isinstance(chosen, str):
        return _extent(est.get("categories_", est.get("n_values_")), 0)
    mask = _positions(chosen)
    return mask.size if mask.dtype.kind == "b" else None


def _extent_of_choices(est: Record) -> int | None:
    """One more than the last column that a ColumnTransformer reads or drops: releases before 0.21 keep no number."""
    known = _as_count(est.get("_n_features"))
    if known is not None:
        return known
    choices, ends = est.get("transformers_"), []
    for choice in [*(choices if isinstance(choices, list) else ()), est.get("_remainder")]:
        step, columns = choice[1:] if isinstance(choice, tuple) and len(choice) == 3 else (None, ())
        mask = _positions(_reach(columns, step) if isinstance(columns, slice) else columns)
        if columns is None or not mask.size:  # nothing remains
            continue
        if mask.dtype.kind not in "biu" or (mask.dtype.kind != "b" and mask.min() < 0):
            return None
        ends.append(mask.size if mask.dtype.kind == "b" else int(mask.max()) + 1)
    return max(ends, default=None)


def _positions(columns: Any) -> np.ndarray:
    """Positions, or a mask, as an array; of anything else an array of objects."""
    items = columns.tolist() if isinstance(columns, np.ndarray) else columns
    items = list(items) if isinstance(items, list | tuple | range) else [items]
    plain = all(isinstance(i, int | np.integer | np.bool_) for i in items)
    return np.asarray(items) if plain else np.empty(len(items), dtype=object)


def _reach(columns: slice, step: Any) -> Any:
    """The positions that an open slice means, which may go beyond the columns: as many as the step has."""
    inner = _told(_readers(step)) if isinstance(step, Record) else None
    ends = (columns.start, columns.stop)
    if inner is None or columns.step not in (None, 1) or not all(isinstance(e, int | None) for e in ends):
        return None
    return range(_MOST_COLUMNS)[columns][: len(inner.names)]


def _as_count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


def _extent(value: Any, axis: int) -> int | None:
    """The length of an array, a sparse matrix or a list at an axis."""
    if isinstance(value, list | tuple):
        return _as_count(value[axis]) if axis == 1 and len(value) > axis else len(value)
    shape = getattr(value, "shape", ()) if not isinstance(value, Record) else ()
    return int(shape[axis]) if len(shape) > max(axis, 0) else None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and value else None


def _untold(record: Record, readers: list[Record]) -> UnfittedModelError | UnsupportedEstimatorError:
    """Why nothing tells how many columns a model takes."""
    for est in readers:
        if lowering(est.path) is None:
            what, hint = why_unknown(est.path)
            return UnsupportedEstimatorError(what, where="model", hint=hint)
        if est.get("refit") is False:
            return UnsupportedEstimatorError(
                f"{est.name} with refit=False holds no fitted model",
                where="model",
                hint="Fit a model with its best_params_, and save that.",
            )
    if any(name.endswith("_") for est in readers for name in est.fields) or any(map(_keeps_width, readers)):
        return UnsupportedEstimatorError(
            f"nothing in the file says how many columns {record.name} takes",
            where="model",
            hint="Pass --data (or --schema) with the columns that it takes, in their order.",
        )
    return UnfittedModelError(
        f"{record.name} does not say how many columns it was fitted on",
        where="model",
        hint="Call fit before saving the model.",
    )

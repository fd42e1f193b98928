"""The Boosters of a file and their scikit-learn faces: each learns what its own text or bytes say of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from slimml.ingest.record import Record

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Library(Generic[M]):
    """How a library pickles its models.

    `booster`, `faces`  (module, name) of the class that holds a model, and of those that hold a Booster
    `field`    where a Booster's Record keeps its model once it has been read
    `parse`    the model of a Booster's Record, None where it holds none; raises IngestError
    `columns`  how many columns a model reads, and their names if it knows any
    """

    booster: tuple[str, str]
    faces: frozenset[tuple[str, str]]
    field: str
    parse: Callable[[Record], M | None]
    columns: Callable[[M], tuple[int, tuple[str, ...]]]


def complete(records: Iterable[Record], library: Library[M]) -> list[M]:
    """Read the model of every Booster, and note the columns that Boosters and their faces were fitted on.

    These are `n_features_in_` and `feature_names_in_`, which the libraries compute from the model when asked for them.
    """
    models, faces = [], []
    for record in records:
        kind = (record.module, record.name)
        if kind == library.booster:
            record.fields.pop(library.field, None)
            model = library.parse(record)
            if model is not None:
                record.fields[library.field] = model
                models.append(model)
                _note(record, *library.columns(model))
        elif kind in library.faces:
            faces.append(record)
    for face in faces:
        booster = face.get("_Booster")
        if type(booster) is Record and (booster.module, booster.name) == library.booster:
            model = booster.get(library.field)
            if model is not None:
                _note(face, *library.columns(model))
    return models


def _note(record: Record, width: int, names: tuple[str, ...]) -> None:
    record.fields["n_features_in_"] = width
    if names:
        record.fields["feature_names_in_"] = np.array(names, dtype=object)

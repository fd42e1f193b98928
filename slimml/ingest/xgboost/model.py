"""What an XGBoost model holds, from any of its formats, its structure checked.

The fields of the document: https://github.com/dmlc/xgboost/blob/v3.2.0/doc/model.schema
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from slimml.errors import LimitError
from slimml.ingest import jsontext
from slimml.ingest.boosters import Library
from slimml.ingest.record import Record
from slimml.ingest.xgboost import legacy, ubjson
from slimml.ingest.xgboost.trees import TreeArrays, bad, tree_arrays

BOOSTER = ("xgboost.core", "Booster")
PARSED = "parsed_model"  # where a Booster's Record keeps its model once it has been read
# Releases 1.0 to 1.2: the length of the binary model, the model, and then the configuration.
_OFFSET = b"CONFIG-offset:"
_MOST_OUTPUTS = 1 << 20
# A file of a few bytes may claim billions of columns; each costs memory long before a tree reads it.
_MOST_FEATURES = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class BoosterModel:
    """A model, whatever it was written in.

    `version`     (major, minor, patch), () where the file is silent (before 1.0)
    `booster`     gbtree, dart or gblinear; `objective` its name
    `features`    how many columns; `outputs` how many sums
    `base_score`  float32 (outputs,), `base_is_margin`: as a margin already
    `trees`       None for gblinear; `weights` float32 (T,) of dart, or the (features + 1, outputs) of gblinear
    `rounds`      where the trees of each round begin, and the end, int64
    `names`, `types`  of the features, empty where the model knows none
    `categories`  per feature its category values in the order of their codes, or None (written from 3.1 on)
    `best`        the best iteration of early stopping, or None
    """

    version: tuple[int, ...]
    form: str
    booster: str
    objective: str
    features: int
    outputs: int
    base_score: np.ndarray
    base_is_margin: bool
    trees: TreeArrays | None
    weights: np.ndarray
    rounds: np.ndarray
    names: tuple[str, ...]
    types: tuple[str, ...]
    categories: tuple[tuple[Any, ...] | None, ...]
    best: int | None


def format_of(head: bytes) -> str | None:
    """Which of XGBoost's formats content begins as: "JSON", "UBJSON", "binary", or None."""
    if head.startswith((legacy.MAGIC, _OFFSET)) or legacy.is_legacy(memoryview(head)):
        return "binary"
    if head[:2] in (b"{L", b"{l", b"{i", b"{U", b"{$", b"{#") or (head[:1] == b"{" and b"learner" in head[1:12]):
        return "UBJSON" if head[1:2] in b"LliU$#" else "JSON"
    start = head.lstrip(b" \t\r\n")
    return "JSON" if start[:1] == b"{" and b'"learner"' in head else None


def booster_of(data: Any) -> Record:
    """The model in a file as the Booster that XGBoost would make of it."""
    return Record(*BOOSTER, fields={"handle": bytes(data)})


def _model_of(record: Record) -> BoosterModel | None:
    handle = record.get("handle")
    if not isinstance(handle, bytes | bytearray | memoryview):
        return None
    model = read_model(memoryview(handle))
    # Before 1.4 the object alone knew the names: of columns that had none, f0, f1, ...
    own = record.get("feature_names")
    if model.names or own is None or own == [f"f{i}" for i in range(model.features)]:
        return model
    return replace(model, names=_names({"feature_names": own}, "feature_names", model.features))


def read_model(data: memoryview) -> BoosterModel:
    """The model of a file or of a pickled Booster. Raises CorruptInputError, LimitError."""
    head = bytes(data[:4096])
    form = format_of(head)
    if head[:1] == b"{":
        form = form or "JSON"
        document = (ubjson if form == "UBJSON" else jsontext).decode(data)
        if isinstance(document, dict) and "Model" in document:  # with the configuration of the run beside it
            return _checked(document["Model"], form, _parallel_of(document.get("Config")))
        return _checked(document, form)
    if head.startswith(_OFFSET):
        begin = len(_OFFSET) + 8
        size = int.from_bytes(data[len(_OFFSET) : begin], "little")
        return _checked(legacy.decode(data[begin : begin + size]), "binary")
    if form == "binary":
        return _checked(legacy.decode(data), "binary")
    raise bad(f"it begins with bytes {head[:8].hex(' ')}, which is none of XGBoost's formats")


def _parallel_of(config: Any) -> Any:
    """Trees a round, of the parameters that pickles hold: before 1.6 the model did not say."""
    for key in ("learner", "gradient_booster"):
        config = config.get(key) if isinstance(config, dict) else None
    if isinstance(config, dict) and isinstance(config.get("gbtree"), dict):
        config = config["gbtree"]  # of dart
    found = config.get("gbtree_train_param") if isinstance(config, dict) else None
    return found.get("num_parallel_tree", 1) if isinstance(found, dict) else 1


def _checked(document: Any, form: str, parallel: Any = 1) -> BoosterModel:
    """The document's numbers in arrays. What is read is looked at, what else is there is passed over."""
    learner = _part(document, "learner", dict)
    parameters = _part(learner, "learner_model_param", dict)
    features = _count(parameters, "num_feature")
    if features > _MOST_FEATURES:
        raise LimitError(f"{features} features, more than {_MOST_FEATURES}", where="XGBoost model")
    outputs = max(1, _count(parameters, "num_class", 0), _count(parameters, "num_target", 1))
    if outputs > _MOST_OUTPUTS:
        raise bad(f"{outputs} outputs")
    gradient = _part(learner, "gradient_booster", dict)
    booster = gradient.get("name")
    if booster not in ("gbtree", "dart", "gblinear"):
        raise bad(f"an unknown booster {booster!r:.40}")
    trees, rounds, model = None, np.zeros(1, np.int64), {}
    weights: np.ndarray = np.zeros(0, np.float32)
    if booster == "gblinear":
        flat = _floats(_part(gradient, "model", dict).get("weights"), "weights", (features + 1) * outputs)
        weights = np.asarray(flat.reshape(features + 1, outputs))
    else:
        inner = _part(gradient, "gbtree", dict) if booster == "dart" else gradient
        model = _part(inner, "model", dict)
        trees = tree_arrays(_part(model, "trees", list), model.get("tree_info"), features, outputs)
        rounds = _rounds(model, trees, outputs, parallel)
        if booster == "dart":
            weights = _floats(gradient.get("weight_drop"), "weights of the trees", trees.count)
    attributes = learner.get("attributes")
    return BoosterModel(
        version=_version(document.get("version")),
        form=form,
        booster=booster,
        objective=str(_part(learner, "objective", dict).get("name"))[:80],
        features=features,
        outputs=outputs,
        base_score=_base_score(parameters.get("base_score"), outputs),
        base_is_margin=learner.get("base_is_margin") is True,
        trees=trees,
        weights=weights,
        rounds=rounds,
        names=_names(learner, "feature_names", features),
        types=_names(learner, "feature_types", features),
        categories=_categories(model.get("cats"), features),
        best=_best(attributes if isinstance(attributes, dict) else {}),
    )


def _part(holder: Any, name: str, kind: type) -> Any:
    found = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(found, kind):
        raise bad(f"it has no {name}")
    return found


def _count(holder: dict[str, Any], name: str, default: int | None = None) -> int:
    value = holder.get(name, default)
    word = str(value)
    if isinstance(value, float) or not (word.isascii() and word.isdigit() and len(word) < 11):
        raise bad(f"its {name} is {value!r:.40}")
    return int(word)


def _floats(values: Any, what: str, count: int) -> np.ndarray:
    array = _array(values, what)
    if len(array) != count:
        raise bad(f"{len(array)} {what} where {count} are due")
    return array.astype(np.float32)


def _array(values: Any, what: str) -> np.ndarray:
    if isinstance(values, list) and all(type(v) in (int, float) for v in values):
        values = np.array(values, dtype=np.float64)
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise bad(f"its {what} are no list of numbers")
    return values


def _base_score(value: Any, outputs: int) -> np.ndarray:
    """One score for all outputs, or from 3.1 on one for each, as text."""
    if isinstance(value, str):
        if len(value) > 64 * _MOST_OUTPUTS:
            raise bad("its base score is too long")
        words = value.strip("[]").split(",")
    else:
        words = [str(value)]
    try:
        scores = np.array([float(w) for w in words], dtype=np.float32)
    except (ValueError, OverflowError):
        raise bad(f"its base score is {value!r:.40}") from None
    if len(scores) not in (1, outputs) or not np.isfinite(scores).all():
        raise bad(f"its base score is {value!r:.40} for {outputs} outputs")
    return np.resize(scores, outputs)


def _rounds(model: dict[str, Any], trees: TreeArrays, outputs: int, default: Any) -> np.ndarray:
    given = model.get("iteration_indptr")
    if given is not None:
        rounds = _array(given, "rounds").astype(np.int64)
        if not len(rounds) or rounds[0] != 0 or rounds[-1] != trees.count or (np.diff(rounds) < 0).any():
            raise bad("its rounds do not cover its trees")
        return rounds
    parallel = max(1, _count(_part(model, "gbtree_model_param", dict), "num_parallel_tree", default))
    layer = parallel * (outputs if trees.values.shape[1] == 1 else 1)
    return np.append(np.arange(0, trees.count, layer), trees.count).astype(np.int64)


def _names(learner: dict[str, Any], key: str, features: int) -> tuple[str, ...]:
    values = learner.get(key)
    if not isinstance(values, list) or not values:
        return ()
    if len(values) != features or not all(isinstance(v, str) for v in values):
        raise bad(f"its {key} are not one text for each of {features} features")
    return tuple(values)


def _version(value: Any) -> tuple[int, ...]:
    parts = value.tolist() if isinstance(value, np.ndarray) else value
    fits = isinstance(parts, list) and len(parts) <= 4 and all(type(p) is int and 0 <= p < 10_000 for p in parts)
    return tuple(parts) if fits else ()


def _best(attributes: dict[str, Any]) -> int | None:
    word = attributes.get("best_iteration")
    return int(word) if isinstance(word, str) and word.isascii() and word.isdigit() and len(word) < 10 else None


def _categories(cats: Any, features: int) -> tuple[tuple[Any, ...] | None, ...]:
    """The values of each feature's categories (`cats`, from 3.1 on); None for numbers.

    `enc`: one entry a feature, texts as a run of bytes cut by `offsets`, numbers as they are.
    """
    entries = cats.get("enc") if isinstance(cats, dict) else None
    if not isinstance(entries, list) or not entries:
        return (None,) * features
    if len(entries) != features:
        raise bad(f"categories of {len(entries)} features where {features} are due")
    return tuple(_column(e) for e in entries)


def _column(entry: Any) -> tuple[Any, ...] | None:
    if not isinstance(entry, dict):
        raise bad("categories of an unknown form")
    values = _array(entry.get("values", []), "categories")
    if "offsets" not in entry:
        return tuple(values.tolist()) or None
    offsets = _array(entry["offsets"], "categories").astype(np.int64)
    if not len(offsets):
        return None
    if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(values):
        raise bad("categories that do not cover their texts")
    raw = (values.astype(np.int64) & 0xFF).astype(np.uint8).tobytes()
    return tuple(raw[a:b].decode("utf-8", "surrogateescape") for a, b in pairwise(offsets.tolist())) or None


LIBRARY = Library(
    booster=BOOSTER,
    faces=frozenset(
        ("xgboost.sklearn", name)
        for name in ("XGBModel", "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
    ),
    field=PARSED,
    parse=_model_of,
    columns=lambda model: (model.features, model.names),
)

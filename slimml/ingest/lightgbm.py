"""LightGBM's own text of a model (versions 2 to 4): a file of its own, or the state of a pickled Booster.

A header of `key=value` lines, then a block of lines for each tree, parameters, and the categories of pandas columns.
What each line means: https://github.com/lightgbm-org/LightGBM/blob/v4.6.0/src/boosting/gbdt_model_text.cpp and
https://github.com/lightgbm-org/LightGBM/blob/v4.6.0/src/io/tree.cpp.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError
from slimml.ingest.boosters import Library
from slimml.ingest.machine import Source
from slimml.ingest.record import Record

BOOSTER = ("lightgbm.basic", "Booster")
PARSED = "parsed_text"  # where a Booster's Record keeps its model once it has been read
_VERSIONS = {"v2": (2, 1), "v3": (2, 3), "v4": (4, 0)}
# Parameters that a text lists since that release; those of a text that was read and saved again stay as they were.
_SINCE = {"extra_trees": (3, 0), "linear_tree": (3, 2), "precise_float_parser": (3, 3), "bagging_by_query": (4, 6)}
_LONGEST_NUMBER, _MOST_WORDS = 40, 1 << 31
_CATEGORICAL = 1
_HINT = "The file is damaged, or made to crash whoever uses it."
_DECLARED = re.compile(r"^\[categorical_feature: (\d+(?:,\d+)*)\]", re.MULTILINE)
_PANDAS = "\npandas_categorical:"


@dataclass(frozen=True, slots=True, eq=False)
class TreeText:
    """The trees as the text has them, one after another; T trees, `inner` splits and `leaves` leaves each, int64 (T,).

    `feature`, `left`, `right`, `decision` int64 and `threshold` float64, one entry a split: a child c >= 0 is split c
    of the same tree, c < 0 its leaf ~c; `decision` bits: 1 categories, 2 missing goes left, 4-8 what is missing.
    `value` float64, one a leaf. `sets`, int64 (T,): sets of categories; `set_sizes` int64, the words of each set;
    `set_words` uint32. `linear` bool (T,): whose leaves are linear; then for every leaf of these `const` float64 and
    `terms` int64, its number of terms, whose columns and factors stand in `term_feature` int64, `term_factor` float64.
    """

    inner: np.ndarray
    leaves: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    sets: np.ndarray
    set_sizes: np.ndarray
    set_words: np.ndarray
    linear: np.ndarray
    const: np.ndarray
    terms: np.ndarray
    term_feature: np.ndarray
    term_factor: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ModelText:
    """A model text.

    `release`      (major, minor) of LightGBM that it takes at least, by its version and the parameters that it lists
    `objective`    its words, such as ("binary", "sigmoid:1"); none for an objective of the user's own
    `outputs`      trees per iteration; `averaged`: the answer is the mean of the iterations (random forest)
    `names`        of the features; `categorical`: positions that the parameters declare as categories
    `pandas`       the categories of each pandas column of categories, or None where the text does not say
    """

    version: str
    release: tuple[int, int]
    objective: tuple[str, ...]
    outputs: int
    averaged: bool
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    pandas: list[Any] | None
    trees: TreeText


def is_text_model(head: bytes) -> bool:
    """Whether content begins as LightGBM's text does."""
    return head.startswith((b"tree\n", b"tree\r\n"))


def booster_of(data: Source) -> Record:
    """The text in a file as the Booster that LightGBM would make of it. Raises CorruptInputError."""
    try:
        text = bytes(data).decode("utf-8")
    except UnicodeDecodeError as e:
        raise CorruptInputError("the LightGBM text is not UTF-8", offset=e.start) from None
    return Record(*BOOSTER, fields={"_handle": text, "best_iteration": -1})


def _text_of(record: Record) -> ModelText | None:
    text = record.get("_handle", record.get("handle"))  # renamed in 4.0
    return read_text(text) if type(text) is str else None


def _columns(model: ModelText) -> tuple[int, tuple[str, ...]]:
    own = any(name != f"Column_{i}" for i, name in enumerate(model.names))
    return len(model.names), model.names if own else ()


def read_text(text: str) -> ModelText:
    """The model of a text, its structure checked. Raises CorruptInputError."""
    text = text.replace("\r\n", "\n")
    begin = text.find("\nTree=")
    header = dict(_pair(line) for line in text[: begin if begin >= 0 else len(text)].split("\n"))
    version = header.get("version", "")
    if version not in _VERSIONS:
        said = f"version {version!r:.20}" if version else "no version: releases before 2.1 wrote it"
        raise _bad(f"the text has {said}; versions 2 to 4 are read", hint="Load it with LightGBM and save it again.")
    names = tuple(header.get("feature_names", "").split(" "))
    features = _count(header, "max_feature_idx") + 1
    outputs = _count(header, "num_tree_per_iteration" if "num_tree_per_iteration" in header else "num_class")
    if len(names) != features:
        raise _bad(f"it names {len(names)} features and says that it has {features}")
    blocks = _blocks(text, begin)
    if outputs < 1 or len(blocks) % outputs:
        raise _bad(f"it has {len(blocks)} trees, {outputs} of them in an iteration")
    _, _, parameters = text.rpartition("\nparameters:")
    declared = _DECLARED.search(parameters)
    listed = [since for name, since in _SINCE.items() if f"\n[{name}: " in parameters]
    return ModelText(
        version=version,
        release=max([_VERSIONS[version], *listed]),
        objective=tuple(header.get("objective", "").split()),
        outputs=outputs,
        averaged="average_output" in header,
        names=names,
        categorical=tuple(int(c) for c in declared[1].split(",") if len(c) < 10) if declared else (),
        pandas=_pandas(text),
        trees=_trees(blocks, features),
    )


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key, value.strip()


def _count(header: dict[str, str], key: str) -> int:
    value = header.get(key, "")
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise _bad(f"its {key} is {value!r:.40}" if value else f"it has no {key}")
    return int(value)


def _pandas(text: str) -> list[Any] | None:
    at = text.rfind(_PANDAS)
    if at < 0:
        return None
    try:
        value = json.loads(text[at + len(_PANDAS) :].partition("\n")[0])
    except (ValueError, RecursionError):
        raise _bad("its pandas_categorical is not JSON") from None
    if value is not None and not (type(value) is list and all(type(v) is list for v in value)):
        raise _bad("its pandas_categorical is no list of lists")
    return value


def _blocks(text: str, begin: int) -> list[dict[str, str]]:
    """The `key=value` lines of each tree."""
    if begin < 0:
        return []
    ends = [at for mark in ("\nend of trees", "\nfeature importances:", "\nfeature_importances:")
            if (at := text.find(mark, begin)) >= 0]  # fmt: skip
    body = text[begin : min(ends, default=len(text))]
    return [dict(_pair(line) for line in block.split("\n")) for block in body.split("\nTree=")[1:]]


class _Reader:
    """Numbers of one key, tree after tree, in one array."""

    def __init__(self, blocks: list[dict[str, str]]) -> None:
        self.blocks = blocks

    def single(self, key: str, default: str) -> np.ndarray:
        """One whole number a tree."""
        values = [block.get(key, default) for block in self.blocks]
        return self._array(key, values, int, np.int64)

    def ints(self, key: str, counts: np.ndarray) -> np.ndarray:
        """As many whole numbers of each tree as `counts` says."""
        return self._array(key, self._words(key, counts), int, np.int64)

    def floats(self, key: str, counts: np.ndarray) -> np.ndarray:
        """As many numbers of each tree as `counts` says."""
        return self._array(key, self._words(key, counts), float, np.float64)

    def _words(self, key: str, counts: np.ndarray) -> list[str]:
        words = [block.get(key, "").split() if count else [] for block, count in zip(self.blocks, counts.tolist())]
        for tree, (found, count) in enumerate(zip(words, counts.tolist(), strict=True)):
            if len(found) != count:
                raise _bad(f"its {key} has {len(found)} entries, and {count} are due", tree)
        return list(chain.from_iterable(words))

    def _array(self, key: str, words: list[str], number: Callable[[str], Any], dtype: type) -> np.ndarray:
        try:
            if max(map(len, words), default=0) > _LONGEST_NUMBER:
                raise ValueError
            return np.array(list(map(number, words)), dtype=dtype)
        except (ValueError, OverflowError):
            raise _bad(f"its {key} holds what is no number of that kind") from None


def _trees(blocks: list[dict[str, str]], features: int) -> TreeText:
    reader = _Reader(blocks)
    leaves = reader.single("num_leaves", "")
    if len(leaves) and leaves.min() < 1:
        raise _bad("it has no leaves", int(np.argmin(leaves)))
    inner, sets = leaves - 1, reader.single("num_cat", "0")
    if any("has_categorical" in block and "num_cat" not in block for block in blocks):
        raise _bad("it splits categories as releases before 2.1 did", hint="Load it with LightGBM and save it again.")
    linear = reader.single("is_linear", "0") != 0
    ends = _set_ends(reader, sets)
    terms = reader.ints("num_features", np.where(linear, leaves, 0))
    if ((terms < 0) | (terms > features)).any():
        raise _bad("a leaf has a negative number of terms, or more than there are features")
    of_tree = _sums(terms, np.where(linear, leaves, 0))
    trees = TreeText(
        inner=inner,
        leaves=leaves,
        feature=reader.ints("split_feature", inner),
        threshold=reader.floats("threshold", inner),
        decision=reader.ints("decision_type", inner),
        left=reader.ints("left_child", inner),
        right=reader.ints("right_child", inner),
        value=reader.floats("leaf_value", leaves),
        sets=sets,
        set_sizes=ends,
        set_words=reader.ints("cat_threshold", _sums(ends, sets)).astype(np.uint32),
        linear=linear,
        const=reader.floats("leaf_const", np.where(linear, leaves, 0)),
        terms=terms,
        term_feature=reader.ints("leaf_features", of_tree),
        term_factor=reader.floats("leaf_coeff", of_tree),
    )
    _check(trees, features)
    return trees


def _set_ends(reader: _Reader, sets: np.ndarray) -> np.ndarray:
    """The number of words of each set, from the positions at which sets begin and the last one ends."""
    if len(sets) and sets.min() < 0:
        raise _bad("it has a negative number of sets", int(np.argmin(sets)))
    bounds = reader.ints("cat_boundaries", np.where(sets > 0, sets + 1, 0))
    tree = np.repeat(np.arange(len(sets)), np.where(sets > 0, sets + 1, 0))
    same = tree[1:] == tree[:-1]
    first = np.append(True, ~same)[: len(bounds)]
    sizes: np.ndarray = np.diff(bounds)[same]
    if (bounds[first] != 0).any() or (sizes < 0).any() or bounds.max(initial=0) > _MOST_WORDS:
        raise _bad("its cat_boundaries do not rise from 0")
    return sizes


def _sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The sum of each tree's values, of which it has `counts`."""
    total: np.ndarray = np.concatenate([[0], np.cumsum(values)])
    end = np.cumsum(counts)
    return np.asarray(total[end] - total[end - counts], dtype=np.int64)


def _check(trees: TreeText, features: int) -> None:
    """Every index is in range, every split and leaf but the root has one parent, which stands before it."""
    tree = np.repeat(np.arange(len(trees.inner)), trees.inner)
    first, leaf = np.cumsum(trees.inner) - trees.inner, np.cumsum(trees.leaves) - trees.leaves
    own = np.arange(len(tree)) - first[tree]
    for name, wrong in (("split_feature", (trees.feature < 0) | (trees.feature >= features)),
                        ("decision_type", (trees.decision < 0) | (trees.decision > 11))):  # fmt: skip
        _refuse(wrong, tree, f"its {name} is out of range")
    splits, leaves = np.zeros(len(tree), dtype=np.int64), np.zeros(len(trees.value), dtype=np.int64)
    for child in (trees.left, trees.right):
        # Whoever grows a tree numbers a split after its parent, so a cycle shows in one comparison.
        wrong = np.where(child >= 0, (child <= own) | (child >= trees.inner[tree]), ~child >= trees.leaves[tree])
        _refuse(wrong, tree, "a child is outside of the tree or before its parent")
        at = child >= 0
        splits += np.bincount(first[tree[at]] + child[at], minlength=len(splits))
        leaves += np.bincount(leaf[tree[~at]] + ~child[~at], minlength=len(leaves))
    _refuse(splits != (own > 0), tree, "a split has no parent or two")
    _refuse(leaves != np.repeat(trees.leaves > 1, trees.leaves),
            np.repeat(np.arange(len(trees.leaves)), trees.leaves), "a leaf has no parent or two")  # fmt: skip
    in_set = (trees.decision & _CATEGORICAL) != 0
    _refuse(np.isnan(trees.threshold), tree, "a threshold is NaN")
    wrong = in_set & ~((trees.threshold >= 0) & (trees.threshold < trees.sets[tree]))
    _refuse(wrong, tree, "a split on categories has no set of categories")
    if ((trees.term_feature < 0) | (trees.term_feature >= features)).any():
        raise _bad("a linear leaf reads a feature that the model does not have")


def _refuse(wrong: np.ndarray, tree: np.ndarray, what: str) -> None:
    if wrong.any():
        raise _bad(what, int(tree[np.argmax(wrong)]))


def _bad(what: str, tree: int | None = None, hint: str = _HINT) -> CorruptInputError:
    where = "LightGBM text" if tree is None else f"LightGBM text, Tree={tree}"
    return CorruptInputError(what, where=where, hint=hint)


LIBRARY = Library(
    booster=BOOSTER,
    faces=frozenset(
        ("lightgbm.sklearn", name) for name in ("LGBMModel", "LGBMClassifier", "LGBMRegressor", "LGBMRanker")
    ),
    field=PARSED,
    parse=_text_of,
    columns=_columns,
)

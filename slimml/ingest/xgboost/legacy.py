"""The binary format of XGBoost before 1.0, kept up to 3.0 as "deprecated", to the document that its JSON would be.

Structures as C++ laid them out on little-endian machines; strings and vectors have eight bytes of length in front.
https://github.com/dmlc/xgboost/blob/release_1.7.0/src/learner.cc (LearnerModelParamLegacy, LoadModel(dmlc::Stream*)),
src/gbm/gbtree_model.cc, src/tree/tree_model.cc, src/gbm/gblinear_model.h
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError

MAGIC = b"binf"
_LEARNER, _GBTREE, _TREE, _LINEAR = 136, 160, 148, 136
_NODE = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("value", "<f4")])
_STATISTICS = 16  # bytes a node: loss, weight sum, base weight, number of leaves below
_DEFAULT_LEFT = np.uint32(1 << 31)
_LONGEST = 1 << 20
_BOOSTERS = ("gbtree", "dart", "gblinear")


@dataclass(slots=True)
class _Reader:
    data: memoryview
    at: int = 0

    def take(self, count: int, what: str) -> memoryview:
        """The next bytes. Raises CorruptInputError where there are fewer."""
        if count < 0 or count > len(self.data) - self.at:
            raise self.bad(f"{what} takes {count} bytes where {len(self.data) - self.at} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def array(self, dtype: Any, count: int, what: str) -> np.ndarray:
        """As many items of a dtype."""
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count, what), dtype=dtype)

    def length(self) -> int:
        """Eight bytes of length."""
        return int(struct.unpack("<Q", self.take(8, "a length"))[0])

    def text(self) -> str:
        """A string."""
        size = self.length()
        if size > _LONGEST:
            raise self.bad(f"a string of {size} bytes")
        return bytes(self.take(size, "a string")).decode("utf-8", "replace")

    def bad(self, what: str) -> CorruptInputError:
        """The error for what stands before the present position."""
        hint = "The file is damaged, or made to crash whoever uses it."
        return CorruptInputError(f"the XGBoost binary is damaged: {what}", offset=self.at, hint=hint)


def is_legacy(data: memoryview) -> bool:
    """Whether bytes without a magic number look like this format: the names of an objective and of a booster."""
    reader = _Reader(data, _LEARNER)
    try:
        reader.text()
        return reader.text() in _BOOSTERS
    except CorruptInputError:
        return False


def decode(data: memoryview) -> dict[str, Any]:
    """The document, as the JSON of the same model has it. Raises CorruptInputError."""
    reader = _Reader(data[len(MAGIC) :] if bytes(data[:4]) == MAGIC else data)
    head = reader.take(_LEARNER, "the head")
    base_score, features, classes, attributes, _, major, minor, targets = struct.unpack("<fIiiiIII", head[:32])
    objective, booster = reader.text(), reader.text()
    if booster not in _BOOSTERS:
        raise reader.bad(f"an unknown booster {booster!r:.40}")
    model = _linear(reader) if booster == "gblinear" else _trees(reader)
    gradient: dict[str, Any] = {"name": booster, "model": model}
    if booster == "dart":
        weights = reader.array("<f4", reader.length(), "the weights of the trees")
        gradient = {"name": booster, "gbtree": gradient, "weight_drop": weights}
    parameters = {"base_score": float(base_score), "num_feature": features, "num_class": classes,
                  "num_target": targets if major >= 1 else 1}  # fmt: skip
    learner = {
        "attributes": _attributes(reader) if attributes else {},
        "gradient_booster": gradient,
        "learner_model_param": parameters,
        "objective": {"name": objective},
        # Before 1.0 the base score was stored as a margin, and no version at all.
        "base_is_margin": major < 1,
    }
    return {"learner": learner, "version": [major, minor] if major else []}


def _attributes(reader: _Reader) -> dict[str, str]:
    count = reader.length()
    if count > _LONGEST:
        raise reader.bad(f"{count} attributes")
    return {reader.text(): reader.text() for _ in range(count)}


def _trees(reader: _Reader) -> dict[str, Any]:
    count, parallel, _, _, buffer, _, leaf_vector = struct.unpack("<iiiiqii", reader.take(_GBTREE, "the head")[:32])
    if count < 0 or leaf_vector > 1 or buffer:
        raise reader.bad(f"{count} trees with leaves of {leaf_vector} numbers and a buffer of {buffer}")
    trees = [_tree(reader) for _ in range(count)] if count <= len(reader.data) // _TREE else []
    if len(trees) != count:
        raise reader.bad(f"{count} trees, more than there are bytes for")
    groups = reader.array("<i4", count, "the groups of the trees") if count else np.zeros(0, "<i4")
    return {"gbtree_model_param": {"num_parallel_tree": max(parallel, 1)}, "tree_info": groups, "trees": trees}


def _tree(reader: _Reader) -> dict[str, Any]:
    _, count, _, _, _, leaf_vector = struct.unpack("<iiiiIi", reader.take(_TREE, "a tree")[:24])
    if count < 1:
        raise reader.bad(f"a tree of {count} nodes")
    nodes = reader.array(_NODE, count, "the nodes of a tree")
    reader.take(_STATISTICS * count, "the statistics of a tree")
    if leaf_vector > 1:
        raise reader.bad("leaves of several numbers")
    return {
        "left_children": nodes["left"].astype(np.int64),
        "right_children": nodes["right"].astype(np.int64),
        "split_indices": (nodes["split"] & ~_DEFAULT_LEFT).astype(np.int64),
        "default_left": (nodes["split"] & _DEFAULT_LEFT) != 0,
        "split_conditions": nodes["value"].astype(np.float32),
    }


def _linear(reader: _Reader) -> dict[str, Any]:
    reader.take(_LINEAR, "the head")
    return {"weights": reader.array("<f4", reader.length(), "the weights")}

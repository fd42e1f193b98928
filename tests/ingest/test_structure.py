"""Trees, boosters and matrices that would crash native code are refused; honest ones pass, quickly."""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from slimml.errors import CorruptInputError
from slimml.ingest.limits import DEFAULT
from slimml.ingest.read import read
from slimml.ingest.structure import check_structure, check_tree
from slimml.ingest.walk import survey

_X = np.random.default_rng(0).normal(size=(200, 3))
_Y = _X[:, 0] + _X[:, 1]
_STATE = DecisionTreeRegressor(max_depth=4).fit(_X, _Y).tree_.__getstate__()


def _spoiled(field: str, index: int, value: Any) -> Any:
    nodes = _STATE["nodes"].copy()
    nodes[field][index] = value
    return nodes


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (_spoiled("left_child", 0, 10_000), "outside"),
        (_spoiled("left_child", 0, -5), "outside"),
        (_spoiled("left_child", 1, 0), "before its parent"),
        (_spoiled("left_child", 0, _STATE["nodes"]["right_child"][0]), "no parent or two"),
        (_spoiled("left_child", 0, -1), "one child"),
        (_spoiled("feature", 0, 3), "feature"),
        (_spoiled("feature", 0, -2), "feature"),
        (_spoiled("threshold", 0, np.nan), "NaN"),
        (_STATE["nodes"].reshape(1, -1), "not a list"),
        (_STATE["nodes"][["left_child", "right_child"]], "not a list"),
        (_STATE["nodes"][:0], "no nodes"),
        (_STATE["nodes"][:-1], "outside|parent"),
        (np.append(_STATE["nodes"], _STATE["nodes"][-1:]), "fewer values"),
    ],
)
def test_spoiled_trees_are_refused(nodes: Any, reason: str) -> None:
    check_tree(_STATE["nodes"], _STATE["values"], 3)
    with pytest.raises(CorruptInputError, match=reason):
        check_tree(nodes, _STATE["values"], 3)


def test_infinite_thresholds_and_old_nodes_pass() -> None:
    nodes = _spoiled("threshold", 0, np.inf)
    check_tree(nodes, _STATE["values"], 3)
    old = [name for name in nodes.dtype.names if name != "missing_go_to_left"]
    check_tree(nodes[old], _STATE["values"], 3)


def test_four_million_nodes_take_less_than_a_second() -> None:
    count = (1 << 22) - 1
    nodes = np.zeros(count, dtype=_STATE["nodes"].dtype)
    inner = np.arange(count // 2)
    nodes["left_child"] = nodes["right_child"] = -1
    nodes["left_child"][inner], nodes["right_child"][inner] = 2 * inner + 1, 2 * inner + 2
    start = time.perf_counter()
    check_tree(nodes, np.zeros((count, 1, 1)), 3)
    assert time.perf_counter() - start < 1


def _records(model: Any) -> Any:
    root = read(pickle.dumps(model)).root
    return root, survey(root, DEFAULT)


@pytest.mark.parametrize("field", ["n_features_in_", "n_outputs_"])
def test_a_forest_that_contradicts_its_trees_is_refused(field: str) -> None:
    root, records = _records(RandomForestRegressor(2).fit(_X, _Y))
    check_structure(records)
    root.estimators_[1].fields[field] = 7
    with pytest.raises(CorruptInputError, match=field):
        check_structure(records)


def test_a_forest_of_another_width_is_refused() -> None:
    root, records = _records(RandomForestRegressor(2).fit(_X, _Y))
    root.fields["n_features_in_"] = 2
    with pytest.raises(CorruptInputError, match="its trees"):
        check_structure(records)


@pytest.mark.parametrize(
    ("field", "value"), [("left", 9999), ("right", 0), ("feature_idx", 3), ("num_threshold", np.nan)]
)
def test_spoiled_boosting_trees_are_refused(field: str, value: float) -> None:
    root, records = _records(HistGradientBoostingClassifier(max_iter=2).fit(_X, _Y > 0))
    predictor = root.fields["_predictors"][0][0]
    nodes = predictor.nodes.copy()
    nodes[field][0] = value
    predictor.fields["nodes"] = nodes
    with pytest.raises(CorruptInputError):
        check_structure(records)


def test_categorical_boosting_passes() -> None:
    x = np.column_stack([_X[:, 0], np.arange(200) % 7])
    _records(HistGradientBoostingClassifier(max_iter=3, categorical_features=[1]).fit(x, np.arange(200) % 7 > 3))


def test_kernel_machines_whose_numbers_disagree_are_refused() -> None:
    root, records = _records(SVC().fit(_X, _Y > 0))
    root.fields["support_"] = root.support_[:-1]
    with pytest.raises(CorruptInputError, match="support"):
        check_structure(records)


def test_a_precomputed_kernel_passes() -> None:
    _records(SVC(kernel="precomputed").fit(_X @ _X.T, _Y > 0))


@pytest.mark.parametrize(
    ("part", "index", "value"), [("indices", 0, 9), ("indices", 0, -1), ("indptr", 1, 99), ("indptr", 0, 1)]
)
@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_spoiled_sparse_matrices_are_refused(layout: str, part: str, index: int, value: int) -> None:
    matrix = sparse.random(4, 4, 0.5, format="csr", random_state=0).asformat(layout)
    getattr(matrix, part)[index] = value
    with pytest.raises(CorruptInputError):
        read(pickle.dumps(matrix))

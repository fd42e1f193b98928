"""Trees and models whose arrays contradict each other are refused before any kernel or frontend indexes with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from slimml.errors import CorruptInputError
from slimml.ingest.arrays import Array
from slimml.ingest.record import Record

# `sklearn.tree.tree` never held Tree, but its compiled module moved nowhere in all releases.
_TREE = "sklearn.tree._tree.Tree"
_PREDICTOR = ("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor")
_LIBSVM = ("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")
_FORESTS = (
    *("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"),
    *("GradientBoostingClassifier", "GradientBoostingRegressor", "RandomTreesEmbedding"),
)
_NODE_KINDS = {"left_child": "i", "right_child": "i", "feature": "i", "threshold": "f"}
_NODE_FIELDS = {*_NODE_KINDS, "impurity", "n_node_samples", "weighted_n_node_samples"}
# Nodes are 56 or 64 bytes: in blocks that fit the cache, memory is read once and not once for each field.
_BLOCK = 1 << 15


def check_structure(records: Iterable[Record]) -> None:
    """Check every tree, booster and kernel machine. Raises CorruptInputError that names the class and the reason."""
    records = list(records)
    # The parts first: what owns them then reads arrays that are known to be sound.
    for record in records:
        if record.name == "Tree" and record.path == _TREE:
            _check_tree_record(record)
        elif (record.module, record.name) == _PREDICTOR:
            _check_predictor(record)
    for record in records:
        if record.module.startswith("sklearn."):
            if "tree_" in record.fields:
                _check_owner(record, record.fields["tree_"])
            elif record.name in _FORESTS:
                _check_forest(record)
            elif record.name.startswith("HistGradientBoosting"):
                _check_boosting(record)
            elif record.name in _LIBSVM:
                _check_libsvm(record)


def check_tree(nodes: Array, values: Array, n_features: int, *, where: str = "tree") -> None:
    """Check a scikit-learn tree: children, features, thresholds, values. About 0.1 s for a million nodes.

    Raises CorruptInputError.
    """
    if type(nodes) is not np.ndarray or nodes.ndim != 1 or not _NODE_FIELDS.issubset(nodes.dtype.names or ()):
        raise _bad(where, "its nodes are not a list of scikit-learn tree nodes")
    if any(nodes.dtype[name].kind != kind for name, kind in _NODE_KINDS.items()):
        raise _bad(where, "its nodes have fields of an unknown kind")
    if type(values) is not np.ndarray or values.dtype.kind != "f" or values.ndim != 3 or len(values) < len(nodes):
        raise _bad(where, "it has fewer values than nodes")
    _check_links(nodes, where, n_features, ("left_child", "right_child", "feature", "threshold"), None)


def _check_links(
    nodes: Array, where: str, n_features: int | None, names: tuple[str, str, str, str], leaf_flag: str | None
) -> None:
    """Children come after their parent, each has one parent, and what a split reads is there."""
    count = len(nodes)
    if count == 0:
        raise _bad(where, "it has no nodes")
    has_parent = np.zeros(count, dtype=bool)
    links = 0
    for start in range(0, count, _BLOCK):
        block = nodes[start : start + _BLOCK]
        left, right = block[names[0]].astype(np.int64), block[names[1]].astype(np.int64)
        leaf = left == -1 if leaf_flag is None else block[leaf_flag] != 0
        if leaf_flag is None and ((right == -1) != leaf).any():
            raise _bad(where, "a node has one child")
        inner = np.flatnonzero(~leaf)
        for child in (left[inner], right[inner]):
            # Every writer numbers a child after its parent, so a cycle shows in one comparison.
            if (child <= inner + start).any() or (child >= count).any():
                raise _bad(where, "a node's child is outside of the tree or before its parent")
            has_parent[child] = True
        links += 2 * len(inner)
        _check_splits(block, inner, where, n_features, names)
    if links != count - 1 or np.count_nonzero(has_parent) != links:
        raise _bad(where, "a node has no parent or two")


def _check_splits(
    block: Array, inner: Array, where: str, n_features: int | None, names: tuple[str, str, str, str]
) -> None:
    feature = block[names[2]][inner]
    if (feature < 0).any() or (n_features is not None and (feature >= n_features).any()):
        raise _bad(where, "a split reads a feature that the model does not have")
    numeric = inner[block["is_categorical"][inner] == 0] if "is_categorical" in (block.dtype.names or ()) else inner
    if np.isnan(block[names[3]][numeric]).any():
        raise _bad(where, "a split's threshold is NaN")


def _check_tree_record(tree: Record) -> None:
    args, nodes, values = tree.args, tree.get("nodes"), tree.get("values")
    if len(args) != 3 or not _is_count(args[0]) or not _is_count(args[2]):
        raise _bad(tree.path, "its arguments are not its numbers of features, classes and outputs")
    check_tree(nodes, values, int(args[0]), where=tree.path)
    if values.shape[1] != args[2]:
        raise _bad(tree.path, "its values have another number of outputs than it says")
    count = tree.get("node_count", len(nodes))
    if not _is_count(count) or count != len(nodes):
        raise _bad(tree.path, f"it says that it has {count!r} nodes and holds {len(nodes)}")


def _check_predictor(predictor: Record) -> None:
    nodes, where = predictor.get("nodes"), predictor.path
    fields = (nodes.dtype.names or ()) if type(nodes) is np.ndarray and nodes.ndim == 1 else ()
    threshold = "num_threshold" if "num_threshold" in fields else "threshold"
    wanted = {"left": "iu", "right": "iu", "feature_idx": "iu", threshold: "f", "is_leaf": "iub", "value": "f"}
    wanted.update({name: "iub" for name in ("is_categorical", "bitset_idx") if name in fields})
    if not wanted.keys() <= set(fields) or any(nodes.dtype[n].kind not in k for n, k in wanted.items()):
        raise _bad(where, "its nodes are not a list of boosting nodes")
    _check_links(nodes, where, None, ("left", "right", "feature_idx", threshold), "is_leaf")
    if "bitset_idx" in fields and "is_categorical" in fields:
        categorical = (nodes["is_categorical"] != 0) & (nodes["is_leaf"] == 0)
        bitsets = predictor.get("raw_left_cat_bitsets")
        rows = len(bitsets) if type(bitsets) is np.ndarray and bitsets.ndim == 2 and bitsets.shape[1] == 8 else 0
        if categorical.any() and nodes["bitset_idx"][categorical].max() >= rows:
            raise _bad(where, "a split on categories has no set of categories")


def _check_owner(owner: Record, tree: object) -> None:
    if type(tree) is not Record or tree.path != _TREE or len(tree.args) != 3:
        return
    for name, said in (("n_features_in_", tree.args[0]), ("n_features_", tree.args[0]), ("n_outputs_", tree.args[2])):
        if name in owner.fields and not _same_count(owner.fields[name], said):
            raise _bad(owner.path, f"its {name} contradicts its tree")


def _check_forest(forest: Record) -> None:
    said = forest.get("n_features_in_", forest.get("n_features_"))
    members = forest.get("estimators_")
    if not _is_count(said) or type(members) not in (list, np.ndarray):
        return
    for member in members if type(members) is list else members.flat:
        tree = member.get("tree_") if type(member) is Record else None
        if type(tree) is Record and tree.path == _TREE and not _same_count(said, tree.args[0]):
            raise _bad(forest.path, "its number of features contradicts that of its trees")


def _check_boosting(model: Record) -> None:
    said = model.get("_n_features", model.get("n_features_", model.get("n_features_in_")))
    rounds = model.get("_predictors")
    if not _is_count(said) or type(rounds) is not list:
        return
    for predictors in rounds:
        for predictor in predictors if type(predictors) is list else ():
            if type(predictor) is not Record or (predictor.module, predictor.name) != _PREDICTOR:
                continue
            if predictor.nodes["feature_idx"].max() >= said:
                raise _bad(model.path, "a split reads a feature that the model does not have")


def _check_libsvm(model: Record) -> None:
    support, vectors, dual = (model.get(name) for name in ("support_", "support_vectors_", "dual_coef_"))
    if support is None or vectors is None or dual is None:
        return
    shapes = [_shape(part) for part in (support, vectors, dual)]
    if len(shapes[0]) != 1 or len(shapes[1]) != 2 or len(shapes[2]) != 2:
        raise _bad(model.path, "its support vectors are not matrices")
    counts = model.get("_n_support", model.get("n_support_"))
    total = shapes[0][0]
    if (
        model.name.endswith("SVC")
        and type(counts) is np.ndarray
        and counts.dtype.kind in "iu"
        and counts.sum() != total
    ):
        raise _bad(model.path, "its numbers of support vectors disagree")
    # A precomputed kernel, and one of the user's own, keep the positions of their support vectors and no vectors.
    kernel = model.get("kernel")
    vectors_kept = total if isinstance(kernel, str) and kernel != "precomputed" else shapes[1][0]
    if shapes[1][0] != vectors_kept or shapes[2][1] != total:
        raise _bad(model.path, "its support vectors and coefficients disagree in number")


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of an array or a scipy.sparse matrix; of anything else ()."""
    return () if type(value) is Record else tuple(getattr(value, "shape", ()))


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def _same_count(a: object, b: object) -> bool:
    return _is_count(a) and _is_count(b) and a == b


def _bad(where: str, what: str) -> CorruptInputError:
    return CorruptInputError(what, where=where, hint="The file is damaged, or made to crash whoever uses it.")

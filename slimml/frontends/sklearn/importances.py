"""How much each column matters to a fitted estimator, to the bit: what SelectFromModel compares with its threshold.

(sklearn/feature_selection/_base.py, _get_feature_importances, and the properties that it asks for.)
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from slimml.frontends.lowerer import Lowerer
from slimml.frontends.sklearn.fields import est_array, steps_of
from slimml.ingest.lightgbm import PARSED, ModelText
from slimml.ingest.record import Record

_GAINS = re.compile(r"^split_gain=(.*)$", re.MULTILINE)
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
_FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
_BOOSTING = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_WEIGHTED = ("AdaBoostClassifier", "AdaBoostRegressor")


def importances(est: Record, getter: Any, ctx: Lowerer) -> np.ndarray:
    """What `importance_getter` gets of an estimator, float (n,) or (k, n); each in the dtype of the original."""
    if not isinstance(getter, str):
        raise ctx.unsupported("an importance_getter that is a function of the user's own is not handled")
    if getter != "auto":
        return _attribute(est, getter, ctx)
    # Before 0.24 it was the other way round, but no class of scikit-learn has both.
    linear = est.has("coef_") or est.get("kernel") == "linear"
    return _attribute(est, "coef_" if linear else "feature_importances_", ctx)


def _attribute(est: Any, path: str, ctx: Lowerer) -> np.ndarray:
    name, _, rest = path.partition(".")
    if rest and isinstance(est, Record):
        if name == "named_steps":
            name, _, rest = rest.partition(".")
            inner = next((s[1] for s in steps_of(est, "steps", ctx) if s[0] == name), None)
        else:
            inner = est.get(name)
        return _attribute(inner, rest, ctx)
    if not isinstance(est, Record):
        raise ctx.unsupported(f"an importance_getter that ends in {path!r:.60} of no estimator")
    if name == "feature_importances_":
        return _feature_importances(est, ctx)
    if name == "coef_" and est.module.startswith("sklearn.svm.") and est.get("kernel") == "linear":
        return _of_kernel(est, ctx)
    if not est.has(name):
        raise ctx.unsupported(f"the {name} of {est.path}, which the file does not hold, is not handled")
    return est_array(est, name, ctx)


def _feature_importances(est: Record, ctx: Lowerer) -> np.ndarray:
    if est.module.startswith("sklearn.tree.") and est.name in _TREES:
        return _of_tree(est, ctx)
    if est.module.startswith("sklearn.ensemble.") and est.name in (*_FORESTS, *_BOOSTING, *_WEIGHTED):
        if est.name in _FORESTS:
            return _of_forest(est, ctx)
        return _of_boosting(est, ctx) if est.name in _BOOSTING else _of_weighted(est, ctx)
    if est.module == "lightgbm.sklearn":
        return _of_lightgbm(est, ctx)
    raise ctx.unsupported(f"the feature_importances_ of {est.path} are not handled")


def _of_kernel(est: Record, ctx: Lowerer) -> np.ndarray:
    """BaseLibSVM._get_coef: one row of coefficients, of the support vectors' columns."""
    dual, points = (est_array(est, name, ctx) for name in ("_dual_coef_", "support_vectors_"))
    if dual.ndim != 2 or len(dual) != 1 or points.ndim != 2 or dual.shape[1] != len(points):
        raise ctx.unsupported(f"the coef_ of {est.name} of several classes is not handled")
    return np.asarray(dual @ points)


def _of_tree(est: Record, ctx: Lowerer, *, normalized: bool = True) -> np.ndarray:
    """Tree.compute_feature_importances of tree/_tree.pyx: what each split takes off the impurity, node by node."""
    tree = est.tree_
    nodes = np.asarray(tree.nodes)
    if not {"impurity", "weighted_n_node_samples"} <= set(nodes.dtype.names or ()):
        raise ctx.unsupported("a tree without the impurities of its nodes")
    inner = nodes[nodes["left_child"] >= 0]
    weighed = nodes["weighted_n_node_samples"] * nodes["impurity"]
    gained = weighed[nodes["left_child"] >= 0] - weighed[inner["left_child"]] - weighed[inner["right_child"]]
    found = np.zeros(int(tree.args[0]))
    np.add.at(found, inner["feature"], gained)  # one after another, as the original adds
    found /= nodes["weighted_n_node_samples"][0]
    total = np.sum(found)
    return found / total if normalized and total > 0 else found


def _of_forest(est: Record, ctx: Lowerer) -> np.ndarray:
    """The mean over the trees. From 0.21 on trees of one node do not count, and the mean is made to sum up to 1."""
    grown = [t for t in est.estimators_ if len(t.tree_.nodes) > 1]
    if ctx.version < (0, 21):
        if len(grown) != len(est.estimators_):
            raise ctx.unsupported("the importances of a forest before 0.21 with trees of one node are not handled")
        return np.asarray(sum(_of_tree(t, ctx) for t in grown) / len(grown))
    return _mean([_of_tree(t, ctx) for t in grown], est, ctx)


def _of_boosting(est: Record, ctx: Lowerer) -> np.ndarray:
    if ctx.version < (0, 21):
        raise ctx.unsupported("the importances of gradient boosting before 0.21 are not handled")
    trees = [t for t in np.asarray(est.estimators_, dtype=object).ravel() if len(t.tree_.nodes) > 1]
    return _mean([_of_tree(t, ctx, normalized=False) for t in trees], est, ctx)


def _mean(found: list[np.ndarray], est: Record, ctx: Lowerer) -> np.ndarray:
    if not found:
        first = np.asarray(est.estimators_, dtype=object).ravel()[0]
        return np.zeros(int(first.tree_.args[0]))
    mean = np.mean(found, axis=0, dtype=np.float64)
    return np.asarray(mean / np.sum(mean))


def _of_weighted(est: Record, ctx: Lowerer) -> np.ndarray:
    weights = est_array(est, "estimator_weights_", ctx)
    pairs = zip(weights, est.estimators_)  # there are as many weights as were asked for, perhaps more than trees
    return np.asarray(sum(w * _feature_importances(e, ctx) for w, e in pairs) / weights.sum())


def _of_lightgbm(est: Record, ctx: Lowerer) -> np.ndarray:
    """GBDT::FeatureImportance: how often a column splits, or what these splits gain, up to the best iteration."""
    booster = est.get("_Booster")
    model = booster.get(PARSED) if isinstance(booster, Record) else None
    if not isinstance(booster, Record) or not isinstance(model, ModelText):
        raise ctx.unsupported(f"{est.name} holds no Booster: it was never fitted")
    best = int(booster.get("best_iteration", -1))
    used = min(best * model.outputs, len(model.trees.inner)) if best > 0 else len(model.trees.inner)
    count = int(model.trees.inner[:used].sum())
    text = booster.get("_handle", booster.get("handle"))
    gains = np.array([float(g) for line in _GAINS.findall(text) for g in line.split()], dtype=np.float32)
    if len(gains) != len(model.trees.feature):
        raise ctx.unsupported("a Booster whose text does not say what each split gains")
    kind = est.get("importance_type", "split")
    if kind not in ("split", "gain"):
        raise ctx.unsupported(f"importance_type={kind!r:.40} is not handled")
    found = np.zeros(len(model.names))
    counts = gains[:count] > 0
    columns, gained = model.trees.feature[:count][counts], gains[:count][counts].astype(np.float64)
    np.add.at(found, columns, gained if kind == "gain" else 1.0)
    return found if kind == "gain" else found.astype(np.int32)

"""State of an older release is read as that release meant it; where version and state disagree, it is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.lib.recfunctions import drop_fields
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import KBinsDiscretizer
from sklearn.tree import DecisionTreeClassifier

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.limits import DEFAULT
from slimml.ingest.read import read
from slimml.ingest.record import Record, Symbol
from slimml.ingest.walk import survey
from tests.hostile import graph_answer

X = np.random.RandomState(0).normal(size=(60, 4))
Y = np.digitize(X[:, 0], [-0.5, 0.5])


def as_of(release: str, estimator: Any) -> Record:
    """The Record of a live model, which says that another release wrote it."""
    root = read(pickle.dumps(estimator)).root
    for record in survey(root, DEFAULT):
        if "_sklearn_version" in record.fields:
            record.fields["_sklearn_version"] = release
    return root


def trees(root: Record) -> list[Record]:
    return [r for r in survey(root, DEFAULT) if r.name == "Tree"]


def with_old_nodes(root: Record) -> Record:
    """The nodes as they were before 1.3."""
    for tree in trees(root):
        tree.fields["nodes"] = drop_fields(tree.nodes, "missing_go_to_left")
    return root


def with_counts(root: Record) -> Record:
    """The values as they were before 1.4."""
    for tree in trees(root):
        tree.fields["values"] = tree.values * tree.nodes["weighted_n_node_samples"][:, None, None]
    return root


FOREST = RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, Y)


def test_counts_of_releases_before_1_4_are_divided():
    graph = lower(with_counts(with_old_nodes(as_of("1.2.2", FOREST))))
    np.testing.assert_allclose(graph_answer(graph, "predict_proba", X)[0], FOREST.predict_proba(X), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (
            with_old_nodes(as_of("1.2.2", FOREST)),
            "fractions of classes, of releases from 1.4 on, in a file of release 1.2",
        ),
        (with_counts(as_of("1.3.2", FOREST)), None),
        (as_of("1.3.2", FOREST), "fractions of classes, of releases from 1.4 on"),
        (with_counts(as_of("1.8.0", FOREST)), "counts of classes, of releases before 1.4, in a file of release 1.8"),
        (as_of("1.2.2", FOREST), "nodes with missing_go_to_left, of releases from 1.3 on"),
        (with_old_nodes(as_of("1.8.0", FOREST)), "nodes without missing_go_to_left, of releases before 1.3"),
    ],
)
def test_trees_of_one_release_in_a_file_of_another_are_refused(root: Record, said: str | None):
    if said is None:
        lower(root)
        return
    with pytest.raises(UnsupportedEstimatorError, match=said):
        lower(root)


def test_a_tie_that_division_makes_does_not_change_what_a_tree_chooses():
    root = with_counts(with_old_nodes(as_of("1.2.2", DecisionTreeClassifier(max_depth=1).fit(X, Y))))
    # Of three counts the second is the largest by one bit, which dividing by their sum takes away.
    counts = np.array([1.7264159906487748, 1.726415990648775, 0.0])
    values = trees(root)[0].values
    for third in np.random.RandomState(0).uniform(0, 1.7, 1000):
        counts[2] = third
        if (counts / counts.sum())[0] == (counts / counts.sum())[1]:
            break
    values[1:, 0] = counts
    (labels,) = graph_answer(lower(root), "predict", X)
    (shares,) = graph_answer(lower(root), "predict_proba", X)
    assert (labels == 1).all() and (shares[:, 0] == shares[:, 1]).all()


# ------------------------------------------------------------------------------------------------------------ boosting


def boosting(release: str, loss: str = "sklearn._loss.loss.HalfBinomialLoss") -> Record:
    """Boosting whose two classes are as likely for every row, as written in `release` with that loss."""
    root = as_of(release, GradientBoostingClassifier(n_estimators=1).fit(X, np.arange(60) % 2))
    module, _, name = loss.rpartition(".")
    root.fields["_loss"] = Record(module, name)
    root.fields["learning_rate"] = 0.0
    return root if release > "1.3" else with_old_nodes(root)


@pytest.mark.parametrize(
    ("release", "loss", "chosen"),
    [("1.8.0", "sklearn._loss.loss.HalfBinomialLoss", 1), ("1.2.2", "sklearn.ensemble._gb_losses.BinomialDeviance", 0)],
)
def test_deviances_chose_the_first_of_two_equal_classes(release: str, loss: str, chosen: int):
    (labels,) = graph_answer(lower(boosting(release, loss)), "predict", X)
    assert (labels == chosen).all()


def test_binary_multinomial_regression_answered_by_one_sigmoid_before_0_20():
    model = LogisticRegression().fit(X, Y > 0)
    for release, factor in (("0.19.2", 1.0), ("0.20.3", 2.0)):
        root = as_of(release, model)
        root.fields["multi_class"] = "multinomial"
        chance = 1 / (1 + np.exp(-factor * model.decision_function(X)))
        np.testing.assert_allclose(graph_answer(lower(root), "predict_proba", X)[0][:, 1], chance, rtol=1e-12)


def test_losses_and_first_estimators_of_another_release_are_refused():
    with pytest.raises(UnsupportedEstimatorError, match="BinomialDeviance, of releases before 1.4, in a file of"):
        lower(boosting("1.8.0", "sklearn.ensemble._gb_losses.BinomialDeviance"))
    with pytest.raises(UnsupportedEstimatorError, match="HalfBinomialLoss, of releases from 1.4 on"):
        lower(boosting("1.2.2"))
    with pytest.raises(UnsupportedEstimatorError, match="DummyClassifier, of releases from 0.21 on"):
        lower(boosting("0.20.3", "sklearn.ensemble.gradient_boosting.BinomialDeviance"))
    root = boosting("1.8.0")
    root.fields["init_"] = Record("sklearn.ensemble.gradient_boosting", "LogOddsEstimator", fields={"prior": 0.0})
    with pytest.raises(UnsupportedEstimatorError, match="LogOddsEstimator, of releases before 0.21"):
        lower(root)


def test_nodes_of_boosting_by_histograms_are_those_of_their_release():
    root = as_of("1.8.0", HistGradientBoostingRegressor(max_iter=1, min_samples_leaf=5).fit(X, X[:, 0]))
    (predictor,) = [r for r in survey(root, DEFAULT) if r.name == "TreePredictor"]
    predictor.fields["nodes"] = drop_fields(predictor.nodes, ["is_categorical", "bitset_idx"])
    with pytest.raises(UnsupportedEstimatorError, match="without is_categorical, of releases before 0.24"):
        lower(root)


# ------------------------------------------------------------------------------------------------------ preprocessing


@pytest.mark.parametrize("encode", ["ordinal", "onehot-dense"])
def test_values_close_to_an_edge_fell_beyond_it_before_1_1(encode: str):
    bins = KBinsDiscretizer(4, encode=encode, quantile_method="averaged_inverted_cdf").fit(X)
    root = as_of("1.0.2", bins)
    root.fields.pop("subsample")
    edges = bins.bin_edges_
    near = np.array([[e[k] * f for e in edges] for k in range(5) for f in (1, 1 - 1e-5, 1 + 1e-5, 1 - 2e-5, 1 + 2e-5)])
    rows = np.vstack(
        [near, np.nextafter(near, -9), np.nextafter(near, 9), X, np.zeros((1, 4)), -1e-8 * np.ones((1, 4))]
    )
    moved = rows + (1e-8 + 1e-5 * np.abs(rows))
    codes = np.stack([np.clip(np.digitize(m, e[1:]), 0, 3) for m, e in zip(moved.T, edges, strict=True)], axis=1)
    said = codes if encode == "ordinal" else np.eye(4)[codes].reshape(len(rows), -1)
    np.testing.assert_array_equal(graph_answer(lower(root), "transform", rows)[0], said)
    with pytest.raises(UnsupportedEstimatorError, match="without subsample, of releases before 1.1"):
        root.fields["_sklearn_version"] = "1.8.0"
        lower(root)


def old_encoder(**fields: Any) -> Record:
    """What 0.18 fitted to the values 0, 2, 3 and 1, 2 of two columns."""
    known: dict[str, Any] = {"n_values": "auto", "n_values_": np.array([4, 3]), "feature_indices_": np.array([0, 4, 7])}
    known |= {"active_features_": np.array([0, 2, 3, 5, 6]), "categorical_features": "all", "sparse": False}
    known |= {"handle_unknown": "error", "dtype": Symbol("numpy", "float64"), "_sklearn_version": "0.18.2"}
    return Record("sklearn.preprocessing.data", "OneHotEncoder", fields=known | fields)


def test_integers_were_encoded_by_their_value_before_0_20():
    graph = lower(old_encoder())
    rows = np.array([[0.0, 1.0], [2.9, 2.0], [3.0, 0.0], [1.0, 1.5], [-0.5, 2.0]])
    said = [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 1]]
    np.testing.assert_array_equal(graph_answer(graph, "transform", rows)[0], said)
    for refused in ([4.0, 1.0], [0.0, -1.0], [0.0, 3.0], [np.nan, 1.0]):
        assert graph_answer(graph, "transform", np.array([refused])) is None
    ignoring = lower(old_encoder(handle_unknown="ignore"))
    np.testing.assert_array_equal(graph_answer(ignoring, "transform", np.array([[4.0, 1e18]]))[0], np.zeros((1, 5)))


def test_an_encoder_of_some_columns_puts_them_first():
    root = old_encoder(categorical_features=np.array([False, True, False, True]))
    said = graph_answer(lower(root), "transform", np.array([[7.5, 2.0, -3.0, 1.0]]))
    np.testing.assert_array_equal(said[0], [[0, 1, 0, 1, 0, 7.5, -3.0]])
    with pytest.raises(UnsupportedEstimatorError, match="--data"):
        lower(old_encoder(categorical_features=np.array([1, 3])))


def test_the_old_imputer_drops_columns_without_a_value():
    fields: dict[str, Any] = {
        "missing_values": 0,
        "strategy": "mean",
        "axis": 0,
        "statistics_": np.array([1.5, np.nan, 2.0]),
    }
    root = Record("sklearn.preprocessing.imputation", "Imputer", fields=fields | {"_sklearn_version": "0.20.3"})
    rows = np.array([[0.0, 5.0, 0.0], [np.inf, 0.0, np.nan]])
    np.testing.assert_array_equal(graph_answer(lower(root), "transform", rows)[0], [[1.5, 2.0], [np.inf, np.nan]])
    root.fields["axis"] = 1
    with pytest.raises(UnsupportedEstimatorError, match="axis=1"):
        lower(root)

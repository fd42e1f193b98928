"""State of an older release is read as that release meant it; where version and state disagree, it is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.lib.recfunctions import drop_fields
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.limits import DEFAULT
from slimml.ingest.read import read
from slimml.ingest.record import Record
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

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
        (with_old_nodes(as_of("1.2.2", FOREST)), "1.2 hold fractions"),
        (with_counts(as_of("1.3.2", FOREST)), None),
        (as_of("1.3.2", FOREST), "1.3 hold fractions"),
        (with_counts(as_of("1.8.0", FOREST)), "1.8 hold counts"),
        (as_of("1.2.2", FOREST), "1.2 have nodes with missing_go_to_left"),
        (with_old_nodes(as_of("1.8.0", FOREST)), "1.8 have nodes with none such"),
    ],
)
def test_trees_of_one_release_in_a_file_of_another_are_refused(root: Record, said: str | None):
    if said is None:
        lower(root)
        return
    with pytest.raises(UnsupportedEstimatorError, match=said):
        lower(root)


def test_a_tie_that_division_makes_does_not_change_what_a_tree_chooses():
    tree = DecisionTreeClassifier(max_depth=1).fit(X, Y > 0)
    root = with_counts(with_old_nodes(as_of("1.2.2", tree)))
    values = trees(root)[0].values
    low = np.nextafter(0.3, 0)
    values[1:, 0] = [low, np.nextafter(low, 1)]
    divided = values[1] / values[1].sum()
    assert values[1, 0, 0] < values[1, 0, 1] and divided[0, 0] == divided[0, 1]
    (labels,) = graph_answer(lower(root), "predict", X)
    assert labels.all()

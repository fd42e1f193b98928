"""KNNImputer and neighbours within a radius, option by option, against the installed scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.impute import KNNImputer
from sklearn.neighbors import RadiusNeighborsClassifier, RadiusNeighborsRegressor

from slimml.errors import InputError, UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.columns import Input
from slimml.ir.ops.fill import NeighborFill
from slimml.ir.ops.radius import RadiusVotes, WithinRadius
from tests.frontends.answers import fitted, graph_of, hold
from tests.hostile import graph_answer, input_blocks, original_answer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
ROWS = np.concatenate([RNG.normal(size=(50, 4)), X[:5], [[9.0, 9.0, 9.0, 9.0]]])


def with_gaps(x: np.ndarray, seed: int) -> np.ndarray:
    out = np.where(np.random.default_rng(seed).random(x.shape) < 0.25, np.nan, x)
    out[:, 1] = np.round(out[:, 1])  # rows at the same distance
    return out


GAPS, LACKING = with_gaps(X, 1), np.concatenate([with_gaps(ROWS, 2), np.full((1, 4), np.nan), with_gaps(X, 1)[:3]])
EMPTY = np.where(np.arange(4) == 2, np.nan, GAPS)


@pytest.mark.parametrize("options", [{}, {"weights": "distance"}, {"n_neighbors": 1}, {"n_neighbors": 200}])
@pytest.mark.parametrize("also", [{}, {"add_indicator": True}, {"keep_empty_features": True, "add_indicator": True}])
def test_neighbours_fill_what_is_missing(options, also):
    for train in (GAPS, EMPTY):
        # numpy's own selection on this host, so that even equal distances are chosen alike.
        hold(fitted(KNNImputer(**options, **also), train), LACKING, bitwise=("transform",))


def test_means_of_training_rows_in_float32_are_of_sums_in_float32():
    rows = np.concatenate([LACKING, np.full((1, 4), np.nan)])
    hold(fitted(KNNImputer(n_neighbors=2), GAPS.astype(np.float32)), rows, bitwise=("transform",))


def test_neighbours_fill_for_a_sentinel():
    train, rows = (np.where(np.isnan(v), -1.0, v) for v in (GAPS, LACKING))
    hold(fitted(KNNImputer(missing_values=-1, add_indicator=True), train), rows, bitwise=("transform",))


def test_points_at_no_distance_count_in_means_of_older_releases():
    """Before 1.6 they count in a mean of equal weights (impute/_knn.py, _calc_impute)."""
    train = np.array([[1.0, np.nan, 5.0], [np.nan, 2.0, 9.0], [1.5, np.nan, 1.0]])
    record = read(pickle.dumps(fitted(KNNImputer(n_neighbors=3), train))).root
    row = np.array([[1.0, np.nan, np.nan]])  # the second training row shares no column with it
    (now,) = graph_answer(lower(record), "transform", row)
    record.fields["_sklearn_version"] = "1.3.2"
    (before,) = graph_answer(lower(record), "transform", row)
    assert now[0, 2] == 3.0 and before[0, 2] == 5.0


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", [{}, {"p": 1}, {"p": 3}, {"metric": "chebyshev"}])
def test_neighbours_within_a_radius(algorithm, weights, metric):
    options = {"radius": 1.8, "algorithm": algorithm, "weights": weights, **metric}
    bitwise = ("predict", "predict_proba") if weights == "uniform" else ()
    hold(fitted(RadiusNeighborsClassifier(outlier_label="most_frequent", **options), X, THREE), ROWS, bitwise=bitwise)
    hold(fitted(RadiusNeighborsRegressor(**options), X, X[:, :2] * 3), ROWS)


@pytest.mark.parametrize("label", [1, 7, "most_frequent"])
@pytest.mark.parametrize("options", [{"algorithm": "brute"}, {"algorithm": "brute", "p": 1}, {}])
def test_rows_without_neighbours_are_labelled_as_the_original_labels_them(label, options):
    target = np.array([3, 7, 40])[THREE]
    hold(fitted(RadiusNeighborsClassifier(3.0, outlier_label=label, **options), X, target), ROWS)


def test_several_targets_have_labels_of_their_own():
    target = np.column_stack([THREE, THREE > 0]).astype(int)
    hold(fitted(RadiusNeighborsClassifier(3.0, outlier_label=[1, 0]), X, target), ROWS)


def test_rows_without_neighbours_are_refused_where_they_have_no_label():
    estimator = fitted(RadiusNeighborsClassifier(3.0), X, THREE)
    graph = graph_of(estimator)
    assert original_answer(estimator, "predict", ROWS) is None
    with pytest.raises(InputError, match="no neighbours"):
        evaluate(graph.output("predict").nodes, input_blocks(graph, ROWS))
    hold(estimator, ROWS[:-1])


def test_means_of_whole_numbers_answer_what_numpy_makes_of_nan():
    hold(fitted(RadiusNeighborsRegressor(1.0), X, THREE), ROWS)


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("radius", [1.0, 2**0.5, 2.0])
def test_points_on_the_edge_of_the_radius_are_within(algorithm, radius):
    grid = np.random.default_rng(3).integers(0, 4, (60, 2)).astype(float)
    estimator = RadiusNeighborsClassifier(radius, algorithm=algorithm, leaf_size=2, outlier_label=0)
    hold(fitted(estimator, grid, np.arange(60) % 3), grid[:20], bitwise=("predict", "predict_proba"))


def test_releases_before_0_22_have_no_probabilities():
    record = read(pickle.dumps(fitted(RadiusNeighborsClassifier(3.0, outlier_label=9), X, THREE))).root
    record.fields["_sklearn_version"] = "0.20.3"
    graph = lower(record)
    assert [o.name for o in graph.outputs] == ["predict"]
    assert graph_answer(graph, "predict", ROWS)[0][-1, 0] == 9


@pytest.mark.parametrize(
    ("estimator", "change", "named"),
    [
        (KNNImputer(), {"_mask_fit_X": np.zeros((90, 4), dtype=bool)}, "mask"),
        (KNNImputer(), {"metric": len}, "metric"),
        (KNNImputer(), {"weights": len}, "weights"),
        (KNNImputer(), {"n_neighbors": 0}, "neighbours"),
        (RadiusNeighborsClassifier(3.0), {"radius": -1.0}, "radius"),
        (RadiusNeighborsClassifier(3.0), {"effective_metric_": "canberra"}, "canberra"),
        (RadiusNeighborsClassifier(3.0), {"_y": np.full(90, 7)}, "_y"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(estimator, change, named):
    record = read(pickle.dumps(fitted(estimator, GAPS if isinstance(estimator, KNNImputer) else X, THREE))).root
    record.fields.update(change)
    with pytest.raises(UnsupportedEstimatorError, match=named):
        lower(record)


def test_ops_refuse_what_does_not_fit():
    x, points = Input(kind="number", columns=(0, 1)), np.zeros((3, 2))
    near = WithinRadius(inputs=(x,), points=points, metric="euclidean", p=2.0, method="direct", radius=1.0)
    wrong = {"labels": np.zeros(2, dtype=np.int64), "classes": 1, "outliers": -1, "weights": "uniform"}
    for make in (
        lambda: RadiusVotes(inputs=(near,), **wrong),
        lambda: RadiusVotes(inputs=(near,), **{**wrong, "labels": np.full(3, 4), "classes": 2}),
        lambda: RadiusVotes(inputs=(near,), **{**wrong, "labels": np.zeros(3, dtype=np.int64), "outliers": 5}),
        lambda: WithinRadius(inputs=(x,), points=points[:, :1], metric="euclidean", p=2.0, method="direct", radius=1.0),
        lambda: WithinRadius(inputs=(x,), points=points, metric="cosine", p=2.0, method="direct", radius=1.0),
        lambda: NeighborFill(inputs=(x,), points=points, means=np.zeros(3), count=1, weights="uniform"),
        lambda: NeighborFill(inputs=(x,), points=points, means=np.zeros(2), count=0, weights="uniform"),
    ):
        with pytest.raises(MalformedGraphError):
            make()

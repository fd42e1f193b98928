"""Which rows are nearest, where many are equally near; and what a machine of neighbours or kernels is refused for."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, OneClassSVM

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from tests.hostile import graph_answer, limits, original_answer

TREES = ["kd_tree", "ball_tree"]


def graph_of(estimator):
    return lower(read(pickle.dumps(estimator)).root)


def table(draw, rows: int, width: int) -> np.ndarray:
    """Rows on a small grid, so that most distances are there several times."""
    steps = draw(st.sampled_from([1.0, 0.1, 1 / 3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return steps * rng.integers(0, draw(st.integers(2, 5)), (rows, width))


@pytest.mark.parametrize("algorithm", TREES)
@settings(max_examples=40)
@given(data=st.data())
def test_ties_on_a_grid_are_broken_as_the_trees_break_them(algorithm, data):
    rows, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 3))
    train, asked = table(data.draw, rows, width), table(data.draw, 8, width)
    k = data.draw(st.integers(1, rows))
    options = {
        "algorithm": algorithm,
        "leaf_size": data.draw(st.integers(1, 9)),
        "p": data.draw(st.sampled_from([1, 1.5, 2, np.inf])),
        "weights": data.draw(st.sampled_from(["uniform", "distance"])),
    }
    # Every row has a target of its own: one that is taken for another shows.
    for estimator in (KNeighborsRegressor(k, **options), KNeighborsClassifier(k, **options)):
        estimator.fit(train, np.arange(rows) if isinstance(estimator, KNeighborsRegressor) else np.arange(rows) % 3)
        graph = graph_of(estimator)
        for output in graph.outputs:
            expected, got = (original_answer(estimator, output.name, asked), graph_answer(graph, output.name, asked))
            assert all((a == b).all() for a, b in zip(expected, got, strict=True)), output.name


@settings(max_examples=40)
@given(data=st.data())
def test_brute_force_that_adds_differences_is_exact_on_a_grid(data):
    rows, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 3))
    train, asked = table(data.draw, rows, width), table(data.draw, 8, width)
    k = data.draw(st.integers(1, rows))
    estimator = KNeighborsClassifier(k, algorithm="brute", p=data.draw(st.sampled_from([1, np.inf])))
    estimator.fit(train, np.arange(rows) % 3)
    graph = graph_of(estimator)
    for method in ("predict", "predict_proba"):
        (expected,), (got,) = original_answer(estimator, method, asked), graph_answer(graph, method, asked)
        assert (expected == got).all()


@settings(max_examples=40)
@given(data=st.data())
def test_brute_force_is_within_its_bounds(data):
    rows, width = data.draw(st.integers(2, 60)), data.draw(st.integers(1, 3))
    train, asked = table(data.draw, rows, width), table(data.draw, 8, width)
    k = data.draw(st.integers(1, rows))
    weights = data.draw(st.sampled_from(["uniform", "distance"]))
    for kind, target in ((KNeighborsRegressor, np.arange(rows)), (KNeighborsClassifier, np.arange(rows) % 2 == 0)):
        estimator = kind(k, algorithm="brute", weights=weights).fit(train, target)
        graph = graph_of(estimator)
        for output in graph.outputs:
            (expected,), (got,) = (
                original_answer(estimator, output.name, asked),
                graph_answer(graph, output.name, asked),
            )
            (limit,) = limits(graph, output.name, asked)
            same = expected == got
            inside = limit if limit.dtype == bool else np.abs(expected.astype(float) - got.astype(float)) <= limit
            assert (same | inside).all(), output.name


@settings(max_examples=40)
@given(data=st.data())
def test_sparse_rows_are_added_up_in_their_order(data):
    rows, width = data.draw(st.integers(2, 60)), data.draw(st.integers(1, 3))
    train, asked = table(data.draw, rows, width), table(data.draw, 8, width)
    k, metric = data.draw(st.integers(1, rows)), data.draw(st.sampled_from(["euclidean", "manhattan"]))
    # One column of codes makes rows of a csr block; the others stand as they are.
    both = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0]), remainder="passthrough",
                                   sparse_threshold=1.0)  # fmt: skip
    estimator = make_pipeline(both, KNeighborsRegressor(k, metric=metric))
    estimator.fit(train, np.arange(rows))
    graph = graph_of(estimator)
    (expected,), (got,) = original_answer(estimator, "predict", asked), graph_answer(graph, "predict", asked)
    assert (expected == got).all()


@settings(max_examples=25)
@given(data=st.data())
def test_votes_of_pairs_are_the_originals_but_within_their_margins(data):
    rows, classes = data.draw(st.integers(12, 40)), data.draw(st.integers(2, 5))
    train, asked = table(data.draw, rows, 2), table(data.draw, 10, 2)
    kernel = data.draw(st.sampled_from(["linear", "poly", "rbf", "sigmoid"]))
    estimator = SVC(kernel=kernel, gamma=0.5, C=data.draw(st.sampled_from([0.1, 1.0, 50.0])), max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(train, np.array(list("vwxyz"))[np.arange(rows) % classes])
    graph = graph_of(estimator)
    (expected,), (got,) = original_answer(estimator, "predict", asked), graph_answer(graph, "predict", asked)
    (fragile,) = limits(graph, "predict", asked)
    assert ((expected == got) | fragile).all()
    (expected,), (got,) = (f("decision_function", asked) for f in (_ask(estimator), _evaluate(graph)))
    (limit,) = limits(graph, "decision_function", asked)
    assert (np.abs(expected - got) <= limit).all()


def _ask(estimator):
    return lambda method, rows: original_answer(estimator, method, rows)


def _evaluate(graph):
    return lambda method, rows: graph_answer(graph, method, rows)


def _distance(a, b):
    return float(np.abs(a - b).sum())


def _alike(a, b):
    return a @ b.T


X = np.random.default_rng(0).normal(size=(30, 3))
Y = np.arange(30) % 2


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (KNeighborsClassifier(weights=np.sqrt), "weights"),
        (KNeighborsClassifier(metric=_distance), "metric"),
        (KNeighborsClassifier(metric="canberra"), "canberra"),
        (KNeighborsClassifier(metric="minkowski", metric_params={"w": np.ones(3)}, algorithm="ball_tree"), "w"),
        (
            KNeighborsClassifier(metric="seuclidean", metric_params={"V": np.ones(3)}, algorithm="ball_tree"),
            "seuclidean",
        ),
        (make_pipeline(StandardScaler(), SVC(kernel=_alike)), "kernel"),
        (SVC(break_ties=True, decision_function_shape="ovo"), "break_ties"),
    ],
)
def test_what_is_not_handled_is_refused_by_name(estimator, named):
    with pytest.raises(UnsupportedEstimatorError, match=named):
        graph_of(estimator.fit(X, Y))


def test_a_precomputed_kernel_takes_the_columns_of_its_support_vectors():
    estimator = SVC(kernel="precomputed").fit(X @ X.T, Y)
    rows = np.random.default_rng(1).normal(size=(20, 3)) @ X.T
    (expected,), (got,) = (
        original_answer(estimator, "predict", rows),
        graph_answer(graph_of(estimator), "predict", rows),
    )
    assert (expected == got).all()


@pytest.mark.parametrize("change", ["support_vectors_", "_dual_coef_", "_n_support", "_intercept_", "_probA"])
def test_arrays_of_a_machine_that_disagree_are_refused(change):
    record = read(pickle.dumps(SVC(probability=True).fit(X, np.arange(30) % 3))).root
    value = record.fields[change]
    record.fields[change] = value[:-1] if value.ndim == 1 else value[:, :-1]
    with pytest.raises(UnsupportedEstimatorError):
        lower(record)


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_a_tree_of_neighbours_that_contradicts_itself_is_refused(part):
    record = read(pickle.dumps(KNeighborsClassifier(leaf_size=3).fit(X, Y))).root
    tree = record.get("_tree")
    state = list(tree.state)
    state[part] = state[part][:-1]
    tree.state = tuple(state)
    with pytest.raises(UnsupportedEstimatorError):
        lower(record)


def test_one_class_machines_answer_their_scores():
    estimator = OneClassSVM(nu=0.3).fit(X)
    graph = graph_of(estimator)
    for method in ("predict", "decision_function", "score_samples"):
        (expected,), (got,) = original_answer(estimator, method, X), graph_answer(graph, method, X)
        (limit,) = limits(graph, method, X)
        assert ((expected == got) | (limit if limit.dtype == bool else np.abs(expected - got) <= limit)).all()

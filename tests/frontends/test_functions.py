"""FunctionTransformer: every function that a plan may name, bit for bit, and what is refused."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, OneHotEncoder

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.ir.ops.functions import FUNCTIONS, Apply
from tests.hostile import accepted, graph_answer

ODD = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e-300, -1e-12, 1e300, 88.0, 710.0, np.inf, -np.inf, np.nan]
X = np.column_stack([np.resize(ODD, 60), np.random.default_rng(0).normal(0, 3, 60), np.arange(60.0) / 7])

NUMPYS = [name for name in sorted(FUNCTIONS) if name not in ("ndtr", "ndtri")]


def graph_of(estimator, **options):
    return lower(read(pickle.dumps(estimator)).root, **options)


@pytest.mark.parametrize("name", NUMPYS)
def test_functions_have_the_bits_of_numpy(name: str):
    estimator = FunctionTransformer(getattr(np, name)).fit(X)
    with np.errstate(all="ignore"):
        for rows in (X, pd.DataFrame(X), X[:1]):
            np.testing.assert_array_equal(graph_answer(graph_of(estimator), "transform", rows)[0],
                                          np.asarray(estimator.transform(rows)))  # fmt: skip
        graph, narrow = graph_of(estimator, float32=True), X.astype(np.float32)
        (end,) = graph.outputs[0].nodes
        got = evaluate([end], {graph.inputs()[0]: narrow})[end]
        expected = estimator.transform(narrow)
    assert got.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_is_known_of_functions_holds(name: str):
    known, x = FUNCTIONS[name], np.concatenate([X[:, 0], X[:, 1]])
    low, high = known.inside
    with np.errstate(all="ignore"):
        y = known.run(x)
        assert not np.isnan(y[(x >= low) & (x <= high)]).any()
        assert not (y < known.least).any()
        assert known.run(np.zeros(1))[0] == 0 or not known.stored or name == "ndtri"


@pytest.mark.parametrize("name", [*NUMPYS, "degrees", "radians"])
def test_sparse_blocks_are_answered_as_scipy_answers_them(name: str):
    """Or refused: of most functions numpy raises, and of square scipy's matrices multiply."""
    table = pd.DataFrame({"a": [1, 2, 3, 1, 2], "b": [1.5, 2.5, 1.5, 9.0, 0.0]})
    encoder = make_pipeline(OneHotEncoder(), MaxAbsScaler(), FunctionTransformer(getattr(np, name)))
    try:
        encoder.fit(table)
        expected = encoder.transform(table)
        taken = sparse.issparse(expected) and name != "nan_to_num"  # which hands a matrix back as it is
    except (TypeError, ValueError):
        taken = False
    if not taken:
        with pytest.raises(UnsupportedEstimatorError, match=r"sparse block"):
            graph_of(encoder)
        return
    (got,) = graph_answer(graph_of(encoder), "transform", table)
    np.testing.assert_array_equal(got, expected.toarray())


def test_validation_refuses_what_the_original_refuses():
    graph = graph_of(FunctionTransformer(np.sqrt, validate=True).fit(np.abs(X[20:40, 1:])))
    rows = np.array([[np.nan, 1.0], [2.0, np.inf], [-1.0, 1.0]])
    assert accepted(lambda part: graph_answer(graph, "transform", part), rows).tolist() == [False, False, True]


def test_names_pass_through_and_aliases_are_known():
    frame = pd.DataFrame({"a": [1.5, -2.5], "b": [0.5, 3.0]})
    for function in (np.abs, np.round, np.around, np.degrees, np.radians, np.absolute):
        estimator = FunctionTransformer(function, feature_names_out="one-to-one").fit(frame)
        graph = graph_of(estimator)
        assert graph.schema.names == ("a", "b")
        np.testing.assert_array_equal(graph_answer(graph, "transform", frame)[0], estimator.transform(frame))


def mine(x):
    return x + 1


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (FunctionTransformer(mine), r"test_functions\.mine"),
        (FunctionTransformer(functools.partial(np.log1p)), "functools.partial"),
        (FunctionTransformer(np.add), "numpy.add"),
        (FunctionTransformer(np.log1p, kw_args={"out": None}), "kw_args"),
    ],
)
def test_functions_of_the_users_own_are_refused_by_name(estimator, said):
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": [1.0, 2.0]})
    step = ColumnTransformer([("mine", "passthrough", ["a"])]).fit(frame)
    step.transformers_ = [("mine", estimator, ["a"])]
    estimator = make_pipeline(step, MaxAbsScaler())
    with pytest.raises(UnsupportedEstimatorError, match=said) as caught:
        graph_of(estimator)
    assert caught.value.where == "model.columntransformer.mine"


@pytest.mark.parametrize(("function", "dtype"), [(np.log1p, "bool"), (np.reciprocal, "int64")])
def test_columns_that_numpy_computes_otherwise_are_refused(function, dtype):
    frame = pd.DataFrame({"a": [1.5, 2.0], "b": np.array([0, 1], dtype=dtype)})
    estimator = FunctionTransformer(function).fit(frame)
    with pytest.raises(UnsupportedEstimatorError, match="'b'"):
        graph_of(estimator, dtypes={"b": dtype})
    assert any(isinstance(n, Apply) for n in graph_of(estimator).nodes())

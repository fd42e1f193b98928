"""PowerTransformer and QuantileTransformer: every option, bit for bit, in float64 and float32."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import scipy.special
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, PowerTransformer, QuantileTransformer, StandardScaler

from slimml.errors import UnsupportedEstimatorError
from slimml.frontends.lowerer import Lowerer, lower
from slimml.ingest.read import read
from slimml.ir.graph import evaluate
from slimml.ir.normal import ndtr, ndtri
from slimml.ir.ops.columns import Cast, Input
from tests.hostile import accepted, graph_answer, original_answer, same_cells

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.lognormal(0, 1, 200), RNG.poisson(2, 200), RNG.normal(0, 4, 200), np.full(200, 2.0)])
ODD = np.array([0.0, -0.0, 1e-300, 5e-324, -1e-9, 1e9, -1e9, 1e308, np.nan, np.inf, -np.inf, 2.0, 1.0, 1e-8])
ROWS = np.concatenate([X[:60], np.column_stack([np.roll(ODD, k) for k in range(4)]), np.full((1, 4), np.nan)])
POSITIVE = np.column_stack([np.abs(X[:, :3]) + 0.1, RNG.random(200) + 3])
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)


def graph_of(estimator, **options):
    return lower(read(pickle.dumps(estimator)).root, **options)


def fit(estimator, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows)


def agree(estimator, rows) -> None:
    """The same rows are refused, the others have the same bits, in both dtypes."""
    graph = graph_of(estimator)
    taken = accepted(lambda part: graph_answer(graph, "transform", part), rows)
    np.testing.assert_array_equal(taken, accepted(lambda part: original_answer(estimator, "transform", part), rows))
    assert taken.any()
    kept = rows[taken]
    (got,), (expected,) = graph_answer(graph, "transform", kept), original_answer(estimator, "transform", kept)
    assert same_cells(got, expected).all(), kept[~same_cells(got, expected).all(axis=1)]
    narrow = graph_of(estimator, float32=True)
    with np.errstate(all="ignore"):
        kept = kept.astype(np.float32)
    kept = kept[accepted(lambda part: original_answer(estimator, "transform", part), kept)]
    (expected,) = original_answer(estimator, "transform", kept)
    (end,) = narrow.outputs[0].nodes
    got = evaluate([end], {narrow.inputs()[0]: kept})[end]
    assert got.dtype == expected.dtype == np.float32
    assert same_cells(got, expected).all(), kept[~same_cells(got, expected).all(axis=1)]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_powers(method, standardize, dtype):
    positive = method == "box-cox"
    for train in (POSITIVE, np.where(np.isnan(HOLES), np.nan, POSITIVE)) if positive else (X, HOLES):
        estimator = fit(PowerTransformer(method=method, standardize=standardize), train.astype(dtype))
        agree(estimator, np.abs(ROWS) if positive else ROWS)
        agree(estimator, ROWS)


@pytest.mark.parametrize("power", [0.0, 2.0, -1.5, 1e-17, 1e-20, 30.0])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_powers_next_to_those_that_are_logarithms(method, power):
    estimator = fit(PowerTransformer(method=method, standardize=False), POSITIVE)
    estimator.lambdas_[:] = [power, -power, power / 3, 2 - power]
    agree(estimator, np.abs(ROWS) if method == "box-cox" else ROWS)


@pytest.mark.parametrize("output", ["uniform", "normal"])
@pytest.mark.parametrize("count", [1, 7, 200])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_quantiles(output, count, dtype):
    for train in (X, HOLES):
        estimator = fit(QuantileTransformer(n_quantiles=count, output_distribution=output), train.astype(dtype))
        ends = estimator.quantiles_[:: max(1, len(estimator.quantiles_) // 8)].astype(float)
        near = [ends, np.nextafter(ends, np.inf), ends + 9e-8, ends - 1.1e-7]
        agree(estimator, np.concatenate([ROWS, *near]))


@pytest.mark.parametrize("output", ["uniform", "normal"])
@pytest.mark.parametrize("ignore", [True, False])
def test_quantiles_of_sparse_blocks_are_of_what_is_stored(output, ignore):
    codes = RNG.integers(0, 4, (80, 2)).astype(float)
    options = {"n_quantiles": 20, "output_distribution": output, "ignore_implicit_zeros": ignore}
    estimator = fit(make_pipeline(OneHotEncoder(), MaxAbsScaler(), QuantileTransformer(**options)), codes)
    (got,), expected = graph_answer(graph_of(estimator), "transform", codes), estimator.transform(codes)
    assert sparse.issparse(expected)
    np.testing.assert_array_equal(got, expected.toarray())


def test_normal_quantiles_have_the_bits_of_scipy():
    q = np.concatenate([RNG.random(4000), 10.0 ** RNG.uniform(-320, 0, 4000), 1 - 10.0 ** RNG.uniform(-17, 0, 4000)])
    edges = np.array([0.0, 1.0, 0.5, -0.1, 1.1, np.nan, np.exp(-2), 1 - np.exp(-2), 5e-324, 1 - 2.0**-53])
    for values in (q, edges, np.nextafter(edges, np.inf), q.astype(np.float32)):
        np.testing.assert_array_equal(ndtri(values), scipy.special.ndtri(values))


def test_normal_shares_have_the_bits_of_scipy():
    a = np.concatenate([RNG.normal(0, 3, 4000), RNG.uniform(-40, 40, 4000)])
    edges = np.array([0.0, -0.0, 2**0.5, -(2**0.5), 8 * 2**0.5, 37.6, -37.6, 1e308, np.inf, -np.inf, np.nan, 5e-324])
    for values in (a, edges, np.nextafter(edges, np.inf), np.nextafter(edges, 0), a.astype(np.float32)):
        np.testing.assert_array_equal(ndtr(values), scipy.special.ndtr(values))


# ------------------------------------------------------------------------------------------------------------ inverses

BACK = np.concatenate([RNG.normal(0, 2, (200, 4)), *(s * ROWS[-15:] for s in (1, 1e-3, 1e-30)), RNG.random((50, 4))])


def agree_on_the_way_back(estimator, rows=BACK) -> None:
    """Infinities are refused, whatever else there is has the same bits, in both dtypes."""
    record = read(pickle.dumps(estimator)).root
    wide = Input(kind="number", columns=tuple(range(rows.shape[1])))
    narrow = Cast(inputs=(wide,), dtype="float32")
    for end, dtype in ((wide, np.float64), (narrow, np.float32)):
        node = Lowerer().inverse(record, end)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block = rows.astype(dtype)

            def original(part, dtype=dtype):
                return original_answer(estimator, "inverse_transform", part.astype(dtype))

            taken = accepted(original, rows)
            assert taken.any()
            np.testing.assert_array_equal(taken, ~np.isinf(block).any(axis=1))
            got = evaluate([node], {wide: rows[taken]})[node]
            expected = estimator.inverse_transform(block[taken])
        assert got.dtype == expected.dtype == dtype
        assert same_cells(got, expected).all(), rows[taken][~same_cells(got, expected).all(axis=1)]
        low, high = (np.array([getattr(d, e) for d in node.type.domains]) for e in ("low", "high"))
        with np.errstate(invalid="ignore"):
            assert not ((got < low) | (got > high)).any()


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_powers_back(method, standardize, dtype):
    train = (POSITIVE if method == "box-cox" else X).astype(dtype)
    agree_on_the_way_back(fit(PowerTransformer(method=method, standardize=standardize), train))


@pytest.mark.parametrize("power", [0.0, 2.0, -1.5, 1e-17, 1e-20, 30.0, 0.5, 1.0, -1.0])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_powers_back_next_to_those_that_are_logarithms(method, power):
    estimator = fit(PowerTransformer(method=method, standardize=False), POSITIVE)
    estimator.lambdas_[:] = [power, -power, power / 3, 2 - power]
    agree_on_the_way_back(estimator)


@pytest.mark.parametrize("output", ["uniform", "normal"])
@pytest.mark.parametrize("count", [1, 2, 7, 200])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_quantiles_back(output, count, dtype):
    estimator = fit(QuantileTransformer(n_quantiles=count, output_distribution=output), X.astype(dtype))
    ends = scipy.special.ndtri(np.array([1e-7, 1 - 1e-7])) if output == "normal" else np.array([1e-7, 1 - 1e-7])
    near = [ends, np.nextafter(ends, 9), ends * (1 + 1e-12), estimator.references_[:: max(1, count // 9)]]
    agree_on_the_way_back(estimator, np.concatenate([BACK, *(np.tile(n[:, None], 4) for n in near)]))


@pytest.mark.parametrize(
    "transformer",
    [
        PowerTransformer(),
        PowerTransformer("box-cox"),
        QuantileTransformer(n_quantiles=20, output_distribution="normal"),
        make_pipeline(PowerTransformer(), StandardScaler(), QuantileTransformer(n_quantiles=9)),
        make_pipeline(QuantileTransformer(n_quantiles=20), PowerTransformer("yeo-johnson", standardize=False)),
    ],
)
@pytest.mark.parametrize("flat", [True, False])
def test_targets_are_transformed_back(transformer, flat):
    target = POSITIVE[:, 0] if flat else POSITIVE[:, :2]
    estimator = TransformedTargetRegressor(LinearRegression(), transformer=transformer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, target)
    # Predictions far below and above what was seen; Yeo and Johnson's curve has no way back from some of them.
    rows = np.concatenate([X, X * 100, -X * 1e6])
    (got,) = graph_answer(graph_of(estimator), "predict", rows)
    (expected,) = original_answer(estimator, "predict", rows)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_releases_before_1_6_took_powers_back_by_numpy():
    estimator = fit(PowerTransformer("box-cox", standardize=False), POSITIVE)
    record = read(pickle.dumps(estimator)).root
    record.fields["_sklearn_version"] = "1.5.2"
    x = Input(kind="number", columns=(0, 1, 2, 3))
    node = Lowerer().inverse(record, x)
    rows = RNG.normal(size=(50, 4))
    with np.errstate(invalid="ignore"):
        expected = (rows * estimator.lambdas_ + 1) ** (1 / estimator.lambdas_)
    np.testing.assert_array_equal(evaluate([node], {x: rows})[node], expected)


def test_options_that_no_release_has_are_refused():
    power, quantile = fit(PowerTransformer(), X), fit(QuantileTransformer(n_quantiles=5), X)
    power.method, quantile.output_distribution = "sqrt", "cauchy"
    for estimator in (power, quantile):
        with pytest.raises(UnsupportedEstimatorError, match=r"sqrt|cauchy"):
            graph_of(estimator)

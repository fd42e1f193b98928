"""Pipelines put together at random: every backend's reopened model answers, and refuses, as the live original does."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from slimml.backends import BACKENDS
from slimml.backends.portable import PortableBackend
from slimml.candidates import build, refusal
from slimml.errors import InputError
from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import topological
from slimml.ir.ops.columns import Input
from slimml.ir.ops.ranks import Rank
from slimml.options import ShrinkOptions
from slimml.parity.nets import check_cuts, check_witnesses, paired
from slimml.passes import PASSES
from slimml.passes.runner import run_passes
from tests.hostile import original_answer, same_cells

NUMBERS, WORDS = ["age", "hours", "visits", "same"], ["city", "job"]
TREES = [
    RandomForestClassifier(3, n_jobs=-1, random_state=0),
    DecisionTreeClassifier(max_leaf_nodes=4, random_state=0),
    GradientBoostingClassifier(n_estimators=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
    ExtraTreesRegressor(2, random_state=0),
    DecisionTreeRegressor(random_state=0),
    HistGradientBoostingRegressor(max_iter=3, loss="poisson", min_samples_leaf=2),
]
LINEAR = [Ridge(), LogisticRegression(max_iter=50)]
ODD = [np.nan, np.inf, -0.0, 5e-324, 1e308, 3.5e38, -1.0, 0.5, 2.0**53]
ODD_WORDS = ["", "Bern", "Z\u00fcrich", "1", np.nan, "nan"]

flags = st.booleans()
imputers = st.builds(
    SimpleImputer,
    strategy=st.sampled_from(["mean", "median", "most_frequent", "constant"]),
    missing_values=st.sampled_from([np.nan, np.nan, -1]),
    add_indicator=flags,
    keep_empty_features=flags,
)
scalers = st.one_of(
    st.builds(StandardScaler, with_mean=flags, with_std=flags),
    st.builds(MinMaxScaler, clip=flags),
    st.builds(RobustScaler, with_centering=flags),
    st.just(MaxAbsScaler()),
    st.sampled_from(
        [
            FunctionTransformer(np.arctan),
            FunctionTransformer(np.sqrt),
            PowerTransformer(),
            PowerTransformer(standardize=False),
            QuantileTransformer(n_quantiles=9),
            QuantileTransformer(n_quantiles=20, output_distribution="normal"),
            PolynomialFeatures(2),
            PolynomialFeatures((2, 3), interaction_only=True),
            Normalizer(),
            Normalizer("max"),
            SplineTransformer(4, handle_missing="zeros", extrapolation="linear"),
            SplineTransformer(3, degree=2, handle_missing="zeros", include_bias=False, sparse_output=True),
        ]
    ),
    st.just(FeatureUnion([("a", StandardScaler()), ("b", MaxAbsScaler())], transformer_weights={"a": 0.1})),
)
encoders = st.one_of(
    st.builds(
        OneHotEncoder,
        handle_unknown=st.sampled_from(["error", "ignore", "infrequent_if_exist"]),
        drop=st.sampled_from([None, "first"]),
        min_frequency=st.sampled_from([None, 9]),
        sparse_output=flags,
    ),
    st.builds(
        OrdinalEncoder,
        handle_unknown=st.just("use_encoded_value"),
        unknown_value=st.sampled_from([-1, np.nan]),
        max_categories=st.sampled_from([None, 2]),
    ),
)
fillers = st.builds(
    SimpleImputer, strategy=st.sampled_from(["most_frequent", "constant"]), fill_value=st.just("?"), add_indicator=flags
)
targets = st.sampled_from(["bool", "words", "three", "same"])
column_wise = st.one_of(
    st.builds(StandardScaler, with_mean=flags, with_std=flags),
    st.builds(MinMaxScaler, clip=flags),
    st.builds(RobustScaler, with_centering=flags),
    st.builds(Binarizer, threshold=st.sampled_from([0.0, 0.3])),
    st.builds(KBinsDiscretizer, n_bins=st.just(3), encode=st.sampled_from(["ordinal", "onehot", "onehot-dense"])),
    st.sampled_from([FunctionTransformer(f) for f in (np.log1p, np.sqrt, np.exp, np.square, np.negative, np.cbrt)]),
    st.sampled_from([PowerTransformer(), QuantileTransformer(n_quantiles=9), MaxAbsScaler()]),
    st.just(SplineTransformer(4, handle_missing="zeros")),
    st.just(FeatureUnion([("a", StandardScaler()), ("b", MissingIndicator(features="all"))])),
)


@st.composite
def pipelines(draw: st.DrawFn, scalers: st.SearchStrategy = scalers, models: list[Any] = TREES + LINEAR) -> Any:
    number = [s for s in (draw(imputers), draw(scalers), draw(scalers)) if draw(flags)] or [draw(scalers)]
    word = [draw(fillers), draw(encoders)] if draw(flags) else [draw(encoders)]
    split = draw(st.integers(1, len(NUMBERS)))
    columns: Any = draw(st.sampled_from([NUMBERS[:split], list(range(split)), slice(0, split)]))
    steps = [("n", make_pipeline(*number), columns), ("w", make_pipeline(*word), WORDS)]
    rest = draw(st.sampled_from(["drop", "passthrough", SimpleImputer()]))
    if draw(flags):
        steps.reverse()
    table = ColumnTransformer(steps, remainder=rest, sparse_threshold=draw(st.sampled_from([0.0, 1.0])))
    return make_pipeline(table, draw(st.sampled_from(models)))


def table(seed: int, count: int, *, odd: bool = False) -> pd.DataFrame:
    """Rows to fit on; `odd`: about a third of the cells replaced by what breaks arithmetic or is not known."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": np.round(rng.normal(40, 12, count), 1),
            "hours": np.where(rng.random(count) < 0.2, np.nan, rng.normal(size=count)),
            "visits": rng.integers(-1, 4, count).astype(float),
            "same": np.full(count, 3.5),
            "city": pd.Series(rng.choice(["Bern", "", "Oslo"], count), dtype="str"),
            "job": pd.Series(rng.choice(["cook", "1", "nurse"], count), dtype="str").mask(rng.random(count) < 0.2),
        }
    )
    for name in frame if odd else ():
        values = rng.choice(np.array(ODD if name in NUMBERS else ODD_WORDS, dtype=object), count)
        frame[name] = frame[name].mask(rng.random(count) < 0.15, pd.Series(values).astype(frame[name].dtype))
    return frame


def labels(kind: str, count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    if kind == "same":
        return np.full(count, 2)
    drawn = rng.integers(0, 3, count)
    return {"bool": drawn > 0, "words": np.where(drawn > 0, "yes", "no"), "three": drawn + 1}[kind]


@settings(max_examples=settings().max_examples // 8)
@given(pipelines(), targets, st.integers(0, 99))
def test_every_backend_answers_and_refuses_as_the_original(estimator, kind, seed):
    target = labels(kind, 50)
    numbers = np.unique(target, return_inverse=True)[1] + 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(table(seed, 50), target if hasattr(estimator[-1], "predict_proba") else numbers)
        except (ValueError, TypeError):
            return  # not every drawing can be fitted: NaN in front of a Ridge, sparse rows in front of a booster
    if hasattr(estimator[-1], "n_jobs"):
        estimator[-1].n_jobs = 1
    final, _ = run_passes(lower(read(pickle.dumps(estimator, 5)).root), PASSES)
    rows = pd.concat([table(seed, 4), table(seed + 1, 16, odd=True)], ignore_index=True)
    options = ShrinkOptions()
    for backend in BACKENDS:
        if refusal(backend, final, asked=False) is None:
            model = build(backend, final, options, {}, []).model
            _hold(estimator, model, rows, exact=not isinstance(estimator[-1], Ridge | LogisticRegression))


@settings(max_examples=settings().max_examples // 4)
@given(pipelines(column_wise, TREES), targets, st.integers(0, 99))
def test_what_is_folded_answers_as_the_original_next_to_every_cut(estimator, kind, seed):
    target = labels(kind, 50)
    numbers = np.unique(target, return_inverse=True)[1] + 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.fit(table(seed, 50), target if hasattr(estimator[-1], "predict_proba") else numbers)
        except (ValueError, TypeError):
            return
    if hasattr(estimator[-1], "n_jobs"):
        estimator[-1].n_jobs = 1
    fresh = lower(read(pickle.dumps(estimator, 5)).root)
    final, _ = run_passes(fresh, PASSES)
    found = paired(fresh, final)
    cuts, nodes = check_cuts(fresh, final, found=found), check_witnesses(fresh, final, found=found)
    assert not cuts.faults and not nodes.faults, (cuts.worst, nodes.worst)
    rows = beside_cuts(final, table(seed, 40))
    model = build(PortableBackend(), final, ShrinkOptions(), {}, []).model
    taken = [original_answer(estimator, "predict", rows.iloc[[i]]) is not None for i in range(len(rows))]
    kept = rows.iloc[np.flatnonzero(taken)]
    if len(kept):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(model.predict(kept), estimator.predict(kept))


def beside_cuts(graph: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with a value at a cut of the folded forest, or right beside it, in one column each."""
    ranks = [n for n in graph.nodes() if isinstance(n, Rank)]
    parts = [frame.iloc[:0]]
    for rank in ranks:
        (source,) = (n for n in topological([rank]) if isinstance(n, Input))
        if rank.source.width != len(source.columns):
            continue
        for i, c in enumerate(source.columns):
            own = rank.cuts[rank.offsets[i] : rank.offsets[i + 1]].astype(float)[:12]
            values = np.concatenate([own, np.nextafter(own, np.inf), np.nextafter(own, -np.inf)])
            rows = frame.iloc[np.arange(len(values)) % len(frame)].copy()
            rows[graph.schema.columns[c].name] = values
            parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def _hold(estimator: Any, model: Any, rows: pd.DataFrame, *, exact: bool) -> None:
    taken = []
    for i in range(len(rows)):
        said = original_answer(estimator, "predict", rows.iloc[[i]])
        if said is None:
            with pytest.raises(InputError):
                model.predict(rows.iloc[[i]])
            continue
        taken.append(i)
        assert model.predict(rows.iloc[i].to_dict()) == model.predict(rows.iloc[[i]])[0]
    if not taken:
        return
    kept = rows.iloc[taken]
    for method in model.outputs:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            said, got = np.asarray(getattr(estimator, method)(kept)), getattr(model, method)(kept)
        assert (said.shape, said.dtype) == (got.shape, got.dtype)
        same = same_cells(said, got)
        if not exact and said.dtype.kind == "f":
            same |= np.isclose(said, got, rtol=1e-9, atol=1e-9, equal_nan=True)
        softmax = method.startswith("predict_") and said.shape[1] > 2
        if exact and softmax:
            same |= np.isclose(said, got, rtol=4e-15, atol=0)
        assert same.all(), f"{method} differs: {said[~same][:3]} is not {got[~same][:3]}"

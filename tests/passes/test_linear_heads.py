"""Linear pipelines become one head: same answers within rounding, same refusals, and nothing in front of it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

from slimml.frontends.lowerer import lower
from slimml.ingest.read import read
from slimml.ir.graph import Graph, Output, topological
from slimml.ir.node import Node
from slimml.ir.ops.categories import Lookup, OneHot, Recode
from slimml.ir.ops.columns import Cast, Concat, Input, Select
from slimml.ir.ops.models import Linear, LinearTable
from slimml.ir.ops.numeric import Affine, FillMissing, Guard, IsMissing, Multiply
from slimml.ir.ops.ranks import Rank
from slimml.ir.ops.text import CountTerms
from slimml.ir.text import fingerprint
from slimml.options import Exactness
from slimml.parity.bound import bounds
from slimml.passes import PASSES
from slimml.passes.fold_affine_into_linear import PASS as FOLD_AFFINE_INTO_LINEAR
from slimml.passes.fold_columns_into_linear import PASS as FOLD_COLUMNS_INTO_LINEAR
from slimml.passes.fold_linear_into_linear import PASS as FOLD_LINEAR_INTO_LINEAR
from slimml.passes.runner import run_passes
from slimml.schema import CATEGORY, NUMBER, PANDAS_NA, Column, Schema
from tests.hostile import zoo_graph
from tests.passes.graphs import taken, values
from tests.zoo import ZOO

MAX = float(np.finfo(np.float64).max)
NAN = float("nan")

# Pipelines of column-wise steps in front of a linear model: what is left in front of their links.
COLUMN_WISE = (
    "impute/then-model scale/sparse-model onehot/then-linear compose/passthrough-mixed compose/sparse-model "
    "compose/nested compose/on-array compose/array-remainder compose/pandas-output compose/nullable-integers "
    "pipeline/nested union/weights-drop-passthrough bins/linear target/continuous indicator/union select/best "
    "linear/pipeline ridge/sparse-pipeline logistic/pipeline logistic/pipeline-multinomial sgd/sparse "
    "svm/linear-svc-pipeline bayes/sparse-pipeline svc/linear svc/linear-ovo svr/linear"
).split()
IN_FRONT = {"Input", "Guard", "Select", "Lookup", "Rank", "Concat"}
LINKS = {"IsPositive", "ArgMax", "Sigmoid", "Softmax", "LogSoftmax", "Complement", "NormalizeRows", "Log", "Exp"}
LINKS |= {"PairVotes", "Multiply"}


@pytest.mark.parametrize("name", COLUMN_WISE)
def test_column_wise_pipeline_is_guards_look_ups_and_one_head(name: str):
    final, _ = run_passes(zoo_graph(name), PASSES)
    heads = [n for n in final.nodes() if isinstance(n, Linear | LinearTable)]
    assert len(heads) == 1
    behind = final.nodes()[final.nodes().index(heads[0]) + 1 :]
    assert {type(n).__name__ for n in behind} <= LINKS
    in_front = final.nodes()[: final.nodes().index(heads[0])]
    assert {type(n).__name__ for n in in_front} <= IN_FRONT
    # One guard of an input, and a selection or a Concat only to bring codes of several kinds together.
    assert sum(isinstance(n, Guard) for n in in_front) <= 1
    assert all(x.type.dtype == "int32" for n in in_front if isinstance(n, Concat) for x in n.inputs)


# A curve of one column is a term of the sum that is computed: a table would hold all of its values, and a comparison of
# a whole block is faster than a look-up for each of its columns.
CURVES = {"Apply", "PowerCurve", "Splines", "Binarize"}
CURVED = (
    "function/logarithm skewed/yeo-johnson spline/linear bins/binarizer-zero bayes/bernoulli bayes/bernoulli-threshold"
).split()


@pytest.mark.parametrize("name", CURVED)
def test_head_behind_curves_reads_each_as_one_term(name: str):
    final, _ = run_passes(zoo_graph(name), PASSES)
    (head,) = (n for n in final.nodes() if isinstance(n, Linear | LinearTable))
    in_front = {type(n).__name__ for n in topological(head.inputs)}
    assert in_front <= {"Input", "Guard"} | CURVES and in_front & CURVES


def test_every_linear_pipeline_of_imputers_and_encoders_is_listed():
    steps = ("OneHot", "Recode", "IsMissing", "FillMissing")
    for model in ZOO:
        final, _ = run_passes(zoo_graph(model.name), PASSES)
        for node in final.nodes():
            if isinstance(node, Linear) and node.type.dtype == "float64":
                parts = node.inputs[0].inputs if isinstance(node.inputs[0], Concat) else node.inputs
                assert not any(type(p).__name__ in steps for p in parts), model.name


# ---------------------------------------------------------------------------------------------------- random heads


@st.composite
def heads(draw):
    """Numbers and categories through imputers, indicators, scalers, bins and encoders into a linear model."""
    seed = draw(st.integers(0, 100_000))
    rng = np.random.default_rng(seed)
    numbers, words, k = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    x: Node = Input(kind=NUMBER, columns=tuple(range(numbers)))
    c: Node = Input(kind=CATEGORY, columns=tuple(range(numbers, numbers + words)))
    if draw(st.booleans()):
        ends = np.full(numbers, draw(st.sampled_from([MAX, 3.0])))
        x = Guard(inputs=(x,), low=-ends, high=ends, missing=rng.random(numbers) < 0.8)
    block: Node = x
    if draw(st.booleans()):
        sentinel = draw(st.sampled_from([NAN, NAN, 1.5]))
        block = FillMissing(inputs=(x,), sentinel=sentinel, fill=tuple(rng.normal(size=numbers).tolist()))
    if draw(st.booleans()):
        block = Affine(inputs=(block,), scale=rng.normal(size=numbers), shift=rng.normal(size=numbers))
    parts: list[Node] = [block]
    if draw(st.booleans()):
        missing: Node = IsMissing(inputs=(x,), sentinel=draw(st.sampled_from([NAN, -2.0])))
        parts.append(Cast(inputs=(missing,), dtype="float64") if draw(st.booleans()) else missing)
    if draw(st.booleans()):
        parts.append(_bins(FillMissing(inputs=(x,), sentinel=NAN, fill=(0.25,) * numbers), rng))
    if draw(st.booleans()):
        sentinel = draw(st.sampled_from([NAN, None, "a"]))
        c = FillMissing(inputs=(c,), sentinel=sentinel, fill=tuple(rng.choice(["a", "b", "z"], words).tolist()))
    refuse = tuple((rng.random(words) < 0.2).tolist())
    codes = Lookup(inputs=(c,), tables=(("a", "b", NAN),) * words, refuse=refuse)
    if draw(st.booleans()):
        targets = np.concatenate([rng.integers(-1, 3, 4) for _ in range(words)]).astype(np.int32)
        hot: Node = OneHot(
            inputs=(codes,), targets=targets, offsets=np.arange(words + 1) * 4, sizes=np.full(words, 3),
            layout=draw(st.sampled_from(["dense", "csr"])),
        )  # fmt: skip
        if draw(st.booleans()):
            hot = Multiply(inputs=(hot,), value=rng.normal(size=hot.type.width))
        parts.append(hot)
    if draw(st.booleans()):
        parts.append(Recode(inputs=(codes,), values=rng.normal(size=4 * words), offsets=np.arange(words + 1) * 4))
    whole: Node = Concat(inputs=tuple(parts), layout=draw(st.sampled_from(["dense", "csr"])))
    if draw(st.booleans()):
        whole = Select(inputs=(whole,), index=rng.integers(0, whole.type.width, draw(st.integers(1, 9))))
    weights = np.where(rng.random((k, whole.type.width)) < 0.2, 0.0, rng.normal(size=(k, whole.type.width)))
    answer = Linear(inputs=(whole,), weights=weights, bias=rng.normal(size=k))
    schema = Schema(tuple(Column(f"c{i}", NUMBER if i < numbers else CATEGORY) for i in range(numbers + words)))
    return Graph(schema, (Output("transform", (answer,), "matrix"),)), seed


def _bins(x: Node, rng: np.random.Generator) -> Node:
    width = x.type.width
    cuts = np.sort(rng.normal(size=(width, 2)), axis=1).ravel()
    rank = Rank(inputs=(x,), cuts=cuts, offsets=np.arange(width + 1) * 2, table=np.zeros(0, np.int32))
    targets = np.tile(np.arange(3, dtype=np.int32), width)
    return OneHot(inputs=(rank,), targets=targets, offsets=np.arange(width + 1) * 3, sizes=np.full(width, 3))


@given(heads())
def test_random_head_answers_within_rounding_and_refuses_the_same_rows(drawn):
    graph, seed = drawn
    rng = np.random.default_rng(seed)
    made = FOLD_COLUMNS_INTO_LINEAR.run(graph).graph
    table = {}
    for i, column in enumerate(graph.schema.columns):
        odd: list[Any] = ["a", "b", "z", NAN, None, "new", PANDAS_NA, 1]
        if column.kind == NUMBER:
            odd = [0.0, -0.0, 1.5, -2.0, 0.25, NAN, 1e7, np.inf, 1e308, *rng.normal(size=4).tolist()]
        cells = np.empty(60, dtype=object)
        cells[:] = [odd[j] for j in rng.integers(0, len(odd), 60)]
        table[i] = cells.astype(float) if column.kind == NUMBER else cells
    kept = taken(graph, table, 60)
    np.testing.assert_array_equal(taken(made, table, 60), kept)
    at = np.flatnonzero(kept)
    if len(at):
        old, new = values(graph, table, at), values(made, table, at)
        room = sum(bounds(g, v)["transform"][0] for g, v in ((graph, old), (made, new)))
        (a,), (b,) = graph.outputs[0].nodes, made.outputs[0].nodes
        with np.errstate(invalid="ignore"):
            close = np.abs(old[a] - new[b]) <= room
        assert (close | (np.isnan(old[a]) & np.isnan(new[b])) | np.isinf(room)).all()
    again = FOLD_COLUMNS_INTO_LINEAR.run(made)
    assert again.graph is made and not again.fired


# ------------------------------------------------------------------------------------------------------ single folds


def _final(estimator: Any) -> Graph:
    return run_passes(lower(read(pickle.dumps(estimator, 5)).root), PASSES)[0]


def _names(graph: Graph) -> list[str]:
    return [type(n).__name__ for n in graph.nodes()]


TEXTS = ["red apple pie", "green apple", "red wine and pie", "green wine", "blue sky and sea", "sea and wine"] * 4
LABELS = [1, 0, 1, 0, 0, 1] * 4


def test_tfidf_weights_fold_where_no_norm_reads_them():
    model = make_pipeline(TfidfVectorizer(norm=None), LogisticRegression()).fit(TEXTS, LABELS)
    assert _names(_final(model))[:4] == ["Input", "CountTerms", "Cast", "Linear"]
    normed = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    _, reports = run_passes(lower(read(pickle.dumps(normed, 5)).root), PASSES)
    skipped = next(r.skipped for r in reports if r.name == "fold-affine-into-linear")
    assert skipped == {"the norm of a row reads the terms as they are weighted": 1}


def test_vocabulary_that_no_weight_reads_goes_where_no_norm_does():
    for norm, fewer in ((None, True), ("l2", False)):
        head = LogisticRegression(l1_ratio=1.0, solver="liblinear", C=0.5)
        model = make_pipeline(TfidfVectorizer(norm=norm), head).fit(TEXTS, LABELS)
        assert 0 < (model[-1].coef_ != 0).sum() < model[-1].coef_.size
        (terms,) = (n for n in _final(model).nodes() if isinstance(n, CountTerms))
        assert (len(terms.terms) == (model[-1].coef_ != 0).sum()) == fewer


def test_projection_of_texts_in_front_of_a_linear_model_is_multiplied_out():
    model = make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0), Ridge()).fit(TEXTS, LABELS)
    names = _names(_final(model))
    assert names.count("Linear") == 1 and "Guard" not in names


def test_projection_whose_overflow_is_refused_stays_and_says_so():
    graph = zoo_graph("pca/pipeline")
    _, reports = run_passes(graph, PASSES)
    skipped = next(r.skipped for r in reports if r.name == "fold-linear-into-linear")
    assert skipped == {"rows are refused where the sum in front overflows": 1}


def test_wide_layers_are_not_multiplied_out():
    x = Input(kind=NUMBER, columns=tuple(range(9)))
    narrow = Linear(inputs=(x,), weights=np.ones((2, 9)), bias=np.zeros(2))
    wide = Linear(inputs=(narrow,), weights=np.ones((9, 2)), bias=np.zeros(9))
    graph = Graph(Schema(tuple(Column(f"c{i}") for i in range(9))), (Output("transform", (wide,), "matrix"),))
    outcome = FOLD_LINEAR_INTO_LINEAR.run(graph)
    assert outcome.graph is graph
    assert outcome.skipped == {"multiplied out, two sums would take more multiplications": 1}


@pytest.mark.parametrize("each", [FOLD_AFFINE_INTO_LINEAR, FOLD_LINEAR_INTO_LINEAR, FOLD_COLUMNS_INTO_LINEAR])
def test_sum_that_a_later_model_compares_is_left_alone(each):
    x = Input(kind=NUMBER, columns=(0,))
    block: Node = FillMissing(inputs=(x,), sentinel=NAN, fill=(1.0,))
    if each is FOLD_AFFINE_INTO_LINEAR:
        block = Multiply(inputs=(block,), value=np.array([3.0]))
    if each is FOLD_LINEAR_INTO_LINEAR:
        block = Linear(inputs=(block,), weights=np.array([[3.0]]), bias=np.zeros(1))
    total = Linear(inputs=(block,), weights=np.array([[2.0]]), bias=np.zeros(1))
    rank = Rank(inputs=(total,), cuts=np.zeros(1), offsets=np.arange(2), table=np.zeros(0, np.int32))
    graph = Graph(Schema((Column("a"),)), (Output("transform", (rank,), "matrix"),))
    outcome = each.run(graph)
    assert outcome.graph is graph
    assert outcome.skipped == {"a later model compares what it makes": 1}


def test_table_larger_than_what_it_replaces_is_not_made():
    x = Input(kind=CATEGORY, columns=(0,))
    codes = Lookup(inputs=(x,), tables=(tuple(range(3000)),), refuse=(False,))
    means = Recode(inputs=(codes,), values=np.arange(3001.0), offsets=np.array([0, 3001]))
    linear = Linear(inputs=(means,), weights=np.ones((8, 1)), bias=np.zeros(8))
    graph = Graph(Schema((Column("a", CATEGORY),)), (Output("transform", (linear,), "matrix"),))
    outcome = FOLD_COLUMNS_INTO_LINEAR.run(graph)
    assert outcome.graph is graph
    assert "a row of sums for each category would be larger than one number for each" in outcome.skipped


def test_heads_on_one_preparation_share_its_look_up():
    final, _ = run_passes(zoo_graph("calibrated/sigmoid"), PASSES)
    assert _names(final).count("LinearTable") > 1 and _names(final).count("Lookup") == 1


def test_bitwise_runs_keep_the_steps():
    graph = zoo_graph("logistic/pipeline")
    final, _ = run_passes(graph, PASSES, Exactness.BITWISE)
    assert "LinearTable" not in _names(final) and "OneHot" in _names(final)


def test_passes_run_twice_on_heads_equal_one_run():
    for name in COLUMN_WISE:
        once, _ = run_passes(zoo_graph(name), PASSES)
        twice, reports = run_passes(once, PASSES)
        assert fingerprint(once) == fingerprint(twice) and not any(r.fired for r in reports), name


# --------------------------------------------------------------------------------------- numbers that are no ordinary


def _apart(estimator: Any, rows: pd.DataFrame) -> np.ndarray:
    """By how many times what rounding may do, counted before the passes, the first output differs after them."""
    fresh = lower(read(pickle.dumps(estimator, 5)).root)
    final = run_passes(fresh, PASSES)[0]
    table = {i: rows.iloc[:, i].to_numpy() for i in range(rows.shape[1])}
    old, new = (values(g, table, np.arange(len(rows))) for g in (fresh, final))
    name = "decision_function" if any(o.name == "decision_function" for o in fresh.outputs) else fresh.outputs[0].name
    (a,), (b,) = (next(o.nodes for o in g.outputs if o.name == name) for g in (fresh, final))
    room = sum(bounds(g, v)[name][0] for g, v in ((fresh, old), (final, new)))
    return np.abs(old[a] - new[b]) / room


def test_the_table_of_a_category_holds_no_terms_that_it_does_not_add():
    """Centred and scaled, a common category adds much where it is not there, and little where it is."""
    frame = pd.DataFrame({"c": np.where(np.arange(20_000) < 2, "rare", "common")})
    target = (np.random.default_rng(0).random(20_000) < 0.3).astype(int)
    target[:2] = 1
    head = LogisticRegression(fit_intercept=False, C=100)
    model = make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler(), head).fit(frame, target)
    assert _apart(model, frame[:4]).max() <= 1


def _weighted(weight: float, *steps: Any) -> Any:
    return make_pipeline(FeatureUnion([("part", steps[0])], transformer_weights={"part": weight}), *steps[1:])


@pytest.mark.parametrize("case", ["a scale vanishes", "digits are lost in between", "a weight vanishes"])
def test_scales_beyond_ordinary_numbers_are_not_multiplied_out(case: str):
    rng = np.random.default_rng(0)
    if case == "a scale vanishes":
        rows = pd.DataFrame(rng.normal(size=(50, 2)) * 1e200, columns=["a", "b"])
        model = _weighted(1e-170, MaxAbsScaler(), LinearRegression()).fit(rows, (rows.a + 2 * rows.b) / 1e200)
    elif case == "digits are lost in between":
        rows = pd.DataFrame({"a": rng.normal(size=80)})
        last = LogisticRegression(fit_intercept=False)
        model = _weighted(1e-150, "passthrough", StandardScaler(with_mean=False), last).fit(rows, rows.a > 0)
        rows = pd.DataFrame({"a": [1e-180, 3.0]})
    else:
        rows = pd.DataFrame(rng.normal(size=(30, 2)) * 1e-200, columns=["a", "b"])
        model = KernelRidge(kernel="linear").fit(rows, rows.a + 2 * rows.b)
        rows = pd.DataFrame({"a": [1e200, 3e250], "b": [0.0, -1e240]})
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.nan_to_num(_apart(model, rows), nan=0.0)
    assert apart.max() <= 1

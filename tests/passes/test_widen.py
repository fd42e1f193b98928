"""Float32 rows of forests: every cut and node of what the model means of them, and the rows that stand for them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from slimml import load, shrink
from slimml.backends import BACKENDS
from slimml.frontends.lowerer import lower
from slimml.intake import ingest
from slimml.ir.graph import Graph
from slimml.ir.node import MalformedGraphError
from slimml.ir.ops.columns import FLOAT32, Input
from slimml.ir.ops.ranks import Widen
from slimml.parity.nets import check_cuts, check_witnesses, paired
from slimml.passes import PASSES
from slimml.passes.folding.cells import UnfoldableError
from slimml.passes.folding.widen import widened
from slimml.passes.runner import run_passes
from tests.passes.test_fold_columns_into_ranks import with_forests
from tests.zoo import zoo_model

NAN, INF = float("nan"), float("inf")


@cache
def sides(name: str) -> tuple[Graph, Graph | None, str]:
    """What a zoo model means of float32 rows, the same behind a Widen, and else why not."""
    root = ingest(zoo_model(name)[0], None).root
    fresh, narrow = lower(root), lower(root, float32=True)
    try:
        return narrow, widened(fresh, narrow, run_passes(fresh, PASSES)[0]), ""
    except UnfoldableError as reason:
        return narrow, None, str(reason)


# Zoo models of which something else reads numbers too, or reads them so that no raw column is behind them.
OTHERS = ("polynomial/", "voting/", "stacking/", "lightgbm/linear", "codes/tree", "chain/")


@pytest.mark.parametrize("name", with_forests()[::2])
def test_float32_rows_are_answered_as_such_wherever_forests_alone_read_numbers(name: str):
    narrow, made, why = sides(name)
    if name.startswith(OTHERS):
        assert made is None
        return
    assert not why
    if made is not None:
        found = paired(narrow, made)
        cuts, nodes = check_cuts(narrow, made, found=found), check_witnesses(narrow, made, found=found)
        assert cuts.checked and not cuts.faults and not nodes.faults, (cuts.worst, nodes.worst)


def test_what_else_reads_numbers_is_said():
    assert sides("voting/soft")[2] == "Linear reads numbers as they are"


def test_an_end_that_is_off_by_one_float_is_found():
    narrow, made, _ = sides("forest/pipeline")
    assert made is not None
    (widen,) = (n for n in made.nodes() if isinstance(n, Widen))
    found = 0
    for at in np.random.default_rng(0).permutation(len(widen.ends))[:6].tolist():
        ends = widen.ends.copy()
        ends[at] = np.nextafter(ends[at], np.float32(np.inf if at % 2 else -np.inf))
        off = made.replace({widen: Widen(
            inputs=widen.inputs, cuts=widen.cuts, ends=ends, offsets=widen.offsets, missing=widen.missing
        )})  # fmt: skip
        found += check_cuts(narrow, off, found=paired(narrow, off)).faults > 0
    assert found == 6


@pytest.mark.parametrize("backend", [b.name for b in BACKENDS if not b.missing()])
def test_rows_next_to_cuts_are_answered_as_the_original_answers_them(backend: str):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2000, 3)) * 50 + 37).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    steps = SimpleImputer(add_indicator=True), StandardScaler(), ExtraTreesRegressor(8, max_depth=9)
    model = make_pipeline(*steps).set_params(extratreesregressor__random_state=0)
    model.fit(x, np.nan_to_num(x[:, 0] * x[:, 1]))
    result = shrink(model, backend=backend)
    assert result.passes[-1].name == "widen-float32-rows" and result.passes[-1].fired == 1
    compiled = load(result.artifact)
    (widen,) = (n for n in compiled.graph.float32.nodes() if isinstance(n, Widen))
    rows = np.repeat((rng.normal(size=(4000, 3)) * 50 + 37).astype(np.float32), 1, axis=0)
    rows[::97, 1] = np.nan
    for c in range(3):
        near = widen.ends[widen.offsets[c] : widen.offsets[c + 1]]
        sides = [near, *(np.nextafter(near, np.float32(s)) for s in (-np.inf, np.inf))]
        at = rng.choice(len(rows), 3 * len(near), replace=False) if 3 * len(near) <= len(rows) else slice(None)
        rows[at, c] = np.concatenate(sides)[: len(rows[at])]
    wide = model.predict(rows.astype(np.float64))
    expected = model.predict(rows)
    assert (expected != wide).any()
    np.testing.assert_array_equal(compiled.predict(rows), expected)
    np.testing.assert_array_equal(compiled.predict(rows.astype(np.float64)), wide)


# ------------------------------------------------------------------------------------------------------------ the op


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9), st.data())
def test_widen_moves_a_number_beyond_the_cuts_it_is_above_the_ends_of(values, data):
    ends = np.sort(np.array(values, dtype=np.float32))
    cuts = np.unique(np.array(data.draw(st.lists(st.floats(allow_nan=False), min_size=len(ends), max_size=30))))
    cuts, ends = cuts[: len(ends)], ends[: len(cuts)]
    x = np.concatenate([ends, np.nextafter(ends, np.float32(np.inf)), np.array([0.0, NAN, INF, -INF], np.float32)])
    op = Widen(
        inputs=(Input(kind=FLOAT32, columns=(0,)),), cuts=cuts, ends=ends,
        offsets=np.array([0, len(cuts)]), missing=np.array([data.draw(st.sampled_from([NAN, 2.5]))]),
    )  # fmt: skip
    y = op.evaluate(x[:, None])[:, 0]
    there = ~np.isnan(x)
    above = np.searchsorted(ends, x[there])
    # Between a cut at the largest number and infinity there is nothing, nor between -infinity and a cut there.
    np.testing.assert_array_equal(np.searchsorted(cuts, y[there]), above)
    np.testing.assert_array_equal(y[~there], op.missing)
    stays = np.searchsorted(cuts, x[there].astype(np.float64)) == above
    np.testing.assert_array_equal(y[there][stays], x[there][stays].astype(np.float64))


@pytest.mark.parametrize(
    "changes",
    [
        {"cuts": np.array([2.0, 1.0])},
        {"cuts": np.array([1.0, NAN])},
        {"ends": np.array([2, 1], np.float32)},
        {"ends": np.array([1.0, 2.0])},
        {"ends": np.array([1], np.float32)},
        {"offsets": np.array([0, 1])},
        {"missing": np.array([0.0, 1.0])},
    ],
)
def test_widen_that_contradicts_itself_is_refused(changes):
    fields = {
        "cuts": np.array([1.0, 2.0]), "ends": np.array([1, 2], np.float32), "offsets": np.array([0, 2]),
        "missing": np.array([NAN]),
    }  # fmt: skip
    Widen(inputs=(Input(kind=FLOAT32, columns=(0,)),), **fields)
    with pytest.raises(MalformedGraphError):
        Widen(inputs=(Input(kind=FLOAT32, columns=(0,)),), **{**fields, **changes})

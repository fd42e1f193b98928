"""Passes rewrite a graph into a cheaper one that means the same. `PASSES` is their order."""

from __future__ import annotations

from slimml.passes.base import Pass
from slimml.passes.compact_forests import PASS as COMPACT_FORESTS
from slimml.passes.drop_dead_columns import PASS as DROP_DEAD_COLUMNS
from slimml.passes.fold_affine_into_linear import PASS as FOLD_AFFINE_INTO_LINEAR
from slimml.passes.fold_columns_into_linear import PASS as FOLD_COLUMNS_INTO_LINEAR
from slimml.passes.fold_columns_into_ranks import PASS as FOLD_COLUMNS_INTO_RANKS
from slimml.passes.fold_linear_into_linear import PASS as FOLD_LINEAR_INTO_LINEAR
from slimml.passes.fuse_affine import PASS as FUSE_AFFINE
from slimml.passes.hoist_guards import PASS as HOIST_GUARDS

PASSES: tuple[Pass, ...] = (
    # First: guards between the steps hide every pattern that follows.
    HOIST_GUARDS,
    # Before dead columns are dropped: it is what makes most of them dead.
    FOLD_COLUMNS_INTO_RANKS,
    # Behind the fold, which proves what each column holds; its cuts and columns that only needless splits read then go.
    COMPACT_FORESTS,
    # Before the arithmetic passes, so that they do not work for columns that nothing reads.
    DROP_DEAD_COLUMNS,
    # Makes of each scaler the one op that the next pass looks for.
    FUSE_AFFINE,
    FOLD_AFFINE_INTO_LINEAR,
    # Behind it: what is between two models is in one of them by now.
    FOLD_LINEAR_INTO_LINEAR,
    # Last: it takes columns as the passes before have left them.
    FOLD_COLUMNS_INTO_LINEAR,
)

"""Every zoo model is built, fitted, and answers its rows."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse

from tests.zoo import TRY_ROWS, ZOO, zoo_model

METHODS = ("predict", "predict_proba", "decision_function", "transform")


def test_names_are_unique():
    names = [m.name for m in ZOO]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", [m.name for m in ZOO])
def test_model_answers_its_rows_the_same_after_a_pickle(name: str):
    estimator, rows = zoo_model(name)
    again = pickle.loads(pickle.dumps(estimator))
    methods = [m for m in METHODS if hasattr(estimator, m)]
    assert methods
    for method in methods:
        for before, after in zip(_answers(estimator, method, rows), _answers(again, method, rows), strict=True):
            assert before.shape[1 if before.ndim == 3 else 0] == TRY_ROWS
            np.testing.assert_array_equal(before, after)


def _answers(estimator, method, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = getattr(estimator, method)(rows)
    outputs = answer if isinstance(answer, list) else [answer]
    return [np.asarray(x.toarray() if sparse.issparse(x) else x) for x in outputs]

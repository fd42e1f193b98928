"""The one partial that honest models hold is no reason to distrust them; any other is."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

from slimml.ingest.names import is_harmless
from slimml.ingest.read import read
from slimml.ingest.scan import scan

sklearn_validation = pytest.importorskip("sklearn.utils.validation")
check_array = sklearn_validation.check_array


def test_the_validation_of_hist_gradient_boosting_is_harmless() -> None:
    data = pickle.dumps({"check": partial(check_array, dtype=[np.float64], ensure_all_finite=False)})
    assert is_harmless(read(data).imports) == []
    assert scan(data).verdict == "harmless"


@pytest.mark.parametrize(
    "gadget",
    [
        partial(check_array, [1]),
        partial(check_array, estimator="x"),
        partial(check_array, dtype=[np.float64], input_name=print),
        partial(sklearn_validation.check_consistent_length),
        partial(partial(check_array), accept_sparse=True),
    ],
)
def test_any_other_partial_needs_trust(gadget: Any) -> None:
    data = pickle.dumps([partial(check_array, ensure_all_finite=False), gadget])
    assert "functools.partial" in is_harmless(read(data).imports)

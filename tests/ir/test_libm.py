"""expf: the C library's, value by value."""

from __future__ import annotations

import math

import numpy as np

from slimml.ir.libm import expf


def test_expf_is_within_one_float_of_the_exponential():
    x = np.linspace(-80, 80, 5001).astype(np.float32)
    exact = np.array([math.exp(v) for v in x.tolist()])
    assert (np.abs(expf(x) - exact) <= np.spacing(exact.astype(np.float32))).all()


def test_expf_keeps_the_shape_and_the_ends():
    x = np.array([[0.0, np.inf], [-np.inf, 1000.0], [-1000.0, np.nan]], dtype=np.float32)
    answer = expf(x)
    assert answer.dtype == np.float32 and answer.shape == x.shape
    assert answer.tolist()[:2] == [[1.0, math.inf], [0.0, math.inf]]
    assert answer[2, 0] == 0 and np.isnan(answer[2, 1])

"""Quantiles of the normal distribution, as scipy's `ndtri` has them: to the last bit.

Cephes (S. L. Moshier) approximates by three quotients of polynomials: one around the median, two for the tails, in
z = 1 / sqrt(-2 log y).
"""

from __future__ import annotations

import math

import numpy as np

# exp(-2): beyond it begin the tails.
_TAIL = 0.13533528323661269189
_ROOT_2_PI = 2.50662827463100050242

_P0 = (-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1, 1.39312609387279679503e1,
       -1.23916583867381258016e0)  # fmt: skip
_Q0 = (1.0, 1.95448858338141759834e0, 4.67627912898881538453e0, 8.63602421390890590575e1, -2.25462687854119370527e2,
       2.00260212380060660359e2, -8.20372256168333339912e1, 1.59056225126211695515e1,
       -1.18331621121330003142e0)  # fmt: skip
# 2 <= sqrt(-2 log y) < 8
_P1 = (4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1, 4.40805073893200834700e1,
       1.46849561928858024014e1, 2.18663306850790267539e0, -1.40256079171354495875e-1, -3.50424626827848203418e-2,
       -8.57456785154685413611e-4)  # fmt: skip
_Q1 = (1.0, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1, 1.50425385692907503408e1,
       2.50464946208309415979e0, -1.42182922854787788574e-1, -3.80806407691578277194e-2,
       -9.33259480895457427372e-4)  # fmt: skip
# 8 <= sqrt(-2 log y) <= 64
_P2 = (3.23774891776946035970e0, 6.91522889068984211695e0, 3.93881025292474443415e0, 1.33303460815807542389e0,
       2.01485389549179081538e-1, 1.23716634817820021358e-2, 3.01581553508235416007e-4, 2.65806974686737550832e-6,
       6.23974539184983293730e-9)  # fmt: skip
_Q2 = (1.0, 6.02427039364742014255e0, 3.67983563856160859403e0, 1.37702099489081330271e0, 2.16236993594496635890e-1,
       1.34204006088543189037e-2, 3.28014464682127739104e-4, 2.89247864745380683936e-6,
       6.79019408009981274425e-9)  # fmt: skip


def ndtri(q: np.ndarray) -> np.ndarray:
    """The x below which a standard normal variable falls with probability q, in q's dtype; NaN outside of [0, 1]."""
    y = np.asarray(q, dtype=np.float64)
    x = np.full(y.shape, np.nan)
    x[y == 0], x[y == 1] = -np.inf, np.inf
    upper = y > 1.0 - _TAIL
    near = np.where(upper, 1.0 - y, y)
    middle = (near > _TAIL) & (y < 1)
    x[middle] = _around_median(near[middle])
    tail = (near > 0) & ~middle & (y < 1)
    far = _beyond(near[tail])
    x[tail] = np.where(upper[tail], far, -far)
    return x.astype(q.dtype)


def _around_median(y: np.ndarray) -> np.ndarray:
    y = y - 0.5
    square = y * y
    x = y + y * (square * _polynomial(square, _P0) / _polynomial(square, _Q0))
    return np.asarray(x * _ROOT_2_PI)


def _beyond(y: np.ndarray) -> np.ndarray:
    """-ndtri(y) for y of a tail, with the C library's logarithm."""
    x = np.sqrt(-2.0 * _log(y))
    first = x - _log(x) / x
    z = 1.0 / x
    inner = z * _polynomial(z, _P1) / _polynomial(z, _Q1)
    outer = z * _polynomial(z, _P2) / _polynomial(z, _Q2)
    return np.asarray(first - np.where(x < 8.0, inner, outer))


def _log(x: np.ndarray) -> np.ndarray:
    return np.fromiter(map(math.log, x.tolist()), dtype=np.float64, count=x.size)


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """By Horner's rule, highest power first."""
    total = np.full(x.shape, coefficients[0])
    for c in coefficients[1:]:
        total = total * x + c
    return total

"""The normal distribution and its quantiles, as scipy's `ndtr` and `ndtri` have them: to the last bit.

Cephes (S. L. Moshier) approximates by three quotients of polynomials: one around the median, two for the tails, in
z = 1 / sqrt(-2 log y). Of the distribution itself it has three too, of the error function and its complement.
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

_ROOT_HALF = math.sqrt(0.5)
# Below exp(-_MOST) there are no normal doubles.
_MOST = 7.09782712893383996843e2
# erf(x) / x for |x| <= 1, in x**2
_T = (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
      5.55923013010394962768e4)  # fmt: skip
_U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
      4.92673942608635921086e4)  # fmt: skip
# erfc(x) exp(x**2) for 1 <= x < 8
_P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
      1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
      5.57535335369399327526e2)  # fmt: skip
_Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
      1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3,
      5.57535340817727675546e2)  # fmt: skip
# and for 8 <= x
_R = (5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0, 6.16021097993053585195e0,
      7.40974269950448939160e0, 2.97886665372100240670e0)  # fmt: skip
_S = (1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1, 1.70814450747565897222e1,
      9.60896809063285878198e0, 3.36907645100081516050e0)  # fmt: skip


def ndtr(a: np.ndarray) -> np.ndarray:
    """The probability that a standard normal variable falls below a, in a's dtype; NaN of NaN."""
    x = np.asarray(a, dtype=np.float64) * _ROOT_HALF
    y = np.full(x.shape, np.nan)
    middle, tail = np.abs(x) < 1.0, np.abs(x) >= 1.0
    y[middle] = 0.5 + 0.5 * _erf(x[middle])
    half = 0.5 * _erfc(np.abs(x[tail]))
    y[tail] = np.where(x[tail] > 0, 1.0 - half, half)
    return y.astype(a.dtype)


def _erf(x: np.ndarray) -> np.ndarray:
    square = x * x
    return np.asarray(x * _polynomial(square, _T) / _polynomial(square, _U))


def _erfc(x: np.ndarray) -> np.ndarray:
    """For x of 1 and more, with the C library's exponential function."""
    with np.errstate(over="ignore"):
        power = -x * x
    y = np.zeros(x.shape)
    known = ~(power < -_MOST)
    x = x[known]
    raised = np.fromiter(map(math.exp, power[known].tolist()), dtype=np.float64, count=len(x))
    inner = raised * _polynomial(x, _P) / _polynomial(x, _Q)
    outer = raised * _polynomial(x, _R) / _polynomial(x, _S)
    y[known] = np.where(x < 8.0, inner, outer)
    return y


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

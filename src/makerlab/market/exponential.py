"""An exponential that a loop over episodes can compute for many of them in one instruction.

The library's is a call per number. This one is plain arithmetic in double precision: e^x is 2^y
with y = x / ln 2; a series of ten terms gives 2 to what y is from the nearest whole number, and the
whole number goes into the exponent's bits. It is within 1e-11 of the true value, relatively, for x
of -690 to 690, and takes what lies beyond for the nearest of these. A chance wrong by as much
decides no fill but those whose drawn number, of 32 bits, is the chance itself.
"""

import math

import numpy as np

from makerlab.compiling import part

_LIMIT = 690.0 / np.log(2.0)
_PER_LN_2 = 1.0 / np.log(2.0)
# Added to a number it leaves the nearest whole one in the lowest bits.
_TO_WHOLE = 6755399441055744.0
_BIAS, _MANTISSA_BITS = np.int64(1023), np.int64(52)
# (ln 2)^n / n!
_TERMS = tuple(float(np.log(2.0) ** n) / math.factorial(n) for n in range(10))


@part(inline="always")
def exponential(x: float) -> float:
    """Return exp(x) as above, bit by bit the same wherever in a batch it is computed."""
    power = min(_LIMIT, max(-_LIMIT, x * _PER_LN_2))
    shifted = np.float64(power + _TO_WHOLE)
    rest = power - (shifted - _TO_WHOLE)
    series = _TERMS[9]
    for n in range(8, -1, -1):
        series = series * rest + _TERMS[n]
    scale = np.int64((shifted.view(np.int64) + _BIAS) << _MANTISSA_BITS)
    return series * scale.view(np.float64)

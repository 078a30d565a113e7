"""exp, log and tanh for compiled loops, in single precision without calls into a library.

A call per number costs more than the rest of what SAC does with it; these are a dozen
multiplications each, which the compiler turns into vector instructions. Polynomials: Cephes
(Moshier), expf, logf and tanhf; the error is below 3 units in the last place where SAC looks
(`tests/learning/test_smooth.py`). Double precision, which only tests use, calls the library.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from makerlab.compiling import part, written

_LOG2_E = np.float32(1.44269504088896341)
# log(2) in two parts: the first has few digits, so that its multiples are exact.
_LOG_2_HIGH, _LOG_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_ROOT_HALF = np.float32(0.707106781186547524)
_MANTISSA, _EXPONENT_OF_HALF = np.int32(0x007FFFFF), np.int32(0x3F000000)
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)
_ONE, _HALF, _TWO, _ZERO = (np.float32(value) for value in (1.0, 0.5, 2.0, 0.0))
_TANH_LINEAR = np.float32(0.625)
_TANH_FLAT = np.float32(40.0)

_EXP = tuple(
    np.float32(c)
    for c in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
_LOG = tuple(
    np.float32(c)
    for c in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)
_TANH = tuple(
    np.float32(c)
    for c in (
        -5.70498872745e-3,
        2.06390887954e-2,
        -5.37397155531e-2,
        1.33314422036e-1,
        -3.33332819422e-1,
    )
)
_E0, _E1, _E2, _E3, _E4, _E5 = _EXP
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = _LOG
_T0, _T1, _T2, _T3, _T4 = _TANH


@written
def _float_of_bits(_: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@written
def _bits_of_float(_: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@part()
def _exp32(x: Any) -> Any:
    x = _LOWEST if x < _LOWEST else x
    x = _HIGHEST if x > _HIGHEST else x
    whole = np.floor(x * _LOG2_E + _HALF)
    x = x - whole * _LOG_2_HIGH
    x = x - whole * _LOG_2_LOW
    p = ((((_E0 * x + _E1) * x + _E2) * x + _E3) * x + _E4) * x + _E5
    p = p * (x * x) + x + _ONE
    return p * _float_of_bits((np.int32(whole) + np.int32(127)) << np.int32(23))


@part()
def _log32(x: Any) -> Any:
    bits = _bits_of_float(x)
    power = np.float32((bits >> np.int32(23)) - np.int32(126))
    part = _float_of_bits((bits & _MANTISSA) | _EXPONENT_OF_HALF)
    small = part < _ROOT_HALF
    power = power - (_ONE if small else _ZERO)
    part = part + (part if small else _ZERO) - _ONE
    square = part * part
    p = ((((_L0 * part + _L1) * part + _L2) * part + _L3) * part + _L4) * part + _L5
    p = ((p * part + _L6) * part + _L7) * part + _L8
    p = p * part * square + power * _LOG_2_LOW - _HALF * square
    return part + p + power * _LOG_2_HIGH


@part()
def _tanh32(x: Any) -> Any:
    size = abs(x)
    square = x * x
    p = (((_T0 * square + _T1) * square + _T2) * square + _T3) * square + _T4
    near = p * square * x + x
    capped = _TANH_FLAT if size > _TANH_FLAT else size
    far = _ONE - _TWO / (_exp32(_TWO * capped) + _ONE)
    far = -far if x < _ZERO else far
    return near if size < _TANH_LINEAR else far


def exp(x: Any) -> Any:
    """Return e to the power of x, which is within [-87, 88]."""
    return np.exp(x)


def log(x: Any) -> Any:
    """Return the natural logarithm of a positive, normal x."""
    return np.log(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of x; NaN stays NaN."""
    return np.tanh(x)


def _chosen(single: Any, double: Any) -> Any:
    def in_single(x: Any) -> Any:
        return single(x)

    def in_double(x: Any) -> Any:
        return double(x)

    def choose(x: Any) -> Any:
        return in_single if x == types.float32 else in_double

    return choose


overload(exp)(_chosen(_exp32, np.exp))
overload(log)(_chosen(_log32, np.log))
overload(tanh)(_chosen(_tanh32, np.tanh))

"""Random numbers that depend on a key and a counter alone: no state, no order of drawing.

Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011;
seven rounds are the fewest with which the generator passed all tests there.
"""

import numpy as np

from makerlab.compiling import part

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_FACTOR_0, _FACTOR_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_ROUNDS = 7


@part(inline="always")
def philox(
    counter_0: np.uint64,
    counter_1: np.uint64,
    counter_2: np.uint64,
    counter_3: np.uint64,
    key_0: np.uint64,
    key_1: np.uint64,
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return four random numbers of 32 bits (Philox4x32 with seven rounds); all are uint64."""
    for _ in range(_ROUNDS):
        product_0, product_1 = _FACTOR_0 * counter_0, _FACTOR_1 * counter_2
        counter_0, counter_2 = (
            (product_1 >> _HALF) ^ counter_1 ^ key_0,
            (product_0 >> _HALF) ^ counter_3 ^ key_1,
        )
        counter_1, counter_3 = product_1 & _LOW, product_0 & _LOW
        key_0, key_1 = (key_0 + _WEYL_0) & _LOW, (key_1 + _WEYL_1) & _LOW
    return counter_0, counter_1, counter_2, counter_3

"""Loops over every sample that numba compiles: `labd.fast` has them where it is installed.

Sums are in double precision, in the order that the processor's vectors allow: it depends on the length of what is summed and on nothing
else.
Samples are passed twice, as numbers and as their bits: vectors compare integers, but no floats that may be NaN. Who gets a sum that is no
number asks for its extremes elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import float32, float64, int32, njit, types
from numpy.typing import NDArray

log = logging.getLogger(__name__)

ALL_BUT_SIGN, SIGN = np.int32(0x7FFFFFFF), np.int32(31)


def given(of: Any, dimensions: int) -> types.Array:
    """An array that a loop only reads."""
    return types.Array(of, dimensions, "C", readonly=True)


def made(signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiled at once, since the first call may be in the midst of a run; kept for the next process."""

    def compiled(one: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(signature, cache=True, nogil=True, **options)(one)  # type: ignore[no-any-return]  # numba has no types
        except Exception as error:  # noqa: BLE001  nowhere to keep it, or what was kept is broken: a second is spent at each start
            log.info("what numba compiles is not kept: %s", error)
            return njit(signature, nogil=True, **options)(one)  # type: ignore[no-any-return]

    return compiled


@njit
def ordered(bits: Any) -> Any:
    """Bits of a float32 (IEEE 754 binary32) as an integer that is larger where the float is; and back."""
    return bits ^ ((bits >> SIGN) & ALL_BUT_SIGN)


@made(
    types.void(
        given(float32, 2), given(float32, 2), given(int32, 2), given(int32, 2),
        float32[::1], int32[::1], float64[:, ::1], int32[:, ::1], int32[:, ::1],
    ),
    fastmath={"reassoc", "nsz"},
)  # fmt: skip
def rows(  # noqa: PLR0917  numba knows no others
    current: NDArray[np.float32],
    voltage: NDArray[np.float32],
    current_bits: NDArray[np.int32],
    voltage_bits: NDArray[np.int32],
    power: NDArray[np.float32],
    power_bits: NDArray[np.int32],
    total: NDArray[np.float64],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
) -> None:
    """current, voltage: [count, n], n > 0, as numbers and as bits. Of each row of both and of their product, total [3, count] and the bits
    of the lowest and the highest, low and high [3, count]. power: room for n products in the precision of the samples, which their extremes
    have; the total is of exact ones."""
    for row in range(current.shape[0]):
        i, v, i_keys, v_keys = current[row], voltage[row], current_bits[row], voltage_bits[row]
        charge = voltages = energy = 0.0
        i_least = i_most = ordered(i_keys[0])
        v_least = v_most = ordered(v_keys[0])
        for k in range(len(i)):
            a, b = np.float64(i[k]), np.float64(v[k])
            charge += a
            voltages += b
            energy += a * b
            power[k] = a * b
            i_key, v_key = ordered(i_keys[k]), ordered(v_keys[k])
            i_least, i_most = min(i_least, i_key), max(i_most, i_key)
            v_least, v_most = min(v_least, v_key), max(v_most, v_key)
        p_least = p_most = ordered(power_bits[0])
        for k in range(len(i)):
            key = ordered(power_bits[k])
            p_least, p_most = min(p_least, key), max(p_most, key)
        total[0, row], total[1, row], total[2, row] = charge, voltages, energy
        low[0, row], low[1, row], low[2, row] = ordered(i_least), ordered(v_least), ordered(p_least)
        high[0, row], high[1, row], high[2, row] = ordered(i_most), ordered(v_most), ordered(p_most)

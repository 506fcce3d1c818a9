"""The loops of one pass that numba compiles: what each does is said in `labd.scan.loops`.

A row that is shorter than a block, the last of a stretch, is numpy's: loops of a length that is known need no second one for what is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import bool_, float32, float64, int16, int64, njit, types
from numpy.typing import NDArray

from labd.compiled import given, made, ordered
from labd.scan import arrays
from labd.scan.samples import BEFORE, BLOCK, SUMS, VALID, Column, Looked

ROWS = 32768  # they stay in no cache: their samples are looked at again only within the rows of IN_CACHE
IN_CACHE = 128  # rows that are summed, and then looked into where their sums say so
ROOM = 65536  # crossings that one call finds; more than IN_CACHE rows can have
INFINITE = 0x7F800000  # as bits of a float32

Bits = NDArray[np.float32]
_BOTH = ((int16, int64), (float32, float64))


@njit
def _code_sums(current: Any, voltage: Any, rows: Any, total: Any, low: Any, high: Any) -> None:  # noqa: PLR0917  numba knows no others
    """Extremes apart: they are made of vectors four times as wide."""
    for row in range(rows[0], rows[1]):
        i_least = i_most = current[row, 0]
        v_least = v_most = voltage[row, 0]
        for k in range(BLOCK):
            i_least, i_most = min(i_least, current[row, k]), max(i_most, current[row, k])
            v_least, v_most = min(v_least, voltage[row, k]), max(v_most, voltage[row, k])
        low[0, row], low[1, row], high[0, row], high[1, row] = i_least, v_least, i_most, v_most
        voltages = charge = energy = square = np.int64(0)
        for k in range(BLOCK):
            a, b = np.int32(current[row, k]), np.int32(voltage[row, k])
            charge += a
            voltages += b
            energy += np.int64(np.int32(a * b))  # at most 2^30: said so, it is one multiplication of a vector
            square += np.int64(np.int32(a * a))
        total[0, row], total[1, row], total[2, row], total[VALID, row], total[4, row] = voltages, charge, energy, BLOCK, square


@njit(fastmath={"reassoc", "nsz"})
def _float_sums(current: Any, voltage: Any, rows: Any, total: Any, low: Any, high: Any) -> None:  # noqa: PLR0917
    """Extremes by the bits: vectors compare integers, but no floats that may be NaN."""
    current_bits, voltage_bits = current.view(np.int32), voltage.view(np.int32)
    least, most = low.view(np.int32), high.view(np.int32)
    for row in range(rows[0], rows[1]):
        i_least = i_most = ordered(current_bits[row, 0])
        v_least = v_most = ordered(voltage_bits[row, 0])
        for k in range(BLOCK):
            i_key, v_key = ordered(current_bits[row, k]), ordered(voltage_bits[row, k])
            i_least, i_most = min(i_least, i_key), max(i_most, i_key)
            v_least, v_most = min(v_least, v_key), max(v_most, v_key)
        least[0, row], least[1, row], most[0, row], most[1, row] = ordered(i_least), ordered(v_least), ordered(i_most), ordered(v_most)
        voltages = charge = energy = square = 0.0
        for k in range(BLOCK):
            a, b = np.float64(current[row, k]), np.float64(voltage[row, k])
            charge += a
            voltages += b
            energy += a * b
            square += a * a
        total[0, row], total[1, row], total[2, row], total[VALID, row], total[4, row] = voltages, charge, energy, BLOCK, square


@njit
def _fill(current: Any, voltage: Any, row: int, factors: Any, values: Any) -> None:
    gain_i, offset_i, gain_v, offset_v = factors[0], factors[1], factors[2], factors[3]
    for k in range(BLOCK):
        values[k] = (np.float32(current[row, k]) * gain_i + offset_i) * (np.float32(voltage[row, k]) * gain_v + offset_v)


@njit
def _bounds(low: Any, high: Any, rows: Any, factors: Any, least: Any, most: Any) -> None:  # noqa: PLR0917
    gain_i, offset_i, gain_v, offset_v = factors[0], factors[1], factors[2], factors[3]
    lowest_i, lowest_v = low[0, rows[0] : rows[1]], low[1, rows[0] : rows[1]]
    highest_i, highest_v = high[0, rows[0] : rows[1]], high[1, rows[0] : rows[1]]
    for n in range(len(lowest_i)):
        i_low, i_high = np.float32(lowest_i[n]) * gain_i + offset_i, np.float32(highest_i[n]) * gain_i + offset_i
        v_low, v_high = np.float32(lowest_v[n]) * gain_v + offset_v, np.float32(highest_v[n]) * gain_v + offset_v
        a, b, c, d = i_low * v_low, i_low * v_high, i_high * v_low, i_high * v_high
        ab, cd = a if a < b else b, c if c < d else d
        least[n] = ab if ab < cd else cd
        ab, cd = a if a > b else b, c if c > d else d
        most[n] = ab if ab > cd else cd


@njit
def _extremes(current: Any, voltage: Any, rows: Any, factors: Any, least: Any, most: Any, found: Any, values: Any) -> None:  # noqa: PLR0917
    """The most likely row first, which spares most others."""
    likely = 0
    for n in range(rows[1] - rows[0]):
        likely = n if most[n] > most[likely] else likely
    for n in range(-1, rows[1] - rows[0]):
        one = likely if n < 0 else n
        if least[one] < found[0] or most[one] > found[1]:
            _fill(current, voltage, rows[0] + one, factors, values)
            _widen(values, found)


@njit
def _widen(values: Any, found: Any) -> None:
    """By the bits (see _float_sums); where one is NaN, which is beyond infinity then, one by one."""
    bits = values.view(np.int32)
    least = most = ordered(bits[0])
    for k in range(BLOCK):
        key = ordered(bits[k])
        least, most = min(least, key), max(most, key)
    low, high = found[0], found[1]
    if least < -INFINITE or most > INFINITE:
        for k in range(BLOCK):
            low = values[k] if values[k] < low else low
            high = values[k] if values[k] > high else high
    else:
        bits[0], bits[1] = ordered(least), ordered(most)
        low, high = min(low, values[0]), max(high, values[1])
    found[0], found[1] = low, high


@njit
def _crossings(  # noqa: PLR0917
    current: Any,
    voltage: Any,
    rows: Any,
    factors: Any,
    levels: Any,
    least: Any,
    most: Any,
    values: Any,
    side: int,
    count: int,
    at: Any,
    above: Any,
    inside: Any,
) -> Any:
    """side: 1 above, 0 below, -1 not known yet. Returns the side at the end, and how many crossings there are."""
    fall, rise = levels[0], levels[1]
    for n in range(rows[1] - rows[0]):
        if (side == 0 or least[n] > fall) and (side == 1 or most[n] < rise):
            continue
        row = rows[0] + n
        _fill(current, voltage, row, factors, values)
        k = _next(values, 0, side, levels)
        while k < BLOCK:
            side = 1 if values[k] >= rise else 0
            at[count], above[count] = row * BLOCK + k, side
            _head(current, voltage, row, k, count, inside)
            count += 1
            k = _next(values, k, side, levels)
    return side, count


@njit
def _next(values: Any, k: int, side: int, levels: Any) -> Any:
    """The first sample from k on that is on the other side, BLOCK where there is none. A loop for each side: it compares once a sample."""
    fall, rise = levels[0], levels[1]
    if side == 1:
        while k < BLOCK and not values[k] <= fall:  # NaN is on no side
            k += 1
    elif side == 0:
        while k < BLOCK and not values[k] >= rise:
            k += 1
    else:
        while k < BLOCK and not (values[k] <= fall or values[k] >= rise):
            k += 1
    return k


@njit
def _head(current: Any, voltage: Any, row: int, stop: int, column: int, total: Any) -> None:  # noqa: PLR0917
    voltages = charge = energy = total.dtype.type(0)
    valid = 0
    for k in range(stop):
        i, v = current[row, k], voltage[row, k]
        if i == i:  # noqa: PLR0124  not NaN
            voltages += v
            charge += i
            energy += total.dtype.type(v) * i
            valid += 1
    total[0, column], total[1, column], total[2, column], total[VALID, column] = voltages, charge, energy, valid


@njit
def _found(current: Any, voltage: Any, rows: Any, asked: Any, low: Any, high: Any, found: Any, scratch: Any, crossed: Any) -> Any:  # noqa: PLR0917
    """What is left to be known once rows are summed. crossed: side, count, and where crossings go."""
    power, watched, levels = asked
    least, most, values = scratch[0], scratch[1], scratch[2]
    _bounds(low, high, rows, power, least, most)
    _extremes(current, voltage, rows, power, least, most, found, values)
    if watched[2] != power[2] or watched[3] != power[3]:
        _bounds(low, high, rows, watched, least, most)
    return _crossings(current, voltage, rows, watched, levels, least, most, values, *crossed)


def _signature(kind: Any, sum_kind: Any) -> Any:
    floats = float32[::1]
    several: Any = types.Tuple  # numba has no types
    return several((int64, int64, int64))(
        given(kind, 2), given(kind, 2), several((floats, floats, floats)), sum_kind[:, ::1], kind[:, ::1], kind[:, ::1],
        floats, float32[:, ::1], several((int64, int64)), several((int64[::1], bool_[::1], sum_kind[:, ::1])), bool_,
    )  # fmt: skip


@made(_signature(int16, int64))
def _look_codes(  # noqa: PLR0917
    current: Any,
    voltage: Any,
    asked: Any,
    total: Any,
    low: Any,
    high: Any,
    found: Any,
    scratch: Any,
    begin: Any,
    crossings: Any,
    summed: Any,
) -> Any:
    """From the row begin[0] on, where the side is begin[1], as long as there is room for crossings. Returns the row to go on with, the side
    there, and how many crossings there are."""
    start, side = begin
    count = 0
    while start < current.shape[0] and count + IN_CACHE * BLOCK <= len(crossings[0]):
        rows = (start, min(start + IN_CACHE, current.shape[0]))
        if not summed:
            _code_sums(current, voltage, rows, total, low, high)
        side, count = _found(current, voltage, rows, asked, low, high, found, scratch, (side, count, *crossings))
        start = rows[1]
    return start, side, count


@made(_signature(float32, float64))
def _look_floats(  # noqa: PLR0917
    current: Any,
    voltage: Any,
    asked: Any,
    total: Any,
    low: Any,
    high: Any,
    found: Any,
    scratch: Any,
    begin: Any,
    crossings: Any,
    summed: Any,
) -> Any:
    start, side = begin
    count = 0
    while start < current.shape[0] and count + IN_CACHE * BLOCK <= len(crossings[0]):
        rows = (start, min(start + IN_CACHE, current.shape[0]))
        if not summed:
            _float_sums(current, voltage, rows, total, low, high)
        side, count = _found(current, voltage, rows, asked, low, high, found, scratch, (side, count, *crossings))
        start = rows[1]
    return start, side, count


@made([types.void(k[::1], k[:, ::1], int64[::1], k[:, ::1]) for k in (int64, float64)])
def _running(sums: NDArray[Any], total: NDArray[Any], row: NDArray[np.int64], before: NDArray[Any]) -> None:
    """All five at once: each waits for itself only."""
    v, i, vi, valid, ii = sums[0], sums[1], sums[2], sums[3], sums[4]
    block = 0
    for n in range(len(row) + 1):
        stop = row[n] if n < len(row) else total.shape[1]
        while block < stop:
            v += total[0, block]
            i += total[1, block]
            vi += total[2, block]
            valid += total[3, block]
            ii += total[4, block]
            block += 1
        if n < len(row):
            before[0, n], before[1, n], before[2, n], before[3, n] = v, i, vi, valid
    sums[0], sums[1], sums[2], sums[3], sums[4] = v, i, vi, valid, ii


@made([types.void(given(k, 2), given(k, 2), int64[::1], int64[::1], t[:, ::1]) for k, t in _BOTH])
def _heads(current: Column, voltage: Column, row: NDArray[np.int64], inside: NDArray[np.int64], total: NDArray[Any]) -> None:
    for n in range(len(row)):
        _head(current, voltage, row[n], inside[n], n, total)


def look(current: Column, voltage: Column, *, power: Bits, watched: Bits, levels: Bits, known: Bits) -> Looked:
    count = len(current)
    if current.shape[1] != BLOCK:
        return arrays.look(current, voltage, power=power, watched=watched, levels=levels, known=known)
    kind = np.int64 if current.dtype == np.int16 else np.float64
    total = np.empty((SUMS, count), kind)
    low, high = np.empty((2, count), current.dtype), np.empty((2, count), current.dtype)
    look_on = _look_codes if current.dtype == np.int16 else _look_floats
    scratch, asked = np.empty((3, BLOCK), np.float32), (power, watched, levels)
    room = np.empty(ROOM, np.int64), np.empty(ROOM, np.bool_), np.empty((BEFORE, ROOM), kind)

    def gone_through(*, summed: bool) -> tuple[Bits, list[tuple[NDArray[Any], ...]]]:
        found, parts = known.copy(), []
        row, side = 0, -1
        while row < count:
            row, side, crossings = look_on(current, voltage, asked, total, low, high, found, scratch, (row, side), room, summed)
            parts.append(tuple(one[..., :crossings].copy() for one in room))
        return found, parts

    found, parts = gone_through(summed=False)
    if kind is np.float64 and not np.isfinite(total).all():
        current, voltage = arrays.mended(current, voltage, total, low, high)
        found, parts = gone_through(summed=True)
    at, above, inside = (np.concatenate([part[k] for part in parts], axis=-1) for k in range(3))
    return Looked(total, low, high, found, at, above, inside)


def running(sums: NDArray[Any], total: NDArray[Any], row: NDArray[np.int64], before: NDArray[Any]) -> None:
    _running(sums, total, row, before)


def heads(current: Column, voltage: Column, row: NDArray[np.int64], inside: NDArray[np.int64], total: NDArray[Any]) -> None:
    if current.shape[1] == BLOCK:
        _heads(current, voltage, row, inside, total)
    else:
        arrays.heads(current, voltage, row, inside, total)

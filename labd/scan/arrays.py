"""The loops of one pass in numpy: what each does is said in `labd.scan.loops`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd.scan.samples import BEFORE, SUMS, VALID, Column, Looked

ROWS = 16384  # so many that what is done once for all of them costs little beside them
IN_CACHE = 256  # of them: rows that stay in a cache while several functions go through them

Bits = NDArray[np.float32]


def energies(current: Column, voltage: Column) -> NDArray[Any]:
    """Sum of v*i of each row ([m, n], n at most 8192), in the precision of the samples: with float32 as fast as memory is read, and off by
    a few of their roundings."""
    found: NDArray[Any] = np.vecdot(voltage, current)
    return found


def look(current: Column, voltage: Column, *, power: Bits, watched: Bits, levels: Bits, known: Bits) -> Looked:
    count, width = current.shape
    exact = current.dtype == np.int16
    total = np.empty((SUMS, count), np.int64 if exact else np.float64)
    low, high = np.empty((2, count), current.dtype), np.empty((2, count), current.dtype)
    for start in range(0, count, IN_CACHE):
        rows = slice(start, start + IN_CACHE)
        _sums(current[rows], voltage[rows], total[:, rows], low[:, rows], high[:, rows])
    if not exact:
        current, voltage = mended(current, voltage, total, low, high)
    bounds = _bounds(low, high, power)
    found = _extremes(current, voltage, *bounds, factors=power, known=known)
    if not np.array_equal(power, watched):
        bounds = _bounds(low, high, watched)
    at, above = _crossings(current, voltage, *bounds, factors=watched, levels=levels, whole=total[VALID] == width)
    inside = np.empty((BEFORE, len(at)), total.dtype)
    heads(current, voltage, at // width, at % width, inside)
    return Looked(total, low, high, found, at, above, inside)


def mended(current: Column, voltage: Column, total: NDArray[Any], low: Column, high: Column) -> tuple[Column, Column]:
    """Both columns, float32 [m, n], with NaN where one has no number; figures of rows that hold such samples are mended."""
    odd = np.flatnonzero(~np.isfinite(total).all(axis=0))
    if not len(odd):
        return current, voltage
    current, voltage = current.copy(), voltage.copy()
    i, v = current[odd], voltage[odd]
    good = np.isfinite(i) & np.isfinite(v)
    i[~good] = v[~good] = np.nan
    current[odd], voltage[odd] = i, v
    for k, column in enumerate((i, v)):
        low[k, odd], high[k, odd] = np.fmin.reduce(column, axis=1), np.fmax.reduce(column, axis=1)
    exact_i, exact_v = np.where(good, i, 0).astype(np.float64), np.where(good, v, 0).astype(np.float64)
    products = np.vecdot(exact_v, exact_i), good.sum(axis=1), np.vecdot(exact_i, exact_i)
    total[:, odd] = exact_v.sum(axis=1), exact_i.sum(axis=1), *products
    return current, voltage


def running(sums: NDArray[Any], total: NDArray[Any], row: NDArray[np.int64], before: NDArray[Any]) -> None:
    found = np.add.accumulate(np.concatenate((sums[:, np.newaxis], total), axis=1), axis=1)
    before[:] = found[:BEFORE, row]
    sums[:] = found[:, -1]


def heads(current: Column, voltage: Column, row: NDArray[np.int64], inside: NDArray[np.int64], total: NDArray[Any]) -> None:
    kind = np.float64 if current.dtype == np.int16 else np.float32
    k = np.arange(current.shape[1])
    ones = np.ones(len(k), kind)
    for start in range(0, len(row), IN_CACHE):
        part = slice(start, start + IN_CACHE)
        i, v = current[row[part]].astype(kind), voltage[row[part]].astype(kind)
        counted = (k < inside[part, np.newaxis]) & ~np.isnan(i)
        i, v = np.where(counted, i, kind(0)), np.where(counted, v, kind(0))
        total[0, part], total[1, part] = np.vecdot(v, ones), np.vecdot(i, ones)
        total[2, part], total[VALID, part] = energies(i, v), counted.sum(axis=1)


def _sums(current: Column, voltage: Column, total: NDArray[Any], low: Column, high: Column) -> None:
    for k, column in enumerate((current, voltage)):
        np.minimum.reduce(column, axis=1, out=low[k])
        np.maximum.reduce(column, axis=1, out=high[k])
    if current.dtype == np.int16:
        current, voltage = current.astype(np.float64), voltage.astype(np.float64)  # exact: sums of 256 products are below 2^38
    ones = np.ones(current.shape[1], current.dtype)
    total[0], total[1], total[2] = np.vecdot(voltage, ones), np.vecdot(current, ones), energies(current, voltage)
    total[VALID], total[4] = len(ones), np.vecdot(current, current)


def _extremes(current: Column, voltage: Column, least: Bits, most: Bits, *, factors: Bits, known: Bits) -> Bits:
    """Of all rows; only those whose bounds leave it open are looked into, the most likely ones first."""
    found = known.copy()
    good = np.flatnonzero(~np.isnan(most))
    if len(good):
        likely = np.unique([good[np.argmin(least[good])], good[np.argmax(most[good])]])
        _widen(current[likely], voltage[likely], factors, found)
    for others in _some(np.flatnonzero((least < found[0]) | (most > found[1]))):
        _widen(current[others], voltage[others], factors, found)
    return found


def _widen(current: Column, voltage: Column, factors: Bits, found: Bits) -> None:
    values = _values(current, voltage, factors)
    found[0], found[1] = np.fmin(found[0], np.fmin.reduce(values, axis=None)), np.fmax(found[1], np.fmax.reduce(values, axis=None))


def _crossings(
    current: Column, voltage: Column, least: Bits, most: Bits, *, factors: Bits, levels: Bits, whole: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """whole: blocks in which every sample is a number."""
    fall, rise = levels
    width = current.shape[1]
    up, down = (least >= rise) & whole, (most <= fall) & whole  # all of a block is
    rest = ~(up | down | ((most < rise) & (least > fall)))
    looked = [_sides(current[rows], voltage[rows], factors, levels, rows) for rows in _some(np.flatnonzero(rest))]
    sure = np.flatnonzero(up | down)
    at = np.concatenate([sure * width, *(at for at, _ in looked)])
    above = np.concatenate([up[sure], *(side for _, side in looked)])
    order = np.argsort(at, kind="stable")  # two ascending runs
    at, above = at[order], above[order]
    changed = np.ones(len(at), np.bool_)
    changed[1:] = above[1:] != above[:-1]
    return at[changed], above[changed]


def _sides(
    current: Column, voltage: Column, factors: Bits, levels: Bits, rows: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of the samples of these rows that are at or beyond a level: where they are, and whether above."""
    values = _values(current, voltage, factors)
    above = values >= levels[1]
    row, column = np.nonzero(above | (values <= levels[0]))
    return rows[row] * current.shape[1] + column, above[row, column]


def _some(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    return (rows[start : start + IN_CACHE] for start in range(0, len(rows), IN_CACHE))


def _values(current: Column, voltage: Column, factors: Bits) -> NDArray[np.float32]:
    gain_i, offset_i, gain_v, offset_v = factors
    found: NDArray[np.float32] = (current * gain_i + offset_i) * (voltage * gain_v + offset_v)
    return found


def _bounds(low: Column, high: Column, factors: Bits) -> tuple[Bits, Bits]:
    """Between which the values of each block lie: rounding keeps order, so that none is beyond. NaN where no sample is a number."""
    corners = [_values(i, v, factors) for i in (low[0], high[0]) for v in (low[1], high[1])]
    return np.minimum.reduce(corners), np.maximum.reduce(corners)

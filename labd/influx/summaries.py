"""Samples as one point for each bucket of time: lowest, highest and mean of each channel, energy and charge; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd import fast
from labd.influx.scratch import Scratch

Columns = dict[str, NDArray[Any]]
POWER = ("current", "voltage", "power")
_Figures = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.int64]]


def samples_per_bucket(rate_hz: float, dt_ns: int) -> int:
    """Whole samples, as near to 1/rate as they come; at least one."""
    return max(1, round(1e9 / (rate_hz * dt_ns)))


def summarised(parts: Iterable[Mapping[str, NDArray[Any]]], per_bucket: int, dt_s: float, scratch: Scratch) -> Columns:
    """Fields of the buckets of contiguous samples; the last bucket of all holds what is left.

    parts: current (A), voltage (V), float32 [n], NaN where over-range; voltage may be lacking. n: valid samples of a bucket, int64;
    NaN and infinity are none.
    current, voltage, power: means, float64; *_min, *_max, float32, which is as precise as the samples; energy (J) and charge (C) of the
    valid samples, float64; NaN in a bucket without any.
    Sums are in double precision, of one bucket and always in the same order: the same to the bit however the samples come. Where numba is
    installed (extra `fast`) it is another order than where it is not: the same but for roundings.
    """
    found: dict[str, list[_Figures]] = {}
    with np.errstate(invalid="ignore"):  # infinities: nothing times one, and sums of both signs
        for rows in _rows(_in_buckets(parts, per_bucket), per_bucket):
            for name, figures in _of_rows(rows, scratch).items():
                found.setdefault(name, []).append(figures)
    fields: Columns = {}
    for name, pieces in found.items():
        low, high, total, valid = (np.concatenate([piece[k] for piece in pieces]) for k in range(4))
        mean = np.full(len(total), np.nan)
        np.divide(total, valid, out=mean, where=valid > 0)
        if name == "current":
            fields["n"] = valid
        fields |= {name: mean, f"{name}_min": low, f"{name}_max": high}
        if name != "voltage":
            fields["charge" if name == "current" else "energy"] = np.where(valid > 0, total * dt_s, np.nan)
    return fields


def _in_buckets(parts: Iterable[Mapping[str, NDArray[Any]]], per_bucket: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The same samples in parts of whole buckets but for the last; only what lies across the border of two parts is copied."""
    left: list[Mapping[str, NDArray[Any]]] = []
    have = 0  # samples left
    for part in parts:
        length = len(part["current"])
        across = min(length, -have % per_bucket)
        if have:
            left.append({name: values[:across] for name, values in part.items()})
            have += across
            if have < per_bucket:
                continue
            yield _joined(left)
        whole = across + (length - across) // per_bucket * per_bucket
        if across < whole:
            yield {name: values[across:whole] for name, values in part.items()}
        left, have = [{name: values[whole:] for name, values in part.items()}], length - whole
    if have:
        yield _joined(left)


def _joined(pieces: list[Mapping[str, NDArray[Any]]]) -> Mapping[str, NDArray[Any]]:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _rows(parts: Iterable[Mapping[str, NDArray[Any]]], per_bucket: int) -> Iterator[Columns]:
    """Columns with one row a bucket."""
    for part in parts:
        row = min(per_bucket, len(part["current"]))
        yield {name: part[name].reshape(-1, row) for name in ("current", "voltage") if name in part}


def _of_rows(rows: Columns, scratch: Scratch) -> dict[str, _Figures]:
    """Of current, and of voltage and power where there is a voltage."""
    reduce = fast.rows()
    if reduce is None or "voltage" not in rows or not all(map(fast.plain, rows.values())):
        return _one_by_one(rows, scratch)
    current, voltage = rows["current"], rows["voltage"]
    count, length = current.shape
    low, high = (np.empty((3, count), np.int32) for _ in range(2))
    power, total = np.empty(length, np.float32), np.empty((3, count))
    reduce(current, voltage, current.view(np.int32), voltage.view(np.int32), power, power.view(np.int32), total, low, high)
    valid = np.full(count, length, np.int64)
    found: dict[str, _Figures] = {
        name: (least, most, added, valid.copy())
        for name, least, most, added in zip(POWER, low.view(np.float32), high.view(np.float32), total, strict=True)
    }
    odd = np.flatnonzero(~np.isfinite(total).all(axis=0))
    if len(odd):  # these alone, so that the others are the same whatever they come with
        for name, figures in _one_by_one({name: values[odd] for name, values in rows.items()}, scratch).items():
            for column, mended in zip(found[name], figures, strict=True):
                column[odd] = mended
    return found


def _one_by_one(rows: Columns, scratch: Scratch) -> dict[str, _Figures]:
    current = scratch.double("current", rows["current"])
    found = {"current": _of(rows["current"], current)}
    if "voltage" in rows:
        voltage = scratch.double("voltage", rows["voltage"])
        found["voltage"] = _of(rows["voltage"], voltage)
        power = np.multiply(voltage, current, out=voltage)  # exact, as both were in single precision
        found["power"] = _of(rows["current"] * rows["voltage"], power)
    return found


def _of(values: NDArray[Any], exact: NDArray[np.float64]) -> _Figures:
    """Lowest, highest, sum and number of the valid values of each row. exact: the values in double precision."""
    total = np.add.reduce(exact, axis=1)
    if math.isfinite(np.add.reduce(total)):  # what most samples are: none of them NaN or infinite
        low, high = np.minimum.reduce(values, axis=1), np.maximum.reduce(values, axis=1)
        return low, high, total, np.full(len(values), values.shape[1], np.int64)
    good = np.isfinite(values)
    total = np.where(good, exact, 0.0).sum(axis=1)
    valid = np.where(good, values, np.nan)
    return np.fmin.reduce(valid, axis=1), np.fmax.reduce(valid, axis=1), total, good.sum(axis=1, dtype=np.int64)

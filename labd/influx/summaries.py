"""Samples as one point for each bucket of time: lowest, highest and mean of each channel, energy and charge; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
_Figures = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.int64]]


def samples_per_bucket(rate_hz: float, dt_ns: int) -> int:
    """Whole samples, as near to 1/rate as they come; at least one."""
    return max(1, round(1e9 / (rate_hz * dt_ns)))


def summarised(parts: Iterable[Mapping[str, NDArray[Any]]], per_bucket: int, dt_s: float) -> Columns:
    """Fields of the buckets of contiguous samples, which come in parts of whole buckets; the last bucket of all holds what is left.

    parts: current (A), voltage (V), float32 [n], NaN where over-range; voltage may be lacking. n: valid samples of a bucket, int64;
    NaN and infinity are none.
    current, voltage, power: means; *_min, *_max; energy (J) and charge (C) of the valid samples: float64, NaN in a bucket without any.
    Sums are in double precision, of one bucket and always in the same order: the same to the bit however the samples come.
    """
    found: dict[str, list[_Figures]] = {}
    for rows in _with_power(_rows(parts, per_bucket)):
        for name, values in rows.items():
            found.setdefault(name, []).append(_of(values))
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


def _rows(parts: Iterable[Mapping[str, NDArray[Any]]], per_bucket: int) -> Iterator[Columns]:
    """Columns with one row a bucket."""
    for part in parts:
        length = len(part["current"])
        whole = length - length % per_bucket
        channels = [(name, part[name]) for name in ("current", "voltage") if name in part]
        if whole:
            yield {name: values[:whole].reshape(-1, per_bucket) for name, values in channels}
        if whole < length:
            yield {name: values[whole:].reshape(1, -1) for name, values in channels}


def _with_power(rows: Iterable[Columns]) -> Iterator[Columns]:
    """The product in double precision, where single by single is exact; in memory that serves for all of them."""
    scratch = np.empty(0)
    for columns in rows:
        if "voltage" in columns:
            voltage = columns["voltage"]
            if len(scratch) < voltage.size:
                scratch = np.empty(voltage.size)
            power = scratch[: voltage.size].reshape(voltage.shape)
            with np.errstate(invalid="ignore"):  # nothing times infinity
                np.multiply(voltage, columns["current"], out=power, dtype=np.float64)
            columns["power"] = power
        yield columns


def _of(values: NDArray[Any]) -> _Figures:
    """Lowest, highest, sum and number of the valid values of each row."""
    with np.errstate(invalid="ignore"):  # infinities of both signs
        total = values.sum(axis=1, dtype=np.float64)
    if np.isfinite(total).all():
        return values.min(axis=1), values.max(axis=1), total, np.full(len(values), values.shape[1], np.int64)
    good = np.isfinite(values)
    total = np.where(good, values, 0.0).sum(axis=1, dtype=np.float64)
    valid = np.where(good, values, np.nan)
    return np.fmin.reduce(valid, axis=1), np.fmax.reduce(valid, axis=1), total, good.sum(axis=1, dtype=np.int64)

"""Samples as one point for each bucket of time: lowest, highest and mean of each channel, energy and charge; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def samples_per_bucket(rate_hz: float, dt_ns: int) -> int:
    """Whole samples, as near to 1/rate as they come; at least one."""
    return max(1, round(1e9 / (rate_hz * dt_ns)))


def summarised(columns: Mapping[str, NDArray[Any]], per_bucket: int, dt_s: float) -> dict[str, NDArray[Any]]:
    """Fields of the buckets of contiguous samples that begin at a bucket's begin; the last bucket holds what is left.

    columns: current (A), voltage (V), float32 [n], NaN where over-range; voltage may be lacking. n: valid samples of a bucket, int64.
    current, voltage, power: means; *_min, *_max; energy (J) and charge (C) of the valid samples: float64, NaN in a bucket without any.
    Sums are in double precision and of one bucket only, so that they are the same however the samples came.
    """
    current = columns["current"]
    starts = np.arange(0, len(current), per_bucket)
    channels: dict[str, NDArray[Any]] = {"current": current}
    if "voltage" in columns:
        channels["voltage"] = columns["voltage"]
        channels["power"] = columns["voltage"].astype(np.float64) * current
    count = _counts(len(current), per_bucket)
    valid = count if not np.isnan(np.sum(current)) else np.add.reduceat(~np.isnan(current), starts, dtype=np.int64)
    fields: dict[str, NDArray[Any]] = {"n": valid}
    for name, values in channels.items():
        low, high, total, known = _of(values, starts, per_bucket, count)
        mean = np.full(len(starts), np.nan)
        np.divide(total, known, out=mean, where=known > 0)
        fields |= {name: mean, f"{name}_min": low, f"{name}_max": high}
        if name in ("current", "power"):
            sum_ = np.where(known > 0, total * dt_s, np.nan)
            fields |= {"charge" if name == "current" else "energy": sum_}
    return fields


def _counts(length: int, per_bucket: int) -> NDArray[np.int64]:
    starts = np.arange(0, length, per_bucket)
    return np.diff(np.append(starts, length)).astype(np.int64)


def _of(
    values: NDArray[Any], starts: NDArray[np.int64], per_bucket: int, count: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], Floats, NDArray[np.int64]]:
    """Lowest, highest, sum and number of the valid values of each bucket."""
    if np.isnan(np.sum(values)):
        good = ~np.isnan(values)
        total = np.add.reduceat(np.where(good, values, 0.0), starts, dtype=np.float64)
        return np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts), total, np.add.reduceat(good, starts, dtype=np.int64)
    if len(values) % per_bucket == 0:  # rows of equal length: several times as fast as reduceat
        rows = values.reshape(-1, per_bucket)
        return rows.min(axis=1), rows.max(axis=1), rows.sum(axis=1, dtype=np.float64), count
    total = np.add.reduceat(values, starts, dtype=np.float64)
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts), total, count

"""Samples as one point for each bucket of time: lowest, highest and mean of each channel, energy and charge; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


def samples_per_bucket(rate_hz: float, dt_ns: int) -> int:
    """Whole samples, as near to 1/rate as they come; at least one."""
    return max(1, round(1e9 / (rate_hz * dt_ns)))


def summarised(columns: Mapping[str, NDArray[Any]], per_bucket: int, dt_s: float) -> Columns:
    """Fields of the buckets of contiguous samples that begin at a bucket's begin; the last bucket holds what is left.

    columns: current (A), voltage (V), float32 [n], NaN where over-range; voltage may be lacking. n: valid samples of a bucket, int64;
    NaN and infinity are none.
    current, voltage, power: means; *_min, *_max; energy (J) and charge (C) of the valid samples: float64, NaN in a bucket without any.
    Sums are in double precision, of one bucket and always in the same order: the same to the bit however many buckets come at once.
    """
    length = len(columns["current"])
    whole = length - length % per_bucket
    parts: list[Columns] = []
    if whole:
        parts.append(_fields({name: values[:whole].reshape(-1, per_bucket) for name, values in _channels(columns)}, dt_s))
    if whole < length:
        parts.append(_fields({name: values[whole:].reshape(1, -1) for name, values in _channels(columns)}, dt_s))
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _channels(columns: Mapping[str, NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    return [(name, columns[name]) for name in ("current", "voltage") if name in columns]


def _fields(rows: Columns, dt_s: float) -> Columns:
    """rows: one a bucket."""
    if "voltage" in rows:
        with np.errstate(invalid="ignore"):  # nothing times infinity
            rows["power"] = rows["voltage"].astype(np.float64) * rows["current"]
    fields: Columns = {}
    for name, values in rows.items():
        low, high, total, valid = _of(values)
        mean = np.full(len(values), np.nan)
        np.divide(total, valid, out=mean, where=valid > 0)
        if name == "current":
            fields["n"] = valid
        fields |= {name: mean, f"{name}_min": low, f"{name}_max": high}
        if name != "voltage":
            fields["charge" if name == "current" else "energy"] = np.where(valid > 0, total * dt_s, np.nan)
    return fields


def _of(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.int64]]:
    """Lowest, highest, sum and number of the valid values of each row."""
    with np.errstate(invalid="ignore"):  # infinities of both signs
        total = values.sum(axis=1, dtype=np.float64)
    if np.isfinite(total).all():
        return values.min(axis=1), values.max(axis=1), total, np.full(len(values), values.shape[1], np.int64)
    good = np.isfinite(values)
    total = np.where(good, values, 0.0).sum(axis=1, dtype=np.float64)
    valid = np.where(good, values, np.nan)
    return np.fmin.reduce(valid, axis=1), np.fmax.reduce(valid, axis=1), total, good.sum(axis=1, dtype=np.int64)

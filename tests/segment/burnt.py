"""A record of power as a first-order supply path and a plain instrument make it of a load that steps, computed without labd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """A load: level_w[k] from at_s[k] on, base_w before; seconds of the record's own axis."""

    at_s: Floats
    level_w: Floats
    base_w: float


def chips(pattern: Sequence[int], *, start_s: float, chip_s: float, base_w: float, busy_w: float) -> Steps:
    """A pattern of chips whose first one begins at start_s, quiet after the last."""
    at: Floats = start_s + chip_s * np.arange(len(pattern) + 1, dtype=np.float64)
    return Steps(at, np.where(np.append(pattern, 0) > 0, busy_w, base_w), base_w)


def joined(*parts: Steps) -> Steps:
    """One after the other."""
    return Steps(np.concatenate([p.at_s for p in parts]), np.concatenate([p.level_w for p in parts]), parts[0].base_w)


def recorded(load: Steps, *, n: int, dt_s: float, tau_s: float, delay_s: float = 0.0) -> NDArray[np.float32]:
    """Means over n records of the load seen through a first-order path, and later by a plain delay: exact.

    What has passed up to t is the load's own integral less tau times what the path shows at t.
    """
    t = np.arange(n + 1) * dt_s - delay_s
    levels = np.concatenate(([load.base_w], load.level_w))
    own = np.concatenate(([0.0], np.cumsum(np.diff(load.at_s) * load.level_w[:-1])))
    shown = np.empty(len(load.at_s))
    y = load.base_w
    for k, at in enumerate(load.at_s):
        if k:
            y = load.level_w[k - 1] + (y - load.level_w[k - 1]) * np.exp(-(at - load.at_s[k - 1]) / tau_s)
        shown[k] = y
    last = np.searchsorted(load.at_s, t, side="right") - 1
    inside = np.maximum(last, 0)
    since = t - load.at_s[inside]
    passed = np.where(last < 0, since * load.base_w, own[inside] + since * levels[inside + 1])
    seen = np.where(
        last < 0, load.base_w, levels[inside + 1] + (shown[inside] - levels[inside + 1]) * np.exp(-np.maximum(since, 0) / tau_s)
    )
    return (np.diff(passed - tau_s * seen) / dt_s).astype(np.float32)

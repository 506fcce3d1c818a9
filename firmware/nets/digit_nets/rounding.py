"""Weights as few whole numbers: how they are rounded while a net is trained and when it is exported."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digit_nets.layers import largest_weight

Floats = NDArray[np.float64]
_TRIED = np.linspace(0.5, 1.0, 11)  # of the scale that holds the largest weight


def whole_weights(weights: Floats, bits: int) -> tuple[Floats, float]:
    """(whole weights, their scale). Binary: signs, and the mean size, which keeps the gain; else the scale with the least error."""
    size = np.abs(weights)
    if bits == 1:
        return np.where(weights > 0, 1.0, -1.0), float(size.mean())
    scales = size.max() / largest_weight(bits) * _TRIED
    errors = [np.square(_whole(weights, one, bits) * one - weights).sum() for one in scales]
    best = float(scales[int(np.argmin(errors))])
    return _whole(weights, best, bits), best


def _whole(weights: Floats, scale: float, bits: int) -> Floats:
    top = largest_weight(bits)
    return np.clip(np.rint(weights / scale), -top, top)

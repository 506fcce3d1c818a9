"""Over-current and over-power seen in the samples themselves, block by block, before anything else sees the block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.errors import SafetyRefusal
from labd_instruments.block import Block

Samples = NDArray[np.float32]

# Above the limit by this share nothing trips: a source that holds its own limit is as far off as its accuracy, and reads so.
MARGIN = 1.02
# What noise may pile up above a limit: the limit's own amount over this time, a thousand samples of the fastest stream.
LEAST_S = 1e-3
# Unknown readings count as the allowed inrush, or as this many times the limit where no inrush is allowed.
UNKNOWN = 1.25


@dataclass(frozen=True, slots=True)
class TripLimits:
    """From the bench file; `where` names file and section. inrush_a may flow for inrush_s."""

    voltage_v: float
    current_a: float
    power_w: float
    inrush_a: float
    inrush_s: float
    where: str


class Trip:
    """Call it with every block of one stream; raises SafetyRefusal at the block that goes over a limit.

    What trips is the excess over the limit, summed up over time and never below zero: sum(max(0, excess + (i - limit) * dt)). It may
    reach what the allowed inrush amounts to, (inrush - limit) * inrush_time. So an inrush as allowed passes, noise around a current
    below the limit drains, a short circuit trips within a part of inrush_time, and bursts whose mean is above the limit trip as well.
    Power likewise, with the block's voltage, else with constant_v: what another instrument feeds while the meter sees the current only.
    Where there is neither, power is not looked at. A block that does not follow on the one before it (another event) begins at zero.

    full_scale_a: of a fixed range. Over-range samples (NaN) count as over where the range reaches up to the limit, or is unknown (None);
    in a lower range they say only that the range was too low.
    """

    def __init__(self, limits: TripLimits, *, full_scale_a: float | None = None, constant_v: float | None = None) -> None:
        self._limits = limits
        self._constant_v = constant_v
        self._nan_counts = full_scale_a is None or full_scale_a >= limits.current_a
        unknown_a = max(limits.inrush_a, UNKNOWN * limits.current_a)
        self._next_ns = 0
        inrush_w = limits.inrush_a * limits.voltage_v
        self._current = _Excess(limits.current_a, limits.inrush_a, limits.inrush_s, unknown_a)
        self._power = _Excess(limits.power_w, inrush_w, limits.inrush_s, max(inrush_w, UNKNOWN * limits.power_w))

    def __call__(self, block: Block) -> None:
        if block.current is None or not len(block):
            return
        if block.t0_ns != self._next_ns:
            self._current.forget()
            self._power.forget()
        self._next_ns = block.t0_ns + len(block) * block.dt_ns
        dt_s = block.dt_ns * 1e-9
        if self._current.over(block.current, dt_s, nan_counts=self._nan_counts):
            raise self._refusal("current", block.current, "A", self._limits.current_a)
        voltage = self._constant_v if block.voltage is None else block.voltage
        if voltage is None or self._power.cannot_be(float(block.current.max()), float(np.max(voltage))):
            return
        watts = block.current * np.float32(voltage) if isinstance(voltage, float) else block.current * voltage
        if self._power.over(watts, dt_s, nan_counts=self._nan_counts):
            raise self._refusal("power", watts, "W", self._limits.power_w)

    def _refusal(self, what: str, values: Samples, unit: str, limit: float) -> SafetyRefusal:
        known = values[np.isfinite(values)]
        seen = f"up to {known.max():.4g} {unit}" if len(known) else "over the range"
        limits = self._limits
        return SafetyRefusal(
            f"over-{what}: {seen} in the samples, the limit is {limit:g} {unit} ({limits.where}: limits.{what}; "
            f"inrush {limits.inrush_a:g} A for {limits.inrush_s:g} s)"
        )


class _Excess:
    """One quantity's excess over its limit, carried from block to block."""

    def __init__(self, limit: float, inrush: float, inrush_s: float, unknown: float) -> None:
        self._limit = MARGIN * limit
        self._allowed = max((inrush - limit) * inrush_s, limit * LEAST_S)
        self._unknown = unknown
        self._carried = 0.0

    def forget(self) -> None:
        self._carried = 0.0

    def cannot_be(self, *factors: float) -> bool:
        """Whether no sample can be over, by the largest values alone, and nothing is carried. NaN can."""
        product = 1.0
        for factor in factors:
            product *= factor
        return self._carried == 0.0 and product <= self._limit and all(factor >= 0 for factor in factors)

    def over(self, values: Samples, dt_s: float, *, nan_counts: bool) -> bool:
        highest = float(values.max())  # one pass in the type the samples have: all that a stream within its limits costs
        if highest <= self._limit and self._carried == 0.0:
            return False
        excess = np.where(np.isnan(values), self._unknown if nan_counts else 0.0, values).astype(np.float64)
        excess -= self._limit
        excess *= dt_s
        excess[0] += self._carried
        total = np.cumsum(excess, out=excess)
        lowest = np.minimum(np.minimum.accumulate(total), 0.0)
        total -= lowest
        self._carried = float(total[-1])
        return bool(total.max() > self._allowed)

"""Which current range a capture is made on."""

from __future__ import annotations

from labd.bench.station import Tool
from labd.errors import InstrumentFailure


def peak_range(meter: Tool, peak_a: float) -> float:
    """The lowest range that holds the peak: a lower one would clip, and on some source-measure units limit the output itself."""
    return _lowest(meter, peak_a, "the board's peak_current")


def floor_range(meter: Tool, sleep_a: float) -> float:
    """The lowest range that holds the rest state; only for captures in which waking is impossible."""
    return _lowest(meter, sleep_a, "the board's sleep_current")


def _lowest(meter: Tool, ampere: float, what: str) -> float:
    scales = sorted(row.full_scale for row in meter.driver.accuracy().rows if row.quantity == "current")
    if not scales:
        raise InstrumentFailure(
            f"{meter.spec.name}: no current range is known; declare its accuracy rows in the bench file ([[instruments.{meter.spec.name}.accuracy]])"
        )
    for scale in scales:
        if scale >= ampere:
            return scale
    raise InstrumentFailure(f"{meter.spec.name}: {what} of {ampere:g} A is above its largest known range, {scales[-1]:g} A")

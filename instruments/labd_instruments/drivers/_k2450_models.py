"""What differs inside the Keithley 2450 family: ranges, limits, operating boundaries, over-voltage steps and accuracy.

`2450 p. 6-71`: Model 2450 Reference Manual, 2450-901-01 Rev. B (September 2013). `2461 p. 6-94`: Model 2461 Reference Manual,
2461-901-01 Rev. A (November 2015). `2470 p. 12-78`: 2470 Reference Manual, 2470-901-01 Rev. A (May 2019). `SPEC-2450`: its specifications,
Rev. A (July 2013). [T]: the maker's own definitions for its TSP editor (tektronix/tsp-toolkit-json-to-lua, 2450 to 2470). [-]: no page
was at hand; boundaries marked so follow from the ranges, and what reads back decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from labd_instruments.accuracy import AccuracyRow, AccuracyTable, Quantity
from labd_instruments.contract import SourceLimits

RANGE_CLAMP = 1.05
"""A fixed measure range limits the output to 105 % of itself: the reset limit of 105 uA goes with the 100 uA range (2461 p. 6-94)."""

_SHEET = "SPEC-2450 Rev. A p. 2"
_VOLTS_2450 = ((0.02, 0.1e-2, 150e-6), (0.2, 0.012e-2, 200e-6), (2.0, 0.012e-2, 300e-6), (20.0, 0.015e-2, 1e-3), (200.0, 0.015e-2, 10e-3))
_AMPERES_2450 = (
    (10e-9, 0.1e-2, 50e-12),
    (100e-9, 0.06e-2, 100e-12),
    (1e-6, 0.025e-2, 300e-12),
    (10e-6, 0.025e-2, 700e-12),
    (100e-6, 0.02e-2, 6e-9),
    (1e-3, 0.02e-2, 60e-9),
    (10e-3, 0.02e-2, 600e-9),
    (0.1, 0.025e-2, 6e-6),
    (1.0, 0.03e-2, 500e-6),
)
_TEMPCO_PER_K = 0.15  # SPEC-2450 p. 2, both quantities


@dataclass(frozen=True, slots=True)
class Model:
    """One member of the family; V, A.

    boundaries: on source ranges up to this one the output carries this current. limits: no voltage above the highest step of the
    over-voltage protection. least_limit: lowest current limit beside a fixed measure range, as a share of it; below it the instrument
    raises the limit by itself and only warns. digitizer: whether it has one; the others integrate each reading. volts, amperes: limits
    of error at one power line cycle (full scale, gain, offset), none without a page.
    """

    limits: SourceLimits
    current_ranges_a: tuple[float, ...]
    voltage_ranges_v: tuple[float, ...]
    boundaries: tuple[tuple[float, float], ...]
    overvoltage_steps_v: tuple[float, ...]
    lowest_limit_a: float
    least_limit: float
    digitizer: bool
    volts: tuple[tuple[float, float, float], ...] = ()
    amperes: tuple[tuple[float, float, float], ...] = ()

    def holding(self, full_scale_a: float) -> float | None:
        """The lowest current range that holds it, None where none does."""
        return next((r for r in self.current_ranges_a if full_scale_a <= r * (1 + 1e-9)), None)

    def source_range(self, volt: float) -> float:
        """The lowest source range that holds it, the highest where none does; the 5 % beyond a range's name are not used."""
        return next((r for r in self.voltage_ranges_v if volt <= r * (1 + 1e-9)), self.voltage_ranges_v[-1])

    def largest_current(self, volt: float) -> float:
        """What the output carries on the source range that holds this voltage: the instrument limits by range, not by voltage."""
        held = self.source_range(volt)
        return next(a for v, a in self.boundaries if held <= v * (1 + 1e-9))

    def accuracy(self, line_hz: float) -> AccuracyTable:
        """Rows at one power line cycle. What shorter integration adds is in no page at hand: no figure below one cycle."""
        return AccuracyTable(_rows("voltage", self.volts, 1.0 / line_hz) + _rows("current", self.amperes, 1.0 / line_hz))


def _rows(quantity: Quantity, figures: tuple[tuple[float, float, float], ...], cycle_s: float) -> tuple[AccuracyRow, ...]:
    return tuple(AccuracyRow(quantity, *figure, cycle_s, _SHEET, tempco_per_k=_TEMPCO_PER_K) for figure in figures)


_DECADES = tuple(10.0**e for e in range(-6, 1))  # 1 uA to 1 A
_FINE = (1e-8, 1e-7, *_DECADES)
_COARSE = (*_DECADES, 4.0, 5.0, 7.0)
_HIGH_CURRENT = Model(
    limits=SourceLimits(voltage_v=80.0, current_a=7.35),  # the last step; 2461 p. 6-94
    current_ranges_a=_COARSE,
    voltage_ranges_v=(0.2, 2.0, 7.0, 10.0, 20.0, 100.0),
    boundaries=((7.0, 7.35), (10.0, 5.25), (20.0, 4.2), (100.0, 1.05)),  # [-]
    overvoltage_steps_v=(2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0),  # [T], the lowest also 2461 p. 8-189
    lowest_limit_a=1e-6,  # 2461 p. 6-94
    least_limit=0.001,  # 2461 p. 6-94
    digitizer=False,
)
MODELS: Mapping[str, Model] = {
    "2450": Model(
        limits=SourceLimits(voltage_v=180.0, current_a=1.05),  # the last step; 2450 p. 6-71
        current_ranges_a=_FINE,  # SPEC-2450 p. 2
        voltage_ranges_v=(0.02, 0.2, 2.0, 20.0, 200.0),  # SPEC-2450 p. 2
        boundaries=((20.0, 1.05), (200.0, 0.105)),  # [-]
        overvoltage_steps_v=(2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 180.0),  # [T]
        lowest_limit_a=1e-9,  # [-]
        least_limit=0.106,  # [T]; 0.001 in 2450 p. 6-71, of an older firmware
        digitizer=False,
        volts=_VOLTS_2450,
        amperes=_AMPERES_2450,
    ),
    "2460": _HIGH_CURRENT,  # no page of its own was at hand: as the 2461 [-], without its digitizer
    "2461": replace(_HIGH_CURRENT, digitizer=True),
    "2470": Model(
        limits=SourceLimits(voltage_v=40.0, current_a=1.05),  # the last step at hand; 2470 p. 12-78
        current_ranges_a=_FINE,  # 2470 p. 12-53: 10 nA to 1 A
        voltage_ranges_v=(0.2, 2.0, 20.0, 200.0, 1000.0),  # 2470 p. 12-53: 0.2 V to 1000 V
        boundaries=((20.0, 1.05), (200.0, 0.105), (1000.0, 0.021)),  # [-]
        overvoltage_steps_v=(20.0, 40.0),  # 2470 p. 12-81 names these; the higher ones are in no page at hand
        lowest_limit_a=1e-9,  # [-]
        least_limit=0.106,  # 2470 p. 12-78
        digitizer=False,
    ),
}

"""Accuracy of the Keysight B2900A family: limits of error in one year at 23 Cel +-5 Cel, and what short integration adds.

Everything is from the data sheet "B2900A Series Precision Source/Measure Unit", p. 16; the timer is from p. 17. The rows hold at
one power line cycle, so the apertures below follow the line frequency.
"""

from __future__ import annotations

from labd_instruments.accuracy import AccuracyRow, AccuracyTable, DeratingRow, Quantity

SHEET = "B2900A data sheet p. 16"
TEMPCO_PER_K = 0.10
TIMEBASE = 50e-6

_VOLTS = ((0.2, 0.015e-2, 225e-6), (2.0, 0.02e-2, 350e-6), (20.0, 0.015e-2, 5e-3), (200.0, 0.015e-2, 50e-3))
_AMPERES = (
    (100e-9, 0.06e-2, 100e-12),
    (1e-6, 0.025e-2, 500e-12),
    (10e-6, 0.025e-2, 1.5e-9),
    (100e-6, 0.02e-2, 25e-9),
    (1e-3, 0.02e-2, 200e-9),
    (10e-3, 0.02e-2, 2.5e-6),
    (100e-3, 0.02e-2, 20e-6),
    (1.0, 0.03e-2, 1.5e-3),
    (1.5, 0.05e-2, 3.5e-3),
    (3.0, 0.4e-2, 7e-3),
)
_TEN_NANOAMPERES = (10e-9, 0.10e-2, 50e-12)  # B2911A and B2912A only
_CYCLES = (0.1, 0.01, 0.001)
# of range, at each of the cycles above
_DERATING: tuple[tuple[Quantity, float, float, tuple[float, float, float]], ...] = (
    ("voltage", 0.2, 0.2, (0.01e-2, 0.05e-2, 0.5e-2)),
    ("voltage", 2.0, 200.0, (0.01e-2, 0.02e-2, 0.2e-2)),
    ("current", 10e-9, 10e-9, (0.1e-2, 1e-2, 5e-2)),
    ("current", 100e-9, 100e-9, (0.01e-2, 0.1e-2, 1e-2)),
    ("current", 1e-6, 100e-3, (0.01e-2, 0.05e-2, 0.5e-2)),
    ("current", 1.0, 3.0, (0.01e-2, 0.02e-2, 0.2e-2)),
)


def current_ranges(*, fine: bool) -> tuple[float, ...]:
    """Ranges for direct current in ampere, ascending; fine: with the 10 nA range of a B2911A or B2912A."""
    return tuple(full_scale for full_scale, _, _ in _amperes(fine=fine))


def table(*, fine: bool, line_hz: float) -> AccuracyTable:
    """All rows at this line frequency. Below 0.001 power line cycles the sheet gives nothing, and so does the table."""
    cycle_s = 1.0 / line_hz
    volts, amperes = _rows("voltage", _VOLTS, cycle_s), _rows("current", _amperes(fine=fine), cycle_s)
    derating = tuple(
        DeratingRow(quantity, low, high, cycles * cycle_s, of_range, SHEET)
        for quantity, low, high, added in _DERATING
        for cycles, of_range in zip(_CYCLES, added, strict=True)
    )
    return AccuracyTable(volts + amperes, derating, TIMEBASE, "B2900A data sheet p. 17")


def _amperes(*, fine: bool) -> tuple[tuple[float, float, float], ...]:
    return (_TEN_NANOAMPERES, *_AMPERES) if fine else _AMPERES


def _rows(quantity: Quantity, figures: tuple[tuple[float, float, float], ...], cycle_s: float) -> tuple[AccuracyRow, ...]:
    return tuple(AccuracyRow(quantity, *figure, cycle_s, SHEET, tempco_per_k=TEMPCO_PER_K) for figure in figures)

"""Quantities in messages about benches, boards and plans."""

from __future__ import annotations

from labd.config import quantity


def volts(volt: float) -> str:
    return quantity.write_quantity(_short(volt), quantity.VOLTAGE)


def amperes(ampere: float) -> str:
    return quantity.write_quantity(_short(ampere), quantity.CURRENT)


def seconds(second: float) -> str:
    return quantity.write_quantity(_short(second), quantity.TIME)


def hertz(per_second: float) -> str:
    return quantity.write_quantity(_short(per_second), quantity.FREQUENCY)


def rate(per_second: float) -> str:
    return quantity.write_quantity(_short(per_second), quantity.RATE)


def _short(value: float) -> float:
    """Six digits: a person reads a limit, not its last bit."""
    return float(f"{value:.6g}")

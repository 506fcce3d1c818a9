"""Quantities in messages about benches, boards and plans."""

from __future__ import annotations

from labd.config import quantity


def volts(volt: float) -> str:
    return quantity.write_quantity(volt, quantity.VOLTAGE)


def amperes(ampere: float) -> str:
    return quantity.write_quantity(ampere, quantity.CURRENT)


def seconds(second: float) -> str:
    return quantity.write_quantity(second, quantity.TIME)


def rate(per_second: float) -> str:
    return quantity.write_quantity(per_second, quantity.RATE)

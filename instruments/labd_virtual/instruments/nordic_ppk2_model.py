"""What a PPK2 is made of: its metadata, its ranges, and the codes that its converter gives for a current.

Coefficients: a real instrument's metadata as the Rust crate `ppk2` shows it (types.rs); layout and formula: pc-nrfconnect-ppk
(serialDevice.ts). Switching levels: the ranges of the user guide's table of accuracy, as third parties quote it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from labd_virtual.front_end import Floats, MeterRange, NoiseCurve

RATE_NS = 10_000
CURRENT_RANGES = (50e-6, 500e-6, 5e-3, 50e-3, 1.0)
ADC_V, ADC_STEP, ADC_TOP = 1.8 / 163840, 4, 16383
RANGES = tuple(MeterRange(full, NoiseCurve((1e-5,), (2e-4 * full,))) for full in CURRENT_RANGES)  # noise: assumed

COEFFICIENTS: Mapping[str, tuple[str, ...]] = {
    "R": ("1003.3506", "101.5865", "10.3027", "0.9636", "0.0564"),
    "GS": ("0.0000", "112.7890", "18.0115", "2.4217", "0.0729"),
    "GI": ("1.0000", "0.9695", "0.9609", "0.9519", "0.9582"),
    "O": ("112.9420", "75.4627", "64.6020", "50.4983", "87.2177"),
    "S": ("0.000000048", "0.000000596", "0.000005281", "0.000062577", "0.002940743"),
    "I": ("-0.000000104", "-0.000001443", "0.000036439", "-0.000374119", "-0.009388455"),
    "UG": ("1.00",) * 5,
}
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "R": ("1031.6400", "101.6500", "10.1500", "0.9400", "0.0430"),
    "GS": ("1.0000",) * 5,
    "GI": ("1.0000",) * 5,
    "O": ("0.0000",) * 5,
    "S": ("0.000000000",) * 5,
    "I": ("0.000000000",) * 5,
    "UG": ("1.00",) * 5,
}


def metadata(coefficients: Mapping[str, tuple[str, ...]], *, vdd_mv: int, mode: int) -> str:
    """In the order of the real one, up to and with its last line."""

    def rows(*keys: str) -> list[str]:
        return [f"{key}{k}: {value}" for key in keys for k, value in enumerate(coefficients.get(key, ()))]

    between = [f"VDD: {vdd_mv}", "HW: 9173", f"mode: {mode}"]
    lines = ["Calibrated: 0", *rows("R", "GS", "GI", "O"), *between, *rows("S", "I", "UG"), "IA: 56", "END"]
    return "\n".join(lines) + "\n"


def codes(current: Floats, chosen: NDArray[np.intp], volt: float) -> NDArray[np.uint32]:
    """ADC codes, uint32 [n], whose current is nearest: the inverse of i = UG (r (GS r + GI) + S volt + I), r = (4 adc - O) k / R."""
    value = {key: np.array([float(v) for v in row])[chosen] for key, row in COEFFICIENTS.items()}
    rest = current / value["UG"] - value["S"] * volt - value["I"]
    root = np.sqrt(np.maximum(value["GI"] ** 2 + 4 * value["GS"] * rest, 0.0))
    r = 2 * rest / (value["GI"] + root)  # the root near zero, also where GS is zero
    adc = np.rint((r * value["R"] / ADC_V + value["O"]) / ADC_STEP)
    found: NDArray[np.uint32] = np.clip(adc, 0, ADC_TOP).astype(np.uint32)
    return found

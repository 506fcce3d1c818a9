"""What a PowerShield writes: numbers and messages of its two formats, and what its commands take.

Help text of the firmware, as mlcommons/tiny quotes it (power_manager_lpm.py): frequencies, acquisition times, formats. Messages of the
binary format: zissis-pap/x-nucleo-lpm01a-gui (core/data_parser.py) and Zephyr's power_monitor_stm32l562e_dk, which agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from labd_virtual.front_end import Floats

FREQUENCIES = ("100k", "50k", "20k", "10k", "5k", "2k", "1k", "500", "200", "100", "50", "20", "10", "5", "2", "1")
CHOICES = {
    "acqmode": ("dyn", "stat"),
    "funcmode": ("optim", "high"),
    "output": ("current", "energy"),
    "format": ("ascii_dec", "bin_hexa"),
    "trigsrc": ("sw", "d7"),
    "pwrend": ("on", "off"),
    "freq": FREQUENCIES,
}
RANGES = {"volt": (1.8, 3.3), "trigdelay": (0.0, 30.0), "acqtime": (100e-6, 100.0), "currthres": (0.0, 50e-3), "targrst": (0.0, 1.0)}
ENDLESS_HZ = {"ascii_dec": 5_000, "bin_hexa": 100_000}
LONGEST_S = {10_000: 1.0, 20_000: 0.5}  # of ascii_dec above its endless frequencies
DEFAULTS = {"acqmode": "dyn", "funcmode": "optim", "output": "current", "format": "ascii_dec", "trigsrc": "sw", "pwrend": "on"}
UNITS = {"": 1.0, "u": 1e-6, "m": 1e-3, "k": 1e3}


def number(text: str) -> float | None:
    """`3300m`, `2-3`, `10`: digits with a unit or a power of ten; None for anything else."""
    if match := re.fullmatch(r"(\d+)([umk]?)", text):
        return int(match[1]) * UNITS[match[2]]
    if match := re.fullmatch(r"(\d+)([+-]\d{1,2})", text):
        return float(f"{match[1]}e{match[2]}")
    return None


def binary(current: Floats) -> bytes:
    """Two bytes a sample: the value in 12 bits times a negative power of 16, as many digits as fit. 15 is no power of a sample."""
    amps = np.maximum(current, 0.0)
    with np.errstate(divide="ignore"):
        power = np.clip(np.floor(np.log(4095.5 / amps) / np.log(16.0)), 0, 14)
    value = np.minimum(np.rint(amps * 16.0**power), 4095).astype(np.uint16)
    return bytes((value | power.astype(np.uint16) << 12).astype(">u2").tobytes())


def text(current: Floats) -> bytes:
    """Four digits and a power of ten, a line each."""
    return b"".join(_line(float(amps)) for amps in np.maximum(current, 0.0))


def _line(amps: float) -> bytes:
    power = -15
    while round(amps * 10.0**-power) > 9999:
        power += 1
    return b"%04d%s%02d\r\n" % (round(amps * 10.0**-power), b"-" if power < 0 else b"+", abs(power))


def message(kind: int, payload: bytes = b"") -> bytes:
    """A message in the binary stream."""
    return bytes((0xF0, kind)) + payload + b"\xff\xff"


def stamp(elapsed_s: float, percent: int, form: str, *, overflow: bool = False) -> bytes:
    """A time stamp with the load of the buffer. Behind one in text comes a zero byte (lazicdanilo/LPM01A-lib)."""
    ms = int(elapsed_s * 1e3 + 1e-6)
    if form == "bin_hexa":
        return message(0xF3, (ms | (overflow << 31)).to_bytes(4, "big") + bytes((percent,)))
    return b"TimeStamp: %03ds %03dms, buff %02d%%\r\n\0" % (ms // 1000, ms % 1000, percent)


def said(kind: int, words: str, form: str) -> bytes:
    """An error (F1), the end (F4), over-current (F5) or a power-down (F6), in either format."""
    if form == "bin_hexa":
        return message(kind, words.encode() if kind == 0xF1 else b"")
    return {0xF4: b"end", 0xF6: b"pwr off"}.get(kind, f"error: {words}".encode()) + b"\r\n"


def reply(*lines: str) -> bytes:
    """What is said to a command: the prompt, the line, an empty one (a Python class LPM01 of 2019 compares these bytes)."""
    return b"".join(f"\r\n{line}\r\n".encode() for line in lines[:1]) + b"\r\n" + _more(lines[1:])


def _more(lines: Sequence[str]) -> bytes:
    return b"".join(f"{line}\r\n\r\n".encode() for line in lines)

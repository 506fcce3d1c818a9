"""What the parts of the Keithley 2400 driver share: its models, options and accuracy, its link, and how its readings are judged.

Page numbers without a document are of the "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K (September 2011); the page count of
earlier editions differs. [P]: as pymeasure 0.16 (keithley2400.py and its tests) has it; no page of the manual was at hand. [V]: named as a
2400's command by the vendor in appendix D of 2461-901-01 Rev. A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, Quantity
from labd_instruments.contract import SourceLimits
from labd_instruments.errors import OutOfRangeError, ReadBackError, SentinelError
from labd_instruments.links.link import Link
from labd_instruments.options import option

RANGE_CLAMP = 1.05
"""A fixed current range limits the output to what it holds (range compliance, p. 6-2): 105 % of its name (p. 6-20)."""
OVER = 1.06  # a range reads back as its name or as what it holds: 105 % (p. 18-12), 105.5 % (p. 7-2)
ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT")  # p. 18-49; sent in this order whatever the order asked for (figure 18-1)
# Bits of the status word (p. 18-50, 18-51).
OVERFLOW, COMPLIANCE, OVP, V_MEAS, I_MEAS, V_SOUR, RANGE_COMPLIANCE = 1, 1 << 3, 1 << 4, 1 << 11, 1 << 12, 1 << 14, 1 << 16
LIMITED = COMPLIANCE | OVP | RANGE_COMPLIANCE
WORD_BITS = 24
PLC_RANGE = (0.01, 10.0)  # p. 18-69
PLC_STEP = 0.01  # p. A-4


@dataclass(frozen=True, slots=True)
class Model:
    """What differs within the series. current_ranges_a; limits of source and compliance (p. 6-2, 18-67); lowest compliance (p. 6-2);
    steps of the over-voltage limit (p. 3-12; 5 % tolerance); rows of the accuracy table."""

    current_ranges_a: tuple[float, ...]
    limits: SourceLimits
    lowest_limit_a: float
    overvoltage_steps_v: tuple[float, ...]
    rows: tuple[AccuracyRow, ...]


def _rows(quantity: Quantity, tempco: float, source: str, *figures: tuple[float, float, float]) -> tuple[AccuracyRow, ...]:
    """(full scale, % of reading, offset) at 1 PLC of 50 Hz.

    The note of the specification that says what to add at shorter integration times was not at hand: no derating, hence no figure below.
    """
    return tuple(AccuracyRow(quantity, fs, percent / 100, offset, 0.02, source, tempco) for fs, percent, offset in figures)


def rows_at(rows: tuple[AccuracyRow, ...], line_hz: float) -> tuple[AccuracyRow, ...]:
    """The same where a power line cycle is as long as it is."""
    return tuple(replace(row, aperture_s=1.0 / line_hz) for row in rows)


SPEC_2400 = "SPEC-2400 Rev. H p. 2 (1 year, 23 +-5 Cel, 1 PLC)"
SPEC_2440 = "SPEC-2440 Rev. C p. 2 (1 year, 23 +-5 Cel, 1 PLC)"
SPEC_LINE = "SourceMeter Line Specifications in 2400S-900-01 appendix A, p. A-3 (1 year, 23 +-5 Cel, 1 PLC)"
_LOW_V = ((0.2, 0.012, 300e-6), (2.0, 0.012, 300e-6))
_ROWS_2400 = (
    *_rows("voltage", 0.15, SPEC_2400, *_LOW_V, (20.0, 0.015, 1.5e-3), (200.0, 0.015, 10e-3)),
    *_rows("current", 0.10, SPEC_2400, (1e-6, 0.029, 300e-12), (10e-6, 0.027, 700e-12), (100e-6, 0.025, 6e-9), (1e-3, 0.027, 60e-9)),
    *_rows("current", 0.10, SPEC_2400, (10e-3, 0.035, 600e-9), (0.1, 0.055, 6e-6), (1.0, 0.22, 570e-6)),
)
_ROWS_2440 = (
    *_rows("voltage", 0.15, SPEC_2440, *_LOW_V, (10.0, 0.015, 750e-6), (40.0, 0.015, 3e-3)),
    *_rows("current", 0.10, SPEC_2440, (10e-6, 0.027, 700e-12), (100e-6, 0.025, 6e-9), (1e-3, 0.027, 60e-9), (10e-3, 0.035, 600e-9)),
    *_rows("current", 0.10, SPEC_2440, (0.1, 0.055, 6e-6), (1.0, 0.06, 570e-6), (5.0, 0.10, 3.42e-3)),
)
# of the other models the page at hand shows the voltage rows only: their currents need rows in the bench file
_ROWS_2410 = _rows("voltage", 0.15, SPEC_LINE, *_LOW_V, (20.0, 0.015, 1e-3), (1000.0, 0.015, 50e-3))
_ROWS_2420 = _rows("voltage", 0.15, SPEC_LINE, *_LOW_V, (20.0, 0.015, 1e-3), (60.0, 0.015, 3e-3))
_ROWS_2430 = _rows("voltage", 0.15, SPEC_LINE, *_LOW_V, (20.0, 0.015, 1e-3))
_LOW_A = (10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0)
_AMPS_2410 = (1e-6, 10e-6, 100e-6, 1e-3, 20e-3, 0.1, 1.0)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "2400": Model((1e-6, *_LOW_A), SourceLimits(210.0, 1.05), 1e-9, (20, 40, 60, 80, 100, 120, 160), _ROWS_2400),
        "2410": Model(_AMPS_2410, SourceLimits(1100.0, 1.05), 1e-9, (20, 40, 100, 200, 300, 400, 500), _ROWS_2410),
        "2420": Model((*_LOW_A, 3.0), SourceLimits(63.0, 3.15), 10e-9, (6, 12, 18, 24, 30, 36, 48), _ROWS_2420),
        "2430": Model((*_LOW_A, 3.0), SourceLimits(105.0, 3.15), 10e-9, (10, 20, 30, 40, 50, 60, 80), _ROWS_2430),
        "2440": Model((*_LOW_A, 5.0), SourceLimits(42.0, 5.25), 10e-9, (4, 8, 12, 16, 20, 24, 32), _ROWS_2440),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    terminals: str = option("rear", "terminals the DUT is wired to", choices=("front", "rear"))
    voltage_readback: bool = option(
        True,
        "measure the voltage beside the current in captures (one after the other: a capture's fastest interval becomes longer)",
    )
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading with its status word."""

    voltage_v: float
    current_a: float
    status: int


class Smu:
    """One 2400 as the parts of its driver see it."""

    def __init__(self, name: str, link: Link, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options
        self.model = MODELS["2400"]

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link, ":SYST:ERR?"), self.name, doing)  # p. 18-102

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what, ":SYST:ERR?"):
            return self.link.query(query)

    def number(self, query: str, what: str) -> float:
        return scpi.value(self.ask(query, what), f"{self.name}: {what}")

    def boolean(self, query: str, what: str) -> bool:
        return scpi.booleans(self.ask(query, what), f"{self.name}: {what}")[0]

    def set_word(self, command: str, word: str, what: str) -> None:
        """Write a keyword or a state and read it back, in any of its forms. Raises ReadBackError."""
        self.link.write(f"{command} {word}")
        got = self.ask(f"{command}?", what).upper()
        states = {"ON": "1", "OFF": "0"}
        if states.get(got, got)[:4] != states.get(word, word)[:4]:
            raise ReadBackError(f"{self.name}: {what} was set to {word} and reads back {got}")

    def set_count(self, command: str, count: int, what: str) -> None:
        """Raises ReadBackError."""
        self.link.write(f"{command} {count}")
        got = round(self.number(f"{command}?", what))
        if got != count:
            raise ReadBackError(f"{self.name}: {what} was set to {count} and reads back {got}")

    def holding(self, full_scale_a: float | None) -> float:
        """The name of the lowest current range that holds full_scale_a, in ampere. Raises OutOfRangeError."""
        if full_scale_a is None:
            raise OutOfRangeError(f"{self.name}: seamless ranging is asked for, a 2400 has fixed ranges only")
        chosen = next((r for r in self.model.current_ranges_a if r >= full_scale_a * (1 - 1e-6)), None)
        if chosen is None:
            raise OutOfRangeError(f"{self.name}: current range is {full_scale_a:g} A, the largest is {self.model.current_ranges_a[-1]:g} A")
        return chosen

    def set_range(self, chosen: float) -> None:
        """Fix a current range. Raises RefusedError, ReadBackError."""
        self.link.write(f":SENS:CURR:RANG {scpi.number(chosen)}")  # p. 18-62: turns auto range off
        self.check_errors(f"the {chosen:g} A range (one above its current limit's is refused, p. 18-62)")
        got = self.number(":SENS:CURR:RANG?", "the current range")
        if not chosen * (1 - 1e-6) <= got <= chosen * OVER:
            raise ReadBackError(f"{self.name}: current range was set to {chosen:g} A and reads back {got:g} A")

    def set_plc(self, plc: float) -> float:
        """Integration time in line cycles, of every function at once (p. 18-69); what reads back."""
        self.link.write(f":SENS:CURR:NPLC {scpi.number(plc)}")
        got = self.number(":SENS:CURR:NPLC?", "the integration time")
        if abs(got - plc) > PLC_STEP / 2 * (1 + 1e-6):
            raise ReadBackError(f"{self.name}: integration time was set to {plc:g} PLC and reads back {got:g}")
        return got

    def select(self, *, voltage: bool) -> None:
        """Measure voltage and current, or the current alone, which is faster (as the script of pyvisa issue 533 does it)."""
        self.link.write(f":SENS:FUNC:CONC {'ON' if voltage else 'OFF'}")  # [V]
        self.link.write(":SENS:FUNC 'VOLT','CURR'" if voltage else ":SENS:FUNC 'CURR'")  # [P]

    def one_shot(self) -> None:
        """A trigger model that takes one reading at once. The trigger count is 1 throughout, for the product must not exceed 2500."""
        self.link.write(":ARM:SOUR IMM")  # p. 18-119
        self.link.write(":ARM:COUN 1")  # p. 11-18

    def read(self) -> Sample:
        """Raises RefusedError with the output off (803), SentinelError for 9.91E37 and 9.9E37 (p. 18-49, 18-50)."""
        what = f"{self.name}: a reading"
        fields = self.ask(":READ?", "a reading").split(",")  # p. 17-4
        if len(fields) != len(ELEMENTS):
            raise ReadBackError(f"{what} has {len(fields)} elements, {len(ELEMENTS)} were selected ({', '.join(ELEMENTS)})")
        # the resistance is not measured and always 9.91E37; the time is not used
        sample = Sample(scpi.value(fields[0], what), scpi.value(fields[1], what), round(scpi.value(fields[4], what)))
        self._check_word(sample.status, V_MEAS | I_MEAS)
        return sample

    def _check_word(self, status: int, measured: int) -> None:
        if status < 0 or status >> WORD_BITS or status & (V_SOUR | measured) != V_SOUR | measured:
            raise ReadBackError(f"{self.name}: status word {status} does not say that voltage is sourced and both are measured")
        if status & OVERFLOW:
            raise SentinelError(f"{self.name}: the reading is beyond its range (status word {status}, p. 18-50)")

    def clamp_settings(self, range_a: float) -> dict[str, str]:
        """What limits the output while this range is fixed: the programmed limit or the range itself, whichever is lower (p. 6-2)."""
        limit_a = self.number(":SENS:CURR:PROT?", "the current limit")
        return {"output_clamp_a": scpi.number(min(limit_a, RANGE_CLAMP * range_a)), "current_limit_a": scpi.number(limit_a)}


def limited(status: int) -> str | None:
    """What held the output while a reading was taken, in words."""
    names = {COMPLIANCE: "current limit", RANGE_COMPLIANCE: "current range", OVP: "over-voltage limit"}
    return ", ".join(name for bit, name in names.items() if status & bit) or None


def words(column: NDArray[np.float32], name: str) -> NDArray[np.int64]:
    """Status words of a block. Raises ReadBackError for what is none: another byte order or other elements than were selected."""
    whole = np.where(np.isfinite(column), column, -1.0)
    if np.any(whole < 0) or np.any(whole >= 1 << WORD_BITS) or np.any(whole != np.floor(whole)):
        raise ReadBackError(f"{name}: the status words of its block are no words: another byte order, or other elements")
    found: NDArray[np.int64] = whole.astype(np.int64)
    return found

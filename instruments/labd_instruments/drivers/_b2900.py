"""What the parts of the Keysight B2900A driver share: its options, its models, and one channel with its settings read back.

Sources of the command strings. `p. 4-73`: Agilent B2900 SCPI Command Reference, Edition 2 (B2910-90030). `K p. 4-67`: Keysight
B2961A/B2962A SCPI Command Reference, Edition 6, the same command tree. `UG p. 2-24`: Agilent B2900 User's Guide, Edition 2.
[V]: the published LabWindows driver agb2900.c of this family (2011 to 2026). [S]: the SweepMe driver of the B29xx.
[P]: a pymeasure driver of the B2961A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labd_instruments import scpi
from labd_instruments.checks import same, within
from labd_instruments.contract import SourceLimits
from labd_instruments.drivers._b2900_accuracy import current_ranges
from labd_instruments.errors import OutOfRangeError, ReadBackError
from labd_instruments.links.link import Link
from labd_instruments.options import option

LIMITS = SourceLimits(voltage_v=210.0, current_a=3.03)  # K p. 2-36, the same in [V]
VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)  # K p. 2-36
OVER_RANGE = 1.05  # K p. 2-36: a range sources 105 % of itself
LARGEST_CURRENT = ((6.0, 3.03), (21.0, 1.515), (210.0, 0.105))  # K p. 2-36: up to this voltage (V), this much (A)
LARGEST_LOAD_F = 0.01e-6  # UG p. 2-24
LARGEST_LOAD_HIGH_CAPACITANCE_F = 50e-6  # UG p. 2-24
LOWEST_HIGH_CAPACITANCE_A = 1e-6  # UG p. 2-25: lowest range and lowest current limit of the mode
SHORTEST_APERTURE_S = 8e-6  # p. 4-73, which also says that other values are changed without an error
LONGEST_APERTURE_S = 2.0
COMPLIANCE = 0b110  # p. 1-14: bits 1 and 2 of the status data
ALARMS: Mapping[int, str] = {8: "over voltage", 16: "over current", 32: "high temperature"}  # p. 1-14: the status data
EVENT_LOST = {1: 4096, 2: 16384}  # p. 4-116: acquire event lost, by channel
PROTECTION = {1: 4, 2: 8}  # K p. 4-152: the output has been switched off at its limit, by channel


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    channel: int = option(1, "channel that feeds the DUT; the second one is there on a B2902A and a B2912A", low=1, high=2)
    fire_line: int | None = option(None, "digital I/O pin wired to the DUT's trigger input (mind its level)", low=1, high=14)
    trigger_line: int | None = option(None, "digital I/O pin on which the DUT marks an event", low=1, high=14)
    trigger_polarity: str = option("POS", "POS: the rising edge of trigger_line counts, NEG: the falling one", choices=("POS", "NEG"))
    measure_voltage: bool = option(True, "measure voltage beside current in captures")
    high_capacitance: bool = option(False, "high capacitance mode, for boards with more than 0.01 uF and up to 50 uF")
    load_capacitance_f: float | None = option(
        None, "capacitance that the output sees, in farad; the output stays off above the limit", low=0.0
    )
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


@dataclass(frozen=True, slots=True)
class Model:
    """What differs inside the family (data sheet p. 16, 17). fine: it has the 10 nA range. shortest_s: of the trigger timer."""

    channels: int
    fine: bool
    shortest_s: float

    @property
    def current_ranges(self) -> tuple[float, ...]:
        return current_ranges(fine=self.fine)

    @property
    def overhead_s(self) -> float:
        """What a reading takes besides its aperture: the shortest interval has room for the shortest aperture. The manual gives none."""
        return self.shortest_s - SHORTEST_APERTURE_S


MODELS: Mapping[str, Model] = {
    "B2901A": Model(1, fine=False, shortest_s=20e-6),
    "B2902A": Model(2, fine=False, shortest_s=20e-6),
    "B2911A": Model(1, fine=True, shortest_s=10e-6),
    "B2912A": Model(2, fine=True, shortest_s=10e-6),
}


def covering(ranges: tuple[float, ...], value: float) -> float:
    """The lowest range that holds `value` with what a range does beyond itself (K p. 2-36); the highest one when none does."""
    return next((r for r in ranges if abs(value) <= r * (1.01 if r in (1.5, 3.0) else OVER_RANGE)), ranges[-1])


class Channel:
    """One channel of a B2900A as the parts of its driver see it: settings go out and are read back."""

    def __init__(self, name: str, link: Link, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options
        self.number = options.channel
        self.model = MODELS["B2901A"]  # until it has said which one it is
        self.listed = f"(@{options.channel})"

    def what(self, quantity: str) -> str:
        return f"{self.name}: {quantity}"

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link, ":SYST:ERR?"), self.name, doing)

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what, ":SYST:ERR?"):
            return self.link.query(query)

    def value(self, query: str, what: str) -> float:
        return scpi.value(self.ask(query, what), self.what(what))

    def set_number(self, header: str, wanted: float, what: str, *, tolerance: float = 1e-6, step: float = 1e-15) -> float:
        """Set and read back. Raises ReadBackError when it differs by more than the fraction `tolerance` and one `step`."""
        self.link.write(f"{header} {scpi.number(wanted)}")
        return same(self.what(what), wanted, self.value(f"{header}?", what), tolerance=tolerance * abs(wanted) + step)

    def set_switch(self, header: str, what: str, *, on: bool) -> None:
        """Set and read back. Raises ReadBackError."""
        self.link.write(f"{header} {'ON' if on else 'OFF'}")
        if scpi.booleans(self.ask(f"{header}?", what), self.what(what))[0] != on:
            raise ReadBackError(f"{self.what(what)} was switched {'on' if on else 'off'} and reads back the opposite")

    def set_word(self, header: str, word: str, what: str) -> None:
        """Set and read back. Raises ReadBackError."""
        self.link.write(f"{header} {word}")
        got = self.ask(f"{header}?", what).strip().upper()
        if got != word:
            raise ReadBackError(f"{self.what(what)} was set to {word} and reads back {got}")

    def questionable(self) -> int:
        """Condition register of STATus:QUEStionable."""
        return scpi.integers(self.ask(":STAT:QUES:COND?", "its state"), self.what("its state"))[0]  # K p. 4-152

    def limit_a(self) -> float:
        return self.value(f":SENS{self.number}:CURR:PROT?", "the current limit")  # K p. 4-90

    def fix_current_range(self, full_scale_a: float) -> float:
        """Fix the measuring range that holds full_scale_a, automatic ranging off, both read back. Raises OutOfRangeError, ReadBackError.

        The instrument uses no range above the one that covers the current limit (UG p. 6-4). So that one is fixed where a higher one is
        asked for, and the answer is always the range in use: nothing beyond it can flow.
        """
        ranges = self.model.current_ranges
        low = LOWEST_HIGH_CAPACITANCE_A if self.options.high_capacitance else ranges[0]
        within(self.what("current range"), full_scale_a, low=low, high=ranges[-1], unit="A", limit="UG p. 2-25, data sheet p. 16")
        asked = next(r for r in ranges if full_scale_a <= r * (1 + 1e-9))
        range_a = min(asked, covering(ranges, self.limit_a()))
        root = f":SENS{self.number}:CURR:RANG"
        self.set_switch(f"{root}:AUTO", "automatic current ranging", on=False)  # p. 4-77
        got = self.set_number(root, range_a, "the current range")  # [V]
        self.set_switch(f"{root}:AUTO", "automatic current ranging", on=False)
        return got

    def set_aperture(self, aperture_s: float) -> float:
        """Fix the integration time of both quantities. Raises OutOfRangeError, ReadBackError (it changes what it cannot do: p. 4-73)."""
        what, limit = self.what("aperture"), "p. 4-73"
        within(what, aperture_s, low=SHORTEST_APERTURE_S, high=LONGEST_APERTURE_S, unit="s", limit=limit)
        header = f":SENS{self.number}:CURR:APER"
        self.set_switch(f"{header}:AUTO", "automatic aperture", on=False)  # K p. 4-87
        return self.set_number(header, aperture_s, "the aperture", tolerance=1e-3)

    def measure(self, *, voltage: bool) -> None:
        """Which quantities are measured; a reset leaves all of them on."""
        functions = '"VOLT","CURR"' if voltage else '"CURR"'
        self.link.write(f":SENS{self.number}:FUNC:OFF:ALL")
        self.link.write(f":SENS{self.number}:FUNC {functions}")  # [V] [S]

    def source_range_v(self) -> float:
        """The voltage range in use, for sourcing and for measuring what is sourced (UG p. 6-4)."""
        return self.value(f":SOUR{self.number}:VOLT:RANG?", "the voltage range")

    def judged(self, status: int, what: str) -> None:
        """Raises ReadBackError when a reading was taken while the output did not hold what it was set to."""
        if status & COMPLIANCE:
            raise ReadBackError(
                f"{self.what(what)} was taken at the current limit, so the voltage was not the one that is set "
                f"(a load beyond {self.largest_load_f():g} F looks the same)"
            )
        for bit, alarm in ALARMS.items():
            if status & bit:
                raise ReadBackError(f"{self.what(what)} was taken in the state {alarm}")

    def largest_load_f(self) -> float:
        return LARGEST_LOAD_HIGH_CAPACITANCE_F if self.options.high_capacitance else LARGEST_LOAD_F

    def require_load(self) -> None:
        """Raises OutOfRangeError when the bench file tells of more capacitance than the mode bears."""
        load_f = self.options.load_capacitance_f
        if load_f is not None and load_f > self.largest_load_f():
            way = "the largest there is" if self.options.high_capacitance else "option high_capacitance allows up to 50 uF"
            raise OutOfRangeError(
                f"{self.what('load capacitance')} is {load_f:g} F, this mode drives {self.largest_load_f():g} F ({way}; UG p. 2-24)"
            )


def largest_current(volt: float) -> float:
    """What the output delivers at this voltage, in ampere (K p. 2-36)."""
    return next((amp for most, amp in LARGEST_CURRENT if abs(volt) <= most), LARGEST_CURRENT[-1][1])

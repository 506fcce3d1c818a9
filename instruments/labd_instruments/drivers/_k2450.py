"""What the parts of the Keithley 2450 family's driver share: its options, its link and the names of its buffers.

Page numbers without a document are of the Model 2461 Reference Manual, 2461-901-01 Rev. A (November 2015); those with a model in front of
them are of the documents in `_k2450_models`. [Q]: as in the QCoDeS driver of the 2450 (same command tree); [D]: as in notes on the
DMM6500 (same trigger model and buffers); [-]: no page was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from labd_instruments import scpi
from labd_instruments.checks import same
from labd_instruments.drivers._k2450_models import MODELS, RANGE_CLAMP, Model
from labd_instruments.errors import OutOfRangeError, ReadBackError
from labd_instruments.links.link import Link
from labd_instruments.options import option

BUFFER = '"labd"'
DEFAULT_BUFFER = '"defbuffer1"'
NPLC_RANGE = (0.01, 10.0)  # 2450 p. 6-48, p. 6-60, 2470 p. 12-48
VOLTAGE_STEP = 1e-4
"""Of a source range: a level may read back as far off as this, which is assumed to be well above what can be programmed [-]."""
_STATES = {"ON": "1", "OFF": "0"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    terminals: str = option("rear", "terminals the DUT is wired to", choices=("front", "rear"))
    fire_line: int | None = option(None, "digital I/O line wired to the DUT's trigger input (5 V logic: mind its level)", low=1, high=6)
    trigger_line: int | None = option(None, "digital I/O line on which the DUT marks an event", low=1, high=6)
    trigger_edge: str = option("RIS", "edge of trigger_line", choices=("RIS", "FALL", "EITH"))
    voltage_readback: bool = option(
        False,
        "fill the voltage column of captures from the source read-back (the manual does not say at which rates it keeps up)",
    )
    high_capacitance: bool = option(False, "source mode for DUTs with large decoupling capacitance")
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


class Smu:
    """One instrument of the family as the parts of its driver see it.

    model: until it has identified itself, a 2461. limit_a: the current limit that was programmed, None before. range_v: the source range
    that was fixed, None before.
    """

    def __init__(self, name: str, link: Link, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options
        self.model_name = "2461"
        self.limit_a: float | None = None
        self.range_v: float | None = None

    @property
    def model(self) -> Model:
        return MODELS[self.model_name]

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link, ":SYST:ERR?"), self.name, doing)

    def number(self, query: str, what: str) -> float:
        return scpi.value(self.ask(query, what), f"{self.name}: {what}")

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what, ":SYST:ERR?"):
            return self.link.query(query)

    def set_word(self, command: str, word: str, what: str) -> None:
        """Write a keyword or a state and read it back, in any of its forms. Raises ReadBackError."""
        self.link.write(f"{command} {word}")
        got = scpi.unquoted(self.ask(f"{command}?", what)).upper()
        if _STATES.get(got, got)[:4] != _STATES.get(word, word)[:4]:
            raise ReadBackError(f"{self.name}: {what} was set to {word} and reads back {got}")

    def set_voltage(self, volt: float) -> None:
        """Raises RefusedError, ReadBackError."""
        self.link.write(f":SOUR:VOLT {scpi.number(volt)}")  # [Q]
        self.check_errors(f"{volt:g} V")
        range_v = self.model.source_range(volt) if self.range_v is None else self.range_v
        same(f"{self.name}: voltage", volt, self.number(":SOUR:VOLT?", "the voltage"), tolerance=VOLTAGE_STEP * range_v)

    def set_source_range(self, volt: float) -> None:
        """Fix the lowest range that holds volt. Raises ReadBackError for another one."""
        wanted = self.model.source_range(volt)
        self.range_v = None
        self.link.write(f":SOUR:VOLT:RANG {scpi.number(wanted)}")  # [Q]
        got = self.number(":SOUR:VOLT:RANG?", "the source range")
        self.range_v = same(f"{self.name}: source range", wanted, got, tolerance=1e-6 * wanted)

    def source_range(self) -> float:
        """The range on which the voltage is read back (V). Raises ReadBackError for one that does not hold the voltage."""
        range_v = self.number(":SOUR:VOLT:RANG?", "the source range")  # [Q]
        volt = self.number(":SOUR:VOLT?", "the voltage")
        if not abs(volt) <= range_v * (1 + 1e-6):
            raise ReadBackError(f"{self.name}: {volt:g} V is read back on the {range_v:g} V source range, which does not hold it")
        return range_v

    def measure_current(self, range_a: float, nplc: float, *, voltage: bool) -> float:
        """The measure function on a fixed range, without auto-zero and filter; returns the power line cycles that read back.

        voltage: read back with each reading. Raises ReadBackError.
        """
        self.link.write(':SENS:FUNC "CURR"')  # [Q]
        self.set_range(":SENS:CURR", range_a)
        self.link.write(f":SENS:CURR:NPLC {scpi.number(nplc)}")  # 2450 p. 6-48
        got = self.number(":SENS:CURR:NPLC?", "the integration time")
        same(f"{self.name}: integration time in power line cycles", nplc, got, tolerance=1e-3 * nplc)
        self.set_word(":SENS:CURR:AZER", "OFF", "auto-zero")  # [Q] else each reading takes three times as long
        self.set_word(":SENS:CURR:AVER", "OFF", "the filter")  # p. 6-53
        self.set_read_back(voltage)
        return got

    def set_read_back(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self.set_word(":SOUR:VOLT:READ:BACK", "ON" if on else "OFF", "the source read-back")  # p. 6-99

    def remote_sense(self, root: str) -> bool:
        """root: `:SENS:CURR` or `:SENS:DIG:CURR`; each function keeps its own sense mode."""
        return scpi.booleans(self.ask(f"{root}:RSEN?", "the sense mode"), f"{self.name}: the sense mode")[0]  # [Q]

    def range_for(self, full_scale_a: float | None) -> float:
        """The range that a full scale selects. Raises OutOfRangeError for seamless, when none holds it, and for a range beside which the
        instrument would raise the programmed current limit by itself."""
        if full_scale_a is None:
            raise OutOfRangeError(f"{self.name}: seamless ranging is asked for, a {self.model_name} has fixed ranges only")
        chosen = self.model.holding(full_scale_a)
        if chosen is None:
            most = self.model.current_ranges_a[-1]
            raise OutOfRangeError(f"{self.name}: current range is {full_scale_a:g} A, the largest of a {self.model_name} is {most:g} A")
        least_a = self.model.least_limit * chosen
        if self.limit_a is not None and self.limit_a < least_a * (1 - 1e-9):
            raise OutOfRangeError(
                f"{self.name}: on the {chosen:g} A range a {self.model_name} raises its current limit to {least_a:g} A, "
                f"{self.limit_a:g} A is programmed (2470 manual p. 12-78)"
            )
        return chosen

    def set_range(self, root: str, range_a: float) -> float:
        """Fix a range of `range_for`. Raises ReadBackError for another one, and when the current limit moved with it."""
        self.link.write(f"{root}:RANG {scpi.number(range_a)}")  # p. 6-65 turns auto range off
        chosen = self.number(f"{root}:RANG?", "the current range")
        return same(f"{self.name}: current range", range_a, chosen, tolerance=1e-6 * range_a)

    def clamp_settings(self, range_a: float) -> dict[str, str]:
        """What limits the output while this range is fixed: the programmed limit or the range itself, whichever is lower.

        Raises ReadBackError when the limit is no longer the programmed one: a change of range may move it with no more than a warning.
        """
        limit_a = self.number(":SOUR:VOLT:ILIM?", "the current limit")
        if self.limit_a is not None and abs(limit_a - self.limit_a) > 1e-3 * self.limit_a:
            raise ReadBackError(f"{self.name}: current limit was set to {self.limit_a:g} A and moved to {limit_a:g} A with the range")
        return {"output_clamp_a": scpi.number(min(limit_a, RANGE_CLAMP * range_a)), "current_limit_a": scpi.number(limit_a)}

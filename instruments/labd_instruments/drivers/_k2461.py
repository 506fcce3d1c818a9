"""What the parts of the Keithley 2461 driver share: its options, its link and the names of its buffers.

Page numbers without a document are of the Model 2461 Reference Manual, 2461-901-01 Rev. A (November 2015). [Q]: as in the QCoDeS
driver of the 2450 (same command tree); [D]: as in notes on the DMM6500 (same trigger model and buffers); [-]: no page was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from labd_instruments import scpi
from labd_instruments.contract import SourceLimits
from labd_instruments.errors import OutOfRangeError
from labd_instruments.links.link import Link
from labd_instruments.options import option

BUFFER = '"labd"'
DEFAULT_BUFFER = '"defbuffer1"'
LIMITS = SourceLimits(voltage_v=105.0, current_a=7.35)  # p. 6-94: largest programmable limits
LOWEST_LIMIT_A = 1e-6  # p. 6-94
OVERVOLTAGE_STEPS_V = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0)  # 2 V is the lowest, 40 V one of them (p. 8-189); others [-]
RANGE_CLAMP = 1.05
"""A fixed measure range limits the output to 105 % of itself: the reset limit of 105 uA goes with the 100 uA range (p. 6-94)."""


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
    """One 2461 as the parts of its driver see it."""

    def __init__(self, name: str, link: Link, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link, ":SYST:ERR?"), self.name, doing)

    def number(self, query: str, what: str) -> float:
        return scpi.value(self.ask(query, what), f"{self.name}: {what}")

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what, ":SYST:ERR?"):
            return self.link.query(query)

    def remote_sense(self, root: str) -> bool:
        """root: `:SENS:CURR` or `:SENS:DIG:CURR`; each function keeps its own sense mode."""
        return scpi.booleans(self.ask(f"{root}:RSEN?", "the sense mode"), f"{self.name}: the sense mode")[0]  # [Q]

    def set_range(self, root: str, full_scale_a: float | None) -> float:
        """Fix a current range and return the one it reads back. Raises OutOfRangeError for seamless, or when none holds full_scale_a."""
        if full_scale_a is None:
            raise OutOfRangeError(f"{self.name}: seamless ranging is asked for, a 2461 has fixed ranges only")
        self.link.write(f"{root}:RANG {scpi.number(full_scale_a)}")  # [Q] selects the range that holds the value, turns auto range off
        chosen = self.number(f"{root}:RANG?", "the current range")
        if chosen < full_scale_a * (1 - 1e-6):
            raise OutOfRangeError(f"{self.name}: current range is {full_scale_a:g} A, the largest that answers is {chosen:g} A")
        return chosen

    def clamp_settings(self, range_a: float) -> dict[str, str]:
        """What limits the output while this range is fixed: the programmed limit or the range itself, whichever is lower."""
        limit_a = self.number(":SOUR:VOLT:ILIM?", "the current limit")
        return {"output_clamp_a": scpi.number(min(limit_a, RANGE_CLAMP * range_a)), "current_limit_a": scpi.number(limit_a)}

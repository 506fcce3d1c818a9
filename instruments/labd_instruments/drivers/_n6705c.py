"""What the parts of the N6705C driver share: its options, its link, its channels and ranges.

Documents: [U] Keysight N6705C User's Guide; [O] N6705C Operating and Service Guide; [C] N6700C/N6702C Operating and Service Guide
(same modules, same language); [N] N6700 User's Guide; [A] N6900/N7900 Operating and Service Guide (sister family); [E] E4360 User's
Guide (same socket services). [-]: a string of the N6700 family's command set for which no page was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import scpi
from labd_instruments.block import BlockFlag
from labd_instruments.checks import Clock, same
from labd_instruments.contract import SourceLimits
from labd_instruments.errors import OutOfRangeError
from labd_instruments.links.link import Link
from labd_instruments.options import option

MAINFRAMES = ("N6705", "N6700", "N6701", "N6702")
MODULE = "N6781A"
CURRENT_RANGES_A = (10e-6, 1e-3, 0.1, 3.0)
SEAMLESS_A = (1e-3, 0.1, 3.0)  # the 10 uA range is only ever fixed [-]
VOLTAGE_RANGES_V = (0.1, 1.0, 20.0)
LIMITS = SourceLimits(voltage_v=20.0, current_a=3.0)
HIGH_CURRENT_BELOW_V = 6.0  # N6700 User's Guide p122: 3 A up to 6 V, 1 A up to 20 V
CURRENT_ABOVE_A = 1.0

PARAMETER_S = 102.4e-6  # [U p145 of N6700C, C p146] shortest elog period, for each parameter logged in one interval
ELOG_LONGEST_S = 60.0
RESOLUTION_S = {"RES20": 20.48e-6, "RES40": 40.96e-6}
MOST_PARAMETERS = {"RES20": 4, "RES40": 24}
TICK_S = 5.12e-6  # digitizer's finest interval [U p213]
TIMEBASE = 1e-4  # for the record check only: no document gives the timebase, the accuracy table says unknown

WAITING_FOR_TRIGGER = 8  # STATus:OPERation [C p309 of N6701C]; [O p350] lists the bit as unused, so `arm` does without it as well
MEASURING = 32  # [O p350]
QUESTIONABLE = {  # [O p350]
    1: "over-voltage protection",
    2: "over-current protection",
    4: "AC power fail",
    8: "positive power limit",
    16: "over-temperature",
    32: "negative power limit",
    64: "negative over-voltage protection",
    128: "positive current limit",
    256: "negative current limit",
    512: "inhibited by the external signal",
    1024: "unregulated",
    2048: "watchdog, or coupled protection of another output",
    4096: "oscillation protection",
}
DISCONNECTS = 1 | 2 | 4 | 16 | 64 | 512 | 2048 | 4096  # of these bits: those whose protection turns the output off
READY_S = 5e-3  # from INIT:ACQ to being ready for a trigger: a few milliseconds [-]
FETCHES = 16  # most elog fetches in one `read_block`


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    channel: int = option(1, "channel of the N6781A that feeds the DUT", low=1, high=4)
    marker_channel: int | None = option(None, "channel of a second N6781A that reads the DUT's marker line as a voltmeter", low=1, high=4)
    fire_pin: int | None = option(None, "digital port pin wired to the DUT's trigger input", low=1, high=7)
    fire_polarity: str = option("POS", "edge of the trigger output pulse (10 us)", choices=("POS", "NEG"))
    resolution: str = option("RES20", "time resolution: RES20 logs up to 4 parameters, RES40 up to 24", choices=("RES20", "RES40"))
    fetch_records: int = option(1000, "most elog records in one fetch", low=1, high=16384)
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


def at(*channels: int) -> str:
    """A channel list: `(@1,2)`."""
    return "(@" + ",".join(map(str, channels)) + ")"


def exact_range(what: str, value: float, ranges: tuple[float, ...], unit: str) -> float:
    """The range itself: asked for by its full scale, never the next best."""
    for full_scale in ranges:
        if abs(value - full_scale) <= 1e-6 * full_scale:
            return full_scale
    raise OutOfRangeError(f"{what} is {value:g} {unit}, {MODULE} has {', '.join(f'{r:g}' for r in ranges)} {unit}")


def flags(current: NDArray[np.float32], full_scale_a: float | None, *, over_range: bool) -> BlockFlag:
    flags = BlockFlag.OVER_RANGE if over_range else BlockFlag.NONE
    if full_scale_a is not None and bool(np.any(np.abs(current) >= full_scale_a)):
        flags |= BlockFlag.CLIPPED
    return flags


class Mainframe:
    """One mainframe as its parts see it. Raises what `scpi` raises."""

    def __init__(self, name: str, link: Link, options: Options, clock: Clock) -> None:
        self.name = name
        self.link = link
        self.options = options
        self.clock = clock
        self.main = at(options.channel)
        self.resolution_s = RESOLUTION_S[options.resolution]

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link), self.name, doing)

    def number(self, query: str, what: str) -> float:
        """A setting or reading of the feeding channel."""
        return scpi.value(self.ask(f"{query} {self.main}", what), f"{self.name}: {what}")

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what):
            return self.link.query(query)

    def block(self, query: str, what: str) -> NDArray[Any]:
        """One definite length block of float32. Raises RefusedError like `ask`, ReplyError."""
        with scpi.explained(self.link, self.name, what):
            self.link.write(query)
            return self.link.read_definite_block(">f4")

    def same(self, what: str, query: str, wanted: float, tolerance: float) -> float:
        """Read a setting back. Raises ReadBackError."""
        return same(f"{self.name}: {what}", wanted, self.number(query, what), tolerance=tolerance)

    def remote_sense(self) -> bool:
        return self.link.query(f"VOLT:SENS:SOUR? {self.main}").strip().upper().startswith("EXT")

    def set_ranges(self, root: str, current_range_a: float | None, voltage_range_v: float) -> None:
        """root: `SENS` for the digitizer, `SENS:ELOG` for the log. Raises OutOfRangeError for a range that does not exist."""
        volts = exact_range(f"{self.name}: voltage range", voltage_range_v, VOLTAGE_RANGES_V, "V")
        if current_range_a is None:
            self.link.write(f"{root}:CURR:RANG:AUTO ON,{self.main}")  # seamless on an N6781A
        else:
            full_scale = exact_range(f"{self.name}: current range", current_range_a, CURRENT_RANGES_A, "A")
            self.link.write(f"{root}:CURR:RANG {scpi.number(full_scale)},{self.main}")
        self.link.write(f"{root}:VOLT:RANG {scpi.number(volts)},{self.main}")

    def channels(self, *, marker: bool) -> tuple[int, ...]:
        return (self.options.channel, self.marker()) if marker else (self.options.channel,)

    def marker(self) -> int:
        """The marker's channel. Raises OutOfRangeError when the bench file names none."""
        if self.options.marker_channel is None:
            raise OutOfRangeError(f"{self.name}: the marker needs option marker_channel, a second {MODULE} wired to the DUT's marker line")
        return self.options.marker_channel

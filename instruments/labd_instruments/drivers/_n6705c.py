"""What the parts of the N6705C driver share: its options, its link, its channels and ranges.

Documents: [U] Keysight N6705C User's Guide; [O] N6705C Operating and Service Guide; [C] N6700C/N6702C Operating and Service Guide
(same modules, same language); [D] N6705 User's Guide, "Open Sense Leads" and what follows; [N] N6700 User's Guide; [S] N6700
Specifications Guide; [A] N6900/N7900 Operating and Service Guide (sister family); [E] E4360 User's Guide (same socket services).
Independent drivers: [V] two LabWindows drivers for the N6700 family (tables of attribute and command), [P] a table of N6700 modules, [L]
an N6705B driver over a socket, [L2] an N6705C driver with one class a module, [T] programmes for the same instruments that log, digitize
and start from a pin's edge, [R] a driver of N678xA modules that quotes the N6705 Programmer's Reference Guide, [G] a socket driver for
N6700 mainframes. [-]: a fact for which none was at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import scpi
from labd_instruments.block import BlockFlag
from labd_instruments.checks import Clock, exact, same
from labd_instruments.contract import Identity
from labd_instruments.drivers._n6705c_models import DEFAULT, MODULES, SUPPORTED, Module
from labd_instruments.errors import OutOfRangeError, ReadBackError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.options import option

MAINFRAMES = ("N6705", "N6700", "N6701", "N6702")
NAMED = ("N6705A", "N6705B", "N6705C", "N6700A", "N6700B", "N6700C", "N6701A", "N6701C", "N6702A", "N6702C")
SOURCES = ("PS2Q", "PS1Q", "BATT", "CHAR")  # emulations that feed a board from zero volt upwards

ELOG_LONGEST_S = 60.0
RESOLUTION_S = {"RES20": 20.48e-6, "RES40": 40.96e-6}
MOST_PARAMETERS = {"RES20": 4, "RES40": 24}
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
MARKER_V = 20.0  # the range that reads the DUT's marker line
RANGE_SLACK = 0.05  # a range may read back as the most that it can be set to, 2 % above its rating [P]
READY_S = 5e-3  # from INIT:ACQ to being ready for a trigger: a few milliseconds [-]
FETCHES = 16  # most elog fetches in one `read_block`


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    mainframe: str = option("", "the mainframe that must answer, such as N6700C; empty: any of them", choices=("", *NAMED))
    module: str = option("", "the module that must sit in `channel`; empty: any that is supported", choices=("", *MODULES))
    channel: int = option(1, "channel of the source-measure module that feeds the DUT", low=1, high=4)
    emulation: str = option(
        "PS2Q",
        "what the output behaves as: PS2Q sources and sinks, PS1Q only sources, BATT is a battery, CHAR its charger",
        choices=SOURCES,
    )
    marker_channel: int | None = option(None, "channel of a second one that reads the DUT's marker line as a voltmeter", low=1, high=4)
    fire_pin: int | None = option(None, "digital port pin wired to the DUT's trigger input", low=1, high=7)
    fire_polarity: str = option("POS", "edge of the trigger output pulse (10 us)", choices=("POS", "NEG"))
    trigger_pin: int | None = option(
        None, "digital port pin on which the DUT marks an event, which starts captures that do not fire the DUT", low=1, high=7
    )
    trigger_polarity: str = option("POS", "POS: the rising edge of trigger_pin counts, NEG: the falling one", choices=("POS", "NEG"))
    mark_pin: int | None = option(None, "digital port pin that is a marker out, switched by `mark`", low=1, high=7)
    resolution: str = option("RES20", "time resolution: RES20 logs up to 4 parameters, RES40 up to 24", choices=("RES20", "RES40"))
    fetch_records: int = option(1000, "most elog records in one fetch", low=1, high=16384)
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


def at(*channels: int) -> str:
    """A channel list: `(@1,2)`."""
    return "(@" + ",".join(map(str, channels)) + ")"


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
        self.module: Module = DEFAULT  # of the feeding channel, until `adopt` has seen another
        self.resolution_s = RESOLUTION_S[options.resolution]

    def adopt(self, who: Identity, held: Mapping[int, str]) -> None:
        """Take the mainframe and the modules that sit in the channels used. Raises WrongInstrumentError, OutOfRangeError."""
        wanted = self.options.mainframe
        if not who.model.upper().startswith(MAINFRAMES) or (wanted and who.model.upper() != wanted):
            named = wanted or "N6705C or another mainframe of this family"
            raise WrongInstrumentError(f"{self.name}: {self.link.resource} is a {who.maker} {who.model}, wanted is a Keysight {named}")
        for channel, module in held.items():
            only = self.options.module if channel == self.options.channel else ""
            if module not in MODULES or (only and module != only):
                raise WrongInstrumentError(
                    f"{self.name}: channel {channel} holds a {module or 'nothing'}, wanted is an {only or SUPPORTED}: "
                    "those source, sink, and convert voltage and current at once without a gap; other modules are not driven"
                )
        found = MODULES[held[self.options.channel]]
        if self.options.emulation not in found.emulations:
            known = ", ".join(mode for mode in SOURCES if mode in found.emulations)
            raise OutOfRangeError(f"{self.name}: option emulation is {self.options.emulation}, an {found.name} has {known}")
        self.module = found

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link), self.name, doing)

    def number(self, query: str, what: str) -> float:
        """A setting or reading of the feeding channel."""
        return scpi.value(self.ask(f"{query} {self.main}", what), f"{self.name}: {what}")

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what):
            return self.link.query(query)

    def same_word(self, what: str, query: str, wanted: str) -> None:
        """Read a word, a state or a whole number back; a word in its short or its long form. Raises ReadBackError."""
        got = self.ask(query, what).strip().upper().lstrip("+")
        states = {"ON": "1", "OFF": "0"}
        found, meant = states.get(got, got), states.get(wanted, wanted)
        if found != meant and not (meant.isalpha() and found.startswith(meant)):
            raise ReadBackError(f"{self.name}: {what} was set to {wanted} and reads back {got}")

    def set_word(self, command: str, word: str, what: str, where: str = "") -> None:
        """Write a keyword or a state and read it back. where: a channel list. Raises RefusedError, ReadBackError."""
        self.link.write(f"{command} {word},{where}" if where else f"{command} {word}")
        self.check_errors(what)
        self.same_word(what, f"{command}? {where}".rstrip(), word)

    def block(self, query: str, values: int, what: str) -> NDArray[Any]:
        """One definite length block of float32. values: the most that may come. Raises RefusedError like `ask`, ReplyError."""
        with scpi.explained(self.link, self.name, what):
            return self.link.query_definite_block(query, ">f4", timeout_s=self.options.timeout_s + values * 4 / 1e6)

    def set_resolution(self) -> None:
        """Of the whole mainframe: without a channel list in the N6705C guide p213 and in both published programs that send it (KU Leuven's
        N6700 driver and a logger of N67xx); the older N6705 User Manual p170 has one."""
        self.link.write(f"SENS:SWE:TINT:RES {self.options.resolution}")

    def same(self, what: str, query: str, wanted: float, tolerance: float) -> float:
        """Read a setting back. Raises ReadBackError."""
        return same(f"{self.name}: {what}", wanted, self.number(query, what), tolerance=tolerance)

    def same_in(self, channels: tuple[int, ...], what: str, query: str, wanted: float, tolerance: float) -> None:
        """Read a setting of several channels back. Raises ReadBackError."""
        reply = self.ask(f"{query} {at(*channels)}", what)
        for channel, got in zip(channels, scpi.values(reply, f"{self.name}: {what}", len(channels)), strict=True):
            same(f"{self.name}: {what} of channel {channel}", wanted, got, tolerance=tolerance)

    def remote_sense(self) -> bool:
        return self.link.query(f"VOLT:SENS:SOUR? {self.main}").strip().upper().startswith("EXT")

    def check_ranges(self, current_range_a: float | None, voltage_range_v: float) -> tuple[float | None, float]:
        """The ranges themselves, None for seamless. Raises OutOfRangeError for what the module has not."""
        module = self.module
        volts = exact(f"{self.name}: voltage range", voltage_range_v, module.voltage_ranges_v, "V", module.name)
        self.ranges_a(current_range_a)
        if current_range_a is None:
            return None, volts
        return exact(f"{self.name}: current range", current_range_a, module.current_ranges_a, "A", module.name), volts

    def set_ranges(self, root: str, current_range_a: float | None, voltage_range_v: float) -> None:
        """root: `SENS` for the digitizer, `SENS:ELOG` for the log. Raises OutOfRangeError for a range that does not exist."""
        full_scale, volts = self.check_ranges(current_range_a, voltage_range_v)
        if full_scale is None:
            self.link.write(f"{root}:CURR:RANG:AUTO ON,{self.main}")  # seamless [V]
        else:
            self.link.write(f"{root}:CURR:RANG {scpi.number(full_scale)},{self.main}")
        self.link.write(f"{root}:VOLT:RANG {scpi.number(volts)},{self.main}")

    def ranges_held(self, root: str, current_range_a: float | None, voltage_range_v: float) -> None:
        """Read back what `set_ranges` has set, once the error queue is empty. Raises ReadBackError."""
        full_scale, volts = self.check_ranges(current_range_a, voltage_range_v)
        if self.module.seamless_a:
            self.same_word("seamless ranging", f"{root}:CURR:RANG:AUTO? {self.main}", "ON" if full_scale is None else "OFF")
        if full_scale is not None:
            self.same("current range", f"{root}:CURR:RANG?", full_scale, RANGE_SLACK * full_scale)
        self.same("voltage range", f"{root}:VOLT:RANG?", volts, RANGE_SLACK * volts)

    def marker_range_held(self, root: str) -> None:
        """Raises ReadBackError."""
        self.same_in((self.marker(),), "voltage range", f"{root}:VOLT:RANG?", MARKER_V, RANGE_SLACK * MARKER_V)

    def widest(self) -> None:
        """The ranges of the digitizer that hold whatever the module can give. Raises RefusedError, ReadBackError."""
        widest = self.module.current_ranges_a[-1], self.module.voltage_ranges_v[-1]
        self.set_ranges("SENS", *widest)
        self.check_errors("its widest ranges")
        self.ranges_held("SENS", *widest)

    def ranges_a(self, current_range_a: float | None) -> tuple[float, ...]:
        """The ranges that a record will move between: none with a fixed range. Raises OutOfRangeError without seamless ranging."""
        if current_range_a is not None:
            return ()
        if not self.module.seamless_a:
            raise OutOfRangeError(f"{self.name}: an {self.module.name} has no seamless ranging: name a current range")
        return self.module.seamless_a

    def channels(self, *, marker: bool) -> tuple[int, ...]:
        return (self.options.channel, self.marker()) if marker else (self.options.channel,)

    def marker(self) -> int:
        """The marker's channel. Raises OutOfRangeError when the bench file names none."""
        if self.options.marker_channel is None:
            raise OutOfRangeError(
                f"{self.name}: the marker needs option marker_channel, a second {self.module.name} wired to the DUT's marker line"
            )
        return self.options.marker_channel

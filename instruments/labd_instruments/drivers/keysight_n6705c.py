"""Keysight N6705C mainframe with an N6781A: feeds the DUT, logs without gaps, digitizes around a trigger.

The commands' documents are listed in `_n6705c`; letters in brackets name them.
"""

from __future__ import annotations

import contextlib

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, identified, switching_off, within
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    ProtectionLevels,
    Reading,
    StreamEnd,
    StreamSetup,
)
from labd_instruments.drivers import _n6705c_watchdog as watchdog
from labd_instruments.drivers._n6705c import (
    CURRENT_ABOVE_A,
    CURRENT_RANGES_A,
    DISCONNECTS,
    HIGH_CURRENT_BELOW_V,
    LIMITS,
    MAINFRAMES,
    MODULE,
    QUESTIONABLE,
    VOLTAGE_RANGES_V,
    Mainframe,
    Options,
    at,
)
from labd_instruments.drivers._n6705c_digitizer import Digitizer
from labd_instruments.drivers._n6705c_elog import Elog
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError, ReplyError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "N6705C", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "GuardsItself", "Streams", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"(KEYSIGHT|AGILENT).*,N670[0125][ABC],"
EVIDENCE = Evidence.EXPERIMENTAL  # as long as strings marked [-] are among its commands; the others are by manual
OFF_ASSURANCE = OffAssurance.SECOND_SESSION  # [E p53] up to four simultaneous sockets; each may send OUTP OFF
SEES_OUTPUT_WHEN_OFF = False  # either turn-off mode ends with the output disconnected, the meter with it as far as any page says


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> N6705C:
    """Open the mainframe at `resource` (or on `link`) and check who answers.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (marker on the feeding channel).
    """
    if options.marker_channel == options.channel:
        raise OutOfRangeError(f"{name}: option marker_channel is {options.channel}, which is the channel that feeds the DUT")
    return identified(N6705C(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch every output off by a session of its own. Raises OutputNotOffError.

    Another session stuck in a read does not matter: mainframes of this family serve several sockets at once [E p53].
    """
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        count = scpi.integers(link.query("SYST:CHAN:COUN?"), "the number of channels")[0]  # [-]
        _switch_off(resource, link, tuple(range(1, count + 1)))


def _switch_off(name: str, link: Link, channels: tuple[int, ...]) -> None:
    everything = at(*channels)
    link.write(f"ABOR:ELOG {everything}")  # [A p161]
    link.write(f"ABOR:ACQ {everything}")  # [-]
    link.write(f"OUTP OFF,{everything}")  # [C]
    link.resync()  # no reply of before may pass for the output's state; clearing may lose what was sent, hence once more
    link.write(f"OUTP OFF,{everything}")
    states = scpi.booleans(link.query(f"OUTP? {everything}"), "the output state")
    if len(states) != len(channels):
        raise ReplyError(f"{name}: the output state of {len(channels)} channels was asked for, {len(states)} came")
    still_on = [channel for channel, on in zip(channels, states, strict=True) if on]
    if still_on:
        raise OutputNotOffError(f"{name}: output {', '.join(map(str, still_on))} reads back on after OUTP OFF")


class N6705C:
    """One mainframe: `options.channel` feeds and measures, `options.marker_channel` reads the marker line."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    source_limits = LIMITS
    watchdog_range_s = watchdog.RANGE_S
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._box = Mainframe(name, link, options, clock)
        # the base accuracy of an N6781A is in no page at hand: without the bench file's rows nothing is known
        self._accuracy = AccuracyTable().declared(declared)
        self._all = self._box.channels(marker=options.marker_channel is not None)
        self._elog = Elog(self._box)
        self._digitizer = Digitizer(self._box)

    # --- Instrument ---

    def identify(self) -> Identity:
        who = scpi.identity(self._box.link.query("*IDN?"))
        if not who.model.upper().startswith(MAINFRAMES):
            raise WrongInstrumentError(f"{self.name}: {self._box.link.resource} is a {who.maker} {who.model}, wanted is a Keysight N6705C")
        for channel in self._all:
            module = scpi.unquoted(self._box.link.query(f"SYST:CHAN:MOD? {at(channel)}"))  # [-]
            if module != MODULE:
                raise WrongInstrumentError(f"{self.name}: channel {channel} holds a {module or 'nothing'}, wanted is an {MODULE}")
        return who

    def reset(self) -> None:
        self._elog.forget()
        self._digitizer.forget()
        self._box.link.write("*RST")
        self._box.link.write("*CLS")
        watchdog.clear(self._box, at(*self._all))
        self._box.link.write("FORM REAL")  # [C p146] ASCII makes the shortest period five times as long
        self._box.link.write("FORM:BORD NORM")  # [A p161] most significant byte first
        self._box.link.write(f"EMUL PS2Q,{self._box.main}")  # [U p88, N6705 User's Guide p64: two quadrants] [-]
        if self._box.options.marker_channel is not None:
            self._prepare_marker(self._box.options.marker_channel)
        if self._box.options.fire_pin is not None:
            self._box.link.write(f"DIG:PIN{self._box.options.fire_pin}:FUNC TOUT")  # [A p154, p222]
            self._box.link.write(f"DIG:PIN{self._box.options.fire_pin}:POL {self._box.options.fire_polarity}")  # [A p154, p222]
        self.check_errors("its reset")

    def _prepare_marker(self, channel: int) -> None:
        """A voltmeter, or nothing: an output that were still a source would drive the DUT's pin."""
        self._box.link.write(f"EMUL VMET,{at(channel)}")  # [-]
        mode = self._box.link.query(f"EMUL? {at(channel)}").strip().upper()
        if mode[:4] != "VMET":
            raise ReadBackError(f"{self.name}: channel {channel} was set to EMUL VMET and reads back {mode}")

    def check_errors(self, doing: str) -> None:
        self._box.check_errors(doing)

    def make_safe(self) -> None:
        self._elog.forget()
        with switching_off(self.name):
            _switch_off(self.name, self._box.link, self._all)

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._box.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._elog.forget()
        self._digitizer.forget()
        self._box.link.write(f"ABOR:ELOG {at(*self._all)}")  # [A p161]
        self._box.link.write(f"ABOR:ACQ {at(*self._all)}")  # [-]
        self._box.set_ranges("SENS", CURRENT_RANGES_A[-1], VOLTAGE_RANGES_V[-1])
        self.check_errors("the end of its acquisitions")

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        if levels.voltage_v is not None:
            within(f"{self.name}: over-voltage protection", levels.voltage_v, low=0.0, high=22.0, unit="V", limit=f"{MODULE}, [C p304]")
            # an N678xA senses over-voltage at the sense terminals [U p126]
            self._box.link.write(f"VOLT:PROT:REM {scpi.number(levels.voltage_v)},{self._box.main}")  # [C p304]
        within(f"{self.name}: current limit", levels.current_a, low=0.0, high=LIMITS.current_a, unit="A", limit=MODULE)
        self._box.link.write(f"CURR:LIM {scpi.number(levels.current_a)},{self._box.main}")  # [-]
        self._box.link.write(f"OUTP:PROT:DEL {scpi.number(levels.current_delay_s)},{self._box.main}")  # [-]
        self._box.link.write(f"CURR:PROT:STAT {'ON' if levels.current_trip else 'OFF'},{self._box.main}")  # [-]
        self.check_errors("its protection levels")
        return self._protection(levels)

    def _protection(self, wanted: ProtectionLevels) -> ProtectionLevels:
        voltage = None
        if wanted.voltage_v is not None:
            voltage = self._box.same("over-voltage protection", "VOLT:PROT:REM?", wanted.voltage_v, 0.01)
        current = self._box.same("current limit", "CURR:LIM?", wanted.current_a, 1e-3 * wanted.current_a + 1e-5)
        delay = self._box.same("over-current delay", "OUTP:PROT:DEL?", wanted.current_delay_s, 1e-3)
        trips = scpi.booleans(self._box.link.query(f"CURR:PROT:STAT? {self._box.main}"), "over-current protection")[0]
        if trips != wanted.current_trip:
            raise ReadBackError(f"{self.name}: over-current protection was set to {wanted.current_trip} and reads back {trips}")
        return ProtectionLevels(voltage, current, trips, delay)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._box.link.write(f"VOLT:SENS:SOUR {'EXT' if on else 'INT'},{self._box.main}")  # [-]
        self.check_errors("remote sense")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        # LOWZ programs the output to zero before it is disconnected, HIGHZ only disconnects [A p251 for the same pair of words]
        self._box.link.write(f"OUTP:TMOD {'LOWZ' if sinking else 'HIGHZ'},{self._box.main}")  # [-]
        self.check_errors("the turn-off mode")

    def set_voltage(self, volt: float) -> None:
        within(f"{self.name}: voltage", volt, low=0.0, high=LIMITS.voltage_v, unit="V", limit=MODULE)
        if volt > HIGH_CURRENT_BELOW_V:
            limit = self._box.number("CURR:LIM?", "current limit")
            within(f"{self.name}: current limit above 6 V", limit, low=0.0, high=CURRENT_ABOVE_A, unit="A", limit="N6700 User's Guide p122")
        self._box.link.write(f"VOLT {scpi.number(volt)},{self._box.main}")  # [C]
        self.check_errors(f"{volt:g} V")

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._box.link.write(f"OUTP {'ON' if on else 'OFF'},{self._box.main}")  # [C]
        self.check_errors("its output state")
        if self.output_is_on() != on:
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back the opposite")

    def output_is_on(self) -> bool:
        return scpi.booleans(self._box.link.query(f"OUTP? {self._box.main}"), f"{self.name}: the output state")[0]

    def disconnected(self) -> bool:
        return bool(self._questionable() & DISCONNECTS)

    def measure_output(self) -> Reading:
        if self._elog.running:
            raise OutOfRangeError(f"{self.name}: a quick reading would disturb the running log; stop_stream comes first")
        return self._digitizer.measure()

    def tripped(self) -> str | None:
        bits = self._questionable()
        return ", ".join(words for bit, words in QUESTIONABLE.items() if bits & bit) or None

    def _questionable(self) -> int:
        reply = self._box.link.query(f"STAT:QUES:COND? {self._box.main}")  # [O p350]
        return scpi.integers(reply, f"{self.name}: the questionable status")[0]

    # --- GuardsItself ---

    def set_watchdog(self, delay_s: float | None) -> None:
        watchdog.switch(self._box, delay_s)

    def feed_watchdog(self) -> None:
        self._box.link.query("*STB?")  # IEEE 488.2: reading it clears nothing

    # --- Streams ---

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        return self._elog.configure(setup)

    def start_stream(self) -> None:
        self._elog.start()

    def read_block(self) -> Block | None:
        return self._elog.read()

    def stop_stream(self) -> StreamEnd:
        return self._elog.stop()

    # --- Captures ---

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        return self._digitizer.configure_capture(setup)

    def arm(self) -> None:
        self._digitizer.arm()

    def fire(self) -> None:
        self._digitizer.fire()

    def captured(self) -> bool:
        return self._digitizer.captured()

    def fetch(self) -> tuple[Block, ...]:
        return self._digitizer.fetch()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        return self._digitizer.configure_mean(setup)

    def read_mean(self) -> Reading | None:
        return self._digitizer.read_mean()

    def zero(self) -> None:
        """Nothing: an N6781A offers no zero of its own; the bench's zero (open leads) is labd's."""

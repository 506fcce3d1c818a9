"""Keysight N6705C or N6700C mainframe with a source-measure module: feeds the DUT, logs without gaps, digitizes around a trigger.

Modules: N6781A, N6782A, N6784A, N6785A, N6786A, as the mainframe says which one sits in the channel; what each has is in `_n6705c_models`.
The commands' documents are listed in `_n6705c`; letters in brackets name them.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, identified, switching_off
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    ProtectionLevels,
    Reading,
    Setups,
    SourceLimits,
    StreamEnd,
    StreamSetup,
)
from labd_instruments.drivers import _n6705c_pins as pins
from labd_instruments.drivers import _n6705c_watchdog as watchdog
from labd_instruments.drivers._n6705c import Mainframe, Options, at
from labd_instruments.drivers._n6705c_digitizer import Digitizer
from labd_instruments.drivers._n6705c_elog import Elog
from labd_instruments.drivers._n6705c_protection import Protection
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError, ReplyError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["CAPABILITIES", "EVIDENCE", "N6705C", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "GuardsItself", "Streams", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"(KEYSIGHT|AGILENT).*,N670[0125][ABC],"
VOLTAGE_STEP_V = 2e-3  # what a read-back may differ by: the resolution of the 20 V range is below it [-]
EVIDENCE = Evidence.BY_INDEPENDENT_DRIVER  # strings marked [V], [L], [L2], [T], [R], [G] have no page behind them; the others have
OFF_ASSURANCE = OffAssurance.SECOND_SESSION  # [E p53] up to four simultaneous sockets; each may send OUTP OFF
SLOTS = (1, 2, 3, 4)  # [C] most channels of a mainframe
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

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, OutOfRangeError (marker on the feeding
    channel, a pin used twice, an emulation that the module has not).
    """
    if options.marker_channel == options.channel:
        raise OutOfRangeError(f"{name}: option marker_channel is {options.channel}, which is the channel that feeds the DUT")
    pins.check(name, options)
    return identified(N6705C(name, link or open_link(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch every output off by a session of its own. Raises OutputNotOffError.

    Another session stuck in a read does not matter: mainframes of this family serve several sockets at once [E p53].
    """
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        _each_off(link)
        link.resync()
        _each_off(link)
        link.write("*CLS")  # that a channel is not there concerns nobody
        _switch_off(resource, link, _addressed(resource, link))


def _each_off(link: Link) -> None:
    """A channel by itself: one number that is not there gets a whole list refused, and nothing is known of the numbers as yet."""
    for channel in SLOTS:
        link.write(f"OUTP OFF,{at(channel)}")  # [C]


def _addressed(name: str, link: Link) -> tuple[int, ...]:
    """The channels that answer: a group of outputs does by its lowest number, and every output is in a group [G]. Raises ReplyError."""
    reply = link.query("SYST:GRO:CAT?")  # [G] such as `"1,2","3"`
    groups = [[int(number) for number in re.findall(r"\d+", group)] for group in re.findall(r'"([\d, ]+)"', reply)]
    count = scpi.integers(link.query("SYST:CHAN:COUN?"), "the number of channels")[0]  # [V]; not of groups [G]
    if not groups or sum(map(len, groups)) != count:
        raise ReplyError(f"{name}: it has {count} channels, and names {reply.strip() or 'none'}")
    return tuple(min(group) for group in groups)


def _switch_off(name: str, link: Link, channels: tuple[int, ...]) -> None:
    everything = at(*channels)
    link.write(f"ABOR:ELOG {everything}")  # [A p161]
    link.write(f"ABOR:ACQ {everything}")  # [T]
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
    """One mainframe: `options.channel` feeds and measures, `options.marker_channel` reads the marker line.

    source_limits: of the module that sits in the channel.
    """

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    watchdog_range_s = watchdog.RANGE_S
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._box = Mainframe(name, link, options, clock)
        self.source_limits: SourceLimits = self._box.module.limits
        self._declared = declared
        self._protection = Protection(self._box)
        self._all = self._box.channels(marker=options.marker_channel is not None)
        self._elog = Elog(self._box)
        self._digitizer = Digitizer(self._box)

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._box.module.current_ranges_a

    # --- Instrument ---

    def identify(self) -> Identity:
        box = self._box
        who = scpi.identity(box.link.query("*IDN?"))
        held: dict[int, str] = {}
        if who.model.upper().startswith("N67"):  # nobody else is asked for channels
            held = {channel: scpi.unquoted(self._held(channel)) for channel in self._all}
        box.adopt(who, held)
        self.source_limits = box.module.limits
        return replace(who, options=tuple(held.values()))

    def _held(self, channel: int) -> str:
        """What sits in a channel. Raises RefusedError where there is none."""
        return self._box.ask(
            f"SYST:CHAN:MOD? {at(channel)}", f"what sits in channel {channel}, of option channel or marker_channel"
        )  # [L] [V]

    def module_options(self) -> tuple[str, ...]:
        """What is installed in the feeding module, such as 054 or 761; empty where nothing is."""
        reply = scpi.unquoted(self._box.ask(f"SYST:CHAN:OPT? {self._box.main}", "the options of its module"))  # [L] [V]
        return tuple(found for word in reply.split(",") if (found := word.strip()) not in ("", "0", "+0"))

    def reset(self) -> None:
        self._elog.forget()
        self._digitizer.forget()
        self._protection.forget()
        self._box.link.write("*RST")
        self._box.link.write("*CLS")
        watchdog.clear(self._box, at(*self._all))
        self._box.link.write("FORM REAL")  # [C p146] ASCII makes the shortest period five times as long
        self._box.link.write("FORM:BORD NORM")  # [A p161] most significant byte first
        self._box.link.write(f"EMUL {self._box.options.emulation},{self._box.main}")  # [L2] meaning: U p88, N6705 User's Guide p64
        for quantity in ("CURR", "VOLT"):  # what a reset makes of them is in no page; a sweep holds what is on [N6700 User's Guide p74]
            self._box.link.write(f"SENS:FUNC:{quantity} ON,{self._box.main}")
        if self._box.options.marker_channel is not None:
            self._prepare_marker(self._box.options.marker_channel)
        pins.prepare(self._box)
        self.check_errors("its reset")
        # the default as well: an N6784A starts in four quadrants
        self._box.same_word("the emulation", f"EMUL? {self._box.main}", self._box.options.emulation)
        self._protection.require_clear(self._all)

    def _prepare_marker(self, channel: int) -> None:
        """A voltmeter, or nothing: an output that were still a source would drive the DUT's pin."""
        self._box.link.write(f"EMUL VMET,{at(channel)}")  # [L2]
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
        """The bench file's rows: the base accuracy of no module is in a page at hand."""
        return AccuracyTable().declared(self._declared)

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._box.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._elog.forget()
        self._digitizer.forget()
        self._box.link.write(f"ABOR:ELOG {at(*self._all)}")  # [A p161]
        self._box.link.write(f"ABOR:ACQ {at(*self._all)}")  # [T]
        self.check_errors("the end of its acquisitions")
        self._box.widest()

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        return self._protection.program(levels)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._box.set_word("VOLT:SENS:SOUR", "EXT" if on else "INT", "remote sense", self._box.main)  # [L]

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        # LOWZ programs the output to zero before it is disconnected, HIGHZ only disconnects [A p251 for the same pair of words]
        self._box.set_word("OUTP:TMOD", "LOWZ" if sinking else "HIGHZ", "the turn-off mode", self._box.main)  # [V]

    def set_voltage(self, volt: float) -> None:
        self._protection.check_voltage(volt)
        self._box.link.write(f"VOLT {scpi.number(volt)},{self._box.main}")  # [C]
        self.check_errors(f"{volt:g} V")
        self._box.same("voltage", "VOLT?", volt, VOLTAGE_STEP_V + 1e-3 * volt)

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._box.link.write(f"OUTP {'ON' if on else 'OFF'},{self._box.main}")  # [C]
        self.check_errors("its output state")
        if self.output_is_on() != on:
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back the opposite")

    def output_is_on(self) -> bool:
        return scpi.booleans(self._box.link.query(f"OUTP? {self._box.main}"), f"{self.name}: the output state")[0]

    def disconnected(self) -> bool:
        return self._protection.disconnected()

    def measure_output(self) -> Reading:
        if self._elog.running:
            raise OutOfRangeError(f"{self.name}: a quick reading would disturb the running log; stop_stream comes first")
        return self._digitizer.measure()

    def tripped(self) -> str | None:
        return self._protection.tripped()

    def mark(self, high: bool) -> None:  # noqa: FBT001 - one plain switch
        """Switch the digital pin of option mark_pin, a marker for whoever records it; it comes as late as the exchange does.

        Raises OutOfRangeError without that option, RefusedError, ReadBackError.
        """
        pins.mark(self._box, high=high)

    # --- GuardsItself ---

    def set_watchdog(self, delay_s: float | None) -> None:
        watchdog.switch(self._box, delay_s)

    def feed_watchdog(self) -> None:
        self._box.link.query("*STB?")  # IEEE 488.2: reading it clears nothing

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        options = self._box.options
        return Setups(
            seamless=bool(self._box.module.seamless_a), marker_wired=options.marker_channel is not None, fires=options.fire_pin is not None
        )

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if isinstance(setup, MeanSetup):
            return self._digitizer.aperture_s(setup.aperture_s)
        part = self._elog if isinstance(setup, StreamSetup) else self._digitizer
        return part.interval_s(setup.dt_s, parameters=2 + setup.with_marker)

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
        """Nothing: an N678xA offers no zero of its own; the bench's zero (open leads) is labd's."""

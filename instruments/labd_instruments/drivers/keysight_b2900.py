"""Keysight B2901A, B2902A, B2911A, B2912A (SCPI): feeds the DUT, captures current and voltage by timer, takes integrated readings.

Sources of the command strings as in `_b2900`.
"""

from __future__ import annotations

import contextlib

from labd_instruments import intervals, scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, configured, identified, same, switching_off, within
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
    StreamSetup,
)
from labd_instruments.drivers import _b2900_accuracy
from labd_instruments.drivers._b2900 import (
    LIMITS,
    LOWEST_HIGH_CAPACITANCE_A,
    MODELS,
    PROTECTION,
    VOLTAGE_RANGES,
    Channel,
    Options,
    covering,
    largest_current,
)
from labd_instruments.drivers._b2900_capture import TimedCapture
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.links.visa import open_link

__all__ = ["B2900", "CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Captures", "Measures")
ROLES = ("source", "meter")
IDENTIFIES = r"(KEYSIGHT|AGILENT).*,\s*B29[01][12]A,"
EVIDENCE = Evidence.BY_INDEPENDENT_DRIVER
# No page says whether it serves a second socket while one is stuck: what a 2461 is granted holds here too, a guard that owns the link.
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK
SEES_OUTPUT_WHEN_OFF = False  # UG p. 6-13: the relay is open, or a source of 0 V drives the terminals

QUICK_APERTURE_S = 2e-3
SHORTEST_APERTURE_S = 8e-6  # p. 4-73
STEP_V = 100e-6  # setting resolution of the highest range (K p. 2-36)
ELEMENTS = "VOLT,CURR,TIME,STAT"  # the order is fixed whatever is asked (K p. 4-21)


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> B2900:
    """Open the instrument at `resource` (or on `link`) and check who answers, and that it has the channel.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError. clock is not needed: captures are counted and carry time stamps.
    """
    del clock
    return identified(B2900(name, link or open_link(resource, options.timeout_s), options, declared))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own, every channel there is. Raises OutputNotOffError."""
    with switching_off(resource), contextlib.closing(open_link(resource, timeout_s)) as link:
        model = MODELS.get(scpi.identity(link.query("*IDN?")).model.upper())
        for number in range(1, (model.channels if model else 1) + 1):
            _switch_off(resource, link, number)


def _switch_off(name: str, link: Link, number: int) -> None:
    link.write(f":ABOR:ALL (@{number})")  # [V]
    link.write(f":OUTP{number} OFF")
    link.resync()  # no reply of before may pass for the output's state; clearing may lose what was sent, hence once more
    link.write(f":OUTP{number} OFF")
    if scpi.booleans(link.query(f":OUTP{number}?"), "the output state")[0]:
        raise OutputNotOffError(f"{name}: the output reads back on after :OUTP{number} OFF")


class B2900:
    """One channel of a B2900A."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    source_limits = LIMITS
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF
    voltage_ranges_v = VOLTAGE_RANGES
    crest_factor = 1.0

    def __init__(self, name: str, link: Link, options: Options, declared: tuple[AccuracyRow, ...]) -> None:
        self.name = name
        self._channel = Channel(name, link, options)
        self._declared = declared
        self._capture = TimedCapture(self._channel)
        self._line_hz: float | None = None
        self._mean: Acquisition | None = None

    @property
    def current_ranges_a(self) -> tuple[float, ...]:
        return self._channel.model.current_ranges

    # --- Instrument ---

    def identify(self) -> Identity:
        channel = self._channel
        who = scpi.identity(channel.link.query("*IDN?"))
        model = MODELS.get(who.model.upper())
        if model is None:
            wanted = ", ".join(MODELS)
            raise WrongInstrumentError(f"{self.name}: {channel.link.resource} is a {who.maker} {who.model}, wanted is one of {wanted}")
        if channel.number > model.channels:
            raise WrongInstrumentError(f"{self.name}: a {who.model} has {model.channels} channel, option channel is {channel.number}")
        channel.model = model
        return who

    def reset(self) -> None:
        self._forget()
        channel, link, n = self._channel, self._channel.link, self._channel.number
        link.write("*RST")
        link.write("*CLS")
        # a measurement must never switch the output on by itself, which a reset leaves it to do (K p. 4-67)
        channel.set_switch(f":OUTP{n}:ON:AUTO", "automatic output on", on=False)
        channel.set_switch(f":OUTP{n}:OFF:AUTO", "automatic output off", on=False)  # [V]
        channel.set_word(f":SOUR{n}:FUNC:MODE", "VOLT", "the source function")  # [V]
        link.write(f":SOUR{n}:VOLT:MODE FIX")  # [V]
        channel.measure(voltage=True)
        channel.set_switch(f":SENS{n}:WAIT", "the wait of its meter", on=False)  # p. 4-91: firing must not hold the timer up
        channel.fix_current_range(covering(channel.model.current_ranges, channel.limit_a()))
        channel.set_switch(f":OUTP{n}:HCAP", "high capacitance mode", on=channel.options.high_capacitance)  # [V]
        link.write(":FORM ASC")
        channel.set_word(":FORM:BORD", "SWAP", "the byte order")  # K p. 4-19
        link.write(f":FORM:ELEM:SENS {ELEMENTS}")
        self.check_errors("its reset")
        self._line_hz = self._ask_line_hz()

    def check_errors(self, doing: str) -> None:
        self._channel.check_errors(doing)

    def make_safe(self) -> None:
        with switching_off(self.name):
            _switch_off(self.name, self._channel.link, self._channel.number)

    def accuracy(self) -> AccuracyTable:
        """The rows hold at whole line cycles. Before the instrument has told its line frequency they are those of 50 Hz, the stricter."""
        table = _b2900_accuracy.table(fine=self._channel.model.fine, line_hz=self._line_hz or 50.0)
        return table.declared(self._declared)

    def line_frequency_hz(self) -> float | None:
        if self._line_hz is None:
            self._line_hz = self._ask_line_hz()
        return self._line_hz

    def _ask_line_hz(self) -> float:
        """What it has been told by `:SYST:LFR`; it does not measure it."""
        return within(
            self._channel.what("the line frequency"),
            self._channel.value(":SYST:LFR?", "the line frequency"),  # [S] sets it
            low=50.0,
            high=60.0,
            unit="Hz",
            limit="50 or 60 Hz",
        )

    def close(self) -> None:
        self._channel.link.close()

    def _forget(self) -> None:
        self._capture.forget()
        self._mean = None

    # --- Sources ---

    def halt(self) -> None:
        self._forget()
        channel = self._channel
        channel.link.write(f":ABOR:ALL {channel.listed}")  # [V]
        channel.link.write(f":FORM:ELEM:SENS {ELEMENTS}")
        channel.measure(voltage=True)
        channel.set_aperture(QUICK_APERTURE_S)
        channel.fix_current_range(covering(channel.model.current_ranges, channel.limit_a()))
        self.check_errors("the end of its acquisitions")

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Current limit as asked, and switching off at it where no delay is asked. It has no over-voltage level: the answer has None.

        `open_lead_v` is None too: that force and sense may be 3 V apart at most (data sheet p. 17) is what its regulation is specified
        for, and no page says that anything holds the output there when a sense lead opens.
        The voltage range that holds `voltage_v` is fixed, so that a ramp crosses no range change; it sources 105 % of itself at most.
        """
        channel, n, what = self._channel, self._channel.number, self._channel.what("current limit")
        volt = levels.voltage_v
        if volt is not None:
            within(channel.what("voltage"), volt, low=0.0, high=LIMITS.voltage_v, unit="V", limit="K p. 2-36")
        low = LOWEST_HIGH_CAPACITANCE_A if channel.options.high_capacitance else channel.model.current_ranges[0]
        within(what, levels.current_a, low=low, high=largest_current(volt or 0.0), unit="A", limit="K p. 2-36")
        limit_a = channel.set_number(f":SENS{n}:CURR:PROT", levels.current_a, "current limit", tolerance=1e-3)  # p. 4-76
        if volt is not None:
            channel.set_number(f":SOUR{n}:VOLT:RANG", covering(VOLTAGE_RANGES, volt), "the voltage range")  # [V]
        trips = levels.current_trip and levels.current_delay_s <= 0
        channel.set_switch(f":OUTP{n}:PROT", "switching off at the limit", on=trips)  # K p. 4-67: at once, no delay
        channel.fix_current_range(covering(channel.model.current_ranges, limit_a))
        self.check_errors("its protection levels")
        return ProtectionLevels(None, same(what, levels.current_a, limit_a, tolerance=1e-3 * levels.current_a), current_trip=trips)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._channel.set_switch(f":SENS{self._channel.number}:REM", "remote sense", on=on)  # [P] [S]
        self.check_errors("remote sense")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        """ZERO drives 0 V with 100 uA at most, HIZ opens the relay; it counts from the next switching on (UG p. 6-13)."""
        self._channel.set_word(f":OUTP{self._channel.number}:OFF:MODE", "ZERO" if sinking else "HIZ", "the output-off state")  # K p. 4-67
        self.check_errors("the output-off state")

    def set_voltage(self, volt: float) -> None:
        channel, root = self._channel, f":SOUR{self._channel.number}:VOLT"
        within(channel.what("voltage"), volt, low=0.0, high=LIMITS.voltage_v, unit="V", limit="K p. 2-36")
        channel.set_number(root, volt, "voltage", step=STEP_V)  # p. 4-93
        channel.set_number(f"{root}:TRIG", volt, "the triggered voltage", step=STEP_V)  # p. 4-93: what firing the DUT sets
        self.check_errors(f"{volt:g} V")

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        if on:
            self._channel.require_load()
        self._channel.link.write(f":OUTP{self._channel.number} {'ON' if on else 'OFF'}")  # [V]
        self.check_errors("its output state")
        if self.output_is_on() != on:
            raise ReadBackError(f"{self.name}: output was switched {'on' if on else 'off'} and reads back the opposite")

    def output_is_on(self) -> bool:
        return scpi.booleans(self._channel.ask(f":OUTP{self._channel.number}?", "the output state"), f"{self.name}: the output state")[0]

    def disconnected(self) -> bool:
        return bool(self._channel.questionable() & PROTECTION[self._channel.number])

    def measure_output(self) -> Reading:
        return self._read("the output")[0]

    def tripped(self) -> str | None:
        channel = self._channel
        limiting = scpi.booleans(channel.ask(f":SENS{channel.number}:CURR:PROT:TRIP?", "the limit's state"), "the limit's state")[0]
        state = channel.questionable()  # p. 4-77 for the limit, K p. 4-152 for these
        found = ["current limit"] * limiting
        found += [text for bit, text in ((1, "over voltage"), (2, "over current"), (16, "over temperature")) if state & bit]
        found += ["switched off at the limit"] * bool(state & PROTECTION[channel.number])
        return ", ".join(found) or None

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(fires=self._channel.options.fire_line is not None)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if not isinstance(setup, MeanSetup):
            return self._capture.interval_s(setup.dt_s)
        return intervals.between(setup.aperture_s, low_s=SHORTEST_APERTURE_S, high_s=self._longest_aperture_s())

    def _longest_aperture_s(self) -> float:
        return self._channel.options.timeout_s / 3  # voltage, current, and what the exchange takes

    # --- Captures ---

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        self._mean = None
        return self._capture.configure(setup)

    def arm(self) -> None:
        self._capture.arm()

    def fire(self) -> None:
        self._capture.fire()

    def captured(self) -> bool:
        return self._capture.captured()

    def fetch(self) -> tuple[Block, ...]:
        return self._capture.fetch()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        channel = self._channel
        most = self._longest_aperture_s()
        within(
            channel.what("aperture"),
            setup.aperture_s,
            low=SHORTEST_APERTURE_S,
            high=most,
            unit="s",
            limit="p. 4-73 and a third of timeout_s",
        )
        if setup.current_range_a is None:
            raise OutOfRangeError(f"{self.name}: seamless ranging is asked for, a B2900A has fixed ranges only")
        self.halt()
        range_a = channel.fix_current_range(setup.current_range_a)
        aperture_s = channel.set_aperture(setup.aperture_s)
        self.check_errors("the set-up of its readings")
        sense = channel.ask(f":SENS{channel.number}:REM?", "the sense mode")
        self._mean = Acquisition(
            dt_ns=round(setup.aperture_s * 1e9),
            columns=("current", "voltage"),
            aperture_s=aperture_s,
            current_range_a=range_a,
            voltage_range_v=channel.source_range_v(),
            remote_sense=scpi.booleans(sense, f"{self.name}: the sense mode")[0],
            settings={
                "acquisition": "spot measurement",
                "filter": "none",
                "auto_zero": "none that a command reaches",
                "current_limit_a": scpi.number(channel.limit_a()),
                "high_capacitance": "on" if channel.options.high_capacitance else "off",
            },
        )
        return self._mean

    def read_mean(self) -> Reading | None:
        configured(self._mean, self.name, "mean")
        reading, status = self._read("a reading")
        self._channel.judged(status, "a reading")
        return reading

    def _read(self, what: str) -> tuple[Reading, int]:
        """One spot measurement with the settings as they are (it does not switch the output on, as :READ? may) and its status data."""
        channel = self._channel
        reply = channel.ask(f":MEAS? {channel.listed}", what)  # [S]
        voltage, current, _, status = scpi.values(reply, channel.what(what), 4)
        return Reading(current, voltage), round(status)

    def zero(self) -> None:
        """Nothing to send: the command reference has no zeroing besides the self-calibration, which wants open terminals."""

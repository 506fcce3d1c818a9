"""ST X-NUCLEO-LPM01A (PowerShield, USB serial port): feeds the DUT with 1.8 to 3.3 V and streams its current up to 50 mA.

Sources as in `_lpm01a`. Only the voltage and the output read back; every other setting is acknowledged, and the samples are held against
the instrument's own time stamps. Its accuracy is no limit of error: UM2243 Rev 2 p. 24 says "in the range of 2%" of dynamic measurement,
so that nothing is known without the bench file's rows.
"""

from __future__ import annotations

import contextlib
import math

from labd_instruments import intervals
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, accepted_without_limit, ceiling_v, configured, identified, switching_off, within
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
    StreamEnd,
    StreamSetup,
)
from labd_instruments.drivers._lpm01a import BAUD, LIMITS, VOLTAGE_V, Kit, Options, frequencies, frequency
from labd_instruments.drivers._lpm01a_log import BEHIND_S, Log, Mean, acquisition, look, mean_aperture_s, mean_frequency, ranges
from labd_instruments.errors import OutOfRangeError, OutputNotOffError
from labd_instruments.links.serial import SerialLink, open_serial

__all__ = ["CAPABILITIES", "EVIDENCE", "LPM01A", "OFF_ASSURANCE", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Streams", "Measures")
ROLES = ("source", "meter")
USB = ((0x0483, 0x5740),)  # the ST virtual COM port, which other boards have as well
# The commands are by several independent programs and by the firmware's help text; the layout of 'pwr get' and 'status' is by none.
EVIDENCE = Evidence.EXPERIMENTAL
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK  # as with every serial port: one program's alone
SEES_OUTPUT_WHEN_OFF = False  # it measures no voltage


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: SerialLink | None = None,
    clock: Clock = HOST_CLOCK,
) -> LPM01A:
    """Open the port (or take `link`), end an acquisition that somebody left running, and ask for the board's number.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError.
    """
    opened = link or open_serial(resource, options.timeout_s, baud=BAUD)
    return identified(LPM01A(name, opened, options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own. Raises OutputNotOffError."""
    with switching_off(resource), contextlib.closing(open_serial(resource, timeout_s, baud=BAUD, exclusive=False)) as link:
        _switch_off(Kit(resource, link, Options()))


def _switch_off(kit: Kit) -> None:
    kit.link.send(b"\n")
    kit.tell("pwr off")  # it is taken during an acquisition too, and before one that will not end can keep it from being sent
    kit.silence()
    kit.order("htc")
    kit.order("pwr off")
    if kit.powered():
        raise OutputNotOffError(f"{kit.name}: was switched off, and 'pwr get' says on")


class LPM01A:
    """One X-NUCLEO-LPM01A."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE
    source_limits = LIMITS
    lowest_v = VOLTAGE_V[0]
    sees_output_when_off = SEES_OUTPUT_WHEN_OFF

    def __init__(self, name: str, link: SerialLink, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._kit = Kit(name, link, options)
        self._clock = clock
        self._accuracy = AccuracyTable().declared(declared)
        self._log: Log | None = None
        self._mean: Mean | None = None
        self._on = False
        self._volt: float | None = None  # as it reads back
        self._ceiling_v = VOLTAGE_V[1]

    # --- Instrument ---

    def identify(self) -> Identity:
        self._quiet("its identity")
        self._kit.silence()
        board, version = self._kit.identity()
        return Identity("STMicroelectronics", "X-NUCLEO-LPM01A", board, version)

    def reset(self) -> None:
        """Off, at 1.8 V, under the host's control, calibrated."""
        self._forget()
        self._on = False
        _switch_off(self._kit)
        self._kit.order("pwrend on")  # the end of an acquisition does not switch the target
        self._volt, self._ceiling_v = self._kit.regulate(VOLTAGE_V[0]), VOLTAGE_V[1]
        self._kit.calibrate()
        self._kit.tripped = None
        self._kit.status()

    def check_errors(self, doing: str) -> None:
        """Its status; while it streams it cannot be asked, and says what goes wrong among the samples."""
        if not self._busy():
            self._kit.status()

    def make_safe(self) -> None:
        self._forget()
        with switching_off(self.name):
            _switch_off(self._kit)
            self._on = False

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        """The board stays under the host's control: handing it back would give the output to its own keys."""
        self._kit.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._forget()
        self._kit.silence()

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Nothing can be programmed: the voltage is held by this driver alone, the current by the instrument's own protection from 59 mA
        on (UM2243 Rev 2 p. 24), which option no_current_limit accepts for a lower limit. Raises OutOfRangeError without it."""
        self._ceiling_v = ceiling_v(self.name, levels.voltage_v, self._ceiling_v, VOLTAGE_V[1])
        but = f"an LPM01A has none to program and protects itself from {LIMITS.current_a:g} A on"
        accepted_without_limit(self.name, levels, LIMITS.current_a, accepted=self._kit.options.no_current_limit, but=but)
        return ProtectionLevels(None, LIMITS.current_a)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        if on:
            raise OutOfRangeError(f"{self.name}: remote sense was asked for, an LPM01A has no sense leads")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        if sinking:
            raise OutOfRangeError(f"{self.name}: a sinking off state was asked for, nothing says that an LPM01A has one")

    def set_voltage(self, volt: float) -> None:
        self._quiet("a new voltage")
        within(f"{self.name}: voltage", volt, low=VOLTAGE_V[0], high=VOLTAGE_V[1], unit="V", limit="LPM01A")
        within(f"{self.name}: voltage", volt, low=0.0, high=self._ceiling_v, unit="V", limit="its protection")
        self._volt = self._kit.regulate(volt)

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._quiet("another output state")
        if not on:
            self._on = False
            _switch_off(self._kit)
            return
        volt = self._kit.number("volt get")
        within(f"{self.name}: voltage", volt, low=0.0, high=self._ceiling_v * 1.01, unit="V", limit="its protection, 1 % for its setting")
        self._kit.tripped = None
        self._kit.power(on=True)
        self._on = True

    def output_is_on(self) -> bool:
        """As it reads back; while it streams it cannot be asked."""
        if self._busy():
            return self._on and self._kit.tripped is None
        return self._kit.powered()

    def disconnected(self) -> bool:
        return self._on and not self._busy() and not self._kit.powered()

    def measure_output(self) -> Reading:
        """Current over 100 ms. The voltage is what 'volt get' reads back while on, NaN when off."""
        self._quiet("a quick reading")
        current = look(self._kit)
        return Reading(current, self._voltage() if self._on else math.nan)

    def tripped(self) -> str | None:
        """What it said of over-current during an acquisition: at other times it says nothing of the kind."""
        return self._kit.tripped

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(seamless=True, fixed_ranges=False, measures_voltage=False, late_s=BEHIND_S)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        if isinstance(setup, MeanSetup):
            return mean_aperture_s(self._kit, setup.aperture_s)
        return intervals.at_or_above(setup.dt_s, [1 / hz for hz in frequencies(self._kit)])

    # --- Streams ---

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        if setup.with_marker:
            raise OutOfRangeError(f"{self.name}: a marker was asked for, an LPM01A records no line with its samples")
        ranges(self._kit, setup.current_range_a, setup.voltage_range_v)
        hz = frequency(self._kit, setup.dt_s)
        self.halt()
        taken = acquisition(self._kit, self._voltage(), hz, dt_s=1 / hz, columns=("current", "voltage"))
        self._log = Log(self._kit, self._clock, hz, self._voltage())
        return taken

    def start_stream(self) -> None:
        self._configured().start()

    def read_block(self) -> Block | None:
        return self._configured().read()

    def stop_stream(self) -> StreamEnd:
        log, self._log = self._configured(), None
        return log.stop()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        hz = mean_frequency(self._kit, setup)
        self.halt()
        taken = acquisition(self._kit, self._voltage(), hz, dt_s=setup.aperture_s, columns=("current", "voltage"))
        self._mean = Mean(Log(self._kit, self._clock, hz, self._voltage(), confirmed=True), setup.aperture_s, self._voltage())
        return taken

    def read_mean(self) -> Reading | None:
        return configured(self._mean, self.name, "mean").read()

    def zero(self) -> None:
        """Self-calibration while the output is off; while on nothing, because it calibrated itself when its voltage was set."""
        if self._busy():
            raise OutOfRangeError(f"{self.name}: a zero would disturb what runs; it comes before the first reading")
        if not self._on:
            self._kit.calibrate()

    # --- what is shared ---

    def _configured(self) -> Log:
        return configured(self._log, self.name, "stream")

    def _streaming(self) -> bool:
        return self._log is not None and self._log.running

    def _busy(self) -> bool:
        return self._streaming() or (self._mean is not None and self._mean.running)

    def _forget(self) -> None:
        """Whatever runs is ended by `silence`, which comes next."""
        self._log = self._mean = None

    def _quiet(self, what: str) -> None:
        """Raises OutOfRangeError while a stream runs: nothing can be read back through it."""
        if self._streaming():
            raise OutOfRangeError(f"{self.name}: {what} would disturb the running stream; stop_stream comes first")
        self._forget_mean()

    def _forget_mean(self) -> None:
        mean, self._mean = self._mean, None
        if mean is not None:
            mean.stop()

    def _voltage(self) -> float:
        if self._volt is None:
            raise OutOfRangeError(f"{self.name}: no voltage has been set; reset or set_voltage comes first")
        return self._volt

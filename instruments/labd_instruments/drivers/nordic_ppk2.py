"""Nordic Power Profiler Kit II (PPK2, USB serial port): feeds the DUT or stands in its supply line, streams current and 8 logic lines.

Sources as in `_ppk2`. It has neither an error queue nor a reading of its voltage nor a current limit; no document gives its accuracy as
a limit (Nordic's user guide has typical values), so that nothing is known without the bench file's rows.
"""

from __future__ import annotations

import contextlib
import math

from labd_instruments import intervals
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import (
    HOST_CLOCK,
    Clock,
    accepted_without_limit,
    ceiling_v,
    configured,
    identified,
    same,
    switching_off,
    within,
)
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
from labd_instruments.drivers._ppk2 import (
    AMPERE,
    LIMITS,
    MODES,
    POWER_OFF,
    POWER_ON,
    SOURCE,
    VOLTAGE_V,
    Kit,
    Metadata,
    Options,
)
from labd_instruments.drivers._ppk2_log import DT_S, LONGEST_MEAN_S, Log, Mean, acquisition, look, mean_setup, stream_setup
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError
from labd_instruments.links.serial import SerialLink, open_serial

__all__ = ["CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "PPK2", "ROLES", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Sources", "Streams", "Measures")
ROLES = ("source", "meter")
USB = ((0x1915, 0xC00A),)
EVIDENCE = Evidence.EXPERIMENTAL  # the bytes are by Nordic's application and independent drivers, the reading back of VDD is by none
# The port is one program's alone. A second one is tried without the lock, where the system lets it; only a guard that ends the process
# that holds the port makes sure of it. Another program's bytes reach the instrument, but its answer may go to either.
OFF_ASSURANCE = OffAssurance.GUARD_OWNS_LINK
SEES_OUTPUT_WHEN_OFF = False  # it measures no voltage at all


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: SerialLink | None = None,
    clock: Clock = HOST_CLOCK,
) -> PPK2:
    """Open the port (or take `link`), end a stream that somebody left running, and read the metadata.

    Raises NotConnectedError, LinkTimeoutError, WrongInstrumentError, ReplyError (no whole calibration).
    """
    return identified(PPK2(name, link or open_serial(resource, options.timeout_s), options, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Switch off by a session of its own, whatever mode it is in; in ampere mode that cuts the DUT off its supply. Raises
    OutputNotOffError."""
    with switching_off(resource), contextlib.closing(open_serial(resource, timeout_s, exclusive=False)) as link:
        _switch_off(Kit(resource, link, Options()))


def _switch_off(kit: Kit) -> None:
    """Off, and ampere mode, in which the regulator feeds nothing: that can be read back, the state of the output cannot."""
    kit.link.send(POWER_OFF)  # before a stream that will not end can keep it from being sent
    kit.silence()
    kit.link.send(POWER_OFF + AMPERE + POWER_OFF)
    mode = kit.ask().mode
    if mode != MODES["ampere"]:
        raise OutputNotOffError(f"{kit.name}: was switched off and to ampere mode, its metadata say mode {mode}")


class PPK2:
    """One PPK2."""

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
        self._feeds = options.mode == "source"
        self._on = False
        self._volt = VOLTAGE_V[0] if self._feeds else options.supply_v
        self._ceiling_v = VOLTAGE_V[1]

    # --- Instrument ---

    def identify(self) -> Identity:
        self._quiet("its identity")
        self._kit.silence()
        said = self._kit.ask()
        return Identity("Nordic Semiconductor", "PPK2", self._kit.link.usb_serial, f"HW {said.hardware}")

    def reset(self) -> None:
        """Source mode: off, at 0.8 V. Ampere mode: the path is closed, as the instrument's own application leaves it."""
        self._forget()
        _switch_off(self._kit)
        self._on = False
        if self._feeds:
            self._kit.regulate(VOLTAGE_V[0])
            self._volt, self._ceiling_v = VOLTAGE_V[0], VOLTAGE_V[1]
        else:
            self._kit.link.send(POWER_ON)

    def check_errors(self, doing: str) -> None:
        """Nothing: it has no error queue, and says nothing to a command that it does not take."""

    def make_safe(self) -> None:
        """Ampere mode: only the stream ends, because the path that the DUT is fed and discharged through is not this one's to cut."""
        self._forget()
        with switching_off(self.name):
            if self._feeds:
                _switch_off(self._kit)
                self._on = False
                return
            self._kit.silence()
            if self._kit.ask().mode != MODES["ampere"]:
                _switch_off(self._kit)

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._kit.link.close()

    # --- Sources ---

    def halt(self) -> None:
        self._forget()
        self._kit.silence()

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Nothing can be programmed. The voltage is held by this driver alone (None: by nothing in the instrument), the current by nothing
        below 1 A, which option no_current_limit accepts. Raises OutOfRangeError without it."""
        self._require_source()
        self._ceiling_v = ceiling_v(self.name, levels.voltage_v, self._ceiling_v, VOLTAGE_V[1])
        but = f"a PPK2 has none to program and delivers up to {LIMITS.current_a:g} A"
        accepted_without_limit(self.name, levels, LIMITS.current_a, accepted=self._kit.options.no_current_limit, but=but)
        return ProtectionLevels(None, LIMITS.current_a)

    def set_remote_sense(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        if on:
            raise OutOfRangeError(f"{self.name}: remote sense was asked for, a PPK2 has no sense leads")

    def set_off_mode(self, sinking: bool) -> None:  # noqa: FBT001 - the contract's signature
        if sinking:
            raise OutOfRangeError(f"{self.name}: a sinking off state was asked for, the output of a PPK2 floats when it is off")

    def set_voltage(self, volt: float) -> None:
        self._require_source()
        self._quiet("a new voltage")
        within(f"{self.name}: voltage", volt, low=VOLTAGE_V[0], high=VOLTAGE_V[1], unit="V", limit="PPK2")
        within(f"{self.name}: voltage", volt, low=0.0, high=self._ceiling_v, unit="V", limit="its protection")
        self._kit.regulate(volt)
        self._volt = round(volt * 1e3) * 1e-3

    def set_output(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        self._quiet("another output state")
        if not on:
            self._on = False
            _switch_off(self._kit)
            return
        self._require_source()
        volt = within(f"{self.name}: voltage", self._voltage(), low=0.0, high=self._ceiling_v, unit="V", limit="its protection")
        self._kit.link.send(POWER_OFF + SOURCE)  # [A, setPowerMode] off before the mode changes
        said = self._kit.require_mode("source")
        same(f"{self.name}: the regulator", volt, said.vdd_v, tolerance=0.5e-3)
        self._kit.link.send(POWER_ON)
        self._on = True
        if not self.output_is_on():
            raise ReadBackError(f"{self.name}: the output was switched on and its metadata do not say source mode")

    def output_is_on(self) -> bool:
        """By what it was switched to, and by its mode, which is ampere mode when off. While it streams it cannot be asked."""
        if self._streaming():
            return self._on
        return self._on and self._kit.ask().mode == MODES["source"]

    def disconnected(self) -> bool:
        return False  # nothing in it is known to switch off by itself

    def measure_output(self) -> Reading:
        """Current over 10 ms. The voltage is the set value while on, NaN when off: the instrument has no reading of it."""
        self._quiet("a quick reading")
        current = look(self._kit, self._kit.ask(), self._voltage())
        return Reading(current, self._voltage() if self._on or not self._feeds else math.nan)

    def tripped(self) -> str | None:
        return None  # it says nothing of the kind

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(seamless=True, fixed_ranges=False, marker_wired=self._kit.options.marker_line is not None, measures_voltage=False)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        return intervals.between(setup.aperture_s, low_s=DT_S, high_s=LONGEST_MEAN_S) if isinstance(setup, MeanSetup) else DT_S

    # --- Streams ---

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        volt = self._voltage()
        stream_setup(self._kit, setup, volt)
        self._forget()
        said = self._settled()
        self._log = Log(self._kit, self._clock, said, volt, with_marker=setup.with_marker)
        columns = ("current", "voltage", "marker", "digital") if setup.with_marker else ("current", "voltage", "digital")
        return acquisition(self._kit, said, volt, dt_s=DT_S, columns=columns, record_check=self._log.record_check())

    def start_stream(self) -> None:
        self._configured().start()

    def read_block(self) -> Block | None:
        return self._configured().read()

    def stop_stream(self) -> StreamEnd:
        log, self._log = self._configured(), None
        return log.stop()

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        volt = self._voltage()
        mean_setup(self._kit, setup, volt)
        self._forget()
        said = self._settled()
        log = Log(self._kit, self._clock, said, volt)
        self._mean = Mean(log, setup.aperture_s, volt)
        return acquisition(self._kit, said, volt, dt_s=setup.aperture_s, columns=("current", "voltage"), record_check=log.record_check())

    def read_mean(self) -> Reading | None:
        return configured(self._mean, self.name, "mean").read()

    def zero(self) -> None:
        """Nothing: it offers no zero of its own; the bench's zero (open leads) is labd's."""

    # --- what is shared ---

    def _settled(self) -> Metadata:
        """Nothing streams, and the mode is the one it was set to. Raises ReadBackError."""
        self._kit.silence()
        return self._kit.require_mode(self._kit.options.mode if self._on or not self._feeds else "ampere")

    def _configured(self) -> Log:
        return configured(self._log, self.name, "stream")

    def _streaming(self) -> bool:
        return self._log is not None and self._log.running

    def _forget(self) -> None:
        self._log = None
        self._forget_mean()

    def _quiet(self, what: str) -> None:
        """Raises OutOfRangeError while a stream runs: nothing can be read back through it."""
        if self._streaming():
            raise OutOfRangeError(f"{self.name}: {what} would disturb the running stream; stop_stream comes first")
        self._forget_mean()

    def _forget_mean(self) -> None:
        if self._mean is not None:
            self._mean.stop()
            self._mean = None

    def _require_source(self) -> None:
        if not self._feeds:
            raise OutOfRangeError(f"{self.name}: option mode is ampere, in which a PPK2 feeds nothing")

    def _voltage(self) -> float:
        if self._volt is None:
            raise OutOfRangeError(f"{self.name}: ampere mode needs option supply_v, the voltage of the supply, which it cannot measure")
        return self._volt

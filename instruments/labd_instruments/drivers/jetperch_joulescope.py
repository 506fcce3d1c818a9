"""Jetperch Joulescope JS110 and JS220 (USB, by the vendor's package): measures current and voltage in the supply line, and a marker.

Needs the extra `joulescope`. The resource is `joulescope:///u/js220/SERIAL`. It stands between a supply and the board and feeds nothing;
its voltage is that at the board's side of its shunt. Sources as in `_joulescope`.

Every value of the converter is taken (2 MHz of a JS110, 1 MHz of a JS220) and averaged here over whole samples: the package's own lower
rates go through a filter with overshoot (issue jetperch/pyjoulescope_ui#290), whose samples are no means over their time. No accuracy: of
the user's guides only the beginning was at hand, not the tables.
"""

from __future__ import annotations

from labd_instruments import intervals
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import HOST_CLOCK, Clock, configured, identified, within
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    Reading,
    Setups,
    StreamEnd,
    StreamSetup,
)
from labd_instruments.drivers._joulescope import Kit, Options
from labd_instruments.drivers._joulescope_link import JoulescopeLink, open_joulescope
from labd_instruments.drivers._joulescope_log import BEHIND_S, LONGEST_S, Log, Mean
from labd_instruments.errors import NotConnectedError, OutOfRangeError

__all__ = ["CAPABILITIES", "EVIDENCE", "OFF_ASSURANCE", "ROLES", "Joulescope", "Options", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Streams", "Measures")
ROLES = ("meter",)
SCHEME = "joulescope"  # its USB is the vendor's own; `python -m pyjoulescope_driver scan` names it
ON_THE_WIRE = ("TCP",)  # of the package's interface, in place of the package
EVIDENCE = Evidence.EXPERIMENTAL  # the topics are those of the vendor's own source; the options of a JS220's are in no document at hand
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off
UNTOLD = "of voltage as it was set, which the instrument does not tell"
BRIDGED = {
    "JS110": "switching is bridged by the package: some values of 0.5 us are interpolated (s/i/range/mode, the default)",
    "JS220": "while it switches, its 10 A range measures (issue jetperch/pyjoulescope_ui#182)",
}


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: JoulescopeLink | None = None,
    clock: Clock = HOST_CLOCK,
) -> Joulescope:
    """Open the device (or take `link`, open already) as its defaults are, and read its metadata.

    Raises NotConnectedError (not there, in use, the package is missing), LinkTimeoutError, WrongInstrumentError, OutOfRangeError.
    """
    taken = link or open_joulescope(resource, options.timeout_s)
    try:
        kit = Kit(name, taken, options)
    except BaseException:
        taken.close()
        raise
    return identified(Joulescope(name, kit, declared, clock=clock))


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: it feeds nothing."""
    del resource, timeout_s


class Joulescope:
    """One JS110 or JS220."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE

    def __init__(self, name: str, kit: Kit, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._kit = kit
        self._clock = clock
        self._accuracy = AccuracyTable().declared(declared)
        self._log: Log | None = None
        self._mean: Mean | None = None
        self._versions = ""

    # --- Instrument ---

    def identify(self) -> Identity:
        self._versions = self._kit.learn()
        return Identity("Jetperch", self._kit.model.name, self._kit.serial, self._versions)

    def reset(self) -> None:
        """No stream, automatic ranges of current, the largest of voltage."""
        self._forget()
        self._kit.automatic()
        self._kit.fix_voltage(self._kit.voltages_v[-1])

    def check_errors(self, doing: str) -> None:
        """It has no error queue, and each topic has its return code; here only whether it is there. Raises NotConnectedError."""
        if not self._kit.link.is_there():
            raise NotConnectedError(f"{self.name}: {self._kit.link.device} is gone after {doing}")

    def make_safe(self) -> None:
        """Ranges are set to automatic, first of all: a low one would starve the board; only a stream would tell whether they are. Streams
        end. The path stays closed: the board discharges through it."""
        try:
            self._kit.automatic()
        finally:
            self._forget()

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._kit.link.close()

    # --- TellsSetups ---

    @property
    def setups(self) -> Setups:
        return Setups(seamless=self._kit.options.autorange, marker_wired=self._kit.options.marker_gpi is not None, late_s=BEHIND_S)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        wanted_s = setup.aperture_s if isinstance(setup, MeanSetup) else setup.dt_s
        step_s = 1 / self._kit.model.hz
        return intervals.in_steps(wanted_s, low_s=step_s, high_s=LONGEST_S, step_s=step_s)

    # --- Streams ---

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        if setup.with_marker and self._kit.options.marker_gpi is None:
            raise OutOfRangeError(f"{self.name}: the marker needs option marker_gpi, the input that it is wired to")
        gpi = self._kit.options.marker_gpi if setup.with_marker else None
        self._log, acquisition = self._configure(setup, gpi)
        return acquisition

    def start_stream(self) -> None:
        configured(self._log, self.name, "stream").start()

    def read_block(self) -> Block | None:
        return configured(self._log, self.name, "stream").read()

    def stop_stream(self) -> StreamEnd:
        end = configured(self._log, self.name, "stream").stop()
        self._log = None
        return end

    # --- Measures ---

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        log, acquisition = self._configure(setup, None)
        self._mean = Mean(self._kit, log)
        return acquisition

    def read_mean(self) -> Reading | None:
        return configured(self._mean, self.name, "mean").read()

    def zero(self) -> None:
        """Nothing: it offers no zero of its own; the bench's zero (open leads) is labd's."""

    # --- what is shared ---

    def _configure(self, setup: StreamSetup | MeanSetup, gpi: int | None) -> tuple[Log, Acquisition]:
        """Raises OutOfRangeError before anything is sent."""
        model = self._kit.model
        mean = isinstance(setup, MeanSetup)
        what, dt_s = ("aperture", setup.aperture_s) if isinstance(setup, MeanSetup) else ("sample interval", setup.dt_s)
        if setup.current_range_a is None and not self._kit.options.autorange:
            raise OutOfRangeError(f"{self.name}: no current range is given; option autorange = true lets ranges change inside a capture")
        within(f"{self.name}: {what}", dt_s, low=1 / model.hz, high=LONGEST_S, unit="s", limit=f"{model.hz} Hz, values wait in memory")
        values = round(dt_s * model.hz)
        if abs(values - dt_s * model.hz) > 1e-6 * values:
            raise OutOfRangeError(f"{self.name}: {what} is {dt_s:g} s, right would be a whole multiple of {1 / model.hz:g} s")
        self._forget()
        full_scale_a = self._ranges(setup.current_range_a)
        full_scale_v = self._kit.fix_voltage(setup.voltage_range_v)
        self._kit.full_rate()
        self._kit.set_input(gpi)
        fixed = setup.current_range_a is not None
        scales = {"full_scale_a": full_scale_a, "full_scale_v": full_scale_v}
        log = Log(self._kit, self._clock, values / model.hz, **scales, fixed=fixed, gpi=gpi, newest=mean)
        return log, Acquisition(
            dt_ns=log.dt_ns,
            columns=("current", "voltage") if gpi is None else ("current", "voltage", "marker", "digital"),
            aperture_s=dt_s,
            current_range_a=full_scale_a if fixed else None,
            voltage_range_v=full_scale_v,
            seamless=not fixed,
            ranges_a=(full_scale_a,) if fixed else self._kit.ranges_a,
            remote_sense=False,
            settings={
                "acquisition": f"stream of a {model.name} at {model.hz} Hz, {values} values to a sample ({self._versions})",
                "filter": "mean of the values, and what the instrument has before its converter",
                "range": f"{'fixed, each value is from it' if fixed else f'automatic; {BRIDGED[model.name]}'}; {UNTOLD}",
                "marker": self._kit.input_told(gpi),
                "on_loss": self._kit.options.on_loss,
                "record_check": log.record_check(),
            },
        )

    def _ranges(self, current_range_a: float | None) -> float:
        """The fixed full scale, or the largest one of the automatic ranges."""
        if current_range_a is not None:
            return self._kit.fix_current(current_range_a)
        self._kit.automatic()
        return self._kit.ranges_a[-1]

    def _forget(self) -> None:
        """End what runs. What cannot be ended is tried again by the next one."""
        try:
            if self._log is not None:
                self._log.stop()
            self._log = None
        finally:
            if self._mean is not None:
                self._mean.stop()
            self._mean = None

"""What the analysis is told: the samples of a capture, what the instrument may be wrong by, and what the sweep compares."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labd.records import HostGates, InferWindow, MarkStyle, OperatingPoint, Role
from labd.segment.bracketed import Burnt


@dataclass(frozen=True, slots=True)
class RangeTerm:
    """Limits of error of one current range: gain as a fraction, offset in ampere; None where no document and no declaration gives it."""

    full_scale_a: float
    gain: float | None
    offset_a: float | None


@dataclass(frozen=True, slots=True)
class MeterTerms:
    """What the instrument and its wiring may be wrong by. Limits are half-widths of rectangular distributions (GUM 4.3.7).

    current: ascending ranges, one where the range is fixed; with several the range of a record is the smallest that holds |i|.
    voltage_gain (fraction), voltage_offset_v, timebase (fraction): limits, None where unknown. With voltage_from "set" they are the
    limits of the set voltage, with "source" those of what voltage_of, the instrument that feeds the board, has read; voltage_spread_v:
    half of what its readings differ by.
    burden_ohm: of the meter's current input beyond the point whose voltage is known, subtracted; burden_half_ohm: limit of what is left,
    None where unknown. power_gain, power_offset_w: of readings of power itself.
    dead_s: of each record, in which the meter does not integrate.
    lead_ohm, u_lead_ohm: resistance between sense point and DUT and its *standard* uncertainty, None where unknown.
    voltmeter_a: limit of what the meter's own voltage input draws, where it may lie on the DUT's side of the current input.
    fixture_leakage_mean_a: flows past the DUT, subtracted; fixture_leakage_a: limit of what is left.
    time_constant_s, u_time_constant_s: of source, leads and decoupling, and its *standard* uncertainty.
    trigger_latency_s: limit of the delay between a line's edge and the record it is placed in, None where unknown.
    widen: factor on the instrument's limits where it is cold or overdue. flags: copied into every KPI.
    """

    instrument: str
    current: tuple[RangeTerm, ...]
    voltage_gain: float | None
    voltage_offset_v: float | None
    timebase: float | None
    lead_ohm: float = 0.0
    u_lead_ohm: float | None = 0.0
    voltmeter_a: float = 0.0
    fixture_leakage_mean_a: float = 0.0
    fixture_leakage_a: float = 0.0
    time_constant_s: float = 0.0
    u_time_constant_s: float = 0.0
    trigger_latency_s: float | None = 0.0
    voltage_from: str = "measured"
    voltage_of: str = ""
    voltage_spread_v: float = 0.0
    burden_ohm: float = 0.0
    burden_half_ohm: float | None = 0.0
    dead_s: float = 0.0
    power_gain: float | None = None
    power_offset_w: float | None = None
    widen: float = 1.0
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        scales = [r.full_scale_a for r in self.current]
        if not scales or scales != sorted(scales):
            raise ValueError(f"the current ranges of {self.instrument} are {scales}, at least one and ascending are needed")
        if self.voltage_from not in ("measured", "set", "source"):
            raise ValueError(f"voltage_from is {self.voltage_from!r}, 'measured', 'set' or 'source' is meant")

    @property
    def series_ohm(self) -> float:
        """Between the point whose voltage is known and the DUT."""
        return self.lead_ohm + self.burden_ohm


@dataclass(frozen=True, slots=True)
class Stretch:
    """Contiguous records; record k covers [t0_s + k*dt_s, t0_s + (k+1)*dt_s).

    current: float32 [n] (A). voltage: float32 [n] (V) or None, then nominal_v holds. marker: float32 [n] (V) or None.
    trigger_s: the trigger on the same axis. gap: records are missing before this stretch. over_range: some records are NaN.
    clipped: some lie at the limit of their range.
    """

    t0_s: float
    dt_s: float
    current: NDArray[np.float32]
    voltage: NDArray[np.float32] | None
    nominal_v: float
    marker: NDArray[np.float32] | None = None
    trigger_s: float | None = None
    gap: bool = False
    over_range: bool = False
    clipped: bool = False

    def __post_init__(self) -> None:
        lengths = {len(c) for c in (self.current, self.voltage, self.marker) if c is not None}
        if len(lengths) != 1:
            raise ValueError(f"the columns of a stretch have one common length, got {sorted(lengths)}")
        if self.dt_s <= 0:
            raise ValueError(f"dt_s is {self.dt_s}, a sample interval is positive")


@dataclass(frozen=True, slots=True)
class Lap:
    """One event on the device's own counter, microseconds (32-bit, may wrap); NaN where the device does not tell."""

    event_us: float
    awake_us: float
    ready_us: float
    start_us: float
    end_us: float


@dataclass(frozen=True, slots=True)
class CaptureInput:
    """One capture with all that its analysis needs.

    marker_high_v: high level of the marker line. expected_events: how many inferences (or windows) the DUT was asked for, 0 = unknown.
    mains_hz: 0 where there is no hum to average out. peak_tau_s: boxcar lengths of the peak power.
    trigger_fires_dut: the instrument's trigger is the wake event. burst_bound_s: longest event of the board.
    windows: what stock MLPerf firmware was asked for, one entry an event; empty for labd's own, whose events are single inferences.
    device_clock: limit of error of the device's counter, as a fraction; used only where nothing else ties it to the sample axis.
    read: its records are steady readings, in which no event is seen; peak_a: the most that flows within one, None where unknown.
    power_w: float64 [n], where the instrument reads power itself.
    burnt: the signatures that the device burnt into its current before and after its program, None where it burnt none.
    supply_min_v: from here on the board is supplied, None where the run did not store it.
    host_starts_s: starts by the host's clock, each an upper bound.
    host_gates: what the host saw of the inferences that it fired, on a line of its own.
    flags: what else went wrong while it was made (deadlines missed), copied into every KPI.
    """

    key: str
    point: OperatingPoint
    role: Role
    stretches: tuple[Stretch, ...]
    mark_style: MarkStyle
    marker_high_v: float
    expected_events: int
    laps: tuple[Lap, ...]
    meter: MeterTerms
    mains_hz: float
    seed: int
    peak_tau_s: tuple[float, ...] = (1e-3,)
    allow_gaps: bool = False
    trigger_fires_dut: bool = False
    burst_bound_s: float = 0.0
    windows: tuple[InferWindow, ...] = ()
    device_clock: float | None = None
    read: bool = False
    peak_a: float | None = None
    power_w: NDArray[np.float64] | None = None
    supply_min_v: float | None = None
    host_starts_s: tuple[float, ...] = ()
    burnt: Burnt | None = None
    host_gates: HostGates | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.stretches or not any(len(s.current) for s in self.stretches):
            raise ValueError(f"capture {self.key} holds no records")
        if len({s.dt_s for s in self.stretches}) != 1:
            raise ValueError(f"the stretches of capture {self.key} differ in their sample interval")


@dataclass(frozen=True, slots=True)
class Detector:
    """What decides that an event happened: its power and false-wake rate with half-widths of rectangular distributions.

    kind: measured, declared, or "none: host-triggered" (then both are 0).
    """

    kind: str = "none: host-triggered"
    power_w: float = 0.0
    power_half_width_w: float = 0.0
    false_wake_hz: float = 0.0
    false_wake_half_width_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery: capacity (Ah) at voltage_v, usable share, self-discharge as a share of energy a year; half-widths are rectangular.
    internal_ohm: its resistance under a pulse, None where not given."""

    capacity_ah: float
    voltage_v: float
    usable: float = 1.0
    usable_half_width: float = 0.0
    self_discharge_per_year: float = 0.0
    rates_hz: tuple[float, ...] = ()
    capacity_half_width_ah: float = 0.0
    voltage_half_width_v: float = 0.0
    self_discharge_half_width_per_year: float = 0.0
    internal_ohm: float | None = None
    internal_half_width_ohm: float = 0.0


@dataclass(frozen=True, slots=True)
class Harvester:
    """A source that gives power_w in the mean, of which `efficiency` reaches the board; half-widths are rectangular. high_v, low_v: between
    which a buffer capacitor serves one event, None where there is none."""

    power_w: float
    efficiency: float
    power_half_width_w: float = 0.0
    efficiency_half_width: float = 0.0
    high_v: float | None = None
    low_v: float | None = None


@dataclass(frozen=True, slots=True)
class AnalyzerReadings:
    """Steady means of a power analyzer on one operating point, for the closure test: it never yields windows.

    power_w: float64 [n], one reading an update. gain (fraction of reading) and offset_w: limits, None where unknown.
    correction_w: loss between its terminals and the boundary plane (shunt burden, voltmeter loading), subtracted; u_correction_w: standard,
    None where unknown.
    """

    key: str
    instrument: str
    point: OperatingPoint
    power_w: NDArray[np.float64]
    gain: float | None
    offset_w: float | None
    correction_w: float = 0.0
    u_correction_w: float | None = 0.0
    flags: tuple[str, ...] = field(default=())

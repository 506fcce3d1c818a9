"""What a capture asks of its meter: in place of each interval, range and line that is wanted the nearest that its driver can do."""

from __future__ import annotations

import math
from dataclasses import replace

from labd.bench.expand import CapturePlan
from labd.bench.ranges import floor_range, peak_range, voltage_range
from labd.bench.rig import Rig
from labd.bench.station import Tool
from labd.kpi.split import FEWEST_RECORDS
from labd.records import Bracket, Mode
from labd.segment.signature import shortest_chip_s
from labd_instruments.contract import Acquisition, CaptureSetup, MeanSetup, Setups, Streams, StreamSetup, TellsSetups

# wanted; the nearest at or above it that the meter can do is taken
STREAM_S = 100e-6  # of a log of whole periods, whose edges are known to a record
REST_S = 307.2e-6  # of a log at rest, in which nothing moves
EVENT_S = 10e-6  # around a trigger
LEAST_AROUND_S = 0.008  # of rest before and after an event
FIRES_NOT = "has no output that fires the board, or its options name none; event captures need one (or write event_captures = 0)"
WHOLE = 1e-3  # of a period: an aperture this near to whole periods of the board counts as whole
SIGNATURE_ORDER = 6  # 63 chips
SIGNATURE_CHIPS = 2.0  # times the shortest that can be told
SIGNATURE_MOST_S = 5.0  # a pattern that takes longer costs more than it is worth: the log is too coarse for the phases that it would place
MOST_PERIODS = 50  # of the mains, in one reading


def starts_not(meter: Tool) -> str | None:
    """Why starts cannot be measured with this meter; None where they can."""
    who = f"{meter.spec.name}: {meter.spec.driver}"
    if not isinstance(meter.driver, Streams):
        return f"{who} has no log to see the supply rise in; write starts = 0 in the plan"
    if not able(meter).marker_wired:
        return f"{who} records no marker line, by which a board shows that it is ready; write starts = 0 in the plan"
    return None


def rest_stream(rig: Rig, plan: CapturePlan) -> StreamSetup:
    """At rate 0."""
    meter = rig.station.meter
    setup = StreamSetup(REST_S, rest_range(rig, plan), voltage_range(meter, plan.point.supply_v))
    return replace(setup, dt_s=interval_s(meter, setup))


def periods_stream(rig: Rig, plan: CapturePlan) -> StreamSetup:
    """Whole periods: seamless where the meter has it, else on the range that holds the peak."""
    meter = rig.station.meter
    range_a = None if able(meter).seamless else peak_range(meter, rig.board.peak_a)
    setup = StreamSetup(STREAM_S, range_a, voltage_range(meter, plan.point.supply_v), with_marker=able(meter).marker_wired)
    return replace(setup, dt_s=interval_s(meter, setup))


def bracket(rig: Rig, plan: CapturePlan, acquisition: Acquisition) -> Bracket | None:
    """The signature by which the board's laps are found in a log that has no line from it; None where it has one, or shows no current as it
    flows."""
    if "marker" in acquisition.columns or "digital" in acquisition.columns or not rig.device.extended:
        return None
    shortest_s = shortest_chip_s(dt_s=acquisition.dt_ns * 1e-9, tau_s=rig.board.time_constant_s)
    chip_us = math.ceil(SIGNATURE_CHIPS * shortest_s * 1e4) * 100
    seed = 1 + plan.seed % ((1 << SIGNATURE_ORDER) - 1)
    pattern = Bracket(chip_us, SIGNATURE_ORDER, seed)
    return pattern if pattern.lasts_s <= SIGNATURE_MOST_S else None


def event_capture(rig: Rig, plan: CapturePlan) -> CaptureSetup:
    """Around one trigger, with five time constants of rest before and ten after the longest event."""
    meter, board = rig.station.meter, rig.board
    setup = CaptureSetup(
        dt_s=EVENT_S,
        points=1,
        pretrigger_points=0,
        current_range_a=None if able(meter).seamless else peak_range(meter, board.peak_a),
        voltage_range_v=voltage_range(meter, plan.point.supply_v),
        fire_dut=True,
        with_marker=able(meter).marker_wired,
    )
    setup = replace(setup, dt_s=interval_s(meter, setup))
    return for_interval(rig, setup, setup.dt_s)


def for_interval(rig: Rig, setup: CaptureSetup, dt_s: float) -> CaptureSetup:
    """The same capture with as many points as the board's longest event takes at an interval."""
    before_s = max(5 * rig.board.time_constant_s, LEAST_AROUND_S)
    after_s = rig.board.longest_event_s + max(10 * rig.board.time_constant_s, LEAST_AROUND_S)
    return replace(setup, points=round((before_s + after_s) / dt_s), pretrigger_points=round(before_s / dt_s))


def rest_mean(rig: Rig, plan: CapturePlan) -> MeanSetup:
    """Steady readings at rate 0, each over one mains period."""
    meter = rig.station.meter
    setup = MeanSetup(1 / rig.mains_hz, rest_range(rig, plan), voltage_range(meter, plan.point.supply_v))
    return replace(setup, aperture_s=interval_s(meter, setup))


def periods_mean(rig: Rig, plan: CapturePlan) -> MeanSetup:
    """Steady readings of a board at work, on the range that holds its peak: each over whole periods of the mains and of the board where
    the meter integrates for so long, else over as much as it does."""
    meter = rig.station.meter
    asked = MeanSetup(1 / rig.mains_hz, awake_range(rig), voltage_range(meter, plan.point.supply_v))
    longest = asked
    for periods in range(1, MOST_PERIODS + 1):
        wanted_s = periods / rig.mains_hz
        longest = replace(asked, aperture_s=interval_s(meter, replace(asked, aperture_s=wanted_s)))
        if whole_periods(longest.aperture_s, plan.point.rate_hz):
            return longest
    return longest


def whole_periods(seconds: float, rate_hz: float) -> bool:
    """Whether a time holds whole periods of a board: then it does not matter where in a period it begins."""
    periods = seconds * rate_hz
    return round(periods) >= 1 and abs(periods - round(periods)) <= WHOLE


def rest_range(rig: Rig, plan: CapturePlan) -> float | None:
    """Range of a floor capture: the bench file's, else the lowest that holds what the board draws at rest; None (seamless) where the
    meter has no fixed one."""
    if rig.floor_range_a is not None:
        return rig.floor_range_a
    if plan.point.mode is Mode.ALWAYS_ON:
        return awake_range(rig)
    return floor_range(rig.station.meter, rig.board.sleep_a) if able(rig.station.meter).fixed_ranges else None


def awake_range(rig: Rig) -> float | None:
    """The range that holds the board's peak; None (seamless) where the meter has no fixed one."""
    return peak_range(rig.station.meter, rig.board.peak_a) if able(rig.station.meter).fixed_ranges else None


def interval_s(meter: Tool, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
    """The nearest that the meter can do; what is wanted where its driver does not tell, which then refuses what it cannot do."""
    if isinstance(meter.driver, TellsSetups):
        return meter.driver.interval_s(setup)
    return setup.aperture_s if isinstance(setup, MeanSetup) else setup.dt_s


def able(meter: Tool) -> Setups:
    """What its driver tells; where it does not, what one on fixed ranges with no line but the trigger's is taken to do."""
    return meter.driver.setups if isinstance(meter.driver, TellsSetups) else Setups(fires=True)


def fires_not(meter: Tool) -> str | None:
    """Why a meter cannot fire the board, None where it can or its driver does not tell."""
    return None if able(meter).fires else f"{meter.spec.name}: {meter.spec.driver} {FIRES_NOT}"


def too_coarse(meter: Tool, what: str, lasts_s: float, dt_s: float) -> str | None:
    """Why an interval does not resolve what lasts so long, None where it does: the rule by which a phase is called not resolved."""
    records = lasts_s / dt_s
    if records >= FEWEST_RECORDS:
        return None
    return (
        f"{meter.spec.name}: {meter.spec.driver} records every {dt_s * 1e6:.6g} us here: {what} of {lasts_s * 1e3:.3g} ms has "
        f"{records:.1f} records, at least {FEWEST_RECORDS:.0f} are needed"
    )


def taken_instead(acquisition: Acquisition, wanted_s: float) -> str | None:
    """What a report says of an interval that is another than the wanted one."""
    dt_s = acquisition.dt_ns * 1e-9
    return None if abs(dt_s - wanted_s) <= 1e-3 * wanted_s else f"interval {dt_s * 1e6:.6g} us, {wanted_s * 1e6:.6g} us were wanted"

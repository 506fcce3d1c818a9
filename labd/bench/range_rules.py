"""Before a run: is the range of each planned capture one that resolves it and lets the board live."""

from __future__ import annotations

from collections.abc import Sequence

from labd.bench import setups
from labd.bench.expand import CapturePlan
from labd.bench.ranges import Need, amperes, check_range, peak_range, range_clamp
from labd.bench.rig import Rig
from labd.errors import FileError
from labd.records import Mode, Role
from labd_instruments.contract import Captures, Streams

WINDOW = "the board's longest event"


def check_ranges(rig: Rig, plans: Sequence[CapturePlan]) -> list[str]:
    """What must be told of the ranges, one line each. Raises FileError for a range that is refused, and for a capture that the meter cannot
    make or records too coarsely."""
    notices: list[str] = []
    for plan in plans:
        if plan.instrument == rig.station.meter.spec.name:
            notices += _check(rig, plan)
    return list(dict.fromkeys(notices))


def _check(rig: Rig, plan: CapturePlan) -> list[str]:
    if plan.role is Role.FLOOR:
        return _floor(rig, plan)
    if plan.role is Role.EVENT:
        return _event(rig, plan)
    if plan.role is Role.START:
        _refuse(rig, setups.starts_not(rig.station.meter))
    if not isinstance(rig.station.meter.driver, Streams):
        return _peak(rig, setups.periods_mean(rig, plan).aperture_s)
    setup = setups.periods_stream(rig, plan)
    _refuse(rig, setups.too_coarse(rig.station.meter, WINDOW, rig.board.longest_event_s, setup.dt_s))
    return [] if setup.current_range_a is None else _peak(rig, setup.dt_s)


def _windows(rig: Rig, plan: CapturePlan, length_s: float) -> list[str]:
    """Of stock firmware; whether there is a log is told with its build."""
    setup = setups.periods_stream(rig, plan)
    _refuse(rig, setups.too_coarse(rig.station.meter, "a window of the plan (windows.length)", length_s, setup.dt_s))
    return [] if setup.current_range_a is None else _peak(rig, setup.dt_s)


def _event(rig: Rig, plan: CapturePlan) -> list[str]:
    meter = rig.station.meter
    if plan.windows is not None:
        return _windows(rig, plan, plan.windows.length_s) if isinstance(meter.driver, Streams) else []
    if not isinstance(meter.driver, Captures):
        _refuse(rig, f"{meter.spec.name}: {meter.spec.driver} cannot capture around a trigger; write event_captures = 0 in the plan")
    _refuse(rig, setups.fires_not(meter))
    setup = setups.event_capture(rig, plan)
    _refuse(rig, setups.too_coarse(meter, WINDOW, rig.board.longest_event_s, setup.dt_s))
    return [] if setup.current_range_a is None else _peak(rig, setup.dt_s)


def _refuse(rig: Rig, why: str | None) -> None:
    if why is not None:
        raise FileError(rig.station.limits.where, f"instruments.{rig.station.meter.spec.name}.driver", why)


def _peak(rig: Rig, aperture_s: float) -> list[str]:
    """Of captures on the range that holds the board's peak. Seamless ones choose their ranges themselves."""
    meter, board = rig.station.meter, rig.board
    if not setups.able(meter).fixed_ranges:
        return []
    need = Need(
        "the board's peak current (board file: peak_current)",
        board.peak_a,
        board.peak_a,
        aperture_s,
        rig.largest_u95,
        rig.station.limits.where,
        f"instruments.{meter.spec.name}.accuracy",
    )
    flag = check_range(meter, peak_range(meter, board.peak_a), need)
    return [flag] if flag else []


def _floor(rig: Rig, plan: CapturePlan) -> list[str]:
    """At rest with wake sources blocked waking is impossible; an always_on board is awake, and no file declares what it draws then."""
    meter, board, chosen = rig.station.meter, rig.board, setups.rest_range(rig, plan)
    if chosen is None:
        return []
    awake = plan.point.mode is Mode.ALWAYS_ON
    need = Need(
        "the board's sleep current (board file: sleep_current)",
        None if awake else board.sleep_a,
        board.peak_a if awake and rig.floor_range_a is None else 0.0,
        setups.rest_stream(rig, plan).dt_s if isinstance(meter.driver, Streams) else setups.rest_mean(rig, plan).aperture_s,
        rig.largest_u95,
        rig.station.limits.where,
        "floor.range",
    )
    notices = [check_range(meter, chosen, need)]
    clamp = range_clamp(meter)
    if awake and clamp is not None and clamp * chosen < board.peak_a:
        notices.append(
            f"floor.range: the {amperes(chosen)} range of {meter.spec.name} limits the output to {amperes(clamp * chosen)}; "
            "an always_on board, which is awake, browns out on it if it draws more"
        )
    return [text for text in notices if text]

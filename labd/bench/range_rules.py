"""Before a run: is the range of each planned capture one that resolves it and lets the board live."""

from __future__ import annotations

from collections.abc import Sequence

from labd.bench.acquire import STREAM_DT_S, TRIGGERED_DT_S, Rig, rest_range
from labd.bench.expand import CapturePlan
from labd.bench.ranges import Need, amperes, check_range, peak_range, range_clamp
from labd.records import Mode, Role
from labd_instruments.contract import Streams


def check_ranges(rig: Rig, plans: Sequence[CapturePlan]) -> list[str]:
    """What must be told of the ranges, one line each. Raises FileError for a range that is refused."""
    notices: list[str] = []
    for plan in plans:
        if plan.instrument == rig.station.meter.spec.name:
            notices += _check(rig, plan)
    return list(dict.fromkeys(notices))


def _check(rig: Rig, plan: CapturePlan) -> list[str]:
    if plan.role is Role.FLOOR:
        return _floor(rig, plan)
    if isinstance(rig.station.meter.driver, Streams):
        return []  # seamless: the instrument chooses
    meter, board = rig.station.meter, rig.board
    need = Need(
        "the board's peak current (board file: peak_current)",
        board.peak_a,
        board.peak_a,
        TRIGGERED_DT_S,
        rig.largest_u95,
        rig.station.limits.where,
        f"instruments.{meter.spec.name}.accuracy",
    )
    flag = check_range(meter, peak_range(meter, board.peak_a), need)
    return [flag] if flag else []


def _floor(rig: Rig, plan: CapturePlan) -> list[str]:
    """At rest with wake sources blocked waking is impossible; an always_on board is awake, and no file declares what it draws then."""
    meter, board, chosen = rig.station.meter, rig.board, rest_range(rig, plan)
    awake = plan.point.mode is Mode.ALWAYS_ON
    need = Need(
        "the board's sleep current (board file: sleep_current)",
        None if awake else board.sleep_a,
        board.peak_a if awake and rig.floor_range_a is None else 0.0,
        STREAM_DT_S if isinstance(meter.driver, Streams) else 1 / rig.mains_hz,
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

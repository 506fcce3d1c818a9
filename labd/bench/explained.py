"""Why a board failed in a capture, as far as the supply and the clock can tell."""

from __future__ import annotations

from labd.bench.acquire import BrownOut, on_range
from labd.bench.clock import Pace
from labd.bench.expand import CapturePlan
from labd.bench.rig import Rig
from labd.bench.setups import rest_range
from labd.bench.supply_state import supply_state
from labd.dut.serial_link import DutRebooted
from labd.errors import DutFailure
from labd.records import Role


async def explained(rig: Rig, plan: CapturePlan, error: DutFailure, pace: Pace) -> DutFailure | None:
    """The error with what explains it in front: a limit that is active when the board fails, or that a board rebooted, is a brown-out, and
    then what the link suggests to look at is beside the point. None where supply and clock tell no more than the error does.

    pace: of the capture. Raises InstrumentFailure.
    """
    if isinstance(error, BrownOut):
        return None
    state = await supply_state(rig.station)
    if state is None and not isinstance(error, DutRebooted):
        return None if pace.kept else DutFailure(f"{pace.text}; {error}")
    where = on_range(rig.station.meter, rest_range(rig, plan) if plan.role is Role.FLOOR else None)
    if state is None:
        return BrownOut(f"brown-out: {error}; the capture was {where}")
    return BrownOut(f"brown-out: {state}; the capture was {where}; then: {str(error).partition(';')[0]}")

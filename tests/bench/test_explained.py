"""What an error says first when a board fails in a capture: the supply, the clock, or what the link has seen."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from labd.bench.clock import LEAST_BEHIND_S, Pace
from labd.bench.expand import CapturePlan
from labd.bench.explained import explained
from labd.bench.runner import told_of_pace
from labd.dut.errors import DutRebooted, NoAnswer
from labd.errors import DutFailure
from labd.records import MarkStyle, Mode, OperatingPoint, Role

SILENT = NoAnswer("no answer to `laps` on /dev/pts/1 within 5 s; check that the DUT is powered and flashed, and the baud rate")
PLAN = CapturePlan("k", OperatingPoint(Mode.ALWAYS_ON, 4.0, 3.0, "dnn"), Role.MEAN, 0, 0, 9, 1.0, MarkStyle.GATE, "smu", 1)


@dataclass
class Lock:
    trip: str | None
    watchdog_s: float | None = 1.0

    async def tripped(self) -> str | None:
        return self.trip

    def unfed_s(self) -> float:
        return 2.3


def rig(trip: str | None) -> Any:
    smu = SimpleNamespace(spec=SimpleNamespace(name="smu"))
    return SimpleNamespace(station=SimpleNamespace(interlock=Lock(trip), source=smu, meter=smu))


async def test_a_supply_that_was_off_stands_before_what_the_link_makes_of_it() -> None:
    told = str(await explained(rig("watchdog, or coupled protection of another output"), PLAN, SILENT, Pace()))
    assert told == (
        "brown-out: the supply was off: smu's watchdog tripped because labd did not serve it for 2.3 s, it allows 1 s (a busy host?); "
        "the capture was on smu; then: no answer to `laps` on /dev/pts/1 within 5 s"
    )


async def test_a_machine_that_was_too_slow_stands_before_it_as_well() -> None:
    told = str(await explained(rig(None), PLAN, SILENT, Pace(1.25)))
    assert told == f"this machine was too slow for real time: 1.2 s behind; {SILENT}"


@pytest.mark.parametrize(("error", "first"), [(SILENT, None), (DutRebooted("the DUT rebooted"), "brown-out: the DUT rebooted; ")])
async def test_a_supply_and_a_clock_that_were_well_explain_nothing(error: DutFailure, first: str | None) -> None:
    found = await explained(rig(None), PLAN, error, Pace(LEAST_BEHIND_S))
    assert found is None if first is None else str(found).startswith(first)


def test_a_run_tells_once_in_which_captures_the_machine_was_too_slow() -> None:
    assert told_of_pace({}) == []
    (one,) = told_of_pace({"a": Pace(0.5)})
    assert one == "this machine was too slow for real time: 0.5 s behind at worst, in a; the figures of such a capture carry a flag"
    (several,) = told_of_pace({"a": Pace(0.5), "b": Pace(3.0)})
    assert "3 s behind at worst, in 2 captures, first in a" in several


@pytest.mark.parametrize(("pace", "kept"), [(Pace(), True), (Pace(0.09), True), (Pace(0.11), False), (Pace(0.0, late=1), False)])
def test_time_is_kept_where_nothing_came_too_late(pace: Pace, *, kept: bool) -> None:
    assert pace.kept is kept

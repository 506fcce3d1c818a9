"""The source's own watchdog around a station in real time: fed while labd works, in effect as soon as nothing gets through any more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from labd import bench_file
from labd.bench.clock import WallClock
from labd.bench.station import Station, open_station
from labd.bench.supply_state import fallen, supply_state
from labd.bench_file import station as translate
from tests.cli.bench_apart import Bench, bench_apart

pytestmark = pytest.mark.compiler

SUPPLY_V = 3.0
OFF_V = 0.1
SEEN_S = 30.0


@asynccontextmanager
async def opened(bench: Bench, *, watchdog_s: float | None) -> AsyncIterator[Station]:
    file = bench_file.load_bench(bench.file)
    async with open_station(
        translate.tools(file, {"smu": bench.resource}), translate.limits(file), WallClock(), watchdog_s=watchdog_s
    ) as station:
        yield station


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(SEEN_S):
        while not seen():  # noqa: ASYNC110  the bench is another process
            await asyncio.sleep(0.02)


def safe(bench: Bench) -> bool:
    return not bench.output_on() and bench.board()["voltage_v"] < OFF_V


async def test_it_is_fed_while_nothing_is_measured_and_off_after_power_down(tmp_path: Path) -> None:
    with bench_apart(tmp_path) as bench:
        async with opened(bench, watchdog_s=1.0) as station:
            lock = station.interlock
            await lock.power_up(SUPPLY_V, [])
            guarded = lock.guarded
            assert guarded
            on_since_ns = bench.board()["t_ns"]
            await until(lambda: bench.board()["t_ns"] > on_since_ns + 3_000_000_000)
            assert bench.output_on()
            await lock.power_down()
            guarded = lock.guarded
            assert not guarded
            assert await station.source.call(lock.source.tripped) is None


async def cut_off(bench: Bench, fault: str) -> str | None:
    """What labd says of the supply, once the source answers again."""
    async with opened(bench, watchdog_s=1.0) as station:
        await station.interlock.power_up(SUPPLY_V, [])
        if fault == "hang":
            bench.hang(on=True)
        else:
            bench.control.ask(op="network", instrument="smu", cut=True)
        await until(lambda: safe(bench))
        bench.hang(on=False)
        bench.control.ask(op="network", instrument="smu", cut=False)
        return await supply_state(station)


@pytest.mark.parametrize("fault", ["hang", "network"])
async def test_the_board_is_off_and_discharged_although_nothing_gets_through(tmp_path: Path, fault: str) -> None:
    with bench_apart(tmp_path) as bench:
        told = await cut_off(bench, fault) or ""
        assert re.match(r"the supply was off: smu's watchdog tripped because labd did not serve it for [\d.]+ s, it allows 1 s", told), told
        async with opened(bench, watchdog_s=1.0) as station:
            await station.interlock.power_up(SUPPLY_V, [])
            assert bench.output_on(), "the next start clears the trip"


async def test_without_one_nothing_is_programmed(tmp_path: Path) -> None:
    with bench_apart(tmp_path) as bench:
        async with opened(bench, watchdog_s=None) as station:
            await station.interlock.power_up(SUPPLY_V, [])
            assert not station.interlock.guarded


def test_a_watchdog_that_was_served_is_not_said_to_have_been_left_alone() -> None:
    coupled = "watchdog, or coupled protection of another output"
    assert fallen("smu", coupled, unfed_s=0.4, watchdog_s=1.0) == f"the supply was off: smu says that its {coupled} is active"
    assert fallen("smu", coupled, unfed_s=9.0, watchdog_s=None) == f"the supply was off: smu says that its {coupled} is active"
    assert "because labd did not serve it for 2.3 s, it allows 1 s (a busy host?)" in fallen("smu", coupled, unfed_s=2.3, watchdog_s=1.0)
    assert fallen("smu", "current limit", unfed_s=9.0, watchdog_s=1.0) == "the supply failed: smu says that its current limit is active"

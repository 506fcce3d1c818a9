"""The safety rules against a virtual bench: what is refused, and the worst that the board's pins ever saw."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from labd.bench.check import check_station
from labd.bench.finding import Finding
from labd.bench.firmware import Declared
from labd.bench.interlock import DISCHARGE_NOT_SEEN, IoLine
from labd.bench.runner import restart
from labd.errors import InstrumentFailure, OutputNotVerifiedOff, SafetyRefusal
from labd_instruments import loader
from labd_instruments.drivers.keysight_n6705c import N6705C
from labd_instruments.errors import RefusedError
from tests.bench.virtual_station import BOARD, Watched, watched

pytestmark = pytest.mark.compiler

LIMIT_V = 3.6
SUPPLY_V = 3.0


async def findings(bench: Watched) -> dict[str, Finding]:
    return {finding.what: finding async for finding in check_station(bench.rig, bench.lines, SUPPLY_V, BOARD)}


async def test_a_healthy_bench_passes_every_test_with_its_pins_within_limits(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        found = await findings(bench)
        assert [finding.what for finding in found.values() if not finding.ok] == ["board clock"]  # stepped time has one clock
        board = bench.board()
        assert SUPPLY_V * 0.99 < board["worst_pin_v"] <= LIMIT_V
        assert board["worst_io_over_supply_v"] <= 0.3
        assert board["boots"] == 1


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (
            replace(BOARD, stock=True),
            'board.toml: firmware: labd\'s firmware answers (labd), which is "labd"; write that, or flash the board',
        ),
        (replace(BOARD, models=("dnn", "mine")), "board.toml: models: the board (labd, kws01) has no 'mine': Unknown workload: mine"),
    ],
)
async def test_a_board_that_is_not_what_its_file_says_fails_before_anything_is_measured(
    declared: Declared, says: str, tmp_path: Path
) -> None:
    async with watched(tmp_path) as bench:
        found = [finding async for finding in check_station(bench.rig, bench.lines, SUPPLY_V, declared)]
    assert (found[-1].what, found[-1].ok, found[-1].text) == ("board", False, says)


async def test_lines_before_the_supply_are_refused_and_nothing_reaches_a_pin(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        with pytest.raises(SafetyRefusal, match="power up the supply first"):
            await bench.station.interlock.connect_lines(bench.lines)
        assert bench.board()["worst_pin_v"] == 0


async def test_a_supply_above_the_limit_never_leaves_labd(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        with pytest.raises(SafetyRefusal, match=r"3\.7 V refused.*limits\.voltage"):
            await bench.station.interlock.power_up(3.7, bench.lines)
        assert bench.board()["worst_pin_v"] == 0
        await bench.station.interlock.power_up(SUPPLY_V, bench.lines)
        with pytest.raises(SafetyRefusal, match=r"3\.7 V refused"):
            await bench.station.interlock.set_voltage(3.7)
        assert bench.board()["worst_pin_v"] <= SUPPLY_V * 1.01


async def test_a_supply_below_the_level_of_a_line_is_refused_before_and_after_it_is_connected(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        with pytest.raises(SafetyRefusal, match="level shifter"):
            await bench.station.interlock.power_up(2.6, bench.lines)
        assert bench.board()["worst_pin_v"] == 0
        await bench.station.interlock.power_up(2.75, bench.lines)
        with pytest.raises(SafetyRefusal, match="level shifter"):
            await bench.station.interlock.set_voltage(2.6)
        assert bench.board()["worst_io_over_supply_v"] <= 0.3


async def test_a_line_that_feeds_the_board_while_its_supply_is_off_is_found_before_power_up(tmp_path: Path) -> None:
    async def checked() -> None:
        async with watched(tmp_path, uart={"driven": True}) as bench:
            found = await findings(bench)
            assert [finding.what for finding in found.values() if finding.ok is False] == ["discharged"]
            assert "feeds it back" in found["discharged"].text
            assert not bench.control.ask(op="output", instrument="smu")["on"]

    with pytest.raises(OutputNotVerifiedOff, match="not discharged"):
        await checked()


@pytest.mark.parametrize(("fed_a", "told"), [(12e-6, r"back_feed: -\S+ uA asleep"), (50e-6, "beyond the 1e-05 A range")])
async def test_a_line_that_feeds_the_sleeping_board_fails_the_check(tmp_path: Path, fed_a: float, told: str) -> None:
    # 0.35 V is too little to charge the board through its clamp diode, so that only the sleeping board shows it
    async with watched(tmp_path, board={"backfeed_a": fed_a}, uart={"driven": True, "io_level_v": 0.35}) as bench:
        found = await findings(bench)
        assert found["discharged"].ok
        assert found["back-feed asleep"].ok is False
        assert re.match(told, found["back-feed asleep"].text) or told in found["back-feed asleep"].text


async def test_a_board_that_keeps_its_charge_is_found_while_it_is_still_connected(tmp_path: Path) -> None:
    async def powered() -> None:
        async with watched(tmp_path, limits={"off_time_s": 0.5}) as bench:
            await bench.station.interlock.power_up(SUPPLY_V, bench.lines)
            bench.control.ask(op="set", key="board.capacitance_f", value=0.9)  # three seconds and more at the current limit

    with pytest.raises(OutputNotVerifiedOff, match=r"not discharged: .*limits\.off_voltage"):
        await powered()


async def test_a_floating_source_does_not_claim_that_the_board_is_discharged(tmp_path: Path) -> None:
    slow = {"capacitance_f": 1e-3, "off_ohm": 1e9, "bleed_ohm": 1e9}
    async with watched(tmp_path, board=slow, limits={"sinking_off": False, "off_time_s": 0.5}) as bench:
        await bench.station.interlock.power_up(SUPPLY_V, bench.lines)
        await bench.station.interlock.power_down()
        assert DISCHARGE_NOT_SEEN in bench.station.interlock.notices
        assert bench.board()["voltage_v"] > 1.0


async def test_a_restart_after_a_failure_lets_go_of_an_idle_high_line_before_the_supply_falls(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        line = bench.lines[0]

        def drive(on: bool) -> None:
            bench.control.ask(op="set", key="uart.driven", value=on)

        async def connect() -> None:
            drive(True)
            await line.connect()

        async def disconnect() -> None:
            await line.disconnect()
            drive(False)

        lines = [IoLine(line.name, line.level_v, line.isolated, connect, disconnect)]
        await bench.station.interlock.power_up(SUPPLY_V, lines)
        await restart(bench.station, SUPPLY_V, lines)
        assert bench.board()["boots"] == 2
        await bench.station.interlock.power_down()
        assert bench.board()["worst_io_over_supply_v"] <= 0.3


async def test_a_current_at_its_limit_for_longer_than_inrush_may_last_switches_off_by_name(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        lock = bench.station.interlock
        await lock.power_up(SUPPLY_V, bench.lines)
        bench.control.ask(op="set", key="board.bleed_ohm", value=5.0)  # 600 mA, of which the source gives 139 mA
        await bench.station.clock.sleep(0.02)
        assert "over-current protection" in (await lock.tripped() or "")
        assert not bench.control.ask(op="output", instrument="smu")["on"]
        await lock.power_down()
        assert DISCHARGE_NOT_SEEN in lock.notices


async def test_whatever_a_driver_raises_while_it_is_made_safe_a_second_session_switches_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panicked: list[str] = []
    panic_off = loader.panic_off

    def panic(driver: str, resource: str) -> None:
        panicked.append(driver)
        panic_off(driver, resource)

    def mistaken(*_: object) -> None:
        raise ValueError("zip() argument 2 is shorter than argument 1")

    monkeypatch.setattr(loader, "panic_off", panic)
    async with watched(tmp_path) as bench:
        await bench.station.interlock.power_up(SUPPLY_V, bench.lines)
        for command in ("make_safe", "halt", "set_output"):
            monkeypatch.setattr(bench.station.source.driver, command, mistaken)
    assert panicked == ["keysight_n6705c"]


async def test_an_output_that_was_on_before_is_switched_off_although_its_instrument_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe: list[str] = []
    make_safe = N6705C.make_safe

    def refused(_: N6705C) -> None:
        raise RefusedError("smu: refused its reset: -241 Hardware missing")

    def noted(driver: N6705C) -> None:
        make_safe(driver)
        safe.append(driver.name)

    monkeypatch.setattr(N6705C, "reset", refused)
    monkeypatch.setattr(N6705C, "make_safe", noted)
    with pytest.raises(InstrumentFailure, match="Hardware missing"):
        async with watched(tmp_path):
            pass
    assert safe == ["smu"]

"""An engine beside the core, clock and supply: the physics of virtual-event and virtual-mcu, and that their truth is what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labd import resources
from labd.bench_file import load_bench, virtual
from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.engine import Operation, operation_j
from labd_virtual.expected import expected
from labd_virtual.firmware_process import Firmware, Request
from labd_virtual.load import Phase
from labd_virtual.spec import BenchSpec, BoardSpec, EngineSpec, SpecError, read_fields
from tests.virtual.scripted_firmware import Script, ScriptedFirmware, clock, operate, spend, timer, wait

MS = 1_000_000
MAC, SYNOP, UPDATE = Operation.MAC, Operation.SYNOP, Operation.UPDATE
FIXTURES = resources.path("fixtures")


def board_of(name: str, **changes: Any) -> BoardSpec:
    """A shipped board without what differs from event to event, and without its wires' drop."""
    spec = read_fields(BoardSpec, virtual.spec(load_bench(FIXTURES / "benches" / f"{name}.toml"))["board"], "board")
    exact: dict[str, Any] = {"cycle_dispersion": 0.0, "power_dispersion": 0.0, "oscillator_dispersion": 0.0, "clock_error": 0.0}
    return replace(spec, **exact, thermal_k_per_w=0.0, series_ohm=1e-3, bleed_ohm=1e12, **changes)


WORK = (
    operate(SYNOP, 8, 200_000),
    operate(SYNOP, 4, 80_000),
    operate(UPDATE, 32, 30_000),
    operate(MAC, 8, 9_000),
    spend(5, 40_000, 70),
)


def once(work: tuple[Request, ...]) -> Callable[[], Script]:
    """One inference, 50 ms after the start."""

    def script() -> Script:
        yield timer(50_000)
        yield wait(3, 4, 2)
        for request in work:
            _ = yield request
        yield wait(3, 0, 2)

    return script


@asynccontextmanager
async def powered(board: BoardSpec, firmware: Firmware, supply_v: float) -> AsyncIterator[VirtualBench]:
    async with run_bench(BenchSpec(board=board), keep_truth=True, firmware=firmware) as bench:
        bench.board.supply.drive(emf_v=supply_v, resistance_ohm=1e-3, clamp_a=0.1, connected=True)
        yield bench


async def event_of(board: BoardSpec, supply_v: float, work: tuple[Request, ...] = WORK) -> dict[str, Any]:
    """The truth of one inference."""
    async with powered(board, ScriptedFirmware(once(work)), supply_v) as bench:
        await bench.clock.sleep_until(400 * MS)
        (event,) = [record for record in bench.truth if record["kind"] == "event"]
        return event


@pytest.mark.parametrize(
    ("name", "clock_hz", "supply_v"),
    [
        ("virtual-event", 24e6, 1.8),
        ("virtual-event", 24e6, 1.3),
        ("virtual-event", 8e6, 1.1),
        ("virtual-event", 48e6, 1.9),
        ("virtual-mcu", 64e6, 3.0),
        ("virtual-mcu", 64e6, 2.5),
        ("virtual-mcu", 16e6, 3.3),
    ],
)
async def test_the_truth_of_an_inference_is_what_the_physics_gives_in_closed_form(name: str, clock_hz: float, supply_v: float) -> None:
    board = board_of(name, clock_hz=clock_hz)
    work = WORK if name == "virtual-event" else (operate(MAC, 8, 200_000), operate(MAC, 1, 90_000), spend(5, 40_000, 70))
    event, taken = await event_of(board, supply_v, work), expected(board, work, supply_v)[Phase.INFER]
    assert (event["end_ns"] - event["start_ns"]) * 1e-9 == pytest.approx(taken.time_s, abs=3e-9)
    assert event["load_j"]["infer"] == pytest.approx(taken.energy_j, rel=5e-4)


def test_the_closed_form_is_c_v_squared_an_operation_and_currents_times_time() -> None:
    """By hand, for virtual-event at its reference."""
    board = board_of("virtual-event", ambient_c=25.0)
    taken = expected(board, (operate(SYNOP, 4, 80_000), spend(5, 24_000, 50)), 1.8)[Phase.INFER]
    engine_s = 80_000 * 0.25 / 2 / 24e6
    core_s = 1e-3
    switched_j = 80_000 * 6e-12 / 2 * 1.8**2
    static_j = 1.8 * (engine_s * 0.3e-3 + core_s * (0.25e-3 + 0.5 * 0.85e-3) + (engine_s + core_s) * 0.2e-6)
    assert taken.time_s == pytest.approx(engine_s + core_s)
    assert taken.energy_j == pytest.approx(switched_j + static_j, rel=1e-9)


def test_energy_of_an_operation_goes_with_the_square_of_the_supply_and_not_with_the_clock() -> None:
    engine = EngineSpec(synop_cycles=0.5, synop_f=5e-12)
    board = BoardSpec(
        supply_min_v=1.0, power_on_v=1.0, reference_v=1.8, reference_hz=24e6, leakage_a=0.0, regulator_quiescent_a=0.0, engine=engine
    )

    def energy(supply_v: float, clock_hz: float) -> float:
        return expected(replace(board, clock_hz=clock_hz), (operate(SYNOP, 8, 1000),), supply_v)[Phase.INFER].energy_j

    assert energy(1.8, 24e6) == pytest.approx(1000 * operation_j(board, SYNOP, 8, 1.8))
    assert energy(1.8, 24e6) / energy(1.2, 24e6) == pytest.approx(2.25)
    assert energy(1.8, 6e6) == pytest.approx(energy(1.8, 24e6))


async def test_time_goes_with_one_over_the_clock() -> None:
    fast, slow = [await event_of(board_of("virtual-event", clock_hz=hz), 1.8) for hz in (24e6, 12e6)]
    assert slow["end_ns"] - slow["start_ns"] == pytest.approx(2 * (fast["end_ns"] - fast["start_ns"]), abs=4)


async def test_a_clock_that_the_firmware_lowers_is_the_same_physics_as_a_board_that_starts_with_it() -> None:
    set_to = await event_of(board_of("virtual-event"), 1.8, (clock(12_000_000), *WORK))
    started = await event_of(board_of("virtual-event", clock_hz=12e6), 1.8)
    assert set_to["end_ns"] - set_to["start_ns"] == started["end_ns"] - started["start_ns"]
    assert set_to["load_j"]["infer"] == pytest.approx(started["load_j"]["infer"], rel=1e-9)


async def test_a_clock_above_that_of_the_start_is_refused_and_a_new_start_has_its_own_again() -> None:
    firmware = ScriptedFirmware(once((clock(24_000_001), clock(6_000_000))))
    async with powered(board_of("virtual-event"), firmware, 1.8) as bench:
        await bench.clock.sleep_until(100 * MS)
        assert ([reply.value for reply in firmware.replies[2:4]], bench.board.spec.clock_hz) == ([0, 1], 6e6)
        bench.board.supply.drive(emf_v=0.0, resistance_ohm=1e-3, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(200 * MS)
        assert bench.board.spec.clock_hz == 24e6


async def test_what_leaks_goes_with_the_third_power_of_the_supply() -> None:
    high, low = [
        (await event_of(board_of("virtual-event", clock_hz=8e6), volts))["rest"]["settled_power_w"] / volts for volts in (1.8, 1.2)
    ]
    assert high / low == pytest.approx(1.5**3, rel=1e-3)
    assert 1.8 * high < 1.2e-6


async def test_behind_a_regulator_currents_do_not_depend_on_the_supply() -> None:
    high, low = [(await event_of(board_of("virtual-mcu"), volts, (spend(5, 640_000),)))["load_j"]["infer"] / volts for volts in (3.3, 2.4)]
    assert high == pytest.approx(low, rel=2e-4)


async def test_a_slower_clock_draws_less_but_not_in_proportion() -> None:
    fast, slow = [expected(board_of("virtual-mcu", clock_hz=hz), (spend(5, 640_000),), 3.0)[Phase.INFER] for hz in (64e6, 16e6)]
    assert 0.25 < (slow.energy_j / slow.time_s) / (fast.energy_j / fast.time_s) < 0.45
    assert slow.energy_j > fast.energy_j  # what does not follow the clock is drawn for four times as long


async def test_what_the_engine_does_not_do_is_left_to_the_core() -> None:
    firmware = ScriptedFirmware(once((operate(SYNOP, 8, 100), operate(MAC, 8, 100), operate(7, 8, 100))))
    async with powered(board_of("virtual-mcu"), firmware, 3.0) as bench:
        await bench.clock.sleep_until(400 * MS)
    assert [reply.value for reply in firmware.replies[2:5]] == [0, 1, 0]


@pytest.mark.parametrize(
    ("clock_hz", "supply_v", "boots"), [(24e6, 1.3, 1), (24e6, 1.15, 0), (48e6, 1.7, 0), (48e6, 1.9, 1), (8e6, 1.1, 1)]
)
async def test_a_clock_that_the_supply_does_not_carry_keeps_the_board_from_starting(clock_hz: float, supply_v: float, boots: int) -> None:
    async with powered(board_of("virtual-event", clock_hz=clock_hz), ScriptedFirmware(once(WORK)), supply_v) as bench:
        await bench.clock.sleep_until(200 * MS)
        assert bench.board.look()["boots"] == boots


async def test_a_supply_that_falls_below_what_the_clock_needs_stops_the_board() -> None:
    async with powered(board_of("virtual-event"), ScriptedFirmware(once(WORK)), 1.8) as bench:
        await bench.clock.sleep_until(100 * MS)
        bench.board.supply.drive(emf_v=1.15, resistance_ohm=1e-3, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(200 * MS)
        assert bench.board.look()["state"] == "unpowered"


def test_the_two_boards_are_good_at_different_things() -> None:
    """A conv net is cheaper on the microcontroller, a spiking net and the floor on the accelerator."""
    mcu, event = board_of("virtual-mcu"), board_of("virtual-event")
    products = (operate(MAC, 8, 75_000),)
    spikes = (operate(SYNOP, 8, 20_000), operate(UPDATE, 32, 1_000))
    on_core = (spend(5, 20_000 * 12 + 1_000 * 24, 80),)
    assert 2 * expected(mcu, products, 3.0)[Phase.INFER].energy_j < expected(event, products, 1.8)[Phase.INFER].energy_j
    assert 20 * expected(event, spikes, 1.8)[Phase.INFER].energy_j < expected(mcu, on_core, 3.0)[Phase.INFER].energy_j
    assert event.oscillator_s > 5 * mcu.oscillator_s
    assert 1.8 * (event.sleep_core_a + event.retention_a + event.leakage_a) < 0.1 * 3.0 * (
        mcu.sleep_core_a + mcu.retention_a + mcu.leakage_a
    )


def test_an_engine_s_misspelt_key_is_told() -> None:
    with pytest.raises(SpecError, match=r"board\.engine\.synop_pj: no such key"):
        read_fields(BoardSpec, {"engine": {"synop_pj": 20}}, "board")


def test_a_board_file_s_own_program_runs_in_place_of_labd_s_firmware(tmp_path: Path) -> None:
    for folder in ("benches", "boards", "cards/digits"):
        (tmp_path / folder).mkdir(parents=True)
    board = (FIXTURES / "boards/virtual-event.toml").read_text("utf-8")
    own = board.replace("[virtual]\n", '[virtual]\nfirmware_program = "/somewhere/program"\n')
    (tmp_path / "boards/virtual-event.toml").write_text(own, encoding="utf-8")
    card = "cards/digits/hardware-virtual-event.toml"
    (tmp_path / card).write_bytes((FIXTURES / card).read_bytes())
    (tmp_path / "benches/b.toml").write_bytes((FIXTURES / "benches/virtual-event.toml").read_bytes())
    assert virtual.spec(load_bench(tmp_path / "benches/b.toml"))["firmware"]["program"] == "/somewhere/program"

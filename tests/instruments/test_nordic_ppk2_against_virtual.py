"""The PPK2 driver through a real pseudo-terminal against the virtual kit, which was written from Nordic's application."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock
from labd_instruments.contract import (
    Captures,
    GuardsItself,
    Instrument,
    MeanSetup,
    Measures,
    ProtectionLevels,
    Sources,
    Streams,
    StreamSetup,
)
from labd_instruments.errors import (
    InstrumentError,
    LinkTimeoutError,
    LostSamplesError,
    NotConnectedError,
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    ReplyError,
)
from labd_instruments.links.serial import open_serial
from labd_virtual.contract import Edge
from labd_virtual.instruments import nordic_ppk2
from tests.instruments.virtual_rig import Rig, Wired, column, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
RANGES = (50e-6, 500e-6, 5e-3, 50e-3, 1.0)
WIRED = Wired(
    options={"marker_line": 2, "no_current_limit": True},
    wires={"d2": "MARK"},
    current_range_a=None,
    voltage_range_v=5.0,
    tables={"current": RANGES},
    supply_v=3.0,
    load_a=10e-3,
    stream_dt_s=10e-6,
    sinks=False,
    senses=False,
)
EXACT = rows({"current": tuple((r, 0.0, 0.0) for r in RANGES), "voltage": ((5.0, 0.0, 0.0),)})
STREAM = StreamSetup(dt_s=10e-6, current_range_a=None, voltage_range_v=5.0, with_marker=True)
FOUND_BY = {
    "lost": LostSamplesError,
    "lost_64": LostSamplesError,
    "lost_many": LostSamplesError,
    "uncalibrated": ReplyError,
    "cut_metadata": ReplyError,
    "nan_metadata": ReplyError,
    "range_code": ReplyError,
    "half_sample": ReplyError,
    "other_mode": ReadBackError,
    "other_voltage": ReadBackError,
    "endless": LinkTimeoutError,
}


@asynccontextmanager
async def kit(bench: Bench, *, trap: str = "", options: dict[str, object] | None = None, **more: object) -> AsyncIterator[Rig]:
    chosen = {**WIRED.options, "timeout_s": 2.0, **(options or {}), **more}
    persona = nordic_ppk2.create(bench.setup(options=chosen, wires=WIRED.wires, accuracy=EXACT, trap=trap))
    async with rig("nordic_ppk2", persona, bench, **chosen) as made:
        yield made


@pytest.fixture
def bench() -> Bench:
    return Bench(load=((0, 1e-3), (200 * MS, 20e-3)))


async def on(ppk: Rig, volt: float = 3.0) -> None:
    await ppk.do(ppk.driver.set_voltage, volt)
    await ppk.do(ppk.driver.set_output, True)


async def streamed(ppk: Rig, steps: int = 4, step_s: float = 0.05, setup: StreamSetup = STREAM) -> list[Block]:
    blocks: list[Block] = []
    await ppk.stream(setup, blocks, steps=steps, step_s=step_s)
    return blocks


# --- Instrument, Sources


async def test_it_says_who_it_is_and_what_it_can(bench: Bench) -> None:
    async with kit(bench) as ppk:
        who = await ppk.do(ppk.driver.identify)
        assert (who.maker, who.model, who.firmware) == ("Nordic Semiconductor", "PPK2", "HW 9173")
        kinds = {"Instrument": Instrument, "Sources": Sources, "Streams": Streams, "Measures": Measures}
        assert set(loader.info("nordic_ppk2").capabilities) == kinds.keys()
        assert all(isinstance(ppk.driver, kind) for kind in kinds.values())
        assert not isinstance(ppk.driver, Captures | GuardsItself)


async def test_the_output_is_switched_on_measured_and_switched_off_verified(bench: Bench) -> None:
    async with kit(bench) as ppk:
        assert not await ppk.do(ppk.driver.output_is_on)
        await on(ppk, 3.3)
        assert await ppk.do(ppk.driver.output_is_on)
        assert ppk.persona.output_on()
        assert bench.node.drives[-1][1] == pytest.approx(3.3)
        reading = await ppk.do(ppk.driver.measure_output)
        assert reading.current_a == pytest.approx(1e-3, rel=2e-3)
        assert reading.voltage_v == pytest.approx(3.3)
        await ppk.do(ppk.driver.make_safe)
        assert not ppk.persona.output_on()
        assert not await ppk.do(ppk.driver.output_is_on)
        off = await ppk.do(ppk.driver.measure_output)
        assert math.isnan(off.voltage_v), "nobody knows the voltage of an output that is off"
        assert abs(off.current_a) < 1e-6


async def test_a_voltage_goes_out_as_millivolts_and_reads_back(bench: Bench) -> None:
    async with kit(bench) as ppk:
        for volt in (0.8, 1.799, 5.0):
            await on(ppk, volt)
            assert bench.node.drives[-1][1] == pytest.approx(volt)
        for volt in (0.0, 0.79, 5.01):
            with pytest.raises(OutOfRangeError, match=r"allowed is 0\.8 to 5 V"):
                await ppk.do(ppk.driver.set_voltage, volt)


async def test_what_it_has_not_got_is_refused(bench: Bench) -> None:
    async with kit(bench, no_current_limit=False) as ppk:
        driver = ppk.driver
        with pytest.raises(OutOfRangeError, match="has none to program"):
            await ppk.do(driver.protect, ProtectionLevels(3.6, 0.15))
        with pytest.raises(OutOfRangeError, match="no sense leads"):
            await ppk.do(driver.set_remote_sense, True)
        with pytest.raises(OutOfRangeError, match="floats"):
            await ppk.do(driver.set_off_mode, True)
        with pytest.raises(OutOfRangeError, match="no fixed range"):
            await ppk.do(driver.configure_stream, StreamSetup(10e-6, 0.05, 5.0))
        with pytest.raises(OutOfRangeError, match="every 1e-05 s"):
            await ppk.do(driver.configure_stream, StreamSetup(20e-6, None, 5.0))


async def test_the_voltage_of_its_protection_is_held_by_the_driver(bench: Bench) -> None:
    async with kit(bench) as ppk:
        held = await ppk.do(ppk.driver.protect, ProtectionLevels(3.0, 0.15))
        assert held == ProtectionLevels(None, 1.0), "nothing in the instrument holds either"
        with pytest.raises(OutOfRangeError, match="its protection"):
            await ppk.do(ppk.driver.set_voltage, 3.3)
        await ppk.do(ppk.driver.set_voltage, 3.0)


async def test_panic_off_switches_off_while_the_measuring_session_hangs(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await on(ppk)
        assert ppk.persona.output_on()
        ppk.persona.hang(True)
        await ppk.do(loader.panic_off, "nordic_ppk2", ppk.resource)
        assert not ppk.persona.output_on()


async def test_panic_off_ends_a_stream_and_needs_no_lock(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await on(ppk)
        await streamed(ppk, steps=1)
        await ppk.do(loader.panic_off, "nordic_ppk2", ppk.resource)
        assert not ppk.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(bench: Bench) -> None:
    async with kit(bench, timeout_s=0.2) as ppk:
        await on(ppk)
        ppk.persona.hang(True)
        with pytest.raises(OutputNotOffError, match="could not be switched off"):
            await ppk.do(ppk.driver.make_safe)


async def test_off_that_does_not_read_back_is_said_so(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await on(ppk)
        ppk.persona._set_mode = lambda _mode: None  # type: ignore[attr-defined]  # from now on it is deaf to a change of mode
        with pytest.raises(OutputNotOffError, match="its metadata say mode 2"):
            await ppk.do(ppk.driver.make_safe)


async def test_a_stream_is_not_disturbed(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await on(ppk)
        await streamed(ppk, steps=1)
        for disturbing in (ppk.driver.measure_output, ppk.driver.identify, lambda: ppk.driver.set_voltage(3.0)):
            with pytest.raises(OutOfRangeError, match="stop_stream comes first"):
                await ppk.do(disturbing)
        assert await ppk.do(ppk.driver.output_is_on)


# --- Streams


async def test_the_stream_delivers_every_sample_in_order_with_its_logic_lines(bench: Bench) -> None:
    bench.pins.scripted["MARK"] = [Edge(100 * MS, 1), Edge(150 * MS, 0)]
    async with kit(bench) as ppk:
        await on(ppk)
        begun_s = bench.clock.now_ns() * 1e-9
        blocks = await streamed(ppk, steps=6)
        elapsed_s = bench.clock.now_ns() * 1e-9 - begun_s
        end = await ppk.do(ppk.driver.stop_stream)
        total = sum(len(b) for b in blocks)
        assert end.missing == 0
        assert end.records == total == pytest.approx(elapsed_s / 10e-6, abs=2001)
        assert [b.seq for b in blocks] == [0, *np.cumsum([len(b) for b in blocks])[:-1]]
        current, marker, digital = (column(blocks, name) for name in ("current", "marker", "digital"))
        assert current[:100] == pytest.approx(1e-3, rel=2e-3)
        assert current[-100:] == pytest.approx(20e-3, rel=2e-3)
        assert set(np.unique(marker)) == {0.0, 3.0}
        assert np.array_equal(digital == 4, marker == 3.0)
        assert np.count_nonzero(marker) == pytest.approx(5000, abs=2)
        edge = int(np.flatnonzero(current > 10e-3)[0])
        assert edge - int(np.flatnonzero(marker)[0]) == pytest.approx(10_000, abs=2), "current and lines are on the same samples"
        assert column(blocks, "voltage")[0] == pytest.approx(3.0)
        assert not any(b.flags for b in blocks)


async def test_its_record_says_what_is_assumed(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await on(ppk, 3.3)
        taken = await ppk.do(ppk.driver.configure_stream, STREAM)
        assert (taken.dt_ns, taken.seamless, taken.voltage_range_v) == (10_000, True, 5.0)
        assert taken.columns == ("current", "voltage", "marker", "digital")
        assert taken.settings["voltage"] == "3.3 V, the set value, which the instrument does not measure"
        assert taken.settings["spike_filter"] == "off"
        assert "multiples of 64" in taken.settings["record_check"]
        assert "Calibrated: 0" in taken.settings["calibration"]
    async with kit(bench, spike_filter=True) as ppk:
        await on(ppk)
        assert (await ppk.do(ppk.driver.configure_stream, STREAM)).settings["spike_filter"] == "on"


async def measure(bench: Bench, trap: str, handed_on: list[Block]) -> None:
    """Open, switch on, stream for 0.2 s of board time."""
    async with kit(bench, trap=trap, timeout_s=0.4) as ppk:
        await on(ppk, 2.9)
        await ppk.do(ppk.driver.configure_stream, STREAM)
        await ppk.do(ppk.driver.start_stream)
        for _ in range(4):
            bench.clock.pass_s(0.05)
            while (block := await ppk.do(ppk.driver.read_block)) is not None:
                handed_on.append(block)


@pytest.mark.parametrize("trap", nordic_ppk2.TRAPS)
async def test_a_sprung_trap_is_found_and_never_yields_a_number(bench: Bench, trap: str) -> None:
    handed_on: list[Block] = []
    with pytest.raises(InstrumentError) as caught:
        await measure(bench, trap, handed_on)
    assert type(caught.value) is FOUND_BY[trap]
    if trap == "lost":
        assert sum(len(b) for b in handed_on) == 1000, "what came before the loss is whole"
    else:
        assert not handed_on


async def test_without_a_trap_the_same_goes_well(bench: Bench) -> None:
    handed_on: list[Block] = []
    await measure(bench, "", handed_on)
    assert sum(len(b) for b in handed_on) >= 20_000


async def test_a_loss_is_told_with_its_place_after_what_came_before_it(bench: Bench) -> None:
    async with kit(bench, trap="lost") as ppk:
        await on(ppk)
        await ppk.do(ppk.driver.configure_stream, STREAM)
        await ppk.do(ppk.driver.start_stream)
        bench.clock.pass_s(0.05)
        block = await ppk.do(ppk.driver.read_block)
        assert (block.seq, len(block)) == (0, 1000)
        with pytest.raises(LostSamplesError, match="after sample 999 the counter jumps by 5") as caught:
            await ppk.do(ppk.driver.read_block)
        assert (caught.value.expected, caught.value.received) == (1005, 1000)
        assert (await ppk.do(ppk.driver.stop_stream)).missing == 5


async def test_a_loss_may_be_a_gap_in_the_record(bench: Bench) -> None:
    async with kit(bench, trap="lost", on_loss="gap") as ppk:
        await on(ppk)
        blocks = await streamed(ppk, steps=2)
        assert [b.seq for b in blocks[:2]] == [0, 1005]
        assert [b.flags for b in blocks[:2]] == [BlockFlag.NONE, BlockFlag.GAP_BEFORE]
        assert blocks[1].t0_ns == 1005 * 10_000
        end = await ppk.do(ppk.driver.stop_stream)
        assert end.missing == 5
        assert end.records == sum(len(b) for b in blocks)


@pytest.mark.parametrize("trap", ["lost_64", "lost_many"])
async def test_a_loss_that_the_counter_cannot_show_is_no_gap(bench: Bench, trap: str) -> None:
    async with kit(bench, trap=trap, on_loss="gap", timeout_s=0.4) as ppk:
        await on(ppk)
        with pytest.raises(LostSamplesError, match="by the bench clock"):
            await streamed(ppk, steps=2)


async def test_a_host_that_does_not_read_loses_samples_and_is_told(bench: Bench) -> None:
    async with kit(bench, timeout_s=0.4) as ppk:
        await on(ppk)
        await ppk.do(ppk.driver.configure_stream, STREAM)
        await ppk.do(ppk.driver.start_stream)
        bench.clock.pass_s(2.0)
        with pytest.raises(LostSamplesError):
            await ppk.do(lambda: [ppk.driver.read_block() for _ in range(100)])


async def test_a_stream_that_a_dead_program_left_is_ended(bench: Bench) -> None:
    persona = nordic_ppk2.create(bench.setup(accuracy=EXACT))
    resource = await persona.serve()
    try:
        rig_of_it = Rig("nordic_ppk2", None, persona, bench, resource)  # type: ignore[arg-type]
        dead = await rig_of_it.do(open_serial, resource)
        await rig_of_it.do(dead.send, b"\x11\x02\x0c\x01\x06")
        assert len(await rig_of_it.do(dead.exactly, 401)) == 401, "samples come, and it dies in the middle of one"
        dead.close()
        clock = Clock("bench clock", lambda: bench.clock.now_ns() * 1e-9, 0.0)
        driver = await rig_of_it.do(lambda: loader.open_driver("nordic_ppk2", "smu", resource, WIRED.options, clock=clock))
        again = Rig("nordic_ppk2", driver, persona, bench, resource)
        await again.do(driver.reset)
        await on(again)
        assert column(await streamed(again), "current")[:50] == pytest.approx(1e-3, rel=2e-3)
        await again.do(driver.close)
    finally:
        await persona.close()


# --- Measures, ampere mode


async def test_no_mean_reaches_over_a_gap(bench: Bench) -> None:
    async with kit(bench, trap="lost", on_loss="gap") as ppk:
        await on(ppk)
        await ppk.do(ppk.driver.configure_mean, MeanSetup(0.005, None, 5.0))
        await ppk.do(ppk.driver.read_mean)
        bench.clock.pass_s(0.012)
        ppk.driver._mean._pending = np.full(400, 1.0, np.float32)  # as if they had come before the gap
        assert (await ppk.do(ppk.driver.read_mean)).current_a == pytest.approx(1e-3, rel=2e-3)


async def test_after_a_failure_nothing_more_is_handed_on(bench: Bench) -> None:
    async with kit(bench, trap="range_code") as ppk:
        await on(ppk)
        await ppk.do(ppk.driver.configure_stream, STREAM)
        await ppk.do(ppk.driver.start_stream)
        for _ in range(3):
            bench.clock.pass_s(0.05)
            with pytest.raises(ReplyError, match="range code above 4"):
                await ppk.do(ppk.driver.read_block)


async def test_its_accuracy_is_what_the_bench_file_declares(bench: Bench) -> None:
    async with kit(bench) as ppk:
        assert all(ppk.driver.accuracy().limit("current", full, 10e-6) is None for full in RANGES), "typical values are no limits"


async def test_means_come_one_after_the_other(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await on(ppk)
        taken = await ppk.do(ppk.driver.configure_mean, MeanSetup(0.1, None, 5.0))
        assert taken.dt_ns == 100 * MS
        readings = []
        for _ in range(10):
            if (reading := await ppk.do(ppk.driver.read_mean)) is not None:
                readings.append(reading)
            bench.clock.pass_s(0.05)
        assert len(readings) >= 4
        assert readings[0].current_a == pytest.approx(1e-3, rel=2e-3)
        assert readings[-1].current_a == pytest.approx(20e-3, rel=2e-3)
        assert readings[0].voltage_v == 3.0
        await ppk.do(ppk.driver.halt)
        assert (await ppk.do(ppk.driver.measure_output)).current_a == pytest.approx(20e-3, rel=2e-3)


async def test_in_ampere_mode_it_measures_what_another_one_feeds_and_feeds_nothing(bench: Bench) -> None:
    async with kit(bench, mode="ampere", supply_v=3.0) as ppk:
        blocks = await streamed(ppk, steps=2)
        assert column(blocks, "current")[0] == pytest.approx(1e-3, rel=2e-3)
        await ppk.do(ppk.driver.stop_stream)
        taken = await ppk.do(ppk.driver.configure_mean, MeanSetup(0.01, None, 5.0))
        assert taken.settings["voltage"] == "3 V, option supply_v, which the instrument does not measure"
        for refused in (lambda: ppk.driver.set_output(True), lambda: ppk.driver.set_voltage(3.0)):
            with pytest.raises(OutOfRangeError, match="feeds nothing"):
                await ppk.do(refused)
        await ppk.do(ppk.driver.make_safe)
        assert not any(connected for *_, connected in bench.node.drives)


async def test_in_ampere_mode_the_supply_must_be_told(bench: Bench) -> None:
    async with kit(bench, mode="ampere") as ppk:
        with pytest.raises(OutOfRangeError, match="needs option supply_v"):
            await ppk.do(ppk.driver.configure_stream, STREAM)


# --- the port


async def test_the_port_is_this_programs_alone(bench: Bench) -> None:
    async with kit(bench) as ppk:
        with pytest.raises(NotConnectedError, match="lock"):
            await ppk.do(open_serial, ppk.resource)


async def test_a_device_that_goes_away_is_named(bench: Bench) -> None:
    async with kit(bench) as ppk:
        await ppk.persona.close()
        with pytest.raises(NotConnectedError, match="ttyACM"):
            await ppk.do(ppk.driver.identify)
        with pytest.raises(NotConnectedError, match="could not be opened"):
            await ppk.do(open_serial, ppk.resource)

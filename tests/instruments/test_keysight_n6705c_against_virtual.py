"""The N6705C driver through a real socket against the virtual mainframe, which was written from the manuals by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import BlockFlag
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels, StreamSetup
from labd_instruments.errors import LinkTimeoutError, LostSamplesError, OutOfRangeError, OutputNotOffError, RefusedError
from labd_virtual.contract import Edge
from labd_virtual.instruments import keysight_n6705c
from labd_virtual.instruments.keysight_n6705c_channel import Settings
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
WIRED = Wired(
    options={"channel": 1, "fire_pin": 3, "timeout_s": 1.0},
    wires={"fire": "TRIG"},
    current_range_a=0.1,
    voltage_range_v=20.0,
    tables={"current": (10e-6, 1e-3, 0.1, 3.0), "voltage": (20.0,)},
    stream_dt_s=204.8e-6,
    capture_dt_s=20.48e-6,
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
LOG = StreamSetup(dt_s=307.2e-6, current_range_a=0.1, voltage_range_v=20.0, with_marker=True)
CAPTURE = CaptureSetup(20.48e-6, 200, 50, current_range_a=0.1, voltage_range_v=20.0, fire_dut=True)


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 1e-3), (200 * MS, 20e-3)), interface=interface)


@pytest.fixture
async def n6705c(bench: Bench) -> AsyncIterator[Rig]:
    setup = bench.setup(
        options={"channel": 1, "marker_channel": 2, "fire_pin": 3}, wires={"fire": "TRIG", "marker": "MARK"}, accuracy=EXACT
    )
    persona = keysight_n6705c.create(setup)
    async with rig("keysight_n6705c", persona, bench, channel=1, marker_channel=2, fire_pin=3, timeout_s=1.0) as made:
        yield made


async def test_protection_levels_are_programmed_and_read_back(n6705c: Rig) -> None:
    levels = ProtectionLevels(3.6, 0.15, current_trip=True, current_delay_s=0.005)
    assert await n6705c.do(n6705c.driver.protect, levels) == replace(levels, open_lead_v=3.6, swapped_leads_v=5.1)


async def test_the_output_is_switched_on_measured_and_switched_off_verified(n6705c: Rig) -> None:
    driver = n6705c.driver
    await n6705c.do(driver.set_remote_sense, True)
    await n6705c.do(driver.set_off_mode, True)
    await n6705c.do(driver.set_voltage, 3.0)
    await n6705c.do(driver.set_output, True)
    reading = await n6705c.do(driver.measure_output)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-4)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-3)
    await n6705c.do(driver.make_safe)
    assert not n6705c.persona.output_on()


async def test_the_log_delivers_every_record_in_order_with_the_marker(n6705c: Rig) -> None:
    driver, bench = n6705c.driver, n6705c.bench
    bench.pins.scripted["MARK"] = [Edge(100 * MS, 1), Edge(150 * MS, 0)]
    await n6705c.do(driver.set_output, True)
    taken = await n6705c.do(driver.configure_stream, LOG)
    assert taken.dt_ns == 307_200
    assert taken.columns == ("current", "voltage", "marker")
    await n6705c.do(driver.start_stream)
    begun_ns = bench.clock.now_ns()
    blocks = []
    for _ in range(4):
        bench.clock.pass_s(0.1)
        blocks.append(await n6705c.do(driver.read_block))
    assert await n6705c.do(driver.read_block) is None
    end = await n6705c.do(driver.stop_stream)
    total = sum(len(b) for b in blocks)
    assert end.missing == 0
    assert end.records == total == pytest.approx(0.4 / 307.2e-6, abs=1)
    assert [b.seq for b in blocks[1:]] == list(np.cumsum([len(b) for b in blocks])[:-1])
    current = np.concatenate([b.current for b in blocks])
    marker = np.concatenate([b.marker for b in blocks])
    assert current[0] == pytest.approx(1e-3)
    assert current[-1] == pytest.approx(20e-3)
    assert marker.max() == pytest.approx(3.0)
    charge = float(current.astype(float).sum()) * 307.2e-6
    high_s = 0.4 - (200 * MS - begun_ns) * 1e-9
    assert charge == pytest.approx(1e-3 * (0.4 - high_s) + 20e-3 * high_s, rel=0.01)


async def test_records_that_the_fifo_overwrote_are_missed(n6705c: Rig) -> None:
    driver = n6705c.driver
    await n6705c.do(driver.configure_stream, StreamSetup(10.24e-3, 0.1, 20.0))
    await n6705c.do(driver.start_stream)
    n6705c.bench.clock.pass_s(30.0)  # the FIFO holds 20 s
    with pytest.raises(LostSamplesError) as caught:
        await n6705c.do(driver.read_block)
    assert caught.value.expected - caught.value.received == pytest.approx(10.0 / 10.24e-3, abs=5)


async def test_a_period_below_the_floor_is_refused_with_the_floor(n6705c: Rig) -> None:
    with pytest.raises(OutOfRangeError, match=r"0.0003072 to 60 s \(102.4 us for each of 3 parameters"):
        await n6705c.do(n6705c.driver.configure_stream, StreamSetup(204.8e-6, 0.1, 20.0, with_marker=True))
    taken = await n6705c.do(n6705c.driver.configure_stream, StreamSetup(204.8e-6, 0.1, 20.0))
    assert taken.dt_ns == 204_800


async def test_a_capture_fires_the_dut_at_its_trigger(n6705c: Rig) -> None:
    driver, bench = n6705c.driver, n6705c.bench
    await n6705c.do(driver.set_output, True)
    taken = await n6705c.do(driver.configure_capture, CAPTURE)
    assert (taken.dt_ns, taken.points, taken.pretrigger_points) == (20_480, 200, 50)
    for _ in range(2):
        await n6705c.do(driver.arm)
        bench.pins.driven.clear()
        await n6705c.do(driver.fire)
        while not await n6705c.do(driver.captured):
            pass
        (block,) = await n6705c.do(driver.fetch)
        assert block.t0_ns == -50 * 20_480
        assert len(block) == 200
        assert block.marker is None
        assert [(pin, level) for _, pin, level in bench.pins.driven] == [("TRIG", 1), ("TRIG", 0)]


async def test_a_capture_that_does_not_fire_the_dut_leaves_its_line_alone(n6705c: Rig) -> None:
    driver, bench = n6705c.driver, n6705c.bench
    await n6705c.do(driver.configure_capture, CaptureSetup(20.48e-6, 100, 10, 0.1, 20.0, fire_dut=False, with_marker=True))
    bench.pins.driven.clear()
    await n6705c.do(driver.arm)
    await n6705c.do(driver.fire)
    while not await n6705c.do(driver.captured):
        pass
    (block,) = await n6705c.do(driver.fetch)
    assert block.marker is not None
    assert bench.pins.driven == []


async def test_a_current_above_a_fixed_range_is_flagged_and_never_a_number(n6705c: Rig) -> None:
    driver = n6705c.driver
    n6705c.bench.clock.pass_s(1.0)  # the load is 20 mA now
    await n6705c.do(driver.set_output, True)
    await n6705c.do(driver.configure_stream, StreamSetup(20.48e-3, 1e-3, 20.0))
    await n6705c.do(driver.start_stream)
    n6705c.bench.clock.pass_s(0.5)
    block = await n6705c.do(driver.read_block)
    assert BlockFlag.OVER_RANGE in block.flags
    assert np.isnan(block.current).all()


async def test_a_mean_is_current_and_voltage_of_one_sweep(n6705c: Rig) -> None:
    driver = n6705c.driver
    await n6705c.do(driver.set_output, True)
    taken = await n6705c.do(driver.configure_mean, MeanSetup(0.02, None, 20.0))
    assert taken.seamless
    reading = await n6705c.do(driver.read_mean)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-3)
    assert reading.power_w is None


async def test_a_refused_query_is_named_with_its_code(n6705c: Rig) -> None:
    with pytest.raises(RefusedError, match="-113") as caught:
        await n6705c.do(n6705c.driver._box.ask, "NONSENSE? (@1)", "a nonsense")
    assert caught.value.messages[0][0] == -113
    await n6705c.do(n6705c.driver.identify)


async def test_fetching_a_capture_that_never_was_is_refused(n6705c: Rig) -> None:
    await n6705c.do(n6705c.driver.configure_capture, CAPTURE)
    with pytest.raises(RefusedError, match="-230"):
        await n6705c.do(n6705c.driver.fetch)


async def test_panic_off_switches_off_while_the_measuring_session_hangs(n6705c: Rig) -> None:
    await n6705c.do(n6705c.driver.set_output, True)
    assert n6705c.persona.output_on()
    n6705c.persona.hang(True)
    await n6705c.do(loader.panic_off, "keysight_n6705c", n6705c.resource)
    assert not n6705c.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(n6705c: Rig) -> None:
    await n6705c.persona.close()
    with pytest.raises(OutputNotOffError, match="could not be switched off"):
        await n6705c.do(n6705c.driver.make_safe)


async def test_a_watchdog_that_is_not_fed_disables_the_output_and_the_next_start_clears_it(n6705c: Rig) -> None:
    smu = n6705c.driver
    await n6705c.do(smu.set_watchdog, 1.0)
    await n6705c.do(smu.set_voltage, 3.0)
    await n6705c.do(smu.set_output, True)
    for _ in range(4):
        await n6705c.bench.clock.sleep_until(n6705c.bench.clock.now_ns() + 600_000_000)
        await n6705c.do(smu.feed_watchdog)
    assert n6705c.persona.output_on()
    await n6705c.bench.clock.sleep_until(n6705c.bench.clock.now_ns() + 1_100_000_000)
    assert not n6705c.persona.output_on()
    assert "watchdog" in (await n6705c.do(smu.tripped) or "")
    assert await n6705c.do(smu.disconnected)
    assert await n6705c.do(smu.output_is_on), "the programmed state stays, so clearing alone would bring the output back"
    await n6705c.do(smu.reset)
    assert not n6705c.persona.output_on()
    assert await n6705c.do(smu.tripped) is None
    assert not await n6705c.do(smu.output_is_on)


async def test_a_mainframe_whose_reset_leaves_the_current_unmeasured_is_measured_all_the_same(n6705c: Rig) -> None:
    """No page says what a reset makes of it, and the reading that tests the sense leads is the first of all."""
    persona = cast("keysight_n6705c.N6705C", n6705c.persona)
    assert not Settings().current
    assert persona.channels[1].measure.current
    await n6705c.do(n6705c.driver.set_output, True)
    assert (await n6705c.do(n6705c.driver.measure_output)).current_a == pytest.approx(1e-3, rel=1e-3)


async def test_a_channel_that_is_not_there_is_named(bench: Bench) -> None:
    persona = keysight_n6705c.create(bench.setup(options={"channel": 1}, accuracy=EXACT))
    resource = await persona.serve()
    try:
        with pytest.raises(RefusedError, match="what sits in channel 3, of option channel or marker_channel"):
            await asyncio.to_thread(lambda: loader.open_driver("keysight_n6705c", "smu", resource, {"channel": 3, "timeout_s": 0.5}))
    finally:
        await persona.close()


async def test_a_log_of_which_a_fetch_came_too_late_gives_no_more_records(n6705c: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the instrument had handed out is gone, and the records behind it follow without a gap in their numbers."""
    driver, bench = n6705c.driver, n6705c.bench
    await n6705c.do(driver.configure_stream, LOG)
    await n6705c.do(driver.start_stream)
    bench.clock.pass_s(0.1)
    assert await n6705c.do(driver.read_block) is not None
    link = driver._box.link
    fetched = link.query_definite_block

    def late(command: str, dtype: str, *, timeout_s: float | None = None) -> object:
        fetched(command, dtype, timeout_s=timeout_s)
        raise LinkTimeoutError("0 of 2 bytes of a block came before its deadline")

    bench.clock.pass_s(0.1)
    monkeypatch.setattr(link, "query_definite_block", late)
    with pytest.raises(LinkTimeoutError):
        await n6705c.do(driver.read_block)
    monkeypatch.undo()
    bench.clock.pass_s(0.1)
    with pytest.raises(LinkTimeoutError):
        await n6705c.do(driver.read_block)
    await n6705c.do(driver.stop_stream)
    await n6705c.do(driver.configure_stream, LOG)
    await n6705c.do(driver.start_stream)
    bench.clock.pass_s(0.1)
    assert await n6705c.do(driver.read_block) is not None

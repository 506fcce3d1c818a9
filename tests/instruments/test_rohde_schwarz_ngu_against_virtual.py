"""The NGU and NGM driver through a real socket against the virtual instrument, which was written from the manuals apart from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.accuracy import AccuracyRow
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock
from labd_instruments.contract import ProtectionLevels, StreamEnd, StreamSetup
from labd_instruments.errors import (
    InstrumentError,
    LostSamplesError,
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    RefusedError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver
from labd_virtual.contract import Edge
from labd_virtual.instruments import rohde_schwarz_ngu
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
NGU_RANGES = (10e-6, 1e-3, 10e-3, 0.1, 3.0, 10.0)
WIRED = Wired(
    options={"model": "NGU201", "channel": 1, "marker_out": True},
    wires={"start": "MARK", "marker_out": "TRIG"},
    current_range_a=0.1,
    voltage_range_v=6.0,
    tables={"current": NGU_RANGES, "voltage": (6.0, 20.0)},
    stream_dt_s=1e-4,
    sinks=False,
    senses=False,  # no page says where its over-voltage protection looks
)
LOG = StreamSetup(dt_s=1e-4, current_range_a=0.1, voltage_range_v=6.0)
LEVELS = ProtectionLevels(3.6, 0.15, current_trip=True, current_delay_s=0.005)
NEVER_STOPS = 400  # turns of a loop that a right driver ends long before


@asynccontextmanager
async def wired(bench: Bench, *, trap: str = "", timebase: float = 0.0, **options: object) -> AsyncIterator[Rig]:
    chosen = {**WIRED.options, **options}
    exact = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
    setup = bench.setup(options=chosen, wires=WIRED.wires, accuracy=exact, trap=trap, timebase=timebase)
    async with rig("rohde_schwarz_ngu", rohde_schwarz_ngu.create(setup), bench, timeout_s=1.0, **chosen) as made:
        yield made


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 1e-3), (800 * MS, 20e-3)), interface=interface)


@pytest.fixture
async def ngu(bench: Bench) -> AsyncIterator[Rig]:
    async with wired(bench) as made:
        yield made


async def power_up(it: Rig) -> None:
    await it.do(it.driver.protect, LEVELS)
    await it.do(it.driver.set_remote_sense, True)
    await it.do(it.driver.set_voltage, 3.0)
    await it.do(it.driver.set_output, True)


async def logged(it: Rig, *, step_s: float = 0.06, steps: int = 30, owner: str = "smu.flog1") -> list[Block]:
    """Blocks of a log that the host looks at every step_s, or when a chunk has just come: stepped time does not pass what waits."""
    blocks = []
    for _ in range(steps):
        now_ns = it.bench.clock.now_ns()
        it.bench.clock.pass_s(min(step_s, (it.bench.clock.limits.get(owner, 2**62) - now_ns) * 1e-9))
        if (block := await it.do(it.driver.read_block)) is not None:
            blocks.append(block)
    return blocks


async def session(it: Rig) -> tuple[list[Block], StreamEnd]:
    """All that a run does with its instrument, to the books of its log."""
    await power_up(it)
    await it.do(it.driver.measure_output)
    await it.do(it.driver.configure_stream, LOG)
    await it.do(it.driver.start_stream)
    blocks = await logged(it)
    end = await it.do(it.driver.stop_stream)
    await it.do(it.driver.make_safe)
    return blocks, end


async def test_protection_levels_are_programmed_and_read_back(ngu: Rig) -> None:
    assert await ngu.do(ngu.driver.protect, LEVELS) == LEVELS
    off = ProtectionLevels(None, 0.2)
    assert await ngu.do(ngu.driver.protect, off) == off


async def test_the_output_is_switched_on_in_two_steps_measured_and_switched_off_verified(ngu: Rig) -> None:
    await power_up(ngu)
    assert ngu.persona.output_on()
    assert await ngu.do(ngu.driver.output_is_on)
    reading = await ngu.do(ngu.driver.measure_output)
    assert (reading.voltage_v, reading.current_a) == pytest.approx((3.0, 1e-3), rel=1e-5)
    assert ngu.bench.node.drives[-1][1:4:2] == (3.0, 0.15)
    await ngu.do(ngu.driver.set_output, False)
    assert not ngu.persona.output_on()
    await ngu.do(ngu.driver.set_output, True)
    await ngu.do(ngu.driver.make_safe)
    assert not ngu.persona.output_on()


async def test_the_log_delivers_every_record_in_order(ngu: Rig) -> None:
    await power_up(ngu)
    taken = await ngu.do(ngu.driver.configure_stream, LOG)
    assert (taken.dt_ns, taken.columns, taken.current_range_a) == (100_000, ("current", "voltage"), 0.1)
    assert taken.remote_sense
    assert not taken.seamless
    await ngu.do(ngu.driver.start_stream)
    begun_ns = ngu.bench.clock.now_ns()
    blocks = await logged(ngu)
    end = await ngu.do(ngu.driver.stop_stream)
    assert [b.seq for b in blocks] == [2500 * k for k in range(6)]
    assert [b.t0_ns for b in blocks] == [250 * MS * k for k in range(6)]
    assert (end.records, end.missing) == (15_000, 0)
    assert end.elapsed_s == pytest.approx(1.5, abs=0.06)
    current = np.concatenate([b.current for b in blocks])
    assert np.all(np.concatenate([b.voltage for b in blocks]) == np.float32(3.0))
    step = int(np.argmax(current > 10e-3))
    assert begun_ns + step * 100_000 == pytest.approx(800 * MS, abs=100_000), "the time of a record is its number times the interval"


async def test_at_its_fastest_it_still_counts_every_record(bench: Bench) -> None:
    async with wired(bench) as it:
        taken = await it.do(it.driver.configure_stream, StreamSetup(2e-6, 0.1, 6.0))
        await it.do(it.driver.start_stream)
        blocks = await logged(it, steps=10)
        assert taken.dt_ns == 2000
        assert [len(b) for b in blocks] == [125_000, 125_000]


async def test_records_that_were_overwritten_because_nobody_came_are_missed(ngu: Rig) -> None:
    await ngu.do(ngu.driver.configure_stream, LOG)
    await ngu.do(ngu.driver.start_stream)
    await ngu.do(ngu.driver.read_block)
    ngu.bench.clock.pass_s(5.1)
    with pytest.raises(LostSamplesError, match="its status says that data was skipped") as caught:
        await ngu.do(ngu.driver.read_block)
    assert (caught.value.expected, caught.value.received) == (51_000, 0)


async def test_a_log_that_brings_nothing_is_not_waited_for_for_ever(ngu: Rig) -> None:
    await ngu.do(ngu.driver.configure_stream, LOG)
    await ngu.do(ngu.driver.start_stream)
    await ngu.do(ngu.driver._box.link.write, "FLOG 0")  # somebody else has stopped it
    begun_ns = ngu.bench.clock.now_ns()
    with pytest.raises(LostSamplesError, match="no chunk has come when one was due"):
        await logged(ngu, steps=NEVER_STOPS)
    assert ngu.bench.clock.now_ns() - begun_ns < 700 * MS


async def test_a_current_above_the_fixed_range_is_flagged_and_never_a_number(ngu: Rig) -> None:
    ngu.bench.clock.pass_s(1.0)  # the load is 20 mA now
    await power_up(ngu)
    await ngu.do(ngu.driver.configure_stream, StreamSetup(1e-4, 1e-3, 6.0))
    await ngu.do(ngu.driver.start_stream)
    (block,) = await logged(ngu, steps=5)
    assert BlockFlag.OVER_RANGE in block.flags
    assert block.current is not None
    assert block.voltage is not None
    assert np.isnan(block.current).all()
    assert not np.isnan(block.voltage).any()


async def test_a_pin_starts_the_log_and_its_first_record_begins_at_the_edge(bench: Bench) -> None:
    bench.pins.scripted["MARK"] = [Edge(600 * MS, 1), Edge(700 * MS, 0)]
    async with wired(bench, start_pin="IN") as it:
        await power_up(it)
        taken = await it.do(it.driver.configure_stream, LOG)
        assert taken.settings["start"] == "pin IN"
        await it.do(it.driver.start_stream)
        blocks = await logged(it, step_s=0.01, steps=150)
        current = np.concatenate([b.current for b in blocks])
        assert int(np.argmax(current > 10e-3)) == 2000, "200 ms after the edge"
        assert (await it.do(it.driver.stop_stream)).missing == 0


async def test_a_trigger_that_an_earlier_session_left_on_is_switched_off(ngu: Rig) -> None:
    await ngu.do(ngu.driver._box.link.write, "FLOG:TRIG 1")
    await ngu.do(ngu.driver.reset)
    assert await ngu.do(ngu.driver._box.link.query, "FLOG:TRIG?") == "1", "a reset leaves it"
    await ngu.do(ngu.driver.configure_stream, LOG)
    assert await ngu.do(ngu.driver._box.link.query, "FLOG:TRIG?") == "0"


async def test_the_marker_moves_the_boards_pin(ngu: Rig) -> None:
    ngu.bench.pins.driven.clear()
    await ngu.do(ngu.driver.mark, True)
    await ngu.do(ngu.driver.mark, False)
    assert [(pin, level) for _, pin, level in ngu.bench.pins.driven] == [("TRIG", 1), ("TRIG", 0)]


async def test_the_second_channel_of_an_ngm202_feeds_while_the_first_stays_off(bench: Bench) -> None:
    async with wired(bench, model="NGM202", channel=2) as it:
        assert (it.driver.source_limits.voltage_v, it.driver.source_limits.current_a) == (20.0, 6.0)
        await power_up(it)
        assert it.persona.output_on()
        persona: Any = it.persona
        assert not persona.channels[1].output.on
        await it.do(it.driver.configure_stream, StreamSetup(1e-3, 1.0, 5.0))
        await it.do(it.driver.start_stream)
        blocks = await logged(it, steps=10, owner="smu.flog2")
        assert [len(b) for b in blocks] == [250, 250]
        await it.do(it.driver.stop_stream)
        await it.do(it.driver._box.link.write, "INST:NSEL 1")
        await it.do(it.driver._box.link.write, "OUTP:SEL 1")
        await it.do(it.driver.make_safe)
        assert not any(channel.output.selected for channel in persona.channels.values())


async def test_a_trip_is_told_and_the_next_start_clears_it_with_the_output_off(ngu: Rig) -> None:
    await power_up(ngu)
    ngu.bench.node.clamped_ns = ngu.bench.clock.now_ns()
    assert await ngu.do(ngu.driver.tripped) == "current limit"
    assert not await ngu.do(ngu.driver.disconnected)
    ngu.bench.clock.pass_s(0.006)
    assert await ngu.do(ngu.driver.tripped) == "electronic fuse"
    assert await ngu.do(ngu.driver.disconnected)
    assert not await ngu.do(ngu.driver.output_is_on)
    ngu.bench.node.clamped_ns = None
    await ngu.do(ngu.driver.reset)
    assert await ngu.do(ngu.driver.tripped) is None
    assert not ngu.persona.output_on()


async def test_over_power_trips_where_the_bench_file_sets_it(bench: Bench) -> None:
    async with wired(bench, power_limit_w=0.05) as it:
        await power_up(it)
        it.bench.clock.pass_s(1.0)  # 3 V, 20 mA
        assert await it.do(it.driver.tripped) == "over-power protection"
        assert not it.persona.output_on()


async def test_panic_off_switches_off_while_the_measuring_session_hangs(ngu: Rig) -> None:
    await power_up(ngu)
    ngu.persona.hang(True)
    await ngu.do(loader.panic_off, "rohde_schwarz_ngu", ngu.resource)
    assert not ngu.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(ngu: Rig) -> None:
    await ngu.persona.close()
    with pytest.raises(OutputNotOffError, match="could not be switched off"):
        await ngu.do(ngu.driver.make_safe)


TRAPPED: dict[str, type[InstrumentError]] = {
    "overrun": LostSamplesError,
    "skipped": LostSamplesError,
    "usb_target": ReadBackError,
    "trigger_gated": ReadBackError,
    "auto_range": ReadBackError,
    "one_switch": ReadBackError,
    "stays_on": OutputNotOffError,
    "old_rates": RefusedError,
    "rate_kept": ReadBackError,
    "fast_clock": ReplyError,
    "byte_order": ReplyError,
    "odd_block": ReplyError,
    "nan_reading": SentinelError,
}


@pytest.mark.parametrize("trap", sorted(rohde_schwarz_ngu.TRAPS))
async def test_a_sprung_trap_is_found_and_never_becomes_a_number(trap: str) -> None:
    async with wired(Bench(load=((0, 1e-3),)), trap=trap) as it:
        with pytest.raises(TRAPPED[trap]) as caught:
            await session(it)
        assert type(caught.value) is TRAPPED[trap]


@pytest.mark.parametrize(("trap", "said"), [("skipped", "its status says that data was skipped"), ("overrun", r"7500 records in .* lost")])
async def test_a_chunk_that_was_overwritten_is_missed_with_and_without_a_word(trap: str, said: str) -> None:
    async with wired(Bench(load=((0, 1e-3),)), trap=trap) as it:
        await it.do(it.driver.configure_stream, LOG)
        await it.do(it.driver.start_stream)
        with pytest.raises(LostSamplesError, match=said):
            await logged(it, step_s=0.011, steps=100)


async def test_a_host_that_was_away_while_a_chunk_was_lost_takes_no_later_one() -> None:
    async with wired(Bench(load=((0, 1e-3),)), trap="overrun") as it:
        await it.do(it.driver.configure_stream, LOG)
        await it.do(it.driver.start_stream)
        for step_s in (0.255, 0.25):
            it.bench.clock.pass_s(step_s)
            assert len(await it.do(it.driver.read_block)) == 2500
        it.bench.clock.pass_s(0.5)  # the third is lost, the fourth is there
        with pytest.raises(LostSamplesError):
            await it.do(it.driver.read_block)


async def test_every_trap_has_its_error_and_without_one_all_is_well() -> None:
    assert set(TRAPPED) == set(rohde_schwarz_ngu.TRAPS)
    async with wired(Bench(load=((0, 1e-3),)), timebase=5e-5) as it:
        blocks, end = await session(it)
    assert (sum(len(b) for b in blocks), end.missing) == (end.records, 0)
    assert end.records in (12_500, 15_000)


@pytest.mark.parametrize("trap", ["auto_range", "byte_order", "odd_block"])
async def test_data_that_cannot_be_trusted_is_not_handed_on(trap: str) -> None:
    async with wired(Bench(load=((0, 1e-3),)), trap=trap) as it:
        await power_up(it)
        await it.do(it.driver.configure_stream, LOG)
        await it.do(it.driver.start_stream)
        it.bench.clock.pass_s(0.26)
        with pytest.raises(TRAPPED[trap]):
            await it.do(it.driver.read_block)


async def test_a_lost_chunk_is_seen_by_a_host_whose_clock_is_called_bad_and_after_hours() -> None:
    async with wired(Bench(load=((0, 1e-3),)), trap="overrun") as it:
        now = it.driver._box.clock.now_s
        it.driver._box.clock = Clock("host", now, 0.25)
        await it.do(it.driver.configure_stream, LOG)
        await it.do(it.driver.start_stream)
        log = it.driver._log._log
        log.received, log.begun_s, log.earliest_s = 10_000 * 7200, log.begun_s - 7200.0, log.earliest_s - 7200.0
        with pytest.raises(LostSamplesError, match="since the chunk before"):
            await logged(it, step_s=0.011, steps=100)


# --- what is refused before anything is sent


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda d: d.configure_stream(StreamSetup(307.2e-6, 0.1, 6.0)), "log rate is 3255.21 S/s, an NGU201 has 100, 1000"),
        (lambda d: d.configure_stream(StreamSetup(1e-4, 1.0, 6.0)), "current range is 1 A, an NGU201 has 1e-05"),
        (lambda d: d.configure_stream(StreamSetup(1e-4, 0.1, 5.0)), "voltage range is 5 V"),
        (lambda d: d.configure_stream(StreamSetup(1e-4, None, 6.0)), "do not say where auto-ranging was"),
        (lambda d: d.configure_stream(StreamSetup(1e-4, 0.1, 6.0, with_marker=True)), "no input for a marker"),
        (lambda d: d.set_voltage(20.5), "voltage is 20.5 V, allowed is 0 to 20 V (NGU201)"),
        (lambda d: d.set_voltage(-1.0), "voltage is -1 V"),
        (lambda d: d.protect(ProtectionLevels(21.0, 0.1)), "over-voltage protection is 21 V"),
        (lambda d: d.protect(ProtectionLevels(3.6, 9.0)), "current limit is 9 A, allowed is 2e-05 to 8 A"),
        (lambda d: d.protect(ProtectionLevels(3.6, 1e-6)), "current limit is 1e-06 A"),
        (lambda d: d.protect(ProtectionLevels(3.6, 0.1, current_trip=True, current_delay_s=11.0)), "fuse delay is 11 s"),
        (lambda d: d.set_off_mode(True), "off mode cannot be set"),
        (lambda d: d.mark(True), "needs option marker_out"),
        (lambda d: d.read_block(), "configure_stream comes first"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_sent(ask: Callable[[Any], object], complaint: str) -> None:
    driver = open_driver("rohde_schwarz_ngu", "smu", "SCRIPT", {}, link=ScriptedLink.from_text("> *IDN?\n< Rohde&Schwarz,NGU201,1,03.068"))
    with pytest.raises(OutOfRangeError) as caught:
        ask(driver)
    assert complaint in str(caught.value)


async def test_more_than_three_amperes_are_refused_above_six_volts(ngu: Rig) -> None:
    await ngu.do(ngu.driver.protect, ProtectionLevels(12.0, 5.0))
    with pytest.raises(OutOfRangeError, match="current limit above 6 V is 5 A"):
        await ngu.do(ngu.driver.set_voltage, 9.0)
    await ngu.do(ngu.driver.protect, ProtectionLevels(12.0, 3.0))
    await ngu.do(ngu.driver.set_voltage, 9.0)
    with pytest.raises(OutOfRangeError, match="to 3 A"):
        await ngu.do(ngu.driver.protect, ProtectionLevels(12.0, 5.0))


@pytest.mark.parametrize(
    ("identity", "options", "error"),
    [
        ("Rohde&Schwarz,NGP804,1,2", {}, WrongInstrumentError),
        ("KEITHLEY,NGU201,1,2", {}, WrongInstrumentError),
        ("Rohde&Schwarz,NGU401,1,2", {"model": "NGU201"}, WrongInstrumentError),
        ("Rohde&Schwarz,NGU401,1,2", {"channel": 2}, OutOfRangeError),
    ],
)
def test_another_instrument_is_not_driven(identity: str, options: dict[str, object], error: type[InstrumentError]) -> None:
    link = ScriptedLink.from_text(f"> *IDN?\n< {identity}")
    with pytest.raises(error):
        open_driver("rohde_schwarz_ngu", "smu", "SCRIPT", options, link=link)
    assert link.closed


def test_no_accuracy_is_claimed_but_what_the_bench_file_declares() -> None:
    greeting = "> *IDN?\n< Rohde&Schwarz,NGU201,1,03.068"
    driver = open_driver("rohde_schwarz_ngu", "smu", "SCRIPT", {}, link=ScriptedLink.from_text(greeting))
    assert driver.accuracy().limit("current", 0.1, 1e-4) is None
    row = AccuracyRow("current", 0.1, 2.5e-4, 15e-6, 1e-4, "a certificate")
    declared = open_driver("rohde_schwarz_ngu", "smu", "SCRIPT", {}, (row,), link=ScriptedLink.from_text(greeting))
    limit = declared.accuracy().limit("current", 0.1, 1e-4)
    assert limit is not None
    assert (limit.gain, limit.offset) == (2.5e-4, 15e-6)
    assert declared.accuracy().limit("current", 0.1, 2e-6) is None, "a shorter aperture than the certificate's"

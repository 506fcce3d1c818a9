"""The LPM01A driver through a real pseudo-terminal against the virtual board, in both formats of its samples."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.accuracy import AccuracyRow
from labd_instruments.block import Block, BlockFlag
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
    RefusedError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.serial import open_serial
from labd_virtual.instruments import nordic_ppk2, st_lpm01a
from tests.instruments.virtual_rig import Rig, Wired, column, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
WIRED = Wired(
    options={"no_current_limit": True},
    wires={},
    current_range_a=None,
    voltage_range_v=3.3,
    tables={"current": (0.05,), "voltage": (3.3,)},
    supply_v=3.0,
    load_a=10e-3,
    stream_dt_s=100e-6,
    sinks=False,
    senses=False,
    most=(3.3, 0.059),
)
EXACT = rows({"current": ((0.05, 0.0, 0.0),), "voltage": ((3.3, 0.0, 0.0),)})
STREAM = StreamSetup(dt_s=1e-4, current_range_a=None, voltage_range_v=3.3)
FORMATS = ("bin_hexa", "ascii_dec")
FOUND_BY: dict[str, type[InstrumentError]] = {
    "overrun": LostSamplesError,
    "overrun_in_silence": LostSamplesError,
    "full_buffer": LostSamplesError,
    "overflow_bit": LostSamplesError,
    "torn": ReplyError,
    "no_stamps": LostSamplesError,
    "other_frequency": LostSamplesError,
    "own_end": ReplyError,
    "over_current": RefusedError,
    "other_voltage": ReadBackError,
    "stays_off": ReadBackError,
    "stays_on": OutputNotOffError,
    "standalone": RefusedError,
    "old_firmware": WrongInstrumentError,
    "warm": OutOfRangeError,
    "broken": RefusedError,
}


@asynccontextmanager
async def board(bench: Bench, *, trap: str = "", **more: object) -> AsyncIterator[Rig]:
    chosen = {**WIRED.options, "timeout_s": 2.0, **more}
    persona = st_lpm01a.create(bench.setup(options=chosen, accuracy=EXACT, trap=trap))
    async with rig("st_lpm01a", persona, bench, **chosen) as made:
        yield made


@pytest.fixture
def bench() -> Bench:
    return Bench(load=((0, 1e-3), (300 * MS, 20e-3)))


async def on(lpm: Rig, volt: float = 3.0) -> None:
    await lpm.do(lpm.driver.set_voltage, volt)
    await lpm.do(lpm.driver.set_output, True)


async def streamed(lpm: Rig, blocks: list[Block], steps: int = 10, setup: StreamSetup = STREAM) -> None:
    await lpm.stream(setup, blocks, steps=steps, step_s=0.1)


# --- Instrument, Sources


async def test_it_says_who_it_is_and_what_it_can(bench: Bench) -> None:
    async with board(bench) as lpm:
        who = await lpm.do(lpm.driver.identify)
        assert (who.maker, who.model, who.firmware) == ("STMicroelectronics", "X-NUCLEO-LPM01A", "1.0.7")
        assert who.serial == "540554545-1430736921-1900587"
        kinds = {"Instrument": Instrument, "Sources": Sources, "Streams": Streams, "Measures": Measures}
        assert set(loader.info("st_lpm01a").capabilities) == kinds.keys()
        assert all(isinstance(lpm.driver, kind) for kind in kinds.values())
        assert not isinstance(lpm.driver, Captures | GuardsItself)


async def test_an_answer_to_stop_that_comes_late_answers_nothing_else(bench: Bench) -> None:
    async with board(bench) as lpm:
        kit = lpm.driver._kit

        def asked_at_once() -> str:
            for command in ("pwr off", "stop"):
                kit.tell(command)
            return str(kit.asked("powershield"))

        assert await lpm.do(asked_at_once) == "540554545-1430736921-1900587"


async def test_another_instrument_on_the_port_is_refused_and_the_port_given_back(bench: Bench) -> None:
    persona = nordic_ppk2.create(bench.setup())
    resource = await persona.serve()
    try:
        there = Rig("nordic_ppk2", None, persona, bench, resource)  # type: ignore[arg-type]
        with pytest.raises(WrongInstrumentError, match="no PowerShield"):
            await there.do(lambda: loader.open_driver("st_lpm01a", "smu", resource, {"timeout_s": 0.2}))
        (await there.do(open_serial, resource)).close()
    finally:
        await persona.close()


async def test_the_output_is_switched_on_measured_and_switched_off_verified(bench: Bench) -> None:
    async with board(bench) as lpm:
        assert not await lpm.do(lpm.driver.output_is_on)
        await on(lpm, 3.3)
        assert await lpm.do(lpm.driver.output_is_on)
        assert lpm.persona.output_on()
        assert bench.node.drives[-1][1] == pytest.approx(3.3)
        reading = await lpm.do(lpm.driver.measure_output)
        assert reading.current_a == pytest.approx(1e-3, rel=2e-3)
        assert reading.voltage_v == pytest.approx(3.3)
        await lpm.do(lpm.driver.make_safe)
        assert not lpm.persona.output_on()
        off = await lpm.do(lpm.driver.measure_output)
        assert math.isnan(off.voltage_v), "nobody knows the voltage of an output that is off"
        assert off.current_a == 0.0


async def test_a_voltage_goes_out_as_millivolts_and_what_it_cannot_be_is_refused(bench: Bench) -> None:
    async with board(bench) as lpm:
        for volt in (1.8, 2.505, 3.3):
            await on(lpm, volt)
            assert bench.node.drives[-1][1] == pytest.approx(volt)
        before = len(bench.node.drives)
        for volt in (0.0, 1.79, 3.31):
            with pytest.raises(OutOfRangeError, match=r"allowed is 1\.8 to 3\.3 V"):
                await lpm.do(lpm.driver.set_voltage, volt)
        assert len(bench.node.drives) == before, "nothing was sent"


async def test_what_it_has_not_got_is_refused(bench: Bench) -> None:
    async with board(bench, no_current_limit=False) as lpm:
        driver = lpm.driver
        with pytest.raises(OutOfRangeError, match="has none to program"):
            await lpm.do(driver.protect, ProtectionLevels(3.3, 0.02))
        with pytest.raises(OutOfRangeError, match="no sense leads"):
            await lpm.do(driver.set_remote_sense, True)
        with pytest.raises(OutOfRangeError, match="sinking"):
            await lpm.do(driver.set_off_mode, True)
        with pytest.raises(OutOfRangeError, match="no fixed range"):
            await lpm.do(driver.configure_stream, StreamSetup(1e-4, 0.05, 3.3))
        with pytest.raises(OutOfRangeError, match="its frequencies are 100k, 50k"):
            await lpm.do(driver.configure_stream, StreamSetup(3e-4, None, 3.3))
        with pytest.raises(OutOfRangeError, match="records no line"):
            await lpm.do(driver.configure_stream, StreamSetup(1e-4, None, 3.3, with_marker=True))
    async with board(bench, format="ascii_dec") as lpm:
        with pytest.raises(OutOfRangeError, match="its frequencies are 5k, 2k"):
            await lpm.do(lpm.driver.configure_stream, STREAM)
    async with board(bench, funcmode="high") as lpm:
        with pytest.raises(OutOfRangeError, match="which is for 50k and 100k Hz"):
            await lpm.do(lpm.driver.configure_stream, STREAM)


async def test_its_protection_is_its_own_and_the_voltages_is_the_drivers(bench: Bench) -> None:
    async with board(bench) as lpm:
        held = await lpm.do(lpm.driver.protect, ProtectionLevels(3.0, 0.02))
        assert held == ProtectionLevels(None, 0.059), "UM2243 Rev 2 p. 24; nothing can be programmed"
        with pytest.raises(OutOfRangeError, match="its protection"):
            await lpm.do(lpm.driver.set_voltage, 3.3)
        await on(lpm, 3.0)


async def test_panic_off_switches_off_while_the_measuring_session_hangs(bench: Bench) -> None:
    async with board(bench) as lpm:
        await on(lpm)
        lpm.persona.hang(True)
        await lpm.do(loader.panic_off, "st_lpm01a", lpm.resource)
        assert not lpm.persona.output_on()


async def test_panic_off_ends_a_stream_and_needs_no_lock(bench: Bench) -> None:
    async with board(bench) as lpm:
        await on(lpm)
        await streamed(lpm, [], steps=1)
        await lpm.do(loader.panic_off, "st_lpm01a", lpm.resource)
        assert not lpm.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(bench: Bench) -> None:
    async with board(bench, timeout_s=0.2) as lpm:
        await on(lpm)
        lpm.persona.hang(True)
        with pytest.raises(OutputNotOffError, match="could not be switched off"):
            await lpm.do(lpm.driver.make_safe)
        with pytest.raises(InstrumentError):
            await lpm.do(lpm.driver.output_is_on)


async def test_a_stream_is_not_disturbed(bench: Bench) -> None:
    async with board(bench) as lpm:
        await on(lpm)
        await streamed(lpm, [], steps=1)
        for disturbing in (lpm.driver.measure_output, lpm.driver.identify, lambda: lpm.driver.set_voltage(3.0)):
            with pytest.raises(OutOfRangeError, match="stop_stream comes first"):
                await lpm.do(disturbing)
        with pytest.raises(OutOfRangeError, match="before the first reading"):
            await lpm.do(lpm.driver.zero)
        assert await lpm.do(lpm.driver.output_is_on)
        await lpm.do(lpm.driver.check_errors, "nothing")


# --- Streams


@pytest.mark.parametrize(("form", "hz"), [("bin_hexa", 10_000), ("bin_hexa", 100_000), ("ascii_dec", 1_000)])
async def test_the_stream_delivers_every_sample_in_order(bench: Bench, form: str, hz: int) -> None:
    async with board(bench, format=form) as lpm:
        await on(lpm, 3.0)
        blocks: list[Block] = []
        await streamed(lpm, blocks, setup=StreamSetup(1 / hz, None, 3.3))
        end = await lpm.do(lpm.driver.stop_stream)
        total = sum(len(b) for b in blocks)
        assert (end.missing, end.records) == (0, total)
        assert end.elapsed_s == pytest.approx(total / hz)
        assert 0.9 * hz - 2 <= total <= hz
        assert [b.seq for b in blocks] == [0, *np.cumsum([len(b) for b in blocks])[:-1]]
        assert [b.t0_ns for b in blocks] == [b.seq * 1_000_000_000 // hz for b in blocks]
        current = column(blocks, "current")
        assert current[:10] == pytest.approx(1e-3, rel=2e-3)
        assert current[-10:] == pytest.approx(20e-3, rel=2e-3)
        edge = int(np.flatnonzero(current > 10e-3)[0])
        assert edge == pytest.approx(0.3 * hz, abs=2)
        assert column(blocks, "voltage")[0] == pytest.approx(3.0)
        assert not any(b.flags for b in blocks)


async def test_its_record_says_what_is_assumed(bench: Bench) -> None:
    async with board(bench) as lpm:
        await on(lpm, 3.3)
        taken = await lpm.do(lpm.driver.configure_stream, STREAM)
        assert (taken.dt_ns, taken.seamless, taken.voltage_range_v, taken.columns) == (100_000, True, 3.3, ("current", "voltage"))
        assert taken.settings["acquisition"] == "dynamic, optim, 10k Hz, bin_hexa"
        assert taken.settings["voltage"].startswith("3.3 V, as 'volt get' reads back")
        assert taken.settings["temperature"] == "24 Cel, calibrated at 24 Cel"


async def test_a_quick_reading_between_set_up_and_start_leaves_the_stream_as_it_was_set_up(bench: Bench) -> None:
    async with board(bench) as lpm:
        await on(lpm)
        await lpm.do(lpm.driver.configure_stream, STREAM)
        await lpm.do(lpm.driver.measure_output)
        await lpm.do(lpm.driver.start_stream)
        before_ns = bench.clock.now_ns()
        blocks: list[Block] = []
        for _ in range(5):
            bench.clock.pass_s(0.1)
            while (block := await lpm.do(lpm.driver.read_block)) is not None:
                blocks.append(block)
        await lpm.do(lpm.driver.stop_stream)
        due = (bench.clock.now_ns() - before_ns) * 1e-9 / STREAM.dt_s
        assert 0.5 * due < sum(len(block) for block in blocks) <= due, "all but the last pieces of 100 ms"


async def test_a_current_above_its_range_is_flagged_and_makes_no_mean() -> None:
    bench = Bench(load=((0, 55e-3),))
    async with board(bench) as lpm:
        await on(lpm)
        blocks: list[Block] = []
        await streamed(lpm, blocks, steps=3)
        assert {b.flags for b in blocks} == {BlockFlag.CLIPPED}
        await lpm.do(lpm.driver.stop_stream)
        await lpm.do(lpm.driver.configure_mean, MeanSetup(0.1, None, 3.3))
        await lpm.do(lpm.driver.read_mean)
        bench.clock.pass_s(0.3)

        async def looked() -> None:
            for _ in range(50):
                await lpm.do(lpm.driver.read_mean)
                bench.clock.pass_s(0.1)

        with pytest.raises(SentinelError, match=r"smu: .* no mean is made of it"):
            await looked()


@pytest.mark.parametrize("form", FORMATS)
async def test_over_current_is_told_and_ends_the_stream(form: str) -> None:
    bench = Bench(load=((0, 1e-3), (300 * MS, 70e-3)))
    async with board(bench, format=form) as lpm:
        await on(lpm)
        with pytest.raises(RefusedError, match=r"over-?current"):
            await streamed(lpm, [], setup=StreamSetup(1e-3, None, 3.3))
        assert "current" in await lpm.do(lpm.driver.tripped)
        await lpm.do(lpm.driver.halt)
        assert await lpm.do(lpm.driver.disconnected)
        assert not await lpm.do(lpm.driver.output_is_on)
        await lpm.do(lpm.driver.reset)
        assert await lpm.do(lpm.driver.tripped) is None


async def measure(bench: Bench, trap: str, form: str, handed_on: list[Block]) -> None:
    """Open, switch on, stream for 2.5 s of board time."""
    async with board(bench, trap=trap, format=form, timeout_s=1.0) as lpm:
        await on(lpm, 2.9)
        await streamed(lpm, handed_on, steps=25, setup=StreamSetup(1e-3, None, 3.3))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("trap", st_lpm01a.TRAPS)
async def test_a_sprung_trap_is_found_and_never_yields_a_number(bench: Bench, trap: str, form: str) -> None:
    if (trap, form) == ("overflow_bit", "ascii_dec"):
        return  # a bit of the binary time stamp
    handed_on: list[Block] = []
    with pytest.raises(InstrumentError) as caught:
        await measure(bench, trap, form, handed_on)
    if (trap, form) == ("torn", "bin_hexa"):
        assert type(caught.value) in (ReplyError, LostSamplesError), "as the bytes behind it happen to look"
    elif trap == "endless":
        assert type(caught.value) in (LinkTimeoutError, WrongInstrumentError), "where it pauses it looks as if it had stopped"
    else:
        assert type(caught.value) is FOUND_BY[trap]
    good = sum(len(b) for b in handed_on)
    assert good <= (1300 if trap == "no_stamps" else 1000), "nothing behind the first time stamp that disagrees"
    if good:
        assert column(handed_on, "current")[:300] == pytest.approx(1e-3, rel=2e-3)


@pytest.mark.parametrize("form", FORMATS)
async def test_without_a_trap_the_same_goes_well(bench: Bench, form: str) -> None:
    handed_on: list[Block] = []
    await measure(bench, "", form, handed_on)
    assert sum(len(b) for b in handed_on) >= 2000


async def test_a_host_that_does_not_read_loses_samples_and_is_told(bench: Bench) -> None:
    async with board(bench, timeout_s=0.4) as lpm:
        await on(lpm)
        await lpm.do(lpm.driver.configure_stream, StreamSetup(1e-5, None, 3.3))
        await lpm.do(lpm.driver.start_stream)
        for _ in range(40):
            bench.clock.pass_s(0.1)
            await lpm.do(lambda: None)
        with pytest.raises(LostSamplesError):
            await lpm.do(lambda: [lpm.driver.read_block() for _ in range(100)])


async def test_a_stream_that_a_dead_program_left_is_ended(bench: Bench) -> None:
    persona = st_lpm01a.create(bench.setup(accuracy=EXACT))
    resource = await persona.serve()
    try:
        left = Rig("st_lpm01a", None, persona, bench, resource)  # type: ignore[arg-type]
        dead = await left.do(open_serial, resource)
        await left.do(dead.send, b"htc\nformat bin_hexa\nfreq 10k\nacqtime 0\npwr on\nstart\nst")
        await left.do(dead.until, b"ack start")
        dead.close()
        driver = await left.do(lambda: loader.open_driver("st_lpm01a", "smu", resource, WIRED.options))
        assert persona.output_on(), "identifying switches nothing"
        await left.do(driver.reset)
        assert not persona.output_on()
        await left.do(driver.close)
    finally:
        await persona.close()


# --- Measures


@pytest.mark.parametrize(("form", "mode"), [("bin_hexa", "optim"), ("bin_hexa", "high"), ("ascii_dec", "optim")])
async def test_means_follow_each_other_and_say_what_flowed(form: str, mode: str) -> None:
    bench = Bench(load=((0, 5e-3),))
    async with board(bench, format=form, funcmode=mode) as lpm:
        await on(lpm, 3.0)
        taken = await lpm.do(lpm.driver.configure_mean, MeanSetup(0.05, None, 3.3))
        assert taken.aperture_s == 0.05
        readings = []
        for _ in range(40):
            if (reading := await lpm.do(lpm.driver.read_mean)) is not None:
                readings.append(reading)
            bench.clock.pass_s(0.05)
        assert len(readings) >= 3
        assert all(r.current_a == pytest.approx(5e-3, rel=2e-3) and r.voltage_v == pytest.approx(3.0) for r in readings)
        assert await lpm.do(lpm.driver.output_is_on)


async def test_a_mean_needs_a_format_that_is_fast_enough_and_an_aperture_of_a_sample(bench: Bench) -> None:
    async with board(bench, format="ascii_dec", funcmode="high") as lpm:
        with pytest.raises(OutOfRangeError, match="needs 50k or 100k Hz"):
            await lpm.do(lpm.driver.configure_mean, MeanSetup(0.1, None, 3.3))
    async with board(bench) as lpm:
        with pytest.raises(OutOfRangeError, match="aperture"):
            await lpm.do(lpm.driver.configure_mean, MeanSetup(1e-5, None, 3.3))


async def test_it_has_no_rows_but_the_bench_files(bench: Bench) -> None:
    persona = st_lpm01a.create(bench.setup(accuracy=EXACT))
    resource = await persona.serve()
    try:
        there = Rig("st_lpm01a", None, persona, bench, resource)  # type: ignore[arg-type]
        row = AccuracyRow("current", 0.05, 0.02, 1e-6, 1e-4, "certificate 7")
        driver = await there.do(lambda: loader.open_driver("st_lpm01a", "smu", resource, WIRED.options, (row,)))
        table = driver.accuracy()
        assert table.limit("voltage", 3.3, 0.1) is None
        found = table.limit("current", 0.05, 0.1)
        assert found is not None
        assert (found.gain, found.offset) == (0.02, 1e-6)
        assert table.limit("current", 0.05, 1e-5) is None, "nothing below its aperture"
        await there.do(driver.close)
    finally:
        await persona.close()


# --- the port


async def test_a_device_that_goes_away_is_named(bench: Bench) -> None:
    async with board(bench) as lpm:
        await lpm.persona.close()
        with pytest.raises(NotConnectedError, match="ttyACM"):
            await lpm.do(lpm.driver.identify)


async def test_a_log_goes_on_for_as_long_as_the_last_samples_may_be_on_their_way(bench: Bench) -> None:
    """Else a log loses its tail, and with it the signature that closes a capture."""
    async with board(bench) as lpm:
        assert lpm.driver.setups.late_s * 1e9 >= st_lpm01a.AHEAD_NS

"""The Otii driver through a real TCP connection against the virtual app, which was written from the vendor's client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import Block
from labd_instruments.contract import Captures, Instrument, MeanSetup, Measures, ProtectionLevels, Sources, Streams, StreamSetup
from labd_instruments.drivers._otii_link import address, open_otii
from labd_instruments.errors import (
    InstrumentError,
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
from labd_virtual.contract import Edge
from labd_virtual.instruments import qoitech_otii
from tests.instruments.virtual_rig import Rig, Wired, column, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
TABLES = {"current": (0.02, 2.7, 5.0), "voltage": (25.0,)}
WIRED = Wired(
    options={"marker_pin": 1},
    wires={"i1": "MARK"},
    current_range_a=None,
    voltage_range_v=25.0,
    tables=TABLES,
    stream_dt_s=1e-3,
    sinks=False,
    senses=False,
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in TABLES.items()})
STREAM = StreamSetup(dt_s=1e-3, current_range_a=None, voltage_range_v=25.0)
FOUND_BY: dict[str, type[InstrumentError]] = {
    "not_logged_in": RefusedError,
    "no_license": RefusedError,
    "denied": NotConnectedError,
    "unplugged": NotConnectedError,
    "old_recording": ReplyError,
    "no_recording": ReplyError,
    "stalls": LostSamplesError,
    "gap": LostSamplesError,
    "short": LostSamplesError,
    "coarse": ReplyError,
    "nan": SentinelError,
    "null": ReplyError,
    "other_answer": ReplyError,
    "half_line": ReplyError,
    "cuts_off": RefusedError,
    "other_voltage": ReadBackError,
    "other_limit": ReadBackError,
    "other_rate": ReadBackError,
    "stays_on": OutputNotOffError,
    "stays_off": ReadBackError,
}


@asynccontextmanager
async def otii(bench: Bench, *, trap: str = "", **more: object) -> AsyncIterator[Rig]:
    chosen = {key: value for key, value in {**WIRED.options, **more}.items() if value is not None}
    persona = qoitech_otii.create(bench.setup(options=chosen, wires=WIRED.wires, accuracy=EXACT, trap=trap))
    async with rig("qoitech_otii", persona, bench, **chosen) as made:
        yield made


@pytest.fixture
def bench() -> Bench:
    return Bench(load=((0, 1e-3), (300 * MS, 50e-3)), volts=3.0)


async def on(made: Rig, volt: float = 3.0, limit_a: float = 0.5) -> None:
    await made.do(made.driver.protect, ProtectionLevels(3.6, limit_a, current_trip=True))
    await made.do(made.driver.set_voltage, volt)
    await made.do(made.driver.set_output, True)


async def streamed(made: Rig, blocks: list[Block], steps: int = 12, setup: StreamSetup = STREAM) -> None:
    await made.stream(setup, blocks, steps=steps, step_s=0.1)


# --- Instrument, Sources


def test_a_resource_names_host_port_and_device() -> None:
    assert address("otii://lab7:1906/My Ace") == ("lab7", 1906, "My Ace")
    assert address("otii://localhost/Arc1") == ("localhost", 1905, "Arc1")
    for wrong in ("localhost:1905", "otii://localhost:1905", "otii:///Arc", "TCPIP::localhost::1905::SOCKET"):
        with pytest.raises(OutOfRangeError, match="right would be otii://localhost:1905/DEVICE"):
            address(wrong)


async def test_it_says_who_it_is_and_what_it_can(bench: Bench) -> None:
    async with otii(bench) as made:
        who = await made.do(made.driver.identify)
        assert (who.maker, who.model, who.serial) == ("Qoitech", "Otii Ace", qoitech_otii.DEVICE)
        assert who.firmware == "1.1.6, hardware 1.0.2, app 3.5.5"
        kinds = {"Instrument": Instrument, "Sources": Sources, "Streams": Streams, "Measures": Measures}
        assert set(loader.info("qoitech_otii").capabilities) == kinds.keys()
        assert all(isinstance(made.driver, kind) for kind in kinds.values())
        assert not isinstance(made.driver, Captures)


async def test_another_device_or_none_of_that_name_is_refused(bench: Bench) -> None:
    async with otii(bench) as made:
        with pytest.raises(WrongInstrumentError, match="type 'Ace', option model says Arc"):
            await made.do(lambda: loader.open_driver("qoitech_otii", "x", made.resource, {"model": "Arc"}))
        with pytest.raises(NotConnectedError, match=r"the app has Bench \(Ace"):
            await made.do(lambda: loader.open_driver("qoitech_otii", "x", made.resource.replace("Bench", "Lab"), {}))
        by_id = made.resource.replace("Bench", qoitech_otii.DEVICE)
        await made.do(lambda: loader.open_driver("qoitech_otii", "x", by_id, {}).close())


async def test_an_app_that_does_not_run_is_named() -> None:
    with pytest.raises(NotConnectedError, match=r"127\.0\.0\.1:9"):
        open_otii("otii://127.0.0.1:9/Arc", 0.5)


async def test_limits_go_out_and_read_back_before_the_output_goes_on(bench: Bench) -> None:
    async with otii(bench) as made:
        held = await made.do(made.driver.protect, ProtectionLevels(3.6, 0.2, current_trip=True))
        assert held == ProtectionLevels(None, 0.2, current_trip=True)
        with pytest.raises(OutOfRangeError, match="its protection"):
            await made.do(made.driver.set_voltage, 3.7)
        await made.do(made.driver.set_voltage, 3.3)
        await made.do(made.driver.set_output, True)
        assert made.persona.output_on()
        assert bench.node.drives[-1][1:] == (3.3, 0.1, 0.2, True)
        reading = await made.do(made.driver.measure_output)
        assert (reading.current_a, reading.voltage_v) == pytest.approx((1e-3, 3.0))
        await made.do(made.driver.make_safe)
        assert not made.persona.output_on()
        assert not await made.do(made.driver.output_is_on)


async def test_what_it_cannot_be_is_refused_before_anything_is_sent(bench: Bench) -> None:
    async with otii(bench, model="Arc") as made:
        driver, before = made.driver, len(bench.node.drives)
        for volt in (0.0, 0.4, 5.1):
            with pytest.raises(OutOfRangeError, match="voltage is"):
                await made.do(driver.set_voltage, volt)
        for ampere in (0.0, 5.1):
            with pytest.raises(OutOfRangeError, match=r"allowed is 0\.001 to 5 A"):
                await made.do(driver.protect, ProtectionLevels(3.0, ampere))
        with pytest.raises(OutOfRangeError, match="sinking"):
            await made.do(driver.set_off_mode, True)
        with pytest.raises(OutOfRangeError, match="right would be none"):
            await made.do(driver.configure_stream, StreamSetup(250e-6, 0.02, 5.0))
        with pytest.raises(OutOfRangeError, match="samples current at 4000 Hz"):
            await made.do(driver.configure_stream, StreamSetup(1e-3, None, 5.0))
        assert not any(connected for *_, connected in bench.node.drives[before:])
    async with otii(bench, marker_pin=None) as made:
        with pytest.raises(OutOfRangeError, match="needs option marker_pin"):
            await made.do(made.driver.configure_stream, StreamSetup(1e-3, None, 5.0, with_marker=True))


async def test_four_wires_read_back(bench: Bench) -> None:
    async with otii(bench) as made:
        await made.do(made.driver.set_remote_sense, True)
        await on(made)
        assert (await made.do(made.driver.configure_stream, STREAM)).remote_sense
        await made.do(made.driver.set_remote_sense, False)
        assert not (await made.do(made.driver.configure_stream, STREAM)).remote_sense


async def test_panic_off_switches_off_while_the_measuring_session_hangs(bench: Bench) -> None:
    async with otii(bench) as made:
        await on(made)
        made.persona.hang(True)
        await made.do(loader.panic_off, "qoitech_otii", made.resource)
        assert not made.persona.output_on()
        made.persona.hang(False)


async def test_an_output_that_cannot_be_switched_off_is_said_so(bench: Bench) -> None:
    async with otii(bench, timeout_s=0.2) as made:
        await on(made)
        made.persona.hang(True)
        with pytest.raises(OutputNotOffError, match="could not be switched off"):
            await made.do(made.driver.make_safe)
        made.persona.hang(False)


async def test_a_response_that_comes_too_late_is_not_taken_for_the_next(bench: Bench) -> None:
    async with otii(bench, timeout_s=0.2) as made:
        made.persona.hang(True)
        with pytest.raises(InstrumentError):
            await made.do(made.driver.output_is_on)
        made.persona.hang(False)
        assert (await made.do(made.driver.identify)).model == "Otii Ace"


# --- Streams


async def test_the_recording_delivers_every_sample_in_order_with_its_marker(bench: Bench) -> None:
    bench.pins.scripted["MARK"] = [Edge(400 * MS, 1), Edge(700 * MS, 0)]
    async with otii(bench) as made:
        await on(made)
        blocks: list[Block] = []
        await streamed(made, blocks, setup=StreamSetup(1e-4, None, 25.0, with_marker=True))
        end = await made.do(made.driver.stop_stream)
        total = sum(len(b) for b in blocks)
        assert (end.records, end.missing) == (total, 0)
        assert total == pytest.approx(12_000, abs=1)
        assert [b.seq for b in blocks] == [0, *np.cumsum([len(b) for b in blocks])[:-1]]
        current, marker, digital = (column(blocks, name) for name in ("current", "marker", "digital"))
        assert current[:2900] == pytest.approx(1e-3, rel=1e-4)
        assert current[3100:] == pytest.approx(50e-3, rel=1e-4)
        assert column(blocks, "voltage") == pytest.approx(3.0)
        assert np.flatnonzero(np.diff(digital.astype(int))) + 1 == pytest.approx([4000, 7000], abs=1)
        assert set(np.unique(marker)) == {0.0, 3.0}
        assert await made.do(made.driver._kit.recording) == (-1, False), "the app keeps none of labd's recordings"


async def test_an_arcs_voltage_is_slower_and_stands_for_four_samples(bench: Bench) -> None:
    async with otii(bench, model="Arc") as made:
        await on(made)
        blocks: list[Block] = []
        await streamed(made, blocks, setup=StreamSetup(250e-6, None, 5.0))
        assert sum(len(b) for b in blocks) == pytest.approx(4800, abs=4)
        assert all(len(b) % 4 == 0 for b in blocks)
        taken = await made.do(made.driver.configure_stream, StreamSetup(250e-6, None, 5.0))
        assert taken.settings["voltage"] == "sampled at 1000 Hz, each value stands for 4 samples of current"
        assert (taken.dt_ns, taken.seamless, taken.columns) == (250_000, True, ("current", "voltage"))


async def test_the_high_range_is_fixed_and_reads_back(bench: Bench) -> None:
    async with otii(bench) as made:
        taken = await made.do(made.driver.configure_stream, StreamSetup(1e-3, 5.0, 25.0))
        assert (taken.current_range_a, taken.seamless, taken.ranges_a) == (5.0, False, (5.0,))


async def measure(bench: Bench, trap: str, handed_on: list[Block]) -> None:
    async with otii(bench, trap=trap, timeout_s=1.0) as made:
        await on(made, 2.9)
        await streamed(made, handed_on, steps=25)
        await made.do(made.driver.stop_stream)


@pytest.mark.parametrize("trap", qoitech_otii.TRAPS)
async def test_a_sprung_trap_is_found_and_never_yields_a_number(bench: Bench, trap: str) -> None:
    handed_on: list[Block] = []
    with pytest.raises(InstrumentError) as caught:
        await measure(bench, trap, handed_on)
    assert type(caught.value) is FOUND_BY[trap]
    good = sum(len(b) for b in handed_on)
    assert good <= 500, "what came before the trap"
    if good:
        current = column(handed_on, "current")
        assert current[:300] == pytest.approx(1e-3, rel=1e-4)
        assert current[300:] == pytest.approx(50e-3, rel=1e-4)


async def test_without_a_trap_the_same_goes_well(bench: Bench) -> None:
    handed_on: list[Block] = []
    await measure(bench, "", handed_on)
    assert sum(len(b) for b in handed_on) >= 2499


async def test_a_failed_stream_stays_failed(bench: Bench) -> None:
    async with otii(bench, trap="gap") as made:
        await on(made)
        with pytest.raises(LostSamplesError):
            await streamed(made, [])
        with pytest.raises(LostSamplesError):
            await made.do(made.driver.read_block)


# --- Measures


async def test_means_follow_each_other(bench: Bench) -> None:
    async with otii(bench) as made:
        await on(made)
        await made.do(made.driver.configure_mean, MeanSetup(0.05, None, 25.0))
        readings = []
        for _ in range(30):
            if (reading := await made.do(made.driver.read_mean)) is not None:
                readings.append(reading)
            bench.clock.pass_s(0.05)
        assert len(readings) >= 20
        assert readings[0].current_a == pytest.approx(1e-3, rel=1e-3)
        assert readings[-1].current_a == pytest.approx(50e-3, rel=1e-3)
        assert readings[-1].voltage_v == pytest.approx(3.0)
        with pytest.raises(OutOfRangeError, match="aperture"):
            await made.do(made.driver.configure_mean, MeanSetup(1e-6, None, 25.0))


async def test_a_recording_that_cannot_be_ended_does_not_keep_main_from_being_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when somebody has closed the project: that main is off was read back before."""
    async with otii(Bench(load=((0, 10e-3),))) as arc:
        await arc.do(arc.driver.set_voltage, 3.0)
        await arc.do(arc.driver.set_output, True)

        def refused() -> None:
            raise RefusedError("smu: Invalid project id")

        monkeypatch.setattr(arc.driver._kit, "end_recording", refused)
        await arc.do(arc.driver.make_safe)
        assert not arc.persona.output_on()
        with pytest.raises(RefusedError, match="Invalid project id"):
            await arc.do(arc.driver.reset)


async def test_a_log_goes_on_for_as_long_as_the_last_samples_may_be_on_their_way(bench: Bench) -> None:
    """Else a log loses its tail, and with it the signature that closes a capture."""
    async with otii(bench) as made:
        assert made.driver.setups.late_s * 1e9 >= qoitech_otii.AHEAD_NS

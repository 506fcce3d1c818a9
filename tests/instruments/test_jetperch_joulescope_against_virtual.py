"""The Joulescope driver through a real TCP connection against the double of the vendor's package."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import Captures, Instrument, MeanSetup, Measures, Reading, Sources, Streams, StreamSetup
from labd_instruments.drivers import _joulescope_link, _joulescope_log
from labd_instruments.drivers._joulescope_link import address, open_joulescope
from labd_instruments.drivers._joulescope_remote import open_remote
from labd_instruments.errors import (
    InstrumentError,
    LinkTimeoutError,
    LostSamplesError,
    NotConnectedError,
    OutOfRangeError,
    RefusedError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_virtual.contract import Edge
from labd_virtual.instruments import jetperch_joulescope
from labd_virtual.instruments.jetperch_joulescope import FIRST_ID, IDS_HZ
from tests.instruments.virtual_rig import Rig, Wired, column, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
TABLES = {"current": (18e-6, 180e-6, 1.8e-3, 18e-3, 0.18, 10.0), "voltage": (2.0, 15.0)}
WIRED = Wired(
    options={"marker_gpi": 2},
    wires={"gpi2": "MARK"},
    current_range_a=0.018,
    voltage_range_v=15.0,
    tables=TABLES,
    stream_dt_s=1e-4,
    interfaces=("socket",),
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in TABLES.items()})
MARKER = {"JS110": 1, "JS220": 2}
STREAM = StreamSetup(dt_s=1e-4, current_range_a=0.18, voltage_range_v=15.0)
FOUND_BY: dict[str, type[InstrumentError]] = {
    "lost": LostSamplesError,
    "lost_voltage": LostSamplesError,
    "filled": LostSamplesError,
    "lost_long": LostSamplesError,
    "twice": ReplyError,
    "stalls": LostSamplesError,
    "unplugged": NotConnectedError,
    "changes_range": RefusedError,
    "other_range": RefusedError,
    "other_rate": ReplyError,
    "no_metadata": ReplyError,
    "in_use": NotConnectedError,
    "silent": LinkTimeoutError,
}


@asynccontextmanager
async def joulescope(bench: Bench, *, trap: str = "", model: str = "JS220", **more: object) -> AsyncIterator[Rig]:
    options = {**WIRED.options, "model": model, "marker_gpi": MARKER[model], **more}
    chosen = {key: value for key, value in options.items() if value is not None}
    wires = {f"gpi{MARKER[model]}": "MARK"}
    persona = jetperch_joulescope.create(bench.setup(options=chosen, wires=wires, accuracy=EXACT, trap=trap))
    async with rig("jetperch_joulescope", persona, bench, **chosen) as made:
        yield made


@pytest.fixture
def bench() -> Bench:
    return Bench(load=((0, 1e-3), (300 * MS, 50e-3)), volts=3.0)


async def streamed(made: Rig, blocks: list[Block], steps: int = 12, setup: StreamSetup = STREAM) -> None:
    await made.stream(setup, blocks, steps=steps, step_s=0.1)


# --- Instrument


def test_a_resource_names_a_device_here_or_served_elsewhere() -> None:
    assert address("joulescope:///u/js220/002557") == ("", 0, "u/js220/002557")
    assert address("joulescope://127.0.0.1:4711/u/js110/000123") == ("127.0.0.1", 4711, "u/js110/000123")
    for wrong in ("u/js220/002557", "joulescope://js220/002557", "joulescope://host/u/js220/1", "TCPIP::host::1::SOCKET"):
        with pytest.raises(OutOfRangeError, match="right would be joulescope:///u/js220/SERIAL"):
            address(wrong)


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(NotConnectedError, match=r"needs its vendor's package, pyjoulescope_driver .*; pip install 'labd\[joulescope\]'"):
        open_joulescope("joulescope:///u/js220/002557", 1.0)


def test_nobody_at_a_port_is_named() -> None:
    with pytest.raises(NotConnectedError, match=r"no Joulescope is served at 127\.0\.0\.1:9"):
        open_remote("127.0.0.1", 9, 0.5)


async def test_it_says_who_it_is_and_what_it_can(bench: Bench) -> None:
    async with joulescope(bench) as made:
        who = await made.do(made.driver.identify)
        assert (who.maker, who.model, who.serial) == ("Jetperch", "JS220", "002557")
        assert who.firmware == "firmware 1.3.0, hardware 1.3.0"
        kinds = {"Instrument": Instrument, "Streams": Streams, "Measures": Measures}
        assert set(loader.info("jetperch_joulescope").capabilities) == kinds.keys()
        assert all(isinstance(made.driver, kind) for kind in kinds.values())
        assert not isinstance(made.driver, Captures | Sources)
    async with joulescope(bench, model="JS110") as made:
        assert (await made.do(made.driver.identify)).firmware == "version not told"


async def test_another_model_or_none_of_that_serial_is_refused(bench: Bench) -> None:
    persona = jetperch_joulescope.create(bench.setup())
    resource = await persona.serve()
    other = Rig("jetperch_joulescope", None, persona, bench, resource)  # type: ignore[arg-type]
    with pytest.raises(WrongInstrumentError, match="u/js220/002557 is a JS220, option model says JS110"):
        await other.do(lambda: loader.open_driver("jetperch_joulescope", "x", resource, {"model": "JS110"}))
    with pytest.raises(NotConnectedError, match="there is no u/js220/2, there are: u/js220/002557"):
        await other.do(lambda: loader.open_driver("jetperch_joulescope", "x", resource.replace("002557", "2"), {}))
    await other.do(lambda: loader.open_driver("jetperch_joulescope", "x", resource, {}).close())
    await persona.close()


async def test_what_it_cannot_be_is_refused_by_what_would_be_right(bench: Bench) -> None:
    async with joulescope(bench, marker_gpi=None) as made:
        driver = made.driver
        for setup, says in (
            (StreamSetup(1e-3, None, 15.0), "no current range is given; option autorange = true"),
            (StreamSetup(1.5e-6, 0.18, 15.0), "right would be a whole multiple of 1e-06 s"),
            (StreamSetup(0.5e-6, 0.18, 15.0), "allowed is 1e-06 to 1 s"),
            (StreamSetup(1e-3, 11.0, 15.0), r"a JS220 has 1\.8e-05, 0\.00018, 0\.0018, 0\.018, 0\.18, 10 A"),
            (StreamSetup(1e-3, 0.18, 16.0), "a JS220 has 2, 15 V"),
            (StreamSetup(1e-3, 0.18, 15.0, with_marker=True), "needs option marker_gpi"),
        ):
            with pytest.raises(OutOfRangeError, match=says):
                await made.do(driver.configure_stream, setup)
        with pytest.raises(OutOfRangeError, match="aperture"):
            await made.do(driver.configure_mean, MeanSetup(2.0, 0.18, 15.0))
    with pytest.raises(OutOfRangeError, match="marker_gpi is 2, a JS110 has inputs 0, 1"):
        async with joulescope(bench, model="JS110", marker_gpi=2):
            pass


@pytest.mark.parametrize("model", ["JS110", "JS220"])
async def test_ranges_are_the_lowest_that_hold(bench: Bench, model: str) -> None:
    async with joulescope(bench, model=model, autorange=True) as made:
        fixed = await made.do(made.driver.configure_stream, StreamSetup(1e-3, 0.1, 3.3))
        assert (fixed.current_range_a, fixed.seamless, fixed.ranges_a) == (0.18, False, (0.18,))
        assert fixed.voltage_range_v == (5.0 if model == "JS110" else 15.0)
        free = await made.do(made.driver.configure_stream, StreamSetup(1e-3, None, 3.3))
        assert (free.current_range_a, free.seamless, free.dt_ns, free.columns) == (None, True, 1 * MS, ("current", "voltage"))
        assert free.ranges_a[0] == 18e-6
        assert free.ranges_a[-1] == 10.0
        assert (2.0 in free.ranges_a) == (model == "JS110")
        assert "sample ids" in free.settings["record_check"]
        assert ("not in the sample ids" in free.settings["record_check"]) == (model == "JS110")


async def test_no_low_range_is_left_that_starves_the_board(bench: Bench) -> None:
    async with joulescope(bench) as made:
        await made.do(made.driver.configure_stream, StreamSetup(1e-3, 18e-6, 15.0))
        assert made.persona.values["s/i/range/mode"] == 7  # type: ignore[attr-defined]
        await made.do(made.driver.make_safe)
        assert made.persona.values["s/i/range/mode"] == 6  # type: ignore[attr-defined]


@pytest.mark.parametrize("refused", ["s/i/ctrl", "s/v/ctrl", "s/i/range/ctrl"])
async def test_one_topic_that_fails_leaves_neither_the_low_range_nor_the_other_streams(
    bench: Bench, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.node.load = ((0, 1e-6),)
    async with joulescope(bench) as made:
        await made.do(made.driver.configure_stream, StreamSetup(1e-4, 18e-6, 15.0))
        await made.do(made.driver.start_stream)
        link = made.driver._kit.link
        publish, fails = link.publish, [True]

        def once(topic: str, value: int) -> None:
            if topic == refused and fails and fails.pop():
                raise LinkTimeoutError(f"{topic} {value}: no return code")
            publish(topic, value)

        monkeypatch.setattr(link, "publish", once)
        values = made.persona.values  # type: ignore[attr-defined]
        with pytest.raises(LinkTimeoutError, match=f"{refused} 0: no return code"):
            await made.do(made.driver.make_safe)
        assert values["s/i/range/mode"] == 6
        assert [topic for topic, value in values.items() if topic.endswith("/ctrl") and value] == [refused]
        await made.do(made.driver.make_safe)
        assert not values[refused]


# --- Streams


@pytest.mark.parametrize("model", ["JS220", "JS110"])
async def test_the_stream_delivers_every_sample_in_order_with_its_marker(bench: Bench, model: str) -> None:
    bench.pins.scripted["MARK"] = [Edge(400 * MS + 50_000, 1), Edge(700 * MS, 0)]
    async with joulescope(bench, model=model) as made:
        blocks: list[Block] = []
        await streamed(made, blocks, setup=StreamSetup(1e-4, 0.18, 15.0, with_marker=True))
        end = await made.do(made.driver.stop_stream)
        total = sum(len(b) for b in blocks)
        assert (end.records, end.missing) == (total, 0)
        assert total == pytest.approx(11_250, abs=751)
        assert [b.seq for b in blocks] == [0, *np.cumsum([len(b) for b in blocks])[:-1]]
        assert {b.flags for b in blocks} == {BlockFlag.NONE}
        current, marker, digital = (column(blocks, name) for name in ("current", "marker", "digital"))
        assert current[:2999] == pytest.approx(1e-3, rel=1e-5)
        assert current[3001:] == pytest.approx(50e-3, rel=1e-5)
        assert column(blocks, "voltage") == pytest.approx(3.0)
        assert np.flatnonzero(np.diff(digital.astype(int))) + 1 == pytest.approx([4000, 7000], abs=1)
        assert set(np.unique(digital)) == {0, 1 << MARKER[model]}
        assert marker[4000] == pytest.approx(1.5), "half of the sample in which it rises"
        assert marker[4001:7000] == pytest.approx(3.0)


@pytest.mark.parametrize("number", [0, 1])
async def test_a_js110_has_its_input_in_a_lowest_bit_only_while_the_marker_is_wanted(bench: Bench, number: int) -> None:
    """Whatever the program before has left there: opening resets none of it."""
    async with joulescope(bench, model="JS110", marker_gpi=number) as made:
        sources = made.persona._extio  # type: ignore[attr-defined]
        assert (sources["s/i/lsb_src"], sources["s/v/lsb_src"]) == (2, 3)
        for with_marker, bits, says in (
            (True, (2, 0) if number == 0 else (0, 3), f"the lowest bit of the {('current', 'voltage')[number]}"),
            (False, (0, 0), "none"),
        ):
            setup = StreamSetup(1e-4, 0.18, 15.0, with_marker=with_marker)
            assert says in (await made.do(made.driver.configure_stream, setup)).settings["marker"]
            sources = made.persona._extio  # type: ignore[attr-defined]
            assert (sources["s/i/lsb_src"], sources["s/v/lsb_src"]) == bits


async def test_the_highest_rate_is_every_value(bench: Bench) -> None:
    bench.node.load = ((0, 1e-3), (150 * MS, 50e-3))
    async with joulescope(bench) as made:
        blocks: list[Block] = []
        await made.stream(StreamSetup(1e-6, 0.18, 15.0), blocks, steps=4, step_s=0.1)
        assert sum(len(b) for b in blocks) == pytest.approx(325_000, abs=75_001)
        edge = int(np.flatnonzero(np.diff(column(blocks, "current")) > 0)[0]) + 1
        assert edge == pytest.approx(150_000, abs=1)
        assert blocks[0].dt_ns == 1000


async def test_ranges_change_inside_a_capture_only_where_that_is_stated(bench: Bench) -> None:
    for allowed in (False, True):
        async with joulescope(bench, autorange=allowed) as made:
            assert made.driver.setups.seamless == allowed
    bench.node.load = ((0, 1e-3), (800 * MS, 50e-3))
    async with joulescope(bench, autorange=True) as made:
        blocks: list[Block] = []
        await streamed(made, blocks, setup=StreamSetup(1e-4, None, 15.0))
        await made.do(made.driver.stop_stream)
        assert column(blocks, "current")[:1000] == pytest.approx(1e-3, rel=1e-5)


async def test_a_loss_may_be_a_gap_in_the_record(bench: Bench) -> None:
    async with joulescope(bench, trap="lost", on_loss="gap") as made:
        blocks: list[Block] = []
        await streamed(made, blocks)
        end = await made.do(made.driver.stop_stream)
        holes = [b.seq - a.seq - len(a) for a, b in itertools.pairwise(blocks)]
        assert [bool(b.flags & BlockFlag.GAP_BEFORE) for b in blocks[1:]] == [hole > 0 for hole in holes]
        assert (end.records, end.missing) == (sum(map(len, blocks)), sum(holes))
        assert end.missing in (4, 5), "640 ids, 200 to a sample"
        axis = np.concatenate([b.seq + np.arange(len(b)) for b in blocks])
        assert column(blocks, "current")[axis < 2999] == pytest.approx(1e-3, rel=1e-5)
        assert column(blocks, "current")[axis > 3001] == pytest.approx(50e-3, rel=1e-5)


async def test_a_loss_is_told_with_its_place_after_what_came_before_it(bench: Bench) -> None:
    async with joulescope(bench, trap="lost") as made:
        blocks: list[Block] = []
        with pytest.raises(LostSamplesError, match=r"behind sample \d+ the sample ids jump by \d+ samples") as caught:
            await streamed(made, blocks)
        assert caught.value.received == sum(len(b) for b in blocks)
        assert caught.value.expected - caught.value.received in (4, 5), "640 ids, 200 to a sample"
        with pytest.raises(LostSamplesError):
            await made.do(made.driver.read_block)
        assert (await made.do(made.driver.stop_stream)).missing == caught.value.expected - caught.value.received


async def test_a_host_that_does_not_read_loses_samples_and_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_joulescope_log, "MOST_WAITING", 1_000_000)
    async with joulescope(bench) as made:
        await made.do(made.driver.configure_stream, STREAM)
        await made.do(made.driver.start_stream)
        bench.clock.pass_s(1.0)
        await until_made(made, 0.9)
        with pytest.raises(LostSamplesError, match=r"\d+ messages came while 1000000 bytes waited to be read, and were dropped here"):
            await made.do(lambda: [made.driver.read_block() for _ in range(100)])


async def until_made(made: Rig, seconds: float, model: str = "JS220") -> None:
    """All signals have been made into messages up to there."""
    streams = made.persona._streams  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while min(streams.values()) < FIRST_ID[model] + seconds * IDS_HZ:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)


async def measure(bench: Bench, trap: str, handed_on: list[Block]) -> None:
    async with joulescope(bench, trap=trap) as made:
        await streamed(made, handed_on, steps=15)
        await made.do(made.driver.stop_stream)


@pytest.mark.parametrize("trap", FOUND_BY)
async def test_a_sprung_trap_is_found_and_never_yields_a_number(bench: Bench, trap: str) -> None:
    handed_on: list[Block] = []
    with pytest.raises(InstrumentError) as caught:
        await measure(bench, trap, handed_on)
    assert type(caught.value) is FOUND_BY[trap]
    good = sum(len(b) for b in handed_on)
    assert good <= 5100, "what came before the trap"
    if good:
        current = column(handed_on, "current")
        assert current[:2999] == pytest.approx(1e-3, rel=1e-4)
        assert current[3001:] == pytest.approx(50e-3, rel=1e-4)


@pytest.mark.parametrize("model", ["JS110", "JS220"])
@pytest.mark.parametrize("measured_on", [0, -1], ids=["lowest", "10 A"])
async def test_a_range_that_was_not_taken_is_in_no_record(bench: Bench, model: str, measured_on: int) -> None:
    """It answers what was asked and stays where it was; the first value tells."""
    async with joulescope(bench, model=model) as made:
        device = made.persona
        at = range(len(device._ranges))[measured_on]  # type: ignore[attr-defined]
        device._chosen = lambda current: np.full(len(current), at, np.intp)  # type: ignore[attr-defined]
        full = device._ranges[at]  # type: ignore[attr-defined]
        blocks: list[Block] = []
        with pytest.raises(RefusedError, match=rf"it measures on {full:g} A \(code \d .*although 0\.018 A was fixed, at sample 0"):
            await streamed(made, blocks, setup=StreamSetup(1e-4, 0.018, 15.0))
        assert blocks == []


async def test_values_at_another_rate_are_refused_even_where_they_fit_a_sample(bench: Bench) -> None:
    async with joulescope(bench, trap="other_rate") as made:
        with pytest.raises(ReplyError, match=r"a step of 2000, right would be 2000000 Hz and 2"):
            await streamed(made, [], setup=StreamSetup(1e-2, 0.18, 15.0))


async def test_without_a_trap_the_same_goes_well(bench: Bench) -> None:
    handed_on: list[Block] = []
    await measure(bench, "", handed_on)
    assert sum(len(b) for b in handed_on) >= 13_400


async def test_a_current_at_the_end_of_its_range_is_flagged_and_makes_no_mean(bench: Bench) -> None:
    assert FOUND_BY.keys() | {"saturates"} == jetperch_joulescope.TRAPS.keys()
    async with joulescope(bench, trap="saturates") as made:
        blocks: list[Block] = []
        await streamed(made, blocks, steps=8)
        await made.do(made.driver.stop_stream)
        assert [bool(b.flags & BlockFlag.CLIPPED) for b in blocks] == [b.seq + len(b) > 5000 for b in blocks]
        await made.do(made.driver.configure_mean, MeanSetup(0.1, 0.18, 15.0))
        with pytest.raises(SentinelError, match="no mean is made"):
            await means(made, 10, 0.1)


@pytest.mark.parametrize("model", ["JS220", "JS110"])
async def test_a_voltage_beyond_its_range_is_flagged_and_makes_no_mean(bench: Bench, model: str) -> None:
    bench.node.volts = 5.5
    low = {"JS220": 2.0, "JS110": 5.0}[model]
    async with joulescope(bench, model=model) as made:
        for range_v, flag, reads in ((15.0, BlockFlag.NONE, 5.5), (low, BlockFlag.CLIPPED, low)):
            blocks: list[Block] = []
            await streamed(made, blocks, steps=3, setup=StreamSetup(1e-4, 0.18, range_v))
            await made.do(made.driver.stop_stream)
            assert {b.flags for b in blocks} == {flag}
            assert column(blocks, "voltage") == pytest.approx(reads)
        await made.do(made.driver.configure_mean, MeanSetup(0.1, 0.18, low))
        with pytest.raises(SentinelError, match="no mean is made"):
            await means(made, 5, 0.1)


# --- Measures


async def means(made: Rig, looks: int, step_s: float) -> list[Reading]:
    readings = []
    for _ in range(looks):
        if (reading := await made.do(made.driver.read_mean)) is not None:
            readings.append(reading)
        made.bench.clock.pass_s(step_s)
    return readings


@pytest.mark.parametrize("model", ["JS220", "JS110"])
async def test_means_follow_each_other(bench: Bench, model: str) -> None:
    async with joulescope(bench, model=model) as made:
        await made.do(made.driver.configure_mean, MeanSetup(0.05, 0.18, 15.0))
        readings = await means(made, 20, 0.05)
        assert len(readings) >= 5
        assert readings[0].current_a == pytest.approx(1e-3, rel=1e-4)
        assert readings[-1].current_a == pytest.approx(50e-3, rel=1e-4)
        assert readings[-1].voltage_v == pytest.approx(3.0)
        assert readings[-1].power_w is None, "it is the product of two means only where the voltage stands still"


@pytest.mark.parametrize("model", ["JS220", "JS110"])
@pytest.mark.parametrize("looks_before", [1, 12])
async def test_a_mean_after_a_long_pause_is_the_newest_one(
    bench: Bench, model: str, looks_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the end of what came meanwhile waits in memory; a stream that stalls in the pause is still found."""
    monkeypatch.setattr(_joulescope_log, "MOST_WAITING", 1_000_000)
    bench.node.load = ((0, 1e-3), (1700 * MS, 50e-3))
    async with joulescope(bench, model=model) as made:
        await made.do(made.driver.configure_mean, MeanSetup(0.05, 0.18, 15.0))
        before = await means(made, looks_before, 0.05)
        assert [one.current_a for one in before] == pytest.approx([1e-3] * len(before), rel=1e-4)
        bench.clock.pass_s(2.0)
        await until_made(made, 2.0, model)
        after = await means(made, 12, 0.05)
        assert after
        assert [one.current_a for one in after] == pytest.approx([50e-3] * len(after), rel=1e-4)


async def test_a_stall_in_a_long_pause_is_found(bench: Bench) -> None:
    async with joulescope(bench, trap="stalls") as made:
        await made.do(made.driver.configure_mean, MeanSetup(0.01, 0.18, 15.0))
        await means(made, 1, 0.1)
        bench.clock.pass_s(2.0)
        await until_made(made, 2.0, "JS220")
        with pytest.raises(LostSamplesError, match="were due"):
            await means(made, 5, 0.05)


def test_what_waits_for_a_mean_is_the_newest_and_the_first_of_each_signal() -> None:
    inbox = _joulescope_log.Inbox(newest=100)
    for begin in range(0, 1000, 50):
        for topic in ("i", "v"):
            inbox.put(topic, {"sample_id": begin, "data": np.zeros(50, np.float32)})
    pieces, dropped = inbox.take()
    assert [piece["sample_id"] for topic, piece in pieces if topic == "i"] == [0, 850, 900, 950]
    assert [piece["sample_id"] for topic, piece in pieces if topic == "v"] == [0, 850, 900, 950]
    assert dropped == 32
    assert inbox.take() == ([], 0)


def test_a_code_says_whether_nobody_is_there() -> None:
    assert set(_joulescope_link.GONE.values()) == {"IO", "NOT_FOUND", "IN_USE", "CLOSED"}

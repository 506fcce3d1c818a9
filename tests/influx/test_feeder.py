"""What goes from a store into an outbox, also out of a store that a kill has left."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from labd.errors import StoreError
from labd.influx import trace_points
from labd.influx.feeder import ARRIVED, TRIES, Feeder
from labd.influx.held import trace_files
from labd.influx.trace_points import TracePoints
from labd.outbox.contract import Caps, Outbox
from labd.outbox.session import OutboxSession
from labd.outbox.sqlite import OutboxDamaged
from labd.records import Phase, Window
from labd.store.catalogue import Catalogue
from labd.store.trace import parquet_path, pyramid_path, stream_path
from labd.stream.session import InstrumentSession
from tests.influx.lab import BLOCK, DT_NS, Lab, lab
from tests.influx.reader import read

POINTS = BLOCK * DT_NS // 10**7  # of a block


@asynccontextmanager
async def feeding(found: Lab, outbox: OutboxSession) -> AsyncIterator[Feeder]:
    """From the beginning of the store on."""
    (found.catalogue.folder / ARRIVED).write_text("0")
    async with InstrumentSession("reader") as reader:
        yield Feeder("lab", found.catalogue, outbox, reader)


async def following(feeder: Feeder) -> bool:
    """What it is now."""
    return feeder.following


async def trace_of(found: Lab, capture: int) -> Path:
    rows = await found.catalogue.read(lambda catalogue: catalogue.captures.of(found.run))
    return found.catalogue.folder / rows[capture].trace


async def captures_fed(outbox: OutboxSession) -> list[str]:
    """Of every point of `power` that waits, by their order."""
    lent = await outbox.do(lambda box: box.lend(1000))
    return [point.tags["capture"][-1] for one in lent if one.message.address == "power" for point in read(one.message.body)]


@pytest.mark.parametrize("torn", [parquet_path, stream_path])
async def test_a_trace_that_cannot_be_read_keeps_no_other_from_being_sent(
    tmp_path: Path, torn: Callable[[Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A kill may come before the head of a stream is whole; a disk may lose a finished file."""
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        await found.begin(2)
        await found.capture(1)
        trace = await trace_of(found, 0)
        trace.unlink()
        torn(trace).write_bytes(b"\xff\xff\xff\xff")
        await found.capture(1)
        await found.end()
        async with feeding(found, outbox) as feeder:
            for _ in range(TRIES - 1):
                while await feeder.traces():
                    pass
                assert await following(feeder)
            while await feeder.traces():
                pass
            assert not await following(feeder)
        lent = await outbox.do(lambda box: box.lend(1000))
        power, told = ([one.message for one in lent if one.message.address == address] for address in ("power", "event"))
        assert [point.tags["capture"][-1] for one in power for point in read(one.body)] == ["1"] * POINTS
        (gap,) = [point for one in told for point in read(one.body)]
        assert (gap.tags["kind"], gap.tags["run"]) == ("gap", found.run)
        assert trace.name in str(gap.fields["text"])
    assert "a trace is left out" in caplog.text


async def test_a_trace_that_could_not_be_read_for_a_moment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with too many open files, a disk that hiccups."""
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        await run_of_one(found)
        with monkeypatch.context() as patch:
            patch.setattr(trace_points, "open_parts", _too_many_files)
            async with feeding(found, outbox) as feeder:
                assert not await feeder.traces()
                assert await following(feeder)
                patch.undo()
                while await feeder.traces():
                    pass
                assert not await following(feeder)
        assert await captures_fed(outbox) == ["0"] * POINTS


def _too_many_files(path: Path) -> None:
    raise OSError(24, "Too many open files", str(path))


async def test_events_and_figures_are_sent_although_a_trace_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        await found.begin(1)
        await found.capture(1)
        await found.catalogue.do(lambda c: c.captures.put_windows(found.run, found.key(0), [Window(Phase.LOAD, 0.0, 0.1, 0.0, 0.0, 0, 0)]))
        await found.end()
        parquet_path(await trace_of(found, 0)).write_bytes(b"no trace")
        async with feeding(found, outbox) as feeder:
            while await feeder.events():
                pass
        lent = await outbox.do(lambda box: box.lend(1000))
        assert {one.message.address for one in lent} >= {"event", "figures"}
        assert "phases are left out" in caplog.text


async def test_a_pyramid_without_its_trace_is_no_trace(tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found:
        await run_of_one(found)
        trace = parquet_path(await trace_of(found, 0))
        pyramid_path(trace).touch()
        trace.unlink()
        assert trace_files(trace.parent) == []


async def test_a_trace_whose_head_is_not_whole_yet_is_read_when_it_is(tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        await found.begin(2)
        await found.capture(1)
        whole = await trace_of(found, 0)
        rows = await found.catalogue.read(lambda catalogue: catalogue.captures.of(found.run))
        row = await found.catalogue.do(lambda catalogue: catalogue.captures.begin(found.run, rows[1].key))
        trace = tmp_path / "store" / row.trace
        stream_path(trace).write_bytes(b"")
        async with feeding(found, outbox) as feeder:
            assert not await feeder.traces()
            assert await captures_fed(outbox) == ["0"] * POINTS
            stream_path(trace).unlink()
            trace.write_bytes(whole.read_bytes())
            assert not await feeder.traces()
            assert await captures_fed(outbox) == ["0"] * POINTS  # the others are lent


async def told(found: Lab, outbox: OutboxSession) -> None:
    async with InstrumentSession("reader") as reader:
        feeder = Feeder("lab", found.catalogue, outbox, reader)
        await feeder.begin()
        while await feeder.events() or await feeder.traces():
            pass
        await feeder.settled()


async def run_of_one(found: Lab) -> str:
    await found.begin(1)
    await found.capture(1)
    await found.end()
    return found.run


async def taken(outbox: OutboxSession) -> set[str]:
    """The runs of everything that waits, which is then gone."""
    lent = await outbox.do(lambda box: box.lend(1000))
    await outbox.change(lambda box: box.accept(lent))
    return {point.tags["run"] for one in lent for point in read(one.message.body)}


async def test_an_outbox_that_is_gone_costs_nothing_that_had_not_arrived(tmp_path: Path) -> None:
    """What was there before the first one is not sent; what another had not got rid of is."""
    box = tmp_path / "outbox.sqlite"
    async with lab(tmp_path / "store") as found:
        await run_of_one(found)
        async with OutboxSession(box, Caps()) as outbox:
            await told(found, outbox)
            assert await taken(outbox) == set()
            arrived = await run_of_one(found)
            await told(found, outbox)
            assert await taken(outbox) == {arrived}
            await told(found, outbox)
            waiting = await run_of_one(found)
            await told(found, outbox)
        box.write_bytes(b"no outbox any more" * 100)
        later = await run_of_one(found)
        async with OutboxSession(box, Caps()) as outbox:
            with pytest.raises(StoreError):
                await told(found, outbox)
            await told(found, outbox)
            assert await taken(outbox) == {waiting, later}


async def test_an_outbox_that_is_damaged_while_it_is_used_is_begun_anew_in_mid_run(tmp_path: Path) -> None:
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        async with InstrumentSession("reader") as reader:
            feeder = Feeder("lab", found.catalogue, outbox, reader)
            await feeder.begin()
            await feeder.settled()
            await found.begin(2)
            await found.capture(1)
            while await feeder.events() or await feeder.traces():
                pass
            with pytest.raises(StoreError):
                await outbox.do(_damaged)
            await found.capture(1)
            await found.end()
            while await feeder.events() or await feeder.traces():
                pass
        lent = await outbox.do(lambda box: box.lend(1000))
    points = [point for one in lent for point in read(one.message.body)]
    assert [point.tags["capture"][-1] for point in points if point.measurement == "power"] == [n for n in "01" for _ in range(POINTS)]
    kinds = [point.tags["kind"] for point in points if point.measurement == "event"]
    assert kinds == ["run_started", *["capture_started", "capture_ended"] * 2, "run_ended"]


def _damaged(box: Outbox) -> None:
    raise OutboxDamaged("as SQLite says it")


async def test_every_message_says_when_what_it_tells_of_was(tmp_path: Path) -> None:
    """Should it be dropped, the gap is there."""
    before_ns = time.time_ns()
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        found.began_ns = before_ns
        async with feeding(found, outbox) as feeder:
            await run_of_one(found)
            await feeder.figures(found.run)
            while await feeder.events() or await feeder.traces():
                pass
        lent = await outbox.do(lambda box: box.lend(1000))
    assert {one.message.address for one in lent} == {"event", "span", "figures", "power"}
    assert all(before_ns <= one.message.t_ns <= one.message.until_ns for one in lent)


async def test_phases_come_with_the_figures_on_the_way_each_once_and_all_at_the_end(tmp_path: Path) -> None:
    async with (
        lab(tmp_path / "store") as found,
        OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox,
        feeding(found, outbox) as feeder,
    ):
        await found.begin(2)
        seen: list[list[str]] = []
        for order in range(2):
            await found.capture(1)
            window = Window(Phase.INFER, 0.01, 0.02, 1e-6, 1e-6, 0, 0)
            await found.catalogue.do(partial(put_windows, found.run, found.key(order), [window]))
            await feeder.figures(found.run)
            seen.append(await phases(outbox))
        await found.end()
        while await feeder.events():
            pass
        seen.append(await phases(outbox))
    assert seen == [["0"], ["1"], ["0", "1"]]


def put_windows(run: str, key: str, windows: list[Window], catalogue: Catalogue) -> None:
    catalogue.captures.put_windows(run, key, windows)


async def phases(outbox: OutboxSession) -> list[str]:
    """Captures of the inferences among what waits."""
    lent = await outbox.do(lambda box: box.lend(1000))
    spans = [point.tags for one in lent for point in read(one.message.body) if point.measurement == "span"]
    return [tags["capture"][-1] for tags in spans if tags["kind"] == "infer"]


async def test_of_a_run_that_goes_on_no_trace_stays_open_that_has_been_read(tmp_path: Path) -> None:
    """Each holds tens of megabytes of its samples, and a run may have thousands."""
    async with lab(tmp_path / "store") as found, OutboxSession(tmp_path / "outbox.sqlite", Caps()) as outbox:
        await found.begin(3)
        async with feeding(found, outbox) as feeder:
            for _ in range(3):
                await found.capture(1)
                assert not await feeder.traces()
                assert not await feeder.traces()
            assert feeder.following
            gc.collect()
            open_ones = [one for one in gc.get_objects() if isinstance(one, TracePoints)]
            assert len(open_ones) <= 1  # the reader's thread holds its last call until the next
        assert await captures_fed(outbox) == [number for number in "012" for _ in range(POINTS)]

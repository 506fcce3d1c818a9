"""What goes from a store into an outbox, also out of a store that a kill has left."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from labd.influx.feeder import Feeder
from labd.influx.trace_points import TracePoints
from labd.outbox.contract import Caps
from labd.outbox.session import OutboxSession
from labd.store.trace import parquet_path, stream_path
from labd.stream.session import InstrumentSession
from tests.influx.lab import BLOCK, DT_NS, Lab, lab
from tests.influx.reader import read

POINTS = BLOCK * DT_NS // 10**7  # of a block


@asynccontextmanager
async def feeding(found: Lab, outbox: OutboxSession) -> AsyncIterator[Feeder]:
    async with InstrumentSession("reader") as reader:
        yield Feeder("lab", found.catalogue, outbox, reader)


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
            while await feeder.traces():
                pass
            assert not feeder.following
        assert await captures_fed(outbox) == ["1"] * POINTS
    assert "a trace is left out" in caplog.text


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

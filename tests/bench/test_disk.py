"""A disk that hangs: it delays no output's way off, and what it had taken is kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from labd.bench import recorder
from labd.bench.virtual import Addresses, ControlChannel, virtual_bench
from labd.daemon import commands, opened
from labd.errors import Interrupted, StoreError
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from labd.store.trace_reader import read_trace
from labd.store.trace_writer import TraceWriter
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import samples, write_plan

pytestmark = pytest.mark.compiler


class HangingDisk:
    """Takes one block, then hangs in the second until the instruments of the run are gone. off: what the source said of itself then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._truth = folder / "truth.jsonl"
        self.hangs = asyncio.Event()
        self.free = threading.Event()
        self.off: bool | None = None
        self._loop = asyncio.get_running_loop()
        self._write = TraceWriter.write
        monkeypatch.setattr(TraceWriter, "write", self._taker())
        monkeypatch.setattr(opened, "virtual_bench", self.bench)

    def _taker(self) -> Callable[..., int]:
        def write(writer: TraceWriter, *args: Any, **kwargs: Any) -> int:
            return self._take(writer, *args, **kwargs)

        return write

    def _take(self, writer: TraceWriter, *args: Any, **kwargs: Any) -> int:
        if writer.samples:
            self._loop.call_soon_threadsafe(self.hangs.set)
            assert self.free.wait(timeout=60)
        return self._write(writer, *args, **kwargs)

    @asynccontextmanager
    async def bench(self, spec: Mapping[str, Any]) -> AsyncIterator[Addresses]:
        async with virtual_bench(spec, arguments=("--truth", str(self._truth))) as addresses:
            try:
                yield addresses
            finally:
                channel = ControlChannel(addresses.control)
                self.off = not channel.ask(op="output", instrument="smu")["on"]
                channel.close()
                self.free.set()


async def test_a_stop_while_the_disk_hangs_switches_off_before_the_disk_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = HangingDisk(monkeypatch, tmp_path)
    plan = write_plan(tmp_path / "plan.toml", floor_time="30 s")
    run = commands.run_plan(FIXTURES / "benches/demo.toml", plan, store=tmp_path / "store", show=lambda _news: None, stop=disk.hangs)
    with pytest.raises(Interrupted):
        await asyncio.wait_for(run, timeout=25)  # the disk is free only when the instruments are gone
    assert disk.off
    with Catalogue.open_read_only(tmp_path / "store") as catalogue:
        (row,) = catalogue.runs.newest(limit=1)
        captures = [capture for capture in catalogue.captures.of(row.id) if capture.state is not CaptureState.PLANNED]
        assert row.state is RunState.INTERRUPTED
        assert [capture.state for capture in captures] == [CaptureState.INTERRUPTED]
        assert samples(read_trace(catalogue.trace_path(captures[0]))) > 0


async def test_a_disk_that_does_not_answer_ends_a_run_as_an_error_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = HangingDisk(monkeypatch, tmp_path)
    monkeypatch.setattr(recorder, "DISK_S", 0.2)
    plan = write_plan(tmp_path / "plan.toml", floor_time="30 s")
    with pytest.raises(StoreError, match="the disk did not answer"):
        await commands.run_plan(
            FIXTURES / "benches/demo.toml", plan, store=tmp_path / "store", show=lambda _news: None, stop=asyncio.Event()
        )
    assert disk.off

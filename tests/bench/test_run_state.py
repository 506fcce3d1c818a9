"""However the analysis at its end goes, a run has ended afterwards."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from labd import daemon
from labd.bench.progress import Silent
from labd.errors import Interrupted
from labd.store.catalogue import Catalogue
from labd.store.rows import RunRow, RunState
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import write_plan

pytestmark = pytest.mark.compiler


def stored(store: Path) -> RunRow:
    with Catalogue.open_read_only(store) as catalogue:
        (row,) = catalogue.runs.newest(limit=1)
        return row


async def run(folder: Path, stop: asyncio.Event) -> None:
    plan = write_plan(folder / "plan.toml", floor_time="1 s")
    await daemon.run_plan(FIXTURES / "benches/demo.toml", plan, store=folder / "store", progress=Silent(), stop=stop)


async def test_an_analysis_that_fails_ends_the_run_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def analyse(*_: Any) -> None:
        raise ValueError("an estimator's mistake")

    monkeypatch.setattr(daemon, "analyse_run", analyse)
    with pytest.raises(ValueError, match="an estimator's mistake"):
        await run(tmp_path, asyncio.Event())
    row = stored(tmp_path / "store")
    assert row.state is RunState.FAILED
    assert "an estimator's mistake" in row.error


async def test_a_stop_during_the_analysis_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, loop, free = asyncio.Event(), asyncio.get_running_loop(), threading.Event()

    def analyse(*_: Any) -> Any:
        loop.call_soon_threadsafe(stop.set)
        assert free.wait(timeout=60)
        raise ValueError("nobody hears this any more")

    monkeypatch.setattr(daemon, "analyse_run", analyse)
    try:
        with pytest.raises(Interrupted):
            await asyncio.wait_for(run(tmp_path, stop), timeout=30)  # the analysis is not free before
    finally:
        free.set()
    assert stored(tmp_path / "store").state is RunState.INTERRUPTED

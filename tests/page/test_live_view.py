"""The live view, live and paused, against a daemon that sends what the test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from labd.live.envelope import Piece
from labd.live.windows import Stretch
from tests.page.chromium import CHROMIUM
from tests.page.staged import RUN, StagedDaemon, piece, staged_daemon

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

DT_NS = 10_000


@pytest.fixture
async def daemon() -> AsyncIterator[StagedDaemon]:
    async with staged_daemon() as staged:
        yield staged


def stairs(first_s: int, last_s: int) -> list[Piece]:
    """A current that is higher every second."""
    return [piece(first_s=second, seconds=1.0, amps=1e-3 * (second + 1)) for second in range(first_s, last_s)]


async def shape(daemon: StagedDaemon) -> str:
    """What is drawn of power, as a picture's text."""
    return str(await daemon.page.evaluate("document.querySelector('[data-channel=power] canvas').toDataURL()"))


async def newest_s(daemon: StagedDaemon) -> float:
    return float(await daemon.page.evaluate("Number(document.documentElement.dataset.newest)"))


async def until_newest(daemon: StagedDaemon, at_s: float) -> None:
    await daemon.page.wait_for_function("(at) => Math.abs(Number(document.documentElement.dataset.newest) - at) < 1e-6", arg=at_s)


async def test_after_a_reconnection_the_plot_is_that_of_a_fresh_viewer(daemon: StagedDaemon) -> None:
    daemon.first = [daemon.frame(*stairs(0, 12), **daemon.start())]
    await daemon.open()
    await until_newest(daemon, 12.0)
    daemon.first = [daemon.frame(*stairs(4, 14), **daemon.start())]
    await daemon.live[-1].close()
    await until_newest(daemon, 14.0)
    reconnected = await shape(daemon)
    await daemon.page.reload()
    await until_newest(daemon, 14.0)
    assert reconnected == await shape(daemon)


async def test_who_comes_late_sees_triggered_stretches_where_they_stand_in_the_store(daemon: StagedDaemon) -> None:
    stretches = [Stretch(number, -5_000_000, DT_NS, 30_000, trigger=True, flags=()) for number in range(6)]
    daemon.store(0, stretches)
    daemon.first = [daemon.frame(piece(5, seconds=0.3, begins_s=-5e-3, trigger=True), **daemon.start())]
    await daemon.open()
    await until_newest(daemon, 6 * 0.3 - 5e-3 + 5 * 0.01)
    assert f"GET /runs/{RUN}/captures/0/stretches" in daemon.asked


async def test_a_failed_capture_over_range_and_missed_blocks_are_said(daemon: StagedDaemon) -> None:
    await daemon.open()
    daemon.send(piece(seconds=1.0), **daemon.start())
    daemon.send(piece(first_s=1.0, seconds=1.0))
    daemon.send(piece(first_s=2.0, seconds=1.0), flags=["over_range", "gap_before"], lost_blocks=3)
    said = daemon.page.get_by_test_id("trouble")
    await expect(said).to_contain_text("over range")
    await expect(said).to_contain_text("gap")
    await expect(said).to_contain_text("3 blocks are missing here; the trace has them")
    daemon.send(end={"error": "the meter hung up"})
    await expect(said).to_contain_text("failed: the meter hung up")
    daemon.send(piece(seconds=1.0), **daemon.start(1))
    await expect(said).to_have_count(0)

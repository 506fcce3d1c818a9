"""What may be asked of a run under way, and what it does about a capture that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from labd import bench_file, logs
from labd.bench import runner
from labd.bench.acquire import acquire
from labd.bench.control import RunControl
from labd.bench.expand import CapturePlan
from labd.bench.rig import Rig
from labd.bench.runner import CaptureRefused, Rules
from labd.bench.running_log import Sink
from labd.bench.taken import Taken
from labd.bench_file.server import StorageSection
from labd.errors import DutFailure, FileError, Interrupted, StoreError
from labd.records import CaptureState
from labd.store.rows import RunState
from labd.stream.news import NewsKind
from tests.daemon.commanded import Bench, commanded

pytestmark = pytest.mark.compiler

OFF_V = 0.1


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with commanded(tmp_path, monkeypatch) as found:
        yield found


def failing(monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """The board does not do the first captures."""
    left = [times]

    async def disturbed(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
        if left[0]:
            left[0] -= 1
            raise DutFailure("the board does not answer")
        return await acquire(rig, plan, sink)

    monkeypatch.setattr(runner, "acquire", disturbed)


async def test_a_run_bears_what_was_said_of_it_when_it_was_submitted(bench: Bench) -> None:
    await bench.run(bench.request(notes="first board", tags=("paper", "keep")))
    row, _ = await bench.stored()
    assert (row.notes, row.tags) == ("first board", ("keep", "paper"))


async def test_what_is_logged_in_a_run_says_in_which_run_and_capture(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Where a capture is made, one line is enough: what is about it comes from the task it is logged in."""
    caplog.handler.addFilter(logs.masked)
    bench.acts[NewsKind.CAPTURE_STARTED] = lambda _news: logging.getLogger("labd.bench").warning("the disk is slow")
    try:
        await bench.run(bench.request())
    finally:
        caplog.handler.removeFilter(logs.masked)
    row, captures = await bench.stored()
    line = next(record for record in caplog.records if record.getMessage() == "the disk is slow")
    assert (vars(line)["run"], vars(line)["capture"]) == (row.id, captures[0].key)


async def test_a_paused_run_waits_with_its_outputs_off_and_then_does_the_rest(bench: Bench) -> None:
    control = RunControl()
    bench.acts[NewsKind.CAPTURE_STARTED] = lambda _news: control.pause()
    going = asyncio.create_task(bench.run(bench.request(), control))
    await bench.until(NewsKind.RUN_PAUSED)
    assert not bench.ask(op="output", instrument="smu")["on"]
    assert bench.ask(op="board")["voltage_v"] < OFF_V
    control.go_on()
    outcome = await going
    row, captures = await bench.stored()
    assert row.state is RunState.FINISHED
    assert outcome.failed == ()
    assert {capture.state for capture in captures} == {CaptureState.FINISHED}
    assert bench.kinds().index(NewsKind.RUN_CONTINUED) > bench.kinds().index(NewsKind.RUN_PAUSED)


async def test_a_paused_run_can_be_aborted(bench: Bench) -> None:
    control = RunControl()
    bench.acts[NewsKind.CAPTURE_STARTED] = lambda _news: control.pause()
    bench.acts[NewsKind.RUN_PAUSED] = lambda _news: control.abort("enough")
    with pytest.raises(Interrupted, match="enough"):
        await bench.run(bench.request(), control)
    row, _ = await bench.stored()
    assert (row.state, row.error) == (RunState.INTERRUPTED, "enough")


async def test_an_aborted_run_is_resumed_with_only_the_captures_that_it_lacks(bench: Bench) -> None:
    control = RunControl()
    bench.acts[NewsKind.CAPTURE_ENDED] = lambda _news: control.abort("enough")
    with pytest.raises(Interrupted):
        await bench.run(bench.request(), control)
    row, before = await bench.stored()
    kept = {capture.key: capture.started_ns for capture in before if capture.state is CaptureState.FINISHED}
    assert 0 < len(kept) < len(before)
    outcome = await bench.run(bench.request(resume=row.id))
    assert outcome.run_id == row.id
    again, after = await bench.stored()
    assert again.state is RunState.FINISHED
    assert {capture.state for capture in after} == {CaptureState.FINISHED}
    assert {capture.key: capture.started_ns for capture in after if capture.key in kept} == kept
    assert outcome.records


async def test_a_run_is_not_resumed_with_another_plan(bench: Bench) -> None:
    control = RunControl()
    bench.acts[NewsKind.CAPTURE_ENDED] = lambda _news: control.abort("enough")
    with pytest.raises(Interrupted):
        await bench.run(bench.request(), control)
    row, _ = await bench.stored()
    request = bench.request(resume=row.id)
    other = bench_file.plan_of(request.plan.text + "# another one\n", request.plan.path)
    with pytest.raises(FileError, match="is not the one that run"):
        await bench.run(replace(request, plan=other))


async def test_a_capture_that_fails_is_made_again_as_often_as_the_rules_say(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, times=2)
    outcome = await bench.run(bench.request(rules=Rules(retries=2)))
    _, captures = await bench.stored()
    assert outcome.failed == ()
    assert {capture.state for capture in captures} == {CaptureState.FINISHED}
    assert sorted(capture.attempt for capture in captures)[-2:] == [0, 2]


async def test_without_retries_a_capture_fails_and_the_others_are_made(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, times=1)
    outcome = await bench.run(bench.request())
    row, captures = await bench.stored()
    assert [text for text in outcome.failed if "the board does not answer" in text]
    assert row.state is RunState.FAILED
    assert sorted(capture.state for capture in captures) == [CaptureState.FAILED, *[CaptureState.FINISHED] * (len(captures) - 1)]


async def test_a_run_told_to_stop_at_a_failure_leaves_the_rest_planned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, times=1)
    with pytest.raises(CaptureRefused, match="after_failure is stop"):
        await bench.run(bench.request(rules=Rules(stop_at_failure=True)))
    row, captures = await bench.stored()
    assert row.state is RunState.FAILED
    assert sorted(capture.state for capture in captures) == [CaptureState.FAILED, *[CaptureState.PLANNED] * (len(captures) - 1)]


async def test_no_capture_begins_without_space_for_it(bench: Bench) -> None:
    request = bench.request()
    crowded = request.bench.model_copy(update={"storage": StorageSection(least_free=1 << 62)})
    with pytest.raises(StoreError, match=r"storage\.least_free"):
        await bench.run(replace(request, bench=crowded))
    row, captures = await bench.stored()
    assert row.state is RunState.FAILED
    assert {capture.state for capture in captures} == {CaptureState.PLANNED}

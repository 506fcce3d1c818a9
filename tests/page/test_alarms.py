"""What must not be missed: the emergency stop's outcome, standing alarms, a lost guard, a daemon that is not heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from labd.guard.wire import OffResult
from labd.stream.news import NewsKind
from tests.page.chromium import CHROMIUM
from tests.page.staged import PHONE, StagedDaemon, piece, staged_daemon

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

SMU = OffResult("smu", off=True, discharged=True, text="off and discharged", took_s=0.1, attempts=1)
STILL_ON = replace(SMU, off=False, discharged=None, text="no answer from 192.0.2.5", attempts=4)


@pytest.fixture
async def daemon() -> AsyncIterator[StagedDaemon]:
    async with staged_daemon() as staged:
        yield staged


def alert(daemon: StagedDaemon) -> Locator:
    return daemon.page.get_by_role("alert")


async def pressed(daemon: StagedDaemon, answer: Any) -> None:
    daemon.answers["POST /bench/off"] = answer
    await daemon.open()
    await daemon.page.get_by_role("button", name="Outputs off").click()


async def test_a_source_that_is_not_off_is_never_called_off(daemon: StagedDaemon) -> None:
    await pressed(daemon, [replace(SMU, source="aux"), STILL_ON])
    await expect(alert(daemon)).to_have_text("NOT OFF: smu: no answer from 192.0.2.5. Cut the supply by hand. ")
    await expect(alert(daemon).get_by_role("button")).to_have_count(0)


async def test_every_source_off_is_said_and_can_be_dismissed(daemon: StagedDaemon) -> None:
    await pressed(daemon, [SMU])
    await expect(alert(daemon)).to_contain_text("outputs are off; the queue is paused")
    await alert(daemon).get_by_role("button", name="Dismiss").click()
    await expect(alert(daemon)).to_have_count(0)


async def test_a_source_that_is_off_but_charged_is_said(daemon: StagedDaemon) -> None:
    await pressed(daemon, [replace(SMU, discharged=False, text="1.9 V after 2 s")])
    await expect(alert(daemon)).to_contain_text("NOT DISCHARGED: smu: 1.9 V after 2 s")


async def test_an_answer_that_says_nothing_is_not_off(daemon: StagedDaemon) -> None:
    await pressed(daemon, {"unexpected": True})
    await expect(alert(daemon)).to_contain_text("NOT OFF")


async def test_a_daemon_that_does_not_answer_a_stop_is_said_after_three_seconds(daemon: StagedDaemon) -> None:
    await daemon.page.clock.install()
    await pressed(daemon, lambda query: None)
    await expect(alert(daemon)).to_contain_text("Switching off…")
    await expect(alert(daemon)).not_to_contain_text("does not answer")
    daemon.send()
    await daemon.page.clock.run_for(3000)
    await expect(alert(daemon).first).to_contain_text("does not answer: run `labd bench off BENCH` at the bench PC")


async def test_a_standing_alarm_and_a_lost_guard_are_on_the_page_from_the_first(daemon: StagedDaemon) -> None:
    daemon.changed(alarms=("smu: not verified off",), guard=False)
    await daemon.open()
    await expect(alert(daemon)).to_have_text(
        ["The guard is lost: nothing switches outputs off if the daemon dies.", "smu: not verified off"]
    )


async def test_news_of_the_guard_and_of_alarms_has_the_status_read_again(daemon: StagedDaemon) -> None:
    await daemon.open()
    await expect(daemon.page.locator("h1")).to_have_text("staged")
    daemon.changed(guard=False)
    daemon.say(NewsKind.GUARD, "the guard is gone", alive=False)
    await expect(alert(daemon)).to_contain_text("The guard is lost")
    daemon.changed(guard=True, alarms=("smu: not off",))
    daemon.say(NewsKind.ALARM, "smu: not off")
    await expect(alert(daemon)).to_have_text("smu: not off")


async def test_somebody_elses_emergency_stop_and_its_outcome_are_told(daemon: StagedDaemon) -> None:
    await daemon.open()
    await expect(daemon.page.locator("h1")).to_have_text("staged")
    daemon.say(NewsKind.BENCH, "emergency stop by bob", sources=[{"source": "smu", "off": False, "discharged": None, "text": "no answer"}])
    await expect(alert(daemon)).to_contain_text("emergency stop by bob: NOT OFF: smu: no answer")
    await expect(daemon.page.get_by_role("region", name="Notices")).to_contain_text("emergency stop by bob")


async def test_a_message_that_comes_again_is_a_new_alert(daemon: StagedDaemon) -> None:
    await daemon.open()
    await daemon.page.get_by_role("button", name="Pause the queue").click()
    said = await alert(daemon).element_handle()
    assert said is not None
    await daemon.page.get_by_role("button", name="Pause the queue").click()
    await said.wait_for_element_state("hidden")
    await expect(alert(daemon)).to_contain_text("the queue is paused")


async def test_notices_stand_above_queue_and_figures_on_a_phone() -> None:
    async with staged_daemon(**PHONE) as daemon:
        await daemon.open()
        await expect(daemon.page.locator("h1")).to_have_text("staged")
        daemon.say(NewsKind.NOTICE, "the chamber is cold")
        notices = await daemon.page.get_by_role("region", name="Notices").bounding_box()
        queue = await daemon.page.get_by_role("region", name="Queue").bounding_box()
        assert notices is not None
        assert queue is not None
        assert notices["y"] < queue["y"]


async def test_a_connection_that_says_nothing_for_three_seconds_is_lost_and_made_anew(daemon: StagedDaemon) -> None:
    await daemon.page.clock.install()
    daemon.silent = True
    await daemon.open()
    daemon.send(piece(seconds=1.0), **daemon.start())
    await expect(daemon.page.get_by_test_id("unheard")).to_have_count(0)
    daemon.first = []  # a daemon that is stopped accepts, and says nothing
    await daemon.page.clock.run_for(3000)
    await expect(daemon.page.get_by_test_id("unheard")).to_contain_text("The daemon is not heard")
    await expect(daemon.page.get_by_test_id("unheard")).to_contain_text("Last sample 3 s ago.")
    await expect(daemon.page.get_by_role("region", name="Live samples")).to_have_class("stale")
    await daemon.page.clock.run_for(10_000)
    await expect(daemon.page.get_by_test_id("unheard")).to_contain_text("ago")
    heard = len(daemon.told)
    daemon.send()
    await expect(daemon.page.get_by_test_id("unheard")).to_have_count(0)
    assert len(daemon.told) == heard + 1

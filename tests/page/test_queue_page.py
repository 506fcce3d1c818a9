"""The queue's panel in a real Chromium: what waits is seen, moved and edited; the bench is reserved and given back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.cli.bench_apart import demo_text, write_plan
from tests.page.chromium import CHROMIUM
from tests.page.daemon import DESK, browsing, serving

PICTURES = Path(__file__).parents[2] / "out/screenshots"
HOUR_NS = 3600 * 10**9
pytestmark = [pytest.mark.compiler, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon whose queue is paused, so that what is submitted waits."""
    folder = tmp_path_factory.mktemp("queue")
    bench = folder / "bench.toml"
    bench.write_text(demo_text())
    with serving(folder, bench) as where:
        httpx.post(f"{where}api/v1/queue/pause").raise_for_status()
        yield where


@pytest.fixture
def plan(tmp_path: Path) -> str:
    return write_plan(tmp_path / "plan.toml").read_text(encoding="utf-8")


@pytest.fixture
async def page(url: str, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    async with browsing(url, PICTURES / f"{request.node.name}.png", **DESK, timezone_id="America/New_York", locale="en-GB") as opened:
        yield opened


@pytest.fixture(autouse=True)
async def empty(url: str) -> AsyncIterator[None]:
    yield
    for job in await jobs(url):
        await asked("DELETE", f"{url}api/v1/jobs/{job['id']}")


async def asked(method: str, url: str, body: object = None) -> Any:
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, url, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


async def jobs(url: str) -> list[dict[str, Any]]:
    return [job for job in await asked("GET", f"{url}api/v1/jobs") if job["state"] == "queued"]


async def submit(url: str, plan: str, name: str, **more: object) -> dict[str, Any]:
    return dict(await asked("POST", f"{url}api/v1/jobs", {"plan_text": plan, "plan_name": name, **more}))


async def test_a_job_moves_one_step_up_and_down(page: Page, url: str, plan: str) -> None:
    for name in ("a", "b", "c"):
        await submit(url, plan, name)
    names = page.locator(".job.queued .name")
    await expect(names).to_have_text(["a", "b", "c"])
    row = page.locator(".job.queued", has=page.get_by_text("c", exact=True))
    await row.get_by_role("button", name="Up").click()
    await expect(names).to_have_text(["a", "c", "b"])
    await row.get_by_role("button", name="Up").click()
    await expect(names).to_have_text(["c", "a", "b"])
    await expect(row.get_by_role("button", name="Up")).to_be_disabled()
    await row.get_by_role("button", name="Down").click()
    await expect(names).to_have_text(["a", "c", "b"])
    assert [job["plan_name"] for job in await jobs(url)] == ["a", "c", "b"]


async def test_priority_start_time_and_note_are_edited_and_nothing_else_changes(page: Page, url: str, plan: str) -> None:
    before = await submit(url, plan, "nightly", tags=["board-7", "lid_open"], note="first try")
    row = page.locator(".job.queued")
    await expect(row).to_contain_text("board-7")
    await expect(row).to_contain_text("first try")
    await row.get_by_text("Edit", exact=True).click()
    await row.get_by_label("Priority").fill("7")
    await row.get_by_label("Not before (America/New_York)").fill("2031-01-05T09:30")
    await row.get_by_label("Note").fill("second try\nnew cable")
    await page.screenshot(path=PICTURES / "a_job_edited.png")
    await row.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("priority 7 · not before 05/01/2031, 09:30")
    await expect(row).to_contain_text("new cable")
    changed = {"priority": 7, "not_before_ns": 1_925_389_800 * 10**9, "note": "second try\nnew cable"}
    assert (await jobs(url)) == [before | changed]


async def test_a_start_time_is_taken_away(page: Page, url: str, plan: str) -> None:
    await submit(url, plan, "later", not_before_ns=time.time_ns() + HOUR_NS)
    row = page.locator(".job.queued")
    await expect(row).to_contain_text("not before")
    await row.get_by_text("Edit", exact=True).click()
    await row.get_by_label("Not before").fill("")
    await row.get_by_role("button", name="Save").click()
    await expect(row).not_to_contain_text("not before ")
    assert [job["not_before_ns"] for job in await jobs(url)] == [None]


async def test_the_next_start_of_a_recurring_job_is_told_in_its_own_zone(page: Page, url: str, plan: str) -> None:
    await submit(url, plan, "nightly", recurrence="0 2 * * *", zone="Asia/Tokyo")
    row = page.locator(".job.queued")
    await expect(row).to_contain_text("02:00 Asia/Tokyo")
    await expect(row).to_contain_text("repeats at 0 2 * * * (Asia/Tokyo)")


async def test_the_bench_is_reserved_and_given_back(page: Page, url: str) -> None:
    await page.get_by_text("Reserve the bench").click()
    await page.get_by_label("Until").fill("2031-01-05T09:30")
    await page.get_by_label("What for").fill("new shunt")
    await page.get_by_role("button", name="Reserve", exact=True).click()
    await expect(page.get_by_text("reserved by local until 05/01/2031, 09:30: new shunt")).to_be_visible()
    lease = await asked("GET", f"{url}api/v1/lease")
    assert (lease["purpose"], lease["until_ns"]) == ("new shunt", 1_925_389_800 * 10**9)
    await page.get_by_role("button", name="Give back").click()
    await expect(page.get_by_text("reserved by")).not_to_be_visible()
    assert await asked("GET", f"{url}api/v1/lease") is None

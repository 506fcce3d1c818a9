"""The page in a real Chromium, served by a real daemon whose meter gives a million samples a second."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.cli.bench_apart import EXIT_S, LABD
from tests.live.replay_bench import write_replay_bench
from tests.page.chromium import ARGUMENTS, CHROMIUM

PICTURES = Path(__file__).parents[2] / "out/screenshots"
pytestmark = [pytest.mark.compiler, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon that captures a long floor, with another job waiting."""
    folder = tmp_path_factory.mktemp("served")
    made = write_replay_bench(folder, floor_time="120 s")
    command = [*LABD, "serve", str(made.bench), "--store", str(folder / "store"), "--port", "0"]
    with (folder / "labd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    where = process.stdout.readline().split()[-1]
    try:
        plan = made.plan.read_text(encoding="utf-8")
        for _ in range(2):
            httpx.post(f"{where}api/v1/jobs", json={"plan_text": plan}).raise_for_status()
        end_s = time.monotonic() + 60
        while not any(one["state"] == "recording" for one in _captures(where)):
            assert time.monotonic() < end_s, (folder / "labd.log").read_text()
            time.sleep(0.05)
        yield where
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=3 * EXIT_S)


def _captures(where: str) -> list[dict[str, str]]:
    run = httpx.get(f"{where}api/v1/jobs").json()[0]["run_id"]
    return list(httpx.get(f"{where}api/v1/runs/{run}/captures").json()) if run else []


@pytest.fixture
async def page(url: str, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A fresh browser on the page, which draws; a fault of its script fails the test, a picture of its end is kept."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = await browser.new_page(viewport={"width": 1280, "height": 900})
        faults: list[str] = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        await opened.goto(url)
        await until_drawn(opened, 5)
        yield opened
        PICTURES.mkdir(parents=True, exist_ok=True)
        await opened.screenshot(path=PICTURES / f"{request.node.name}.png")
        await browser.close()
        assert faults == []


async def status(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        found: dict[str, Any] = (await http.get(f"{url}api/v1/status")).json()
        return found


async def jobs(url: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as http:
        return list((await http.get(f"{url}api/v1/jobs")).json())


async def waiting(url: str) -> list[str]:
    return [job["plan_name"] for job in await jobs(url) if job["state"] == "queued"]


async def until_drawn(page: Page, count: int) -> None:
    """More than so many frames. (The page's policy forbids what `wait_for_function` does.)"""
    async with asyncio.timeout(30):
        while await frames(page) <= count:
            await page.wait_for_timeout(20)


async def frames(page: Page) -> int:
    return int(await page.evaluate("Number(document.documentElement.dataset.frames || 0)"))


async def shape(page: Page) -> str:
    """What is drawn of power, as a picture's text."""
    return str(await page.evaluate("document.querySelector('[data-channel=power] canvas').toDataURL()"))


async def test_power_moves(page: Page) -> None:
    """How often a second is measured by `make live`."""
    before = await shape(page)
    await until_drawn(page, (await frames(page)) + 10)
    assert (await shape(page)) != before


async def test_a_paused_view_stands_still_and_zooms_to_single_samples(page: Page) -> None:
    await page.keyboard.press("Space")
    await expect(page.get_by_test_id("pause")).to_have_attribute("aria-pressed", "true")
    for _ in range(14):
        await page.keyboard.press("+")
    await expect(page.get_by_test_id("shown")).to_contain_text("1.00 µs a point", timeout=20_000)
    still = await frames(page)
    await page.wait_for_timeout(300)
    assert (await frames(page)) == still
    await page.keyboard.press("Space")
    await until_drawn(page, still)


async def test_energy_between_two_points_is_told(page: Page) -> None:
    await page.keyboard.press("Space")
    plot = page.locator("[data-channel=power] .u-over")
    await plot.click(position={"x": 200, "y": 40})
    await plot.click(position={"x": 700, "y": 40}, modifiers=["Shift"])
    await expect(page.get_by_test_id("result")).to_contain_text(" J, ")


async def test_marker_and_lines_are_tracks_under_the_plots(page: Page) -> None:
    tracks = page.locator("[data-tracks]")
    await expect(tracks).to_have_attribute("data-tracks", "marker,line 0", timeout=20_000)
    left = "document.querySelector('{} .u-over').getBoundingClientRect().left"
    assert (await page.evaluate(left.format("[data-tracks]"))) == (await page.evaluate(left.format("[data-channel=power]")))
    painted = "(([c]) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, k) => k % 4 == 3 && v))"
    assert await page.evaluate(f"{painted}(document.querySelectorAll('[data-tracks] canvas'))")


async def test_a_log_scale_is_chosen_and_remembered(page: Page) -> None:
    button = page.get_by_role("button", name="Log scale")
    linear = await shape(page)
    await page.keyboard.press("Space")
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")
    assert (await shape(page)) != linear
    await page.reload()
    await until_drawn(page, 5)
    await expect(button).to_have_attribute("aria-pressed", "true")


async def test_two_plans_are_submitted_one_moved_ahead_one_aborted(page: Page, url: str) -> None:
    plan = (await jobs(url))[0]["plan_text"]
    for name in ("first of mine", "second of mine"):
        await page.get_by_text("Submit a plan").click()
        await page.get_by_role("textbox", name="Plan").fill(plan.replace('name = "long floor"', f'name = "{name}"'))
        await page.get_by_role("button", name="Submit", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("submitted")
        await expect(page.locator(".job", has_text=name)).to_be_visible()
        await page.get_by_text("Submit a plan").click()
    await page.locator(".job", has_text="second of mine").get_by_role("button", name="First").click()
    await expect(page.locator(".job.queued .name").first).to_have_text("second of mine")
    assert await waiting(url) == ["second of mine", "long floor", "first of mine"]
    await page.screenshot(path=PICTURES / "two_plans_one_moved_ahead.png", full_page=True)
    page.on("dialog", lambda dialog: dialog.accept())
    await page.locator(".job.running").get_by_role("button", name="Abort").click()
    await expect(page.get_by_role("alert")).to_contain_text("aborted", timeout=30_000)
    await expect(page.locator(".job.running .name")).to_have_text("second of mine", timeout=30_000)
    assert (await jobs(url))[0]["plan_name"] == "second of mine"
    assert next(job["error"] for job in await jobs(url) if job["state"] == "interrupted") == "aborted (local)"


async def test_the_queue_is_paused_and_goes_on(page: Page, url: str) -> None:
    await page.get_by_role("button", name="Pause the queue").click()
    await expect(page.get_by_text("paused: by local")).to_be_visible()
    assert (await status(url))["queue"]["paused"]
    await page.get_by_role("button", name="Let the queue go on").click()
    await expect(page.get_by_role("button", name="Pause the queue")).to_be_visible()


async def test_dark_light_and_a_phone(page: Page) -> None:
    await page.emulate_media(color_scheme="dark")
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.emulate_media(color_scheme="light")
    assert (await page.evaluate("getComputedStyle(document.body).backgroundColor")) != dark
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.wait_for_timeout(200)
    assert (await page.evaluate("document.documentElement.scrollWidth")) <= 360


async def test_every_control_has_a_name_and_is_reached_by_the_keyboard(page: Page) -> None:
    named = "e.textContent.trim() || e.ariaLabel || e.labels?.length"
    nameless = await page.evaluate(f"[...document.querySelectorAll('button, input, select, textarea')].filter((e) => !({named})).length")
    assert nameless == 0
    await page.locator("h1").click()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    assert (await page.evaluate("document.activeElement.textContent")) == "Outputs off"


async def test_the_emergency_stop_pauses_the_queue_and_ends_the_run(page: Page, url: str) -> None:
    await page.get_by_role("button", name="Outputs off").click()
    await expect(page.get_by_role("alert")).to_contain_text("outputs are off", timeout=30_000)
    found = await status(url)
    assert found["queue"]["paused"]
    assert found["in_use_by"] == ""

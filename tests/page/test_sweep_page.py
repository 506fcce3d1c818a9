"""A sweep on a phone: what the page shows while the run goes on, and of its captures afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from labd.bench_file.cards import with_cards
from labd.resources import path as resource
from tests.cli.bench_apart import changed, demo_text
from tests.page.chromium import CHROMIUM
from tests.page.daemon import PHONE, browsing, serving

PICTURES = Path(__file__).parents[2] / "out/screenshots"
RUN_S = 180.0
pytestmark = [pytest.mark.compiler, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

SEEN = """(() => ({
  capture: document.querySelector('select[aria-label=Capture]').options[0].textContent,
  phases: document.querySelector('[data-phases]').dataset.phases.split(','),
  rows: document.querySelectorAll('.figures th[scope=row]').length,
  provisional: document.body.textContent.includes('Provisional until the run has ended'),
  dots: document.querySelectorAll('.rates [data-curve] .dot').length,
  progress: document.querySelector('[data-testid=progress]')?.textContent ?? '',
  ended: document.querySelector('section[aria-label=Run] select')?.selectedOptions[0]?.textContent.endsWith('finished') ?? false,
}))()"""


@dataclass(frozen=True)
class Swept:
    """A finished run: what a page that watched it showed one moment after the other."""

    url: str
    moments: list[dict[str, Any]]


def plan() -> str:
    file = resource("fixtures") / "plans/demo.toml"
    text = with_cards(file.read_text(encoding="utf-8"), file)
    for old, new in (
        ('"0 /s", "0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', '"0 /s", "10 /s", "20 /s"'),
        ('["always_on", "event_sleep", "event_reload"]', '["always_on", "event_sleep"]'),
        ("events = 60", "events = 15"),
        ('floor_time = "4 s"', 'floor_time = "1 s"'),
        ("event_captures = 30", "event_captures = 12"),
    ):
        text = changed(text, old, new)
    return text


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    folder = tmp_path_factory.mktemp("sweep")
    bench = folder / "bench.toml"
    bench.write_text(demo_text(time='time = "real"'))
    with serving(folder, bench) as url:
        yield Swept(url, asyncio.run(watched(url)))


async def watched(url: str) -> list[dict[str, Any]]:
    moments: list[dict[str, Any]] = []
    async with browsing(url, PICTURES / "a_sweep_on_a_phone.png", **PHONE) as page, asyncio.timeout(RUN_S):
        await expect(page.get_by_role("button", name="Outputs off")).to_be_visible()
        async with httpx.AsyncClient() as http:
            (await http.post(f"{url}api/v1/jobs", json={"plan_text": plan()})).raise_for_status()
        while not (moments and moments[-1]["ended"]):
            moments.append(await page.evaluate(SEEN))
            await page.wait_for_timeout(100)
        await expect(page.get_by_text("Provisional until the run has ended")).to_have_count(0)
        moments.append(await page.evaluate(SEEN))
    return moments


@pytest.fixture
async def page(swept: Swept, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    async with browsing(swept.url, PICTURES / f"{request.node.name}.png", **PHONE) as opened:
        await expect(opened.locator(".figures")).to_be_visible()
        yield opened


def test_figures_fill_while_the_run_goes_on(swept: Swept) -> None:
    rows = [moment["rows"] for moment in swept.moments if moment["provisional"]]
    assert len({count for count in rows if count}) >= 3
    assert rows == sorted(rows)
    assert swept.moments[-1]["rows"] >= rows[-1]
    assert not swept.moments[-1]["provisional"]


def test_the_rate_plot_grows_to_a_dot_for_each_floor_and_mean(swept: Swept) -> None:
    dots = [moment["dots"] for moment in swept.moments]
    assert dots == sorted(dots)
    assert len(set(dots)) >= 3
    runs = httpx.get(f"{swept.url}api/v1/runs").json()
    known = httpx.get(f"{swept.url}api/v1/runs/{runs[0]['id']}/kpis").json()
    # a machine that is held up in real time has captures whose mean is withheld
    assert dots[-1] == sum(
        one["id"] == ("power.floor" if "/r=0/" in one["at"] else "power.mean") for one in known if one["value"] is not None
    )


def test_progress_tells_the_capture_and_the_time_left(swept: Swept) -> None:
    told = [moment["progress"] for moment in swept.moments]
    assert any("about" in text and "left" in text and "now always_on/" in text for text in told)
    assert "left" not in told[-1]


def test_phases_are_named_while_events_are_captured_and_while_the_board_runs_on_its_own(swept: Swept) -> None:
    def of(part: str) -> set[str]:
        return {phase for moment in swept.moments if part in moment["capture"] for phase in moment["phases"] if phase}

    assert of("/event/") >= {"load", "wake", "infer"}
    assert "infer" in of("always_on/r=10")
    assert of("/floor/") - {"load", "wake", "infer"} == set()


async def test_a_stored_triggered_capture_shows_the_phases_that_the_analysis_found(page: Page) -> None:
    track = page.locator("[data-phases]")
    await page.get_by_label("Capture", exact=True).select_option(label="event_sleep/r=0/v=3/dnn/event/0")
    await expect(track).to_have_attribute("data-phases", "wake,load,infer,tail", timeout=20_000)
    painted = "(c) => c.getContext('2d').getImageData(c.width / 2, 0, c.width / 2, c.height).data.some((v, k) => k % 4 == 3 && v)"
    assert await track.locator("canvas").evaluate(painted)
    left = "(e) => e.getBoundingClientRect().left"
    assert (await page.locator(".phases .bar").evaluate(left)) == (await page.locator("[data-channel=power] .u-over").evaluate(left))


async def test_a_figure_without_a_value_says_why_and_one_of_two_captures_says_which(page: Page) -> None:
    quantile = page.locator(".figures tr", has=page.get_by_role("rowheader", name="latency.pin.p95")).first
    await expect(quantile.locator("td")).to_have_text("needs n >= 59")
    group = page.locator(".figures tbody", has=page.get_by_text("event_sleep/r=0/v=3/dnn", exact=True))
    sources = await group.get_by_role("rowheader", name="power.sleep").locator("small").all_inner_texts()
    assert [text.strip() for text in sorted(sources)][:2] == ["event", "floor"]
    assert len(set(sources)) == len(sources)


async def test_every_value_and_the_rate_plot_are_on_the_phones_screen(page: Page) -> None:
    beyond = "(e) => Math.max(...[...document.querySelectorAll(e)].map((one) => one.getBoundingClientRect().right))"
    for what in (".figures td span", ".rates svg text", ".rates svg"):
        assert (await page.evaluate(beyond, what)) <= PHONE["viewport"]["width"]
    assert (await page.evaluate("document.documentElement.scrollWidth")) <= PHONE["viewport"]["width"]
    assert (await page.locator(".rates svg text").first.evaluate("(e) => e.getBoundingClientRect().height")) >= 12


async def test_the_rate_plot_is_told_as_a_table_and_in_words(page: Page) -> None:
    await page.get_by_text("Mean power as a table").tap()
    rows = page.locator(".rates tbody tr")
    await expect(rows.first).to_be_visible()
    assert await rows.count() == await page.locator(".rates [data-curve] .dot").count()
    await expect(page.locator(".rates [data-curve] .fit")).to_have_count(2)
    said = await page.locator(".rates > div > svg").get_attribute("aria-label")
    assert said is not None
    assert "event-sleep: " in said
    assert " at 20 /s" in said

"""The live view, live and paused, against a daemon that sends what the test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, expect

from labd.live.envelope import Piece
from labd.live.windows import Stretch
from tests.page.chromium import CHROMIUM
from tests.page.staged import PHONE, RUN, StagedDaemon, piece, staged_daemon

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


def long_stretch(seconds: float, *, amps_flags: tuple[str, ...] = ()) -> list[Stretch]:
    return [Stretch(0, 0, DT_NS, round(seconds * 1e9 / DT_NS), trigger=False, flags=amps_flags)]


def result(daemon: StagedDaemon) -> Locator:
    return daemon.page.get_by_test_id("result")


def plot(daemon: StagedDaemon) -> Locator:
    return daemon.page.locator("[data-channel=power] .u-over")


async def capturing(daemon: StagedDaemon, seconds: int = 10) -> None:
    """A capture of ten seconds so far: 1 mA in the first one, and so on."""
    daemon.first = [daemon.frame(*stairs(0, seconds), **daemon.start())]
    daemon.store(0, long_stretch(seconds))
    await daemon.open()
    await until_newest(daemon, seconds)


async def paused(daemon: StagedDaemon) -> None:
    await daemon.page.get_by_test_id("pause").click()
    await expect(result(daemon)).to_contain_text("Paused: capture 0.")


async def test_a_pause_holds_while_the_next_capture_begins(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    await paused(daemon)
    await daemon.page.wait_for_function("document.querySelector('[data-testid=now]').textContent.includes('mean of what is shown')")
    await daemon.page.keyboard.press("a")
    still = await shape(daemon)
    daemon.send(piece(seconds=1.0, amps=0.5), **daemon.start(1))
    daemon.store(1, long_stretch(1))
    await daemon.page.get_by_role("button", name="Later").click()
    await expect(result(daemon)).to_contain_text("Paused: capture 0.")
    await expect(daemon.page.get_by_text("A at 5")).to_be_visible()
    assert await shape(daemon) == still
    await daemon.page.get_by_test_id("pause").click()
    await until_newest(daemon, 1.0)
    assert f"GET /runs/{RUN}/captures/1/window" not in daemon.asked


async def test_a_stored_capture_is_seen_with_nothing_running(daemon: StagedDaemon) -> None:
    rows = [
        {
            "key": "mean/7",
            "role": "mean",
            "point": "p",
            "order": 7,
            "state": "failed",
            "samples": 300_000,
            "stretches": 1,
            "error": "it stopped",
        }
    ]
    daemon.answers |= {"GET /runs": [{"id": RUN, "state": "finished", "plan_name": "p"}], f"GET /runs/{RUN}/captures": rows}
    daemon.store(7, long_stretch(3, amps_flags=("over_range",)))
    await daemon.open()
    await daemon.page.get_by_label("Capture", exact=True).select_option("mean/7")
    await expect(result(daemon)).to_contain_text("Paused: mean/7.")
    await expect(daemon.page.get_by_test_id("shown")).to_contain_text("shown: 3 s, 2.50 ms a point")
    await expect(daemon.page.get_by_test_id("trouble")).to_contain_text("failed: it stopped; over range")


async def test_energy_between_a_and_b_is_the_stores_sum_and_stays_when_b_is_zoomed_away(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    await paused(daemon)
    bare = await shape(daemon)
    for name, share in (("Set A", 0.1), ("Set B", 0.6)):
        await daemon.page.get_by_role("button", name=name).click()
        box = await plot(daemon).bounding_box()
        assert box is not None
        await plot(daemon).click(position={"x": share * box["width"], "y": 40})
    await expect(result(daemon)).to_contain_text("A to B: 5.0")
    await expect(result(daemon)).to_contain_text("mean 3.000 mW")
    assert f"GET /runs/{RUN}/captures/0/energy" in daemon.asked
    assert await shape(daemon) != bare
    said = await result(daemon).text_content()
    for _ in range(3):
        await daemon.page.keyboard.press("+")
    await expect(daemon.page.get_by_text("B at 6")).to_contain_text("no samples in view")
    assert await result(daemon).text_content() == said
    await daemon.page.get_by_role("button", name="Clear").click()
    await expect(result(daemon)).to_have_text("Paused: capture 0. ")


async def test_a_and_b_of_one_capture_mean_nothing_in_the_next(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    await daemon.page.keyboard.press("a")
    await expect(daemon.page.get_by_text("A at 5")).to_be_visible()
    daemon.send(piece(seconds=1.0), **daemon.start(1))
    await expect(daemon.page.get_by_text("A at 5")).to_have_count(0)


async def test_a_and_b_are_set_by_touch_alone() -> None:
    async with staged_daemon(**PHONE) as daemon:
        await capturing(daemon)
        await daemon.page.get_by_test_id("pause").tap()
        for name, x in (("Set A", 60), ("Set B", 160)):
            await daemon.page.get_by_role("button", name=name).tap()
            await plot(daemon).tap(position={"x": x, "y": 40})
        await expect(result(daemon)).to_contain_text("mean 3.000 mW")
        await daemon.page.locator(".plots").press("Shift+ArrowRight")
        await expect(daemon.page.get_by_text("crosshair at")).to_be_visible()
        assert (await daemon.page.evaluate("document.documentElement.scrollWidth")) <= 390


async def test_a_and_b_are_set_by_the_keyboard_alone(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    press = daemon.page.keyboard.press
    for key in ("Space", "a", *["Shift+ArrowRight"] * 10, "b"):
        await press(key)
    await expect(daemon.page.get_by_text("crosshair at")).to_be_visible()
    await expect(result(daemon)).to_contain_text("A to B: 1.00000 s, 3.000 mJ, 1.000 mC, mean 3.000 mW")


async def test_energy_across_triggered_stretches_counts_their_samples_alone(daemon: StagedDaemon) -> None:
    stretches = [Stretch(number, 0, DT_NS, 100_000, trigger=True, flags=()) for number in range(3)]
    daemon.store(0, stretches, amps=lambda stretch: 1e-3 * (stretch + 1))
    daemon.first = [daemon.frame(*(piece(k, seconds=1.0, trigger=True) for k in range(3)), **daemon.start())]
    await daemon.open()
    await until_newest(daemon, 3.02)
    for key in ("Space", *["Shift+ArrowLeft"] * 60, "a", *["Shift+ArrowRight"] * 100, "b"):
        await daemon.page.keyboard.press(key)
    await expect(result(daemon)).to_contain_text("A to B: 3.00000 s, 18.00 mJ, 6.000 mC, mean 6.000 mW, in 3 stretches")


async def test_keys_of_the_browser_and_of_controls_are_left_to_them(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    prevented = """({ key, alt, ctrl, shift }) => {
        const event = new KeyboardEvent("keydown", { key, altKey: alt, ctrlKey: ctrl, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    assert not await daemon.page.evaluate(prevented, {"key": "ArrowLeft", "alt": True})
    assert not await daemon.page.evaluate(prevented, {"key": "-", "ctrl": True})
    await daemon.page.get_by_text("Submit a plan").focus()
    await daemon.page.keyboard.press("Space")
    await expect(daemon.page.get_by_role("textbox", name="Plan")).to_be_visible()
    await daemon.page.get_by_label("Show").focus()
    await daemon.page.keyboard.press("ArrowLeft")
    pause = daemon.page.get_by_test_id("pause")
    await expect(pause).to_have_attribute("aria-pressed", "false")
    await pause.focus()
    await daemon.page.keyboard.press("Space")
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await daemon.page.keyboard.press("+")
    await expect(daemon.page.get_by_test_id("shown")).to_contain_text("shown: 5 s")


async def test_what_ticks_is_not_announced(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    await expect(daemon.page.get_by_test_id("now")).to_contain_text("now:10.00 mA3.000 V30.00 mW")
    await expect(daemon.page.get_by_role("img", name="power over time, now 30.00 mW")).to_be_visible()
    for ticking in ("now", "shown"):
        live_region = f"!!document.querySelector('[data-testid={ticking}]').closest('[role=status], [role=alert], [aria-live]')"
        assert not await daemon.page.evaluate(live_region)


async def test_the_place_under_the_wheel_stays_where_it_is(daemon: StagedDaemon) -> None:
    await capturing(daemon)
    await paused(daemon)
    box = await plot(daemon).bounding_box()
    assert box is not None
    await plot(daemon).click(position={"x": 0.8 * box["width"], "y": 40})
    await daemon.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 40)
    for _ in range(6):
        await daemon.page.mouse.wheel(0, -100)
    await expect(daemon.page.get_by_test_id("shown")).to_contain_text("shown: 1 s")
    await daemon.page.keyboard.press("b")
    await expect(result(daemon)).not_to_contain_text("summing")
    text = await daemon.page.evaluate("[...document.querySelectorAll('.number')].map((e) => e.textContent).filter((t) => / at /.test(t))")
    a, b = (float(one.split(" at ")[1].split(" ")[0]) for one in text)
    assert abs(a - b) < 0.01

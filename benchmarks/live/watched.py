"""A real Chromium on the page of a daemon that captures; how old samples are when they are drawn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from tests.page.chromium import ARGUMENTS, CHROMIUM

# Beside the page's own script: when a frame has been drawn, what the clock says and how far the samples reach. The page says when the
# capture began by the daemon's clock, which is this machine's; samples begin a few ms later, so that ages are never too small.
WATCH = """
  window.seen = [];
  const data = document.documentElement.dataset;
  let last = '';
  const look = () => {
    if (data.newest !== last) { last = data.newest; seen.push([Date.now(), Number(data.began), Number(data.newest)]); }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
"""
POINTS = 20  # samples that stand for those of one frame


@dataclass(frozen=True, slots=True)
class Ages:
    """frames_hz: drawn a second. ages_s: of samples when they were drawn, one array over all frames."""

    frames_hz: float
    ages_s: np.ndarray

    def quantile_s(self, q: float) -> float:
        return float(np.quantile(self.ages_s, q))


@contextmanager
def browser(url: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = running.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_timeout(3000)  # scripts are loaded and the history is drawn
        yield page
        running.close()


def ages(page: Page, seconds: float) -> Ages:
    """A sample is as old as the frame that shows it first, less its own time."""
    page.evaluate(f"() => {{ {WATCH} }}")
    page.wait_for_timeout(1000 * seconds)
    seen = np.array(page.evaluate("window.seen"), dtype=np.float64)[1:]
    drawn_s, newest_s = (seen[:, 0] - seen[:, 1]) * 1e-3, seen[:, 2]
    before, after = newest_s[:-1], newest_s[1:]
    shares = np.linspace(0.0, 1.0, POINTS)
    samples_s = before[:, None] + (after - before)[:, None] * shares
    return Ages((len(seen) - 1) / float(drawn_s[-1] - drawn_s[0]), (drawn_s[1:, None] - samples_s).ravel())


def processor_share(pid: int, seconds: float) -> float:
    """Of one core, for a process and not its children."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds

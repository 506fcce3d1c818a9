"""A daemon as a process, which serves the page; and a browser on it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from tests.cli.bench_apart import EXIT_S, LABD
from tests.page.chromium import ARGUMENTS, CHROMIUM

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@contextmanager
def serving(folder: Path, bench: Path) -> Iterator[str]:
    """Yields the page's address. The store is below `folder`."""
    command = [*LABD, "serve", str(bench), "--store", str(folder / "store"), "--port", "0"]
    with (folder / "labd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline().split()
        assert said, (folder / "labd.log").read_text()
        yield said[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=3 * EXIT_S)


@asynccontextmanager
async def browsing(url: str, picture: Path, **context: Any) -> AsyncIterator[Page]:
    """A fresh browser on the page. A fault of its script fails the test; a picture of its end is kept."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = await (await browser.new_context(**context)).new_page()
        faults: list[str] = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        await opened.goto(url)
        yield opened
        picture.parent.mkdir(parents=True, exist_ok=True)
        await opened.screenshot(path=picture, full_page=True)
        await browser.close()
        assert faults == []

"""The Grafana Live sink over a real socket: means of the capture under way, and what a Grafana that is away or refuses costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd.config.section import Wrong
from labd.grafana.lines import line
from labd.grafana.push import GrafanaLiveSink
from labd.grafana.section import GrafanaLiveSection
from labd.records import MarkStyle, Mode
from labd.stream.feed import Feed, FeedBlock, FeedStart
from labd.stream.hub import Hub
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition
from tests.grafana.fake_grafana import ADMIN, VIEWER, FakeGrafana, fake_grafana

SOON_S = 20.0
T_NS = 1_795_651_200_000_000_000


class Lab:
    """A sink with what it shows."""

    def __init__(self, url: str, folder: Path, **section: Any) -> None:
        self.feed: Hub[Feed] = Hub()
        table = GrafanaLiveSection.model_validate({"url": url, "rate": "20 /s", "token_file": "token", **section})
        self.sink = GrafanaLiveSink(table, "Bench 1", folder=folder, feed=self.feed)

    def begin(self) -> None:
        acquisition = Acquisition(10_000, ("current", "voltage"), 1e-5, 0.1, 5.0)
        self.feed.publish(
            FeedStart("r1", "always_on/r=5/v=3/dnn mean 0", "smu", 0, "mean", "p", Mode.ALWAYS_ON, MarkStyle.GATE, acquisition, T_NS)
        )

    def samples(self, current_a: float, *, n: int) -> None:
        block = Block(seq=n * 100, t0_ns=0, dt_ns=10_000, current=np.full(100, current_a, np.float32), voltage=np.full(100, 2, np.float32))
        self.feed.publish(FeedBlock(block, 0, n * 100, trigger=False, t_ns=T_NS + n))

    @property
    def status(self) -> dict[str, Any]:
        return self.sink.status()


@asynccontextmanager
async def lab(fake: FakeGrafana, folder: Path, *, token: str = ADMIN, **section: Any) -> AsyncIterator[Lab]:
    (folder / "token").write_text(f"{token}\n")
    found = Lab(fake.url, folder, **section)
    task = asyncio.create_task(found.sink.run())
    try:
        await until(lambda: bool(found.feed.watchers))
        yield found
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


async def until(seen: Callable[[], bool]) -> None:
    """The sink tells nobody when its status changes."""
    async with asyncio.timeout(SOON_S):
        while not seen():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_means_arrive_on_the_stream_of_the_bench_file(tmp_path: Path) -> None:
    with fake_grafana() as fake:
        async with lab(fake, tmp_path, stream="bench-1") as found:
            found.begin()
            found.samples(0.25, n=0)
            found.samples(0.75, n=1)
            await until(lambda: found.status["connected"])
    (stream, said), *_ = fake.pushed
    assert stream == "bench-1"
    assert said.startswith("power,bench=Bench\\ 1,capture=always_on/r\\=5/v\\=3/dnn\\ mean\\ 0,run=r1 current=0.5,current_min=0.25,")
    assert said.endswith(f" {T_NS + 1}\n")


async def test_a_token_that_does_not_do_is_told_and_may_be_put_right(tmp_path: Path) -> None:
    """A viewer's does."""
    token, text = "made-up", "the token is not one of this Grafana's"
    with fake_grafana() as fake:
        async with lab(fake, tmp_path, token=token) as found:
            found.begin()
            found.samples(0.25, n=0)
            await until(lambda: text in found.status["error"])
            assert token not in str(found.status)
            (tmp_path / "token").write_text(VIEWER)
            await until(lambda: more(found))
            assert (found.status["error"], found.status["failed"] > 0) == ("", True)


@pytest.mark.parametrize("status", [404, 429, 500, 503])
async def test_a_grafana_that_refuses_is_shown_newer_samples_later(tmp_path: Path, status: int) -> None:
    with fake_grafana() as fake:
        fake.failing = [status, status]
        async with lab(fake, tmp_path) as found:
            found.begin()
            await until(lambda: more(found))
            assert found.status["failed"] == 2
            assert "run=r1" in fake.pushed[0][1]


async def test_a_grafana_that_is_away_costs_nothing_but_what_it_would_have_shown(tmp_path: Path) -> None:
    nowhere = FakeGrafana(url="http://127.0.0.1:9/grafana")
    async with lab(nowhere, tmp_path) as found:
        found.begin()
        found.samples(0.25, n=0)
        await until(lambda: found.status["error"] != "")
        assert (found.status["connected"], found.status["sent"]) == (False, 0)


async def test_a_token_that_is_not_there_is_told_without_an_end_of_the_daemon(tmp_path: Path) -> None:
    with fake_grafana() as fake:
        async with lab(fake, tmp_path, token_file=None, token_env="LABD_NO_SUCH_TOKEN") as found:
            await until(lambda: "LABD_NO_SUCH_TOKEN" in found.status["error"])


def more(found: Lab) -> bool:
    """A capture goes on while one looks."""
    found.samples(0.5, n=2)
    return bool(found.status["connected"])


def test_what_is_no_number_is_left_out_of_a_point() -> None:
    assert line({"run": ""}, {"current": float("nan"), "power": 1.5, "voltage": None}, T_NS) == f"power power=1.5 {T_NS}\n"
    assert line({"run": "a"}, {"current": float("inf")}, T_NS) == ""


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"url": "ftp://x", "token_env": "T"}, "url"),
        ({"url": "http://me:secret@x", "token_env": "T"}, "url"),
        ({"url": "http://x"}, "token_env"),
        ({"url": "http://x", "token_env": "T", "token_file": "t"}, "token_file"),
        ({"url": "http://x", "token_env": "T", "tls_ca": "ca.pem"}, "url"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(keys: dict[str, str], key: str) -> None:
    found: list[Wrong] = list(GrafanaLiveSection.model_validate(keys).wrong())
    assert [wrong.key for wrong in found] == [key]


@pytest.mark.parametrize("rate", ["21 /s", "0 /s"])
def test_more_than_twenty_points_a_second_are_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        GrafanaLiveSection.model_validate({"url": "http://x", "token_env": "T", "rate": rate})

"""A disk that is really full: what was set aside is used to say so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labd.errors import StoreError
from labd.records import Event
from labd.store.reserve import RESERVE, SIZE, Reserve
from labd.store.rows import NewRun, RunState
from labd.store.session import CatalogueSession
from labd.stream.news import NewsKind


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """To the last byte."""
    with (folder / "others").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue


async def test_the_end_of_a_run_is_written_on_a_full_disk(small_disk: Path) -> None:
    async with CatalogueSession(small_disk) as catalogue:
        run = (await catalogue.do(lambda c: c.runs.create(NewRun("b", "", "p", ""), []))).id
        assert (small_disk / RESERVE).stat().st_size == SIZE
        fill(small_disk)
        event = Event(1, NewsKind.NOTICE, "x" * 200_000, "")
        await catalogue.do(lambda c: c.runs.log(run, event))
        assert not (small_disk / RESERVE).exists()
        await catalogue.do(lambda c: c.runs.end(run, RunState.FAILED, error="the disk is full"))
        found = await catalogue.do(lambda c: (c.runs.get(run).state, c.runs.events(run)[-1].text))
        assert found == (RunState.FAILED, "x" * 200_000)
        fill(small_disk)
        with pytest.raises(StoreError):  # now there is nothing left to spend
            await catalogue.do(lambda c: c.runs.log(run, Event(2, NewsKind.NOTICE, "x" * 30_000_000, "")))


def test_what_the_disk_cannot_spare_is_not_set_aside(small_disk: Path) -> None:
    fill(small_disk)
    reserve = Reserve(small_disk)
    assert not reserve.hold()
    assert not reserve.held
    assert not list(small_disk.glob("*.part"))

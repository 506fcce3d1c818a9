"""A search as a job of the queue: which builders it may call, and that a daemon that died goes on with it."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

import pytest

from labd import resources
from labd.accuracy.dataset import read_dataset
from labd.accuracy.kept import pack, take_in
from labd.analyse.worker import Worker
from labd.bench.control import RunControl
from labd.daemon.around import Surroundings
from labd.daemon.jobs import BenchUse
from labd.daemon.opened import load_bench
from labd.daemon.search_job import checked_for
from labd.errors import FileError
from labd.queue import steps
from labd.search.folder import folder_of
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobKind, JobRow, JobState, NewJob
from labd.store.session import CatalogueSession
from tests.search.test_search import BUILDER, TEXT

DEMO = resources.path("fixtures") / "benches/demo.toml"


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """The demo bench, which names the builder of the tests."""
    text = DEMO.read_text("utf-8").replace('board = "../', f'board = "{DEMO.parents[1]}/')
    path = tmp_path / "bench.toml"
    path.write_text(f'{text}\n[builders]\ntests = ["{sys.executable}", "{BUILDER}"]\n', encoding="utf-8")
    return path


def test_a_builder_that_the_bench_file_does_not_name_is_refused(bench: Path) -> None:
    assert checked_for(load_bench(bench), TEXT, ()).name == "keywords"
    other = TEXT.replace(str(BUILDER), "/bin/rm")
    for platforms in ((), ("m4",)):
        with pytest.raises(FileError, match=r"platforms.m4.builder: .*/bin/rm.* is not among the \[builders\]"):
            checked_for(load_bench(bench), other, platforms)
    with pytest.raises(FileError, match="not among"):
        checked_for(load_bench(DEMO), TEXT, ())


def test_a_platform_that_is_not_in_it_is_told(bench: Path) -> None:
    with pytest.raises(FileError, match="there is no platform 'm7' in it, only m4"):
        checked_for(load_bench(bench), TEXT, ("m7",))


@pytest.mark.parametrize("name", ["digits 8/16 MHz", "x/../../../data/store", "../..", "/etc/x"])
def test_a_name_that_came_from_elsewhere_leads_to_no_folder(bench: Path, name: str) -> None:
    assert checked_for(load_bench(bench), TEXT, (), name).path.parent == bench.parent


@pytest.mark.parametrize("path", ["/etc", "../secrets", "nets/../../x", "a\\u0000b"])
def test_what_is_sent_names_no_file_beside_those_of_the_bench(bench: Path, path: str) -> None:
    asked = TEXT.replace("[platforms.m4]\n", f'[platforms.m4]\ndepends = ["{path}"]\n')
    assert asked != TEXT
    with pytest.raises(FileError, match=r"platforms.m4.depends: expected files and folders below that of .*bench.toml, got"):
        checked_for(load_bench(bench), asked, ())


@pytest.mark.compiler
async def test_a_job_that_was_broken_off_goes_on_with_its_search(bench: Path, tmp_path: Path) -> None:
    store, draw, words = tmp_path / "store", random.Random(5), tmp_path / "words"
    words.mkdir()
    for k in range(2):
        (words / f"{k}.bin").write_bytes(draw.randbytes(250))
    (words / "y_labels.csv").write_text("".join(f"{k}.bin,12,{k}\n" for k in range(2)), encoding="utf-8")
    pack(read_dataset(words), tmp_path / "words.zip")
    async with CatalogueSession(store) as catalogue, Worker() as worker:
        kept = take_in(tmp_path / "words.zip", store)
        asked = json.dumps(
            {"use_case": TEXT.replace("padding = [0, 1, 4000]", "padding = [0, 1]"), "dataset": kept.id, "platforms": ["m4"]}
        )
        around = Surroundings(catalogue, worker)
        use = BenchUse(bench, around)

        def submitted(c: Catalogue) -> JobRow:
            job = c.jobs.submit(NewJob("search", "", kind=JobKind.SEARCH, asked=asked))
            return c.jobs.begin(job.id, now_ns=1)

        job = await catalogue.do(submitted)
        control = RunControl()
        with around.news.subscribe("test", size=1000) as news:
            going = asyncio.create_task(use.run(job, control), name="job")
            async for item in news:
                if "candidate" in item.data:  # one is done
                    break
            control.abort("the test")
            assert (await going).state is JobState.INTERRUPTED
        made = (await catalogue.do(lambda c: c.jobs.get(job.id))).made
        before = folder_of(store, made).outcomes()
        assert len(before) == 1

        await catalogue.do(lambda c: steps.recover(c, bench="demo", now_ns=10**18))  # as after a kill: whatever run of its it had ended
        again = await catalogue.do(lambda c: c.jobs.get(job.id))
        assert (again.state, again.made) == (JobState.QUEUED, made)
        assert (await use.run(again, RunControl())).state is JobState.FINISHED
        whole = folder_of(store, made)
        assert whole.ended
        assert len(whole.result().candidates) == 2
        assert before[0] in whole.outcomes()

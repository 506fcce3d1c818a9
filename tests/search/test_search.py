"""A whole search on virtual benches: candidates built, given up, measured and stored; killed and gone on with."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from labd import resources
from labd.analyse.report import report_of
from labd.daemon.searching import SearchRequest, Told, checked, search_here
from labd.errors import FileError, Interrupted
from labd.search.folder import REPORT, Folder, searches
from labd.search.outcome import Outcome, State
from labd.search.use_case import UseCase, load_use_case
from labd.store.catalogue import Catalogue

pytestmark = pytest.mark.compiler

BUILDER = Path(__file__).with_name("firmware_builder.py")
TEXT = f"""
schema = 1
name = "keywords"
dataset = "data"
objectives = ["energy_per_inference", "memory"]
[targets]
energy_per_inference = "5 mJ"
memory = "9 kB"
[events]
rate = "10 /s"
[search]
trials = 3
first_part = 2
confirm = false
[measure.captures]
events = 4
floor_time = "200 ms"
event_captures = 0
warm_up_inferences = 1
[measure.conditions]
settle = "20 ms"
[platforms.m4]
bench = "{resources.path("fixtures")}/benches/demo.toml"
builder = ["{sys.executable}", "{BUILDER}"]
[platforms.m4.choices]
net = ["dnn"]
padding = [0, 1, 4000]
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A use-case file with a data set of four inputs, of classes by chance."""
    draw, data = random.Random(5), tmp_path / "data"
    data.mkdir()
    for k in range(4):
        (data / f"{k}.bin").write_bytes(draw.randbytes(250))
    (data / "y_labels.csv").write_text("".join(f"{k}.bin,12,{k}\n" for k in range(4)), encoding="utf-8")
    path = tmp_path / "use-case.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


async def searched(use_case: UseCase, store: Path, *, stop_after: int | None = None) -> tuple[Folder, list[Told]]:
    stop, told = asyncio.Event(), list[Told]()

    def show(one: Told) -> None:
        told.append(one)
        if stop_after is not None and len(told) == stop_after:
            stop.set()

    return await search_here(SearchRequest(use_case, store), show, stop), told


async def test_a_search_that_was_ended_goes_on_and_measures_nothing_twice(case: Path, tmp_path: Path) -> None:
    store, use_case = tmp_path / "store", load_use_case(case)
    with pytest.raises(Interrupted):
        await searched(use_case, store, stop_after=1)
    (folder,) = searches(store)
    before = folder.outcomes()
    assert len(before) == 1
    assert not folder.ended

    again, told = await searched(use_case, store)
    assert again.id == folder.id
    assert [one.resumed for one in told] == [True, False, False]
    assert before[0] in folder.outcomes()
    result = folder.result()
    states = sorted(str(one.outcome.state) for one in result.candidates)
    assert states == ["measured", "measured", "stopped"]
    assert result.best
    assert (folder.path / REPORT).is_file()
    _each_is_a_run_of_its_own(store, [one.outcome for one in result.candidates if one.outcome.state is State.MEASURED])

    _, told = await searched(use_case, store)  # one that has ended is not gone on with: the same question is asked anew
    assert len(searches(store)) == 2
    assert not any(one.resumed for one in told)


@pytest.fixture
def flashed(case: Path) -> Path:
    """Whose builder makes an image for a board."""
    case.write_text(TEXT.replace("padding = [0, 1, 4000]", "flashed = [1]"), encoding="utf-8")
    return case


async def test_an_image_is_no_candidate_where_nothing_says_how_it_is_flashed_and_the_board_measures_nothing_in_its_place(
    flashed: Path, tmp_path: Path
) -> None:
    folder, _ = await searched(load_use_case(flashed), tmp_path / "store")
    (one,) = folder.outcomes()
    assert (one.state, one.figures["memory"].value, one.run_id) == (State.FAILED, 6800, "")
    assert "demo.toml: flash: there is no such table" in one.why


def test_a_board_that_images_are_for_is_refused_before_the_first_is_made_where_nothing_says_how(case: Path) -> None:
    case.write_text(TEXT.replace("[platforms.m4]", '[platforms.m4]\nkind = "nucleo-l476rg"'), encoding="utf-8")
    with pytest.raises(FileError, match=r"use-case.toml: platforms.m4.kind: expected 'host', or a \[flash\] table in .*demo.toml"):
        checked(load_use_case(case))


def _each_is_a_run_of_its_own(store: Path, outcomes: list[Outcome]) -> None:
    with Catalogue.open_read_only(store) as catalogue:
        for one in outcomes:
            run = catalogue.runs.get(one.run_id)
            assert run.cards["use_case"]["targets"]["energy_per_inference"]["value"] == 5e-3
            assert run.cards["model"]["dnn"]["family"] == "dnn"
            assert any(tag.endswith(f".m4.{one.number}") for tag in run.tags)
    sessions = [report_of(store, one.run_id).task[0].session for one in outcomes]
    assert sessions == [one.accuracy_id for one in outcomes]


def test_a_clock_that_is_too_slow_for_the_events_is_told_before_anything_is_built(case: Path) -> None:
    case.write_text(TEXT.replace("[platforms.m4]\n", '[platforms.m4]\nclock = ["64 MHz", "8 MHz"]\n'), encoding="utf-8")
    with pytest.raises(FileError, match=r"events\.rate: .*; no candidate with mode event_sleep, clock 8 MHz can be measured"):
        checked(load_use_case(case))


def test_a_data_set_that_is_not_there_is_told(case: Path) -> None:
    case.write_text(TEXT.replace('dataset = "data"', 'dataset = "date"'), encoding="utf-8")
    with pytest.raises(FileError, match="there is no such data set"):
        checked(load_use_case(case))

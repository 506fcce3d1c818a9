"""What a search that was killed finds of a candidate that was under way."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from labd.accuracy.session import FOLDER as ACCURACY
from labd.daemon import candidate
from labd.daemon.searching import checked
from labd.search.folder import RESULT, Folder, open_search, searches
from labd.search.use_case import UseCase, load_use_case
from labd.store.catalogue import Catalogue
from tests.search.test_search import TEXT, case, searched

__all__ = ["case"]


def one_candidate(case: Path, *, input_size: int = 250) -> UseCase:
    case.write_text(TEXT.replace("padding = [0, 1, 4000]", "padding = [0]"), encoding="utf-8")
    for path in (case.parent / "data").glob("*.bin"):
        path.write_bytes(path.read_bytes()[:input_size])
    return load_use_case(case)


def forget(folder: Folder, *names: str) -> None:
    for name in names:
        (folder.path / name).unlink()


def accuracy_runs(store: Path) -> list[Path]:
    return list((store / ACCURACY).iterdir())


def test_no_two_candidates_have_one_tag() -> None:
    names = ("20261128-123456-keywords-on-m4", "20261128-123456-keywords-on-m4-2")
    platforms = ("cortex-m4-at-3-volt", "cortex-m4-at-2-volt", "M4", "m4")
    of = itertools.product(names, platforms, range(12))
    tags = [Folder(Path(name)).tag(platform, number) for name, platform, number in of]
    assert len(set(tags)) == len(tags)


def test_a_builder_that_was_changed_is_another_search(case: Path, tmp_path: Path) -> None:
    own = case.parent / "own"
    own.mkdir()
    (own / "notes.txt").write_text("1", encoding="utf-8")
    case.write_text(TEXT.replace("[platforms.m4]\n", '[platforms.m4]\ndepends = ["own"]\n'), encoding="utf-8")
    before = checked(load_use_case(case)).basis
    assert checked(load_use_case(case)).basis == before
    (own / "notes.txt").write_text("2", encoding="utf-8")
    after = checked(load_use_case(case)).basis
    assert after != before
    (case.parent / "own/store/searches").mkdir(parents=True)
    assert checked(load_use_case(case)).basis == after, "no build follows from a store beside its builder"
    first = open_search(tmp_path / "store", before, fresh=False)
    assert open_search(tmp_path / "store", before, fresh=False).id == first.id
    assert open_search(tmp_path / "store", after, fresh=False).id != first.id
    assert after.changed(before) == ["m4.builder"]
    assert before.changed(before) == []


def test_a_use_case_named_by_a_relative_path_finds_what_its_builder_depends_on(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case.parent / "own").mkdir()
    case.write_text(TEXT.replace("[platforms.m4]\n", '[platforms.m4]\ndepends = ["own"]\n'), encoding="utf-8")
    absolute = checked(load_use_case(case)).basis
    monkeypatch.chdir(case.parents[1])
    assert checked(load_use_case(case.relative_to(case.parents[1]))).basis == absolute


def test_a_card_that_was_changed_is_another_search(case: Path) -> None:
    card = case.parent / "words.toml"
    card.write_text('schema = 1\ncard = "task"\nname = "words"\n', encoding="utf-8")
    case.write_text(f'{TEXT}[cards]\ntask = "words.toml"\n', encoding="utf-8")
    before = checked(load_use_case(case)).basis
    card.write_text('schema = 1\ncard = "task"\nname = "other words"\n', encoding="utf-8")
    assert checked(load_use_case(case)).basis.changed(before) == ["use case"]


@pytest.mark.compiler
async def test_answers_are_scored_when_the_board_is_off(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_open = [False]
    seen: list[bool] = []

    @asynccontextmanager
    async def watched(*given: Any, **more: Any) -> AsyncIterator[Any]:
        async with open_bench(*given, **more) as opened:
            is_open[0] = True
            yield opened
        is_open[0] = False

    async def scored(*given: Any) -> Any:
        seen.append(is_open[0])
        return await task_of(*given)

    open_bench, task_of = candidate.open_bench, candidate.task_of  # type: ignore[attr-defined]
    monkeypatch.setattr(candidate, "open_bench", watched)
    monkeypatch.setattr(candidate, "task_of", scored)
    await searched(one_candidate(case), tmp_path / "store")
    assert seen == [False]


@pytest.mark.compiler
async def test_a_run_that_had_ended_before_the_kill_is_taken_as_it_is(case: Path, tmp_path: Path) -> None:
    """As after a kill between the end of the run and the candidate's own file."""
    store, use_case = tmp_path / "store", one_candidate(case)
    folder, _ = await searched(use_case, store)
    (before,) = folder.outcomes()
    forget(folder, RESULT, "m4/0000/outcome.json", "m4/study.sqlite")

    again, told = await searched(use_case, store)
    assert [one.id for one in searches(store)] == [again.id] == [folder.id]
    assert [one.resumed for one in told] == [False]
    assert again.outcomes() == [before]
    with Catalogue.open_read_only(store) as catalogue:
        assert [run.id for run in catalogue.runs.summaries()] == [before.run_id]
    assert [one.name for one in accuracy_runs(store)] == [before.accuracy_id]


@pytest.mark.compiler
async def test_the_accuracy_run_of_a_candidate_that_failed_is_not_left_open(case: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    folder, _ = await searched(one_candidate(case, input_size=200), store)  # the net takes 250
    (found,) = folder.outcomes()
    assert str(found.state) == "failed"
    (session,) = accuracy_runs(store)
    assert (session / "result.json").is_file()

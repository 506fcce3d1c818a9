"""Candidates of a search that fail: by themselves, by the bench, or because a protection acts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from labd import resources
from labd.accuracy.dataset import read_dataset
from labd.daemon.searching import clears
from labd.errors import DutFailure, SafetyRefusal
from labd.search.folder import searches
from labd.search.order import shuffled
from labd.search.outcome import State
from labd.search.use_case import load_use_case
from tests.search.made import outcome
from tests.search.test_search import BUILDER as FIRMWARE
from tests.search.test_search import TEXT, case, searched

__all__ = ["case"]
DEMO = resources.path("fixtures") / "benches/demo.toml"


def written(case: Path, text: str) -> Path:
    case.write_text(text, encoding="utf-8")
    return case


@pytest.mark.compiler
async def test_a_candidate_that_the_meter_cannot_resolve_fails_alone(case: Path, tmp_path: Path) -> None:
    text = TEXT.replace("padding = [0, 1, 4000]", "padding = [0]").replace("[platforms.m4]\n", '[platforms.m4]\nlongest_event = "30 us"\n')
    use_case = load_use_case(written(case, text))
    folder, _ = await searched(use_case, tmp_path / "store")
    (found,) = folder.outcomes()
    assert found.state is State.FAILED
    assert "at least 10 are needed" in found.why
    (sent,) = (tmp_path / "store/accuracy").glob("*/samples.jsonl")
    files = [json.loads(line)["file"] for line in sent.read_text("utf-8").splitlines()]
    assert files == [one.file for one in shuffled(read_dataset(case.parent / "data"), seed=use_case.search.seed).samples]
    assert files != sorted(files)


@pytest.mark.compiler
async def test_a_candidate_at_which_a_protection_acts_ends_the_search_and_is_not_switched_on_again(case: Path, tmp_path: Path) -> None:
    bench = tmp_path / "bench.toml"
    limited = (
        DEMO.read_text("utf-8").replace('board = "../', f'board = "{DEMO.parents[1]}/').replace('on_time = "4 h"', 'on_time = "100 ms"')
    )
    bench.write_text(limited, encoding="utf-8")
    text = TEXT.replace("padding = [0, 1, 4000]", "padding = [0]").replace(str(DEMO), str(bench))
    use_case = load_use_case(written(case, text))
    with pytest.raises(SafetyRefusal, match=r"limits\.on_time"):
        await searched(use_case, tmp_path / "store")
    (folder,) = searches(tmp_path / "store")
    (found,) = folder.outcomes()
    assert found.state is State.FAILED
    again, told = await searched(use_case, tmp_path / "store")
    assert (again.id, [one.resumed for one in told]) == (folder.id, [True])


BUILDER = """
import json, pathlib, sys
request = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
here = pathlib.Path(__file__).parents[1]
if request["parameters"]["padding"] in json.loads((here / "broken.json").read_text()):
    sys.exit("the licence has run out")
folder = pathlib.Path(request["folder"])
(folder / "program").write_text("is not run: it needs too much memory")
(folder / "card.toml").write_text('schema = 1\\ncard = "model"\\nname = "dnn"\\nfamily = "dnn"\\n')
size = {"flash": 100_000, "ram": 0, "of": "net"}
answer = {"schema": 1, "model": "dnn", "program": "program", "card": "card.toml", "size": size}
pathlib.Path(request["answer"]).write_text(json.dumps(answer))
"""


def too_large(case: Path, *, broken: list[int], trials: int = 4) -> Path:
    """A use case whose candidates all need too much memory, so that none comes to the board; those of `broken` are not built."""
    (case.parent / "own").mkdir(exist_ok=True)
    (case.parent / "own/build.py").write_text(BUILDER, encoding="utf-8")
    (case.parent / "broken.json").write_text(str(broken), encoding="utf-8")
    text = TEXT.replace(str(FIRMWARE), "own/build.py").replace("trials = 3", f"trials = {trials}").replace("0, 1, 4000", "0, 1, 2, 3")
    return written(case, text)


async def test_candidates_that_a_broken_builder_failed_are_asked_for_again(case: Path, tmp_path: Path) -> None:
    store, use_case = tmp_path / "store", load_use_case(too_large(case, broken=[0, 1, 2, 3]))
    with pytest.raises(DutFailure, match=r"3 candidates in a row failed on m4, the last one: .*asked for again"):
        await searched(use_case, store)
    (folder,) = searches(store)
    assert folder.outcomes() == []

    (case.parent / "broken.json").write_text("[]", encoding="utf-8")
    again, told = await searched(use_case, store)
    assert again.id == folder.id
    assert [str(one.outcome.state) for one in told] == ["stopped"] * 4
    assert sorted(one.settings.parameters["padding"] for one in again.outcomes()) == [0, 1, 2, 3]


async def test_a_candidate_that_failed_by_itself_is_kept_once_another_one_was_built(case: Path, tmp_path: Path) -> None:
    folder, _ = await searched(load_use_case(too_large(case, broken=[1, 3])), tmp_path / "store")
    states = {one.settings.parameters["padding"]: str(one.state) for one in folder.outcomes()}
    assert states == {0: "stopped", 1: "failed", 2: "stopped", 3: "failed"}


async def test_few_that_failed_last_are_kept_when_the_budget_is_spent(case: Path, tmp_path: Path) -> None:
    folder, _ = await searched(load_use_case(too_large(case, broken=[0, 1, 2, 3], trials=2)), tmp_path / "store")
    assert [str(one.state) for one in folder.outcomes()] == ["failed", "failed"]
    assert folder.ended


def test_what_never_came_to_the_board_says_nothing_of_one_that_failed_there() -> None:
    at_board = replace(outcome(1, state=State.FAILED), model="dnn")
    at_builder = outcome(2, state=State.FAILED)
    too_much_memory, sent = outcome(3, state=State.STOPPED), replace(outcome(4, state=State.STOPPED), samples=2)
    assert clears(too_much_memory, [at_builder])
    assert not clears(too_much_memory, [at_builder, at_board])
    assert clears(sent, [at_builder, at_board])
    assert not clears(at_board, [])

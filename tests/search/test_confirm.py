"""The best of a search is measured once more, and what happens where that fails."""

from __future__ import annotations

import json
from pathlib import Path

from labd.daemon.searching import checked
from labd.search.folder import Folder, open_search
from labd.search.outcome import Outcome, State
from labd.search.use_case import UseCase, load_use_case
from tests.search.made import outcome
from tests.search.test_search import BUILDER, TEXT, case, searched

__all__ = ["case"]


def point(number: int, energy_mj: float, *, repeat: int = 0) -> Outcome:
    return outcome(number, repeat=repeat, energy_per_inference=(energy_mj * 1e-3, 1e-5), memory=(6000, 0.0))


def measured(case: Path, store: Path, outcomes: list[Outcome]) -> tuple[UseCase, Folder]:
    """A search that has measured these and has only the best to confirm; by now its builder does nothing but end with an error."""
    broken = case.parent / "broken.py"
    broken.write_text("raise SystemExit('the licence has run out')", encoding="utf-8")
    text = TEXT.replace("confirm = false", "confirm = true").replace("trials = 3", "trials = 2").replace(str(BUILDER), str(broken))
    case.write_text(text, encoding="utf-8")
    use_case = load_use_case(case)
    folder = open_search(store, checked(use_case).basis, fresh=True)
    for one in outcomes:
        folder.keep(one)
    return use_case, folder


async def test_a_best_that_cannot_be_built_once_more_is_told_and_stands(case: Path, tmp_path: Path) -> None:
    use_case, folder = measured(case, tmp_path / "store", [point(0, 1.0), point(1, 2.0)])
    again, _ = await searched(use_case, tmp_path / "store")
    assert again.id == folder.id
    result = again.result()
    assert result.best == "m4/0"
    assert result.again is not None
    assert result.again.outcome.state is State.FAILED
    assert "broken.py" in json.dumps(result.again.outcome.why)


async def test_the_next_best_is_measured_once_more_where_the_first_then_misses(case: Path, tmp_path: Path) -> None:
    use_case, _ = measured(case, tmp_path / "store", [point(0, 1.0), point(0, 9.0, repeat=1), point(1, 2.0)])
    folder, told = await searched(use_case, tmp_path / "store")
    assert [one.outcome.name for one in told if one.outcome.repeat] == ["m4/1"]
    assert folder.result().best == "m4/1"

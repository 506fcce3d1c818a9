"""Candidates of a search that fail: by themselves, by the bench, or because a protection acts."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd import resources
from labd.errors import SafetyRefusal
from labd.search.folder import searches
from labd.search.outcome import State
from labd.search.use_case import load_use_case
from tests.search.test_search import TEXT, case, searched

__all__ = ["case"]
DEMO = resources.path("fixtures") / "benches/demo.toml"


def written(case: Path, text: str) -> Path:
    case.write_text(text, encoding="utf-8")
    return case


@pytest.mark.compiler
async def test_a_candidate_that_the_meter_cannot_resolve_fails_alone(case: Path, tmp_path: Path) -> None:
    text = TEXT.replace("padding = [0, 1, 4000]", "padding = [0]").replace("[platforms.m4]\n", '[platforms.m4]\nlongest_event = "30 us"\n')
    folder, _ = await searched(load_use_case(written(case, text)), tmp_path / "store")
    (found,) = folder.outcomes()
    assert found.state is State.FAILED
    assert "at least 10 are needed" in found.why


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

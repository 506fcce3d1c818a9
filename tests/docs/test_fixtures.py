"""Every file under fixtures/ is used by a test: an example that nothing runs is fiction."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench_file.test_files import BENCHES, BOARDS, PLANS

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
PAPER_CARDS = {*(FIXTURES / "cards/paper").glob("table-*/*.toml")}  # each stands in its table in tests/report/test_paper.py
TESTED_ONE_BY_ONE = {*BENCHES, *BOARDS, *PLANS, *PAPER_CARDS}  # each is loaded and checked in tests/bench_file
SOURCES = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]


def is_played(path: Path) -> bool:
    """Recorded dialogues are named by driver and name, without the ending."""
    name = str(path.relative_to(FIXTURES / "exchanges").with_suffix("")) if path.parts[-3] == "exchanges" else path.name
    return any(
        f'"{name}"' in text
        or f'"{path.parent.name}" / "{path.name}"' in text
        or (f'"exchanges" / "{path.parent.name}"' in text and f'"{path.stem}"' in text)
        for text in SOURCES
    )


@pytest.mark.parametrize("path", sorted(p for p in FIXTURES.rglob("*") if p.is_file()), ids=lambda p: str(p.relative_to(FIXTURES)))
def test_a_fixture_is_used_by_a_test(path: Path) -> None:
    assert path in TESTED_ONE_BY_ONE or is_played(path)

"""Changed copies of the demo files, and the problems they give."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.bench_file import Bench, Plan, check_plan, load_bench, load_plan
from labd.errors import FileError

BENCH, BOARD, PLAN = "benches/demo.toml", "boards/virtual-m4.toml", "plans/demo.toml"


def change(files: Path, name: str, *changes: tuple[str, str]) -> None:
    """Replace the first occurrence of each text, which must be there."""
    path = files / name
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")


def load(files: Path) -> tuple[Bench, Plan]:
    """The demo bench and plan, checked against each other."""
    bench, plan = load_bench(files / BENCH), load_plan(files / PLAN)
    check_plan(bench, plan)
    return bench, plan


def problems(files: Path) -> list[str]:
    """What is wrong with the (changed) demo files, with file names relative to the folder."""
    with pytest.raises(FileError) as caught:
        load(files)
    assert all(problem.isprintable() for problem in caught.value.problems)
    return [problem.replace(f"{files}/", "") for problem in caught.value.problems]

"""Demo files with some values replaced by anything TOML can say: they are right, or a FileError of printable lines comes of it."""

from __future__ import annotations

import datetime
import json
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd import resources
from labd.bench_file import check_plan, effective, effective_plan, flags, load_bench, load_plan
from labd.errors import FileError
from tests.bench_file.changes import BENCH, BOARD, PLAN

PAIR = re.compile(r"^([A-Za-z_]+) = .*$")
QUANTITY = r"-?[0-9]{1,3}(e-?[0-9]{1,3})? (u|m|k)?(V|A|W|s|h|ohm|Hz|F|Ah|K|degC|%|/s|%/year|ppm)( \+- [0-9] (mV|uA|%|K))?"
VALUES = st.one_of(
    st.from_regex(QUANTITY, fullmatch=True).map(lambda text: f'"{text}"'),
    st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=126), max_size=10).map(json.dumps),
    st.sampled_from(
        ["0", "-1", "1e308", "nan", "true", "2026-01-01", "[]", "{}", '["0 /s"]', '["event_gated", "always_on"]', "[[1]]", '{ a = "1 V" }']
    ),
)


@cache
def lines_of(name: str) -> tuple[str, ...]:
    return tuple((resources.path("fixtures") / name).read_text(encoding="utf-8").splitlines())


@st.composite
def changed(draw: st.DrawFn, name: str) -> str:
    """The file with one to three values replaced."""
    lines = list(lines_of(name))
    places = [i for i, line in enumerate(lines) if PAIR.match(line)]
    for index in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        lines[index] = f"{lines[index].partition(' = ')[0]} = {draw(VALUES)}"
    return "\n".join(lines)


def unchanged(name: str) -> str:
    return "\n".join(lines_of(name))


def problems(texts: dict[str, str]) -> Iterator[str]:
    """What is wrong with the three files; everything a run does with them before it opens an instrument is done."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder, name)
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8")
        Path(folder, "cards").symlink_to(resources.path("fixtures") / "cards")
        try:
            bench, plan = load_bench(Path(folder, BENCH)), load_plan(Path(folder, PLAN))
            check_plan(bench, plan)
        except FileError as error:
            yield from error.problems
            return
        json.dumps([effective(bench), effective_plan(plan), flags(bench, datetime.date(2026, 7, 1))], allow_nan=False)


@pytest.mark.parametrize("name", [BENCH, BOARD, PLAN])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_changed_values_give_a_right_file_or_printable_problems(name: str, data: st.DataObject) -> None:
    texts = {other: unchanged(other) for other in (BENCH, BOARD, PLAN)} | {name: data.draw(changed(name))}
    for problem in problems(texts):
        assert problem.isprintable()
        assert ".toml: " in problem


def test_the_unchanged_files_have_no_problem() -> None:
    assert list(problems({name: unchanged(name) for name in (BENCH, BOARD, PLAN)})) == []

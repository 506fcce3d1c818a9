"""What is tried next: no candidate twice, all of them in the end, and the same ones after a kill."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from labd.search.space import Space
from labd.search.study import Asked, Study

SPACE = Space({"net": ("dnn", "snn"), "width": tuple(range(4, 20, 4)), "@clock": (16e6, 64e6)})
METHODS: tuple[Literal["tpe", "nsga2"], ...] = ("tpe", "nsga2")


@contextmanager
def opened(path: Path, *, method: Literal["tpe", "nsga2"] = "tpe", space: Space = SPACE, seed: int = 3) -> Iterator[Study]:
    study = Study(path, space, maximise=(False, True), method=method, seed=seed)
    try:
        yield study
    finally:
        study.close()


def told(study: Study, asked: Asked) -> None:
    """Energy and accuracy of a made-up board: wider is better and dearer, and the widest does not fit."""
    width = float(asked.choice["width"])
    if width > 12:
        study.tell(asked.number, None, {"memory": width / 12 - 1})
    else:
        study.tell(asked.number, [width, 1 - math.exp(-width / 8)], {"memory": width / 12 - 1})


def key(asked: Asked) -> tuple[object, ...]:
    return tuple(asked.choice.values())


@pytest.mark.parametrize("method", METHODS)
def test_every_candidate_is_asked_for_once_and_then_there_is_none(tmp_path: Path, method: Literal["tpe", "nsga2"]) -> None:
    seen = []
    with opened(tmp_path / "study.sqlite", method=method) as study:
        while (asked := study.ask()) is not None:
            seen.append(key(asked))
            told(study, asked)
    assert len(seen) == len(set(seen)) == SPACE.size


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_died_goes_on_as_it_would_have_gone_on(tmp_path: Path, method: Literal["tpe", "nsga2"]) -> None:
    whole: list[Asked] = []
    parts: list[Asked] = []
    with opened(tmp_path / "whole.sqlite", method=method) as study:
        for _ in range(10):
            asked = study.ask()
            assert asked is not None
            whole.append(asked)
            told(study, asked)
    for k in range(10):
        with opened(tmp_path / "parts.sqlite", method=method) as study:
            waiting = study.open_questions()
            if k:  # the process before this one died after it had asked
                assert waiting == [parts[-1]]
                told(study, waiting[0])
            asked = study.ask()
            assert asked is not None
            parts.append(asked)
    assert parts == whole


def test_one_that_failed_is_not_asked_for_again(tmp_path: Path) -> None:
    space = Space({"net": ("dnn", "snn")})
    with opened(tmp_path / "study.sqlite", space=space) as study:
        first = study.ask()
        assert first is not None
        study.fail(first.number)
        second = study.ask()
        assert second is not None
        assert second.choice != first.choice
        study.fail(second.number)
        assert study.ask() is None


def test_what_was_told_twice_counts_once(tmp_path: Path) -> None:
    with opened(tmp_path / "study.sqlite") as study:
        asked = study.ask()
        assert asked is not None
        study.tell(asked.number, [1.0, 0.5], {"memory": -0.5})
        study.tell(asked.number, [2.0, 0.9], {"memory": 0.5})
        assert study.open_questions() == []


def test_another_seed_asks_for_others(tmp_path: Path) -> None:
    found = []
    for seed in (1, 2):
        with opened(tmp_path / f"{seed}.sqlite", seed=seed) as study:
            one = [study.ask() for _ in range(4)]
            found.append([key(asked) for asked in one if asked is not None])
    assert found[0] != found[1]

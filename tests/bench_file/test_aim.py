"""What an `[aim]` that cannot be is answered with, before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.bench.expand import Method, expand
from labd.bench_file import Plan, check_aim, load_plan
from labd.bench_file import station as translate
from labd.errors import FileError
from tests.bench_file.changes import change, load

AIM = "plans/aim.toml"
TIME = 'time = "20 min"'
ENERGY, CROSSING = 'energy_per_inference = "0.5 %"\n', 'break_even = "2 %"\n'
MODES = 'modes = ["always_on", "event_sleep"]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (ENERGY, 'energy_per_inference = "0 %"\n', 'aim.energy_per_inference: expected a fraction above 0 % and at most 100 %, got "0 %"'),
        (TIME, TIME + '\npiece = "30 min"', "aim.piece: expected at most aim.time, 1200 s, got 1800 s"),
        (ENERGY + CROSSING, "", "aim: expected at least one of energy_per_inference, floor_power"),
        (TIME, TIME + '\n[aim.event_sleep]\nbreak_even = "2 %"', "aim: event_sleep: an aim holds for all modes of the plan"),
        ("event_captures = 12", "events = 50", "captures.events: an [aim] decides how long a capture is, aim.piece at least"),
        ("event_captures = 12", 'floor_time = "9 s"', "captures.floor_time: an [aim] decides how long a capture is"),
        (
            MODES,
            MODES + '\nrates = ["0 /s"]',
            "rates: expected one above 0 /s for aim.energy_per_inference and aim.break_even, got 0 /s alone; leave this key out",
        ),
        (MODES, 'modes = ["always_on"]', "aim.break_even: a break-even rate needs two modes"),
        ("seed = 1", "seed = 1\nrepeats = 3", "repeats: an [aim] decides how often"),
    ],
)
def test_an_aim_that_cannot_be_is_refused_by_file_key_and_value(files: Path, old: str, new: str, said: str) -> None:
    change(files, AIM, (old, new))
    with pytest.raises(FileError) as refused:
        load_plan(files / AIM)
    assert any(f"{AIM}: {said}" in line for line in refused.value.problems), refused.value.problems


def test_a_floor_is_known_without_any_other_rate(files: Path) -> None:
    change(files, AIM, (MODES, MODES + '\nrates = ["0 /s"]'), (ENERGY + CROSSING, 'floor_power = "1 %"\n'))
    assert load_plan(files / AIM).rates_above_zero == ()


def first_round(files: Path) -> Plan:
    """Checked as before a run."""
    bench, _ = load(files)
    plan = load_plan(files / AIM)
    check_aim(plan, expand(translate.wanted(plan, bench.board), Method(True, "smu"), longest_event_s=bench.board.longest_event))
    return plan


def test_a_time_in_which_not_everything_can_be_measured_once_is_refused_before_the_run(files: Path) -> None:
    assert first_round(files).aim is not None
    change(files, AIM, (TIME, 'time = "30 s"'))
    with pytest.raises(
        FileError, match=r"aim\.time: expected at least \d.* s, which measuring everything once takes \(\d+ captures\), got 30 s"
    ):
        first_round(files)

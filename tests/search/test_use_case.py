"""The use-case file: what it takes, and what each mistake is told as; the space it makes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from labd import resources
from labd.daemon.opened import load_bench
from labd.daemon.searching import checked
from labd.errors import FileError
from labd.records import Mode
from labd.search.files import check_files
from labd.search.space import settings_of, space_of
from labd.search.use_case import load_use_case
from tests.search.made import USE_CASE, use_case


def test_quantities_are_in_si_units_and_limits_by_objective() -> None:
    found = use_case()
    assert found.limits == {"accuracy": 0.8, "energy_per_inference": 2e-3, "latency": 0.06, "memory": 9000}
    assert (found.rate_hz, found.poisson) == (2.0, False)
    assert found.search.trials == 24


def test_a_platform_is_the_product_of_what_may_be_chosen() -> None:
    space = space_of(use_case().platforms["m4"])
    assert dict(space.dimensions) == {
        "net": ("dnn", "snn"),
        "width": (4, 6, 8),
        "@mode": ("event_sleep", "always_on"),
        "@clock": (32e6, 64e6),
    }
    every = [settings_of(choice).key for choice in space.listed(seed=1)]
    assert len(every) == len(set(every)) == space.size == 24
    assert [settings_of(choice).key for choice in space.listed(seed=2)] != every


def test_a_choice_is_the_settings_of_builder_and_board() -> None:
    made = settings_of({"net": "snn", "width": 6, "@mode": "always_on", "@clock": 32e6})
    assert (made.parameters, made.mode, made.clock_hz, made.supply_v) == ({"net": "snn", "width": 6}, Mode.ALWAYS_ON, 32e6, None)


def test_a_large_space_is_drawn_from() -> None:
    text = USE_CASE.replace("high = 8", "high = 19000")
    space = space_of(use_case(text).platforms["m4"])
    drawn = [next(iter(space.listed(seed=seed)))["width"] for seed in range(5)]
    assert len(set(drawn)) > 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('rate = "2 /s"', 'largest_rate = "2 /s"', "use-case.toml: events.rate: this key is required"),
        ('rate = "2 /s"', 'rate = "2 /s"\nstatistics = "bursty"', 'events.statistics: expected "periodic" or "Poisson", got "bursty"'),
        ('net = ["dnn", "snn"]', "net = []", "platforms.m4.choices.net: expected at least one value"),
        ('net = ["dnn", "snn"]', "width = [4, 8]", "platforms.m4.ranges.width: is among the choices too"),
        ('net = ["dnn", "snn"]', "net = [true]", "platforms.m4.choices.net[0]: expected a word or a number, got true"),
        ("high = 8", "high = 10000000000", "platforms.m4.ranges.width.step: expected a step that leaves at most 10000 values"),
        ("low = 4", "low = 9", "platforms.m4.ranges.width.low: expected at most 8, which is high, got 9"),
        ('clock = ["64 MHz", "32 MHz"]', 'clock = ["64 MHz", "64000 kHz"]', "platforms.m4.clock: expected each value once"),
        ('builder = ["python", "build.py"]', "builder = []", "platforms.m4.builder"),
        ('"latency"]', '"speed"]', "objectives[2]"),
        ('"latency"]', '"accuracy"]', "objectives: expected each value once"),
        ("[targets]", '[cards]\nuse_case = "x.toml"\n[targets]', "cards.use_case: leave this key out"),
        ("[targets]", "[search]\ntrials = 100001\n[targets]", "search.trials: expected at most 10000"),
        ('accuracy = "80 %"', 'acuracy = "80 %"', "targets.acuracy"),
    ],
)
def test_a_mistake_is_told_by_file_key_and_what_would_be_right(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "use-case.toml"
    assert old in USE_CASE
    path.write_text(USE_CASE.replace(old, new), encoding="utf-8")
    with pytest.raises(FileError) as caught:
        load_use_case(path)
    assert any(problem in line for line in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            'rate = "5 /s"',
            'rate = "500 /s"',
            "digits.toml: events.rate: expected at most 7.812 /s, got 500 /s (its board: longest_event is 128 ms); no candidate with mode "
            "event_sleep, clock 4 MHz can be measured on .*virtual-mcu.toml (platforms.mcu)",
        ),
        (
            'supply = ["1.2 V", "1.8 V"]',
            'supply = ["9 V"]',
            "digits.toml: platforms.event.supply: expected a voltage within supply_min 1 V to supply_max 2 V, got 9 V; no candidate with "
            "mode event_sleep, clock 6 MHz, supply 9 V can be measured on .*virtual-event.toml (platforms.event)",
        ),
        (
            'task = "../cards/digits/task.toml"',
            'task = "../cards/digits"',
            "digits.toml: cards.task: expected a card, a file, got the folder .*cards/digits",
        ),
    ],
)
def test_what_no_candidate_can_is_told_by_the_use_case_s_key_and_no_file_that_is_not_there(
    old: str, new: str, problem: str, tmp_path: Path
) -> None:
    shutil.copytree(resources.path("fixtures"), tmp_path, dirs_exist_ok=True)
    file = tmp_path / "use-cases/digits.toml"
    file.write_text(file.read_text("utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(FileError, match=".*".join(map(re.escape, problem.split(".*")))):
        checked(load_use_case(file))


def test_every_candidate_of_the_shipped_use_case_fits_its_bench() -> None:
    shipped = load_use_case(resources.path("fixtures") / "use-cases" / "digits.toml")
    assert {name: space_of(one).size for name, one in shipped.platforms.items()} == {"mcu": 108, "event": 384}
    for name, platform in shipped.platforms.items():
        bench = load_bench(shipped.beside(platform.bench))
        check_files(shipped, name, bench, (settings_of(choice) for choice in space_of(platform).listed(seed=1)))
        assert all(shipped.beside(file).exists() for file in (platform.builder[1], *platform.depends))

"""What the analysis is told of bench and plan: values and half widths as they were declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.analyse.setup import AnalysisSetup
from labd.bench_file import station
from tests.bench_file.changes import BENCH, PLAN, change, load, problems


def setup(files: Path) -> AnalysisSetup:
    return station.analysis_setup(*load(files), ())


def test_a_latency_that_the_bench_declares_is_the_analysis_limit(files: Path) -> None:
    change(files, BENCH, ('trigger_latency = "0 s"', 'trigger_latency = "5 us"'))
    assert setup(files).trigger_latency_s == 5e-6


def test_a_latency_that_the_bench_leaves_out_is_unknown_and_not_0(files: Path) -> None:
    assert setup(files).trigger_latency_s == 0
    change(files, BENCH, ('trigger_latency = "0 s" ', "#"))
    assert setup(files).trigger_latency_s is None


def test_a_fixtures_leakage_is_a_value_to_subtract_and_a_limit_of_what_is_left(files: Path) -> None:
    change(files, BENCH, ('fixture_leakage = "0 nA +- 1 nA"', 'fixture_leakage = "20 nA +- 1 nA"'))
    found = setup(files)
    assert found.fixture_leakage_mean_a == pytest.approx(20e-9)
    assert found.fixture_leakage_a == pytest.approx(1e-9)


def test_a_battery_keeps_every_half_width(files: Path) -> None:
    change(
        files,
        PLAN,
        ('capacity = "225 mAh"', 'capacity = "225 mAh +- 10 %"'),
        ('voltage = "3.0 V"', 'voltage = "3.0 V +- 0.2 V"'),
        ('self_discharge = "1 %/year"', 'self_discharge = "1 %/year +- 0.5 %/year"'),
    )
    found = setup(files).battery
    assert found is not None
    assert found.capacity_half_width_ah == pytest.approx(0.0225)
    assert found.voltage_half_width_v == pytest.approx(0.2)
    assert found.self_discharge_half_width_per_year == pytest.approx(0.005)
    assert found.usable_half_width == pytest.approx(0.05)


def test_the_room_is_the_one_of_the_bench(files: Path) -> None:
    change(files, BENCH, ('ambient = "23 degC +- 1 K"', 'ambient = "31 degC +- 2 K"'))
    assert (setup(files).ambient_c, setup(files).ambient_half_width_k) == (31.0, 2.0)


def test_a_range_may_have_a_row_for_each_aperture_but_not_two_for_one(files: Path) -> None:
    first = "[[instruments.smu.accuracy]]\n"
    row = 'quantity = "current"\nrange = "10 uA"\ngain = "0.025 %"\noffset = "8 nA"\nsource = "certificate"\n'
    change(files, BENCH, (first, f'{first}{row}aperture = "20 ms"\n\n{first}'))
    load(files)
    change(files, BENCH, ('aperture = "20 ms"\n', ""))
    assert any("expected each current range once for each aperture" in found for found in problems(files))

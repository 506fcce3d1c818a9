"""What the analysis is told of bench and plan: values and half widths as they were declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.analyse.setup import AnalysisSetup
from labd.bench_file import notices, station
from labd.kpi.inputs import Harvester
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


def test_a_battery_s_resistance_and_a_harvester_are_kept_with_their_half_widths(files: Path) -> None:
    more = 'power = "40 uW +- 10 uW"\nefficiency = "75 % +- 5 %"\nbuffer_high = "4.2 V"\nbuffer_low = "2.2 V"'
    change(
        files,
        PLAN,
        ('capacity = "225 mAh"', 'internal_resistance = "15 ohm +- 5 ohm"\ncapacity = "225 mAh"'),
        ("[detector]", f"[harvester]\n{more}\n\n[detector]"),
    )
    found = setup(files)
    assert found.battery is not None
    assert (found.battery.internal_ohm, found.battery.internal_half_width_ohm) == (15.0, 5.0)
    assert found.harvester == Harvester(40e-6, 0.75, 10e-6, 0.05, 4.2, 2.2)


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


METER = """
[instruments.meter]
driver = "{driver}"
virtual = "{driver}"
roles = ["{role}"]
{keys}

[floor]"""


def add(files: Path, driver: str, keys: str = "", *, role: str = "meter") -> None:
    """One more instrument on the demo bench, which measures the board in place of the source, or confirms what that measures."""
    if role == "meter":
        change(files, BENCH, ('roles = ["source", "meter"]', 'roles = ["source"]'))
    change(files, BENCH, ("\n[floor]", METER.format(driver=driver, role=role, keys=keys)))


LEADS = 'lead_resistance = "30 mohm +- 5 mohm"'


def test_leads_of_a_two_wire_source_are_required(files: Path) -> None:
    change(files, BENCH, ('sense = "4-wire"', 'sense = "2-wire"'))
    found = setup(files)
    assert [found.lead_ohm, found.u_lead_ohm] == pytest.approx([0.06, 0.01 / 3**0.5])
    change(files, BENCH, (LEADS, ""))
    (problem,) = problems(files)
    assert problem.startswith('benches/demo.toml: instruments.smu.lead_resistance: this key is required with sense = "2-wire"')
    assert 'lead_resistance = "50 mohm +- 50 mohm"' in problem


def test_leads_of_a_source_that_senses_at_the_board_may_be_left_out(files: Path) -> None:
    """They are unknown then, should the instrument say that it did not sense there."""
    change(files, BENCH, (LEADS, ""))
    assert setup(files).u_lead_ohm is None


def test_leads_of_an_ammeter_are_required_and_reach_the_analysis(files: Path) -> None:
    add(files, "keithley_dmm6500")
    (problem,) = problems(files)
    assert problem.startswith("benches/demo.toml: instruments.meter.lead_resistance: this key is required for a meter beside the source")
    change(files, BENCH, ('roles = ["meter"]', 'roles = ["meter"]\nlead_resistance = "50 mohm +- 3 mohm"'))
    found = setup(files).source
    assert found is not None
    assert [found.meter_lead_ohm, found.u_meter_lead_ohm] == pytest.approx([0.1, 0.006 / 3**0.5])


def test_leads_of_an_ammeter_inside_the_sense_loop_are_refused(files: Path) -> None:
    add(files, "keithley_dmm6500", 'ammeter = "inside_sense"')
    setup(files)
    change(files, BENCH, ('"inside_sense"', '"inside_sense"\nlead_resistance = "50 mohm"'))
    (problem,) = problems(files)
    assert problem.startswith("benches/demo.toml: instruments.meter.lead_resistance: has no meaning with")


def test_an_analyzer_that_measures_needs_its_own_leads_and_none_of_the_source(files: Path) -> None:
    add(
        files,
        "hioki_pw3335",
        'allow_experimental = true\nlead_resistance = "0 ohm"\nvoltmeter = "2 Mohm +- 10 %"\nshunt = "0.5 ohm +- 0.1 ohm"',
    )
    change(files, BENCH, ('sense = "4-wire"', 'sense = "2-wire"'), (LEADS, ""))
    found = setup(files).source
    assert found is not None
    assert (found.meter_lead_ohm, found.u_meter_lead_ohm) == (0.0, 0.0)
    assert [found.shunt_ohm, found.shunt_half_ohm, found.voltmeter_ohm] == pytest.approx([0.5, 0.1, 1.8e6])


def test_an_analyzer_has_no_side_of_the_sense_leads_and_a_multimeter_no_voltage_input(files: Path) -> None:
    add(files, "hioki_pw3335", 'allow_experimental = true\nlead_resistance = "0 ohm"\nammeter = "outside_sense"')
    assert any("instruments.meter.ammeter: only a meter that sees no voltage has this key" in found for found in problems(files))
    change(files, BENCH, ('ammeter = "outside_sense"', 'voltmeter = "2 Mohm"'), ('driver = "hioki_pw3335"', 'driver = "keithley_dmm6500"'))
    assert any("instruments.meter.voltmeter: only a power analyzer has this key" in found for found in problems(files))


def test_inputs_of_an_analyzer_that_confirms_have_their_half_widths(files: Path) -> None:
    keys = 'order = ["smu", "meter"]\nshunt = "0.5 ohm +- 0.1 ohm"\nvoltmeter = "2 Mohm +- 10 %"'
    add(files, "yokogawa_wt310e", keys, role="cross_check")
    found = setup(files)
    assert [found.analyzer_shunt_ohm, found.analyzer_voltmeter_ohm] == pytest.approx([0.6, 1.8e6])


@pytest.mark.parametrize(
    ("role", "more", "told"),
    [
        ("meter", 'lead_resistance = "0 ohm"', "figures carry no interval"),
        ("cross_check", 'order = ["smu", "meter"]', "closure.power_analyzer carries no interval"),
    ],
)
def test_an_analyzer_without_its_inputs_is_told_before_a_run(files: Path, role: str, more: str, told: str) -> None:
    add(files, "yokogawa_wt310e", more, role=role)
    bench, _ = load(files)
    (notice,) = notices(bench)
    assert notice.startswith("instruments.meter.shunt: ")
    assert told in notice
    change(files, BENCH, (more, more + '\nshunt = "0.5 ohm"'))
    assert notices(load(files)[0]) == ()

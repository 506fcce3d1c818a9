"""Bad bench, board and plan files: one line each, naming file, key, value and what would be right."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from labd import resources
from labd.bench_file import check_against, check_drivers, check_leave, check_options, check_roles, flags, load_bench, load_plan
from labd.errors import FileError
from labd_instruments.contract import SourceLimits
from tests.bench_file.changes import BENCH, BOARD, PLAN, change, load, problems

BAD = [
    (BENCH, 'current = "150 mA"', 'curent = "150 mA"', "benches/demo.toml: limits.curent: no such key; did you mean current?"),
    (
        BENCH,
        'current = "150 mA"',
        'current = "3 V"',
        'benches/demo.toml: limits.current: expected a current such as "50 uA", got a voltage "3 V"',
    ),
    (BENCH, 'range = "100 mA"', 'range = "100 mV"', "benches/demo.toml: instruments.smu.accuracy[2].range: expected a current"),
    (
        BENCH,
        'quantity = "voltage"',
        'quantity = "volt"',
        'instruments.smu.accuracy[4].quantity: expected one of "current", "voltage", "power"',
    ),
    (BENCH, 'current = "150 mA"', "current = 0.15", 'limits.current: expected a current such as "50 uA", got the bare number 0.15'),
    (BENCH, 'voltage = "3.6 V"', 'voltage = "2.9 V"', "limits.voltage: 2.9 V is below the supply of virtual-m4, 3 V"),
    (BENCH, 'voltage = "3.6 V"', 'voltage = "4 V"', "limits.voltage: expected at most the absolute maximum of virtual-m4, 3.6 V"),
    (BENCH, 'current = "150 mA"', 'current = "30 mA"', "limits.current: 30 mA is too little: virtual-m4 draws up to 40 mA"),
    (BENCH, 'power = "0.5 W"', 'power = "0.1 W"', "limits.power: allows 27.77"),
    (BENCH, 'inrush = "200 mA"', 'inrush = "20 mA"', "limits.inrush: expected at least limits.current, 150 mA, got 20 mA"),
    (BENCH, 'off_voltage = "0.1 V"', 'off_voltage = "2.5 V"', "limits.off_voltage: 2.5 V is not off"),
    (
        BENCH,
        'off_mode = "sinking"',
        'off_mode = "sink"',
        'limits.off_mode: expected one of "sinking", "floating", got "sink"; did you mean "sinking"?',
    ),
    (BENCH, "virtual = true", "", "links.uart.port: this key is required: port ="),
    (
        BENCH,
        "virtual = true",
        'port = "/dev/ttyACM0"',
        "links.uart.port: the instruments are virtual, so the board is: write virtual = true",
    ),
    (BENCH, 'virtual = "keysight_n6705c"', 'resource = "TCPIP::h::5025::SOCKET"', "time: only a virtual bench has this key"),
    (BENCH, 'virtual = "keysight_n6705c"', "", 'instruments.smu.resource: this key is required: resource = "TCPIP::'),
    (
        BENCH,
        'roles = ["source", "meter"]',
        'roles = ["meter"]',
        'instruments: expected one instrument with "source" among its roles, got none',
    ),
    (
        BENCH,
        'roles = ["source", "meter"]',
        'roles = ["sorce"]',
        'instruments.smu.roles[0]: expected one of "source", "meter", "cross_check"',
    ),
    (BENCH, 'sense = "4-wire"', "", "instruments.smu.sense: this key is required for a source"),
    (
        BENCH,
        "calibration_due = 2027-06-01",
        "calibration_due = 2025-06-01",
        "calibration_due: expected a date after calibrated, 2026-06-01",
    ),
    (BENCH, 'from = "smu.fire"', 'from = "sum.fire"', 'lines.trigger.from: no instrument "sum" on this bench; did you mean "smu"?'),
    (BENCH, 'to = "board.TRIG"', 'to = "smu.trig"', "lines.trigger.to: a line has the board at exactly one of its ends"),
    (
        BENCH,
        '"board.TRIG"\nlevel = "3.0 V"',
        '"board.TRIG"\nlevel = "5 V"',
        'lines.trigger.isolation: "none" with level 5 V needs a supply of at least 4.7 V, got 3 V',
    ),
    (
        BENCH,
        'io_level = "3.0 V"',
        'io_level = "3.4 V"',
        'links.uart.isolation: "none" with io_level 3.4 V needs a supply of at least 3.1 V, got 3 V',
    ),
    (BENCH, 'mains = "50 Hz"', 'mains = "16.7 Hz"', 'mains: expected "50 Hz" or "60 Hz", got 16.7 Hz'),
    (BENCH, "schema = 1", "schema = 2", "benches/demo.toml: schema: expected 1, got 2"),
    (
        BENCH,
        'board = "../boards/virtual-m4.toml"',
        'board = "../boards/m5.toml"',
        "benches/demo.toml: board: the board's file boards/m5.toml: cannot be read: No such",
    ),
    (BENCH, "[limits]", "[limits", "benches/demo.toml: is not TOML: "),
    (
        BOARD,
        'supply = "3.0 V"',
        'supply = "1.8 V"',
        "boards/virtual-m4.toml: supply: expected a voltage within supply_min 2.2 V to supply_max 3.6 V",
    ),
    (BOARD, 'sleep_current = "', 'sleep_current = "50 mA"  # "', "sleep_current: expected less than peak_current, 40 mA, got 50 mA"),
    (BOARD, 'firmware = "labd"', 'firmware = "stock"', 'firmware: expected one of "labd", "mlperf-tiny", got "stock"'),
    (PLAN, '"0.5 /s"', '"-0.5 /s"', 'plans/demo.toml: rates[1]: expected a rate 0 /s or more, got "-0.5 /s"'),
    (PLAN, '"35 /s"', '"40 /s"', "plans/demo.toml: rates[6]: expected at most 35.71 /s, got 40 /s"),
    (PLAN, '"0 /s", ', "", 'plans/demo.toml: rates: expected "0 /s" among the rates: without the floor'),
    (PLAN, '"2 /s"', '"0.5 /s"', "plans/demo.toml: rates: expected each value once"),
    (
        PLAN,
        "repeats = 1\n",
        "repeats = 1000000\n",
        "plans/demo.toml: repeats: 21 operating points, 1000000 times each, are more than 10000 captures of a kind",
    ),
    (
        PLAN,
        '"event_reload"',
        '"event_gated"',
        'plans/demo.toml: modes[2]: "event_gated" is not offered in this version: it needs a switched supply',
    ),
    (PLAN, '"event_reload"', '"event_relod"', 'plans/demo.toml: modes[2]: expected one of "always_on"'),
    (PLAN, 'supply = ["3.0 V"]', 'supply = ["3.0 V", "3.7 V"]', "plans/demo.toml: supply[1]: 3.7 V is above the bench's limit, 3.6 V"),
    (PLAN, 'supply = ["3.0 V"]', 'supply = ["2.0 V"]', "plans/demo.toml: supply[0]: 2 V is outside what virtual-m4 takes, 2.2 V to 3.6 V"),
    (
        PLAN,
        'supply = ["3.0 V"]',
        'supply = ["2.5 V"]',
        'benches/demo.toml: links.uart.isolation: "none" with io_level 3 V needs a supply of at least 2.7 V',
    ),
    (
        PLAN,
        'models = ["dnn"]',
        'models = ["dnn", "dmn"]',
        'plans/demo.toml: models[1]: virtual-m4 holds no model "dmn"; did you mean "dnn"?',
    ),
    (PLAN, 'activity = "10 %"', 'activity = "110 %"', 'activity: expected a fraction 0 % or more and at most 100 %, got "110 %"'),
    (PLAN, 'activity = "10 %"', 'activity = "10.5 %"', "activity: expected whole percent, got 10.5 %"),
    (PLAN, 'kind = "host-triggered" ', 'kind = "measured" ', "detector.power: this key is required"),
    (BENCH, "[instruments.smu]", '[instruments."s m/u"]', 'instruments."s m/u": expected a name of letters, digits, - and _, got "s m/u"'),
    (
        BENCH,
        "[floor]",
        '[instruments.board]\ndriver = "x"\nvirtual = "x"\nroles = ["cross_check"]\norder = ["smu", "board"]\n[floor]',
        "instruments.board: board means the device under test",
    ),
    (BOARD, 'models = ["dnn"', 'models = ["d%n"', 'models[0]: expected a name of letters, digits, - and _, got "d%n"'),
    (PLAN, "[detector]", "[detectr]", "detectr: no such key; did you mean detector?"),
    (PLAN, '# power = "12 uW', 'power = "12 uW', "detector.power: a host-triggered plan has no detector"),
    (PLAN, "[detector]", '[harvester]\npower = "40 uW"\nefficiency = "0 %"\n[detector]', "harvester.efficiency: expected more than 0 %"),
    (
        PLAN,
        "[detector]",
        '[harvester]\npower = "40 mA"\nefficiency = "75 %"\n[detector]',
        'harvester.power: expected a power such as "0.5 W"',
    ),
    (
        PLAN,
        "[detector]",
        '[harvester]\npower = "40 uW"\nefficiency = "75 %"\nbuffer_high = "4.2 V"\n[detector]',
        "harvester.buffer_low: this key is required beside buffer_high",
    ),
    (
        PLAN,
        "[detector]",
        '[harvester]\npower = "40 uW"\nefficiency = "75 %"\nbuffer_high = "2.2 V"\nbuffer_low = "4.2 V"\n[detector]',
        "harvester.buffer_low: expected less than buffer_high, 2.2 V, got 4.2 V",
    ),
    (PLAN, 'capacity = "225 mAh"', 'resistance = "15 ohm"\ncapacity = "225 mAh"', "battery.resistance: no such key"),
    (
        PLAN,
        "models = ",
        'clocks = ["16 MHz"]\nmodels = ',
        "boards/virtual-m4.toml: clocks says that virtual-m4 can be set to no other clock while it runs",
    ),
    (PLAN, "models = ", 'clocks = ["16 V"]\nmodels = ', 'clocks[0]: expected a frequency such as "64 MHz", got a voltage "16 V"'),
    (PLAN, "models = ", 'clocks = ["16 MHz", "16 MHz"]\nmodels = ', "clocks: expected each value once"),
    (
        BOARD,
        "decoupling = ",
        'clocks = ["16.0000005 MHz"]\ndecoupling = ',
        "clocks[0]: expected whole hertz up to 4.29497 GHz, got 16.0000005 MHz",
    ),
    (BOARD, "decoupling = ", 'clocks = ["5 GHz"]\ndecoupling = ', "clocks[0]: expected whole hertz up to 4.29497 GHz, got 5 GHz"),
    (PLAN, 'capacity = "225 mAh"', 'capacity = "225 mA"', 'battery.capacity: expected a charge such as "225 mAh", got a current "225 mA"'),
]


@pytest.mark.parametrize(("name", "old", "new", "problem"), BAD, ids=[f"{new or 'without ' + old}"[:50] for _, old, new, _ in BAD])
def test_a_bad_file_is_refused_in_one_line(files: Path, name: str, old: str, new: str, problem: str) -> None:
    change(files, name, (old, new))
    assert any(problem in found for found in problems(files)), problems(files)


def test_the_unchanged_demo_files_have_no_problem(files: Path) -> None:
    bench, plan = load(files)
    assert (bench.name, plan.rates_above_zero) == ("demo", (0.5, 2.0, 5.0, 10.0, 20.0, 35.0))


def test_stock_firmware_is_always_on_only(files: Path) -> None:
    change(files, BOARD, ('firmware = "labd"', 'firmware = "mlperf-tiny"'))
    found = problems(files)
    assert [line.partition(": ")[2].partition(":")[0] for line in found] == ["modes[1]", "modes[2]", "models", "input_size"]
    assert '"event_sleep" needs labd\'s firmware; stock firmware' in found[0]


def test_several_problems_of_one_file_are_all_reported(files: Path) -> None:
    change(files, BENCH, ('voltage = "3.6 V"', 'voltage = "3.6 A"'), ("baud = 115200", 'baud = "fast"'), ("[limits]", "typo = 1\n[limits]"))
    assert len(problems(files)) == 3


def test_a_level_shifter_allows_a_higher_level(files: Path) -> None:
    change(files, BENCH, ('level = "3.0 V"\nisolation = "none"', 'level = "5.0 V"\nisolation = "level_shifter"'))
    load(files)


def test_a_line_that_the_board_drives_may_be_higher_than_a_lower_supply(files: Path) -> None:
    change(
        files, BENCH, ('from = "board.MARK"\nto = "smu.marker"\nlevel = "3.0 V"', 'from = "board.MARK"\nto = "smu.marker"\nlevel = "3.6 V"')
    )
    load(files)


def test_exactly_0_3_v_below_the_level_is_allowed(files: Path) -> None:
    change(files, BENCH, ('io_level = "3.0 V"', 'io_level = "3.3 V"'))
    load(files)


def test_a_cross_check_needs_the_order_of_the_meters(files: Path) -> None:
    bench = files / "benches" / "virtual-cross-check.toml"
    change(files, "benches/virtual-cross-check.toml", ('order = ["smu", "analyzer"]', 'order = ["smu", "analyser"]'))
    with pytest.raises(FileError, match=r"analyzer.order: expected the meters analyzer, smu, each once"):
        load_bench(bench)
    change(files, "benches/virtual-cross-check.toml", ('order = ["smu", "analyser"]', ""))
    with pytest.raises(FileError, match=r"analyzer.order: this key is required"):
        load_bench(bench)


def test_real_and_virtual_instruments_cannot_be_mixed(files: Path) -> None:
    change(
        files,
        "benches/virtual-cross-check.toml",
        ('virtual = "yokogawa_wt310e"', 'resource = "TCPIP::h::inst0::INSTR"'),
        ('time = "stepped"', ""),
    )
    with pytest.raises(FileError, match=r"instruments.analyzer.resource: a real instrument cannot be wired to virtual ones"):
        load_bench(files / "benches" / "virtual-cross-check.toml")


def test_limits_above_what_the_instrument_sources_are_refused(files: Path) -> None:
    bench = load_bench(files / BENCH)
    check_against(bench, SourceLimits(voltage_v=20.0, current_a=3.0))
    with pytest.raises(FileError) as caught:
        check_against(bench, SourceLimits(voltage_v=3.0, current_a=0.16))
    assert [line.partition("demo.toml: ")[2] for line in caught.value.problems] == [
        "limits.voltage: expected at most 3 V, which is what instruments.smu (keysight_n6705c) sources, got 3.6 V",
        "limits.inrush: expected at most 160 mA, which is what instruments.smu (keysight_n6705c) sources, got 200 mA",
    ]


def test_an_unknown_driver_or_option_names_the_nearest_right_one(files: Path) -> None:
    bench = load_bench(files / BENCH)
    check_drivers(bench, ["keysight_n6705c"], ["keysight_n6705c"])
    with pytest.raises(FileError, match=r'instruments.smu.driver: no driver "keysight_n6705c"; did you mean "keysight_n6705d"'):
        check_drivers(bench, ["keysight_n6705d", "keithley_2450"])
    check_options(bench, {"keysight_n6705c": ["channel", "marker_channel", "fire_pin"]})
    with pytest.raises(
        FileError, match=r"instruments.smu.options.fire_pin: keysight_n6705c has no such option; did you mean \"fire_pins\""
    ):
        check_options(bench, {"keysight_n6705c": ["channel", "marker_channel", "fire_pins"]})


def test_a_driver_with_hardly_any_evidence_has_to_be_allowed_by_name(files: Path) -> None:
    bench = load_bench(files / BENCH)
    check_leave(bench, ["hioki_pw3335"])
    with pytest.raises(FileError) as caught:
        check_leave(bench, ["keysight_n6705c"])
    (problem,) = caught.value.problems
    assert "demo.toml: instruments.smu.allow_experimental: expected true, got false: keysight_n6705c is experimental" in problem
    change(files, BENCH, ('driver = "keysight_n6705c"', 'driver = "keysight_n6705c"\nallow_experimental = true'))
    check_leave(load_bench(files / BENCH), ["keysight_n6705c"])


METER = '[instruments.meter]\ndriver = "B"\nvirtual = "B"\nroles = ["meter"]\nlead_resistance = "50 mohm +- 50 mohm"\n\n[floor]'


def test_a_meter_that_is_a_source_itself_is_refused_because_nothing_turns_its_output_on(files: Path) -> None:
    change(files, BENCH, ('roles = ["source", "meter"]', 'roles = ["source"]'), ("[floor]", METER))
    bench = load_bench(files / BENCH)
    check_roles(bench, {"keysight_n6705c": ("source", "meter"), "B": ("meter",)})
    check_roles(bench, {"keysight_n6705c": ("source", "meter"), "B": ("power_analyzer",)})
    with pytest.raises(FileError) as caught:
        check_roles(bench, {"keysight_n6705c": ("source", "meter"), "B": ("source", "meter")})
    (problem,) = caught.value.problems
    assert problem.partition("demo.toml: ")[2] == (
        'instruments.meter.roles: expected ["source", "meter"], got ["meter"]: B measures what it feeds itself, and as the meter alone its '
        "output stays off; let it feed the board, or take a meter that has no output"
    )


def test_a_role_that_a_driver_cannot_have_is_refused(files: Path) -> None:
    change(files, BENCH, ('roles = ["source", "meter"]', 'roles = ["source"]'), ("[floor]", METER))
    with pytest.raises(FileError) as caught:
        check_roles(load_bench(files / BENCH), {"keysight_n6705c": ("meter",), "B": ("something",)})
    assert [problem.partition("demo.toml: ")[2] for problem in caught.value.problems] == [
        "instruments.smu.roles: keysight_n6705c cannot be the source; it can be the meter",
        "instruments.meter.roles: B cannot be the meter; it can be the something",
    ]


def test_an_overdue_calibration_and_a_cold_instrument_are_flags_not_errors(files: Path) -> None:
    bench = load_bench(files / BENCH)
    assert flags(bench, datetime.date(2026, 7, 1)) == ()
    assert flags(bench, datetime.date(2027, 6, 1)) == ()
    assert flags(bench, datetime.date(2027, 6, 2)) == ("smu: calibration overdue since 2027-06-01",)
    assert flags(bench, datetime.date(2026, 7, 1), warm_up_s=10000.0) == ("smu: powered on for 7200 s, warm-up takes 10000 s",)


def test_undated_instruments_are_flagged(files: Path) -> None:
    change(files, BENCH, ("calibrated = 2026-06-01\n", ""), ('warm = "2 h"', ""))
    assert flags(load_bench(files / BENCH), datetime.date(2026, 7, 1)) == (
        "smu: calibration date or due date not given",
        "smu: warm-up time not given",
    )


def test_a_plan_is_frozen_si_floats(files: Path) -> None:
    plan = load_plan(files / PLAN)
    assert (plan.rates[0], plan.supply, plan.activity, plan.captures.floor_time) == (0.0, (3.0,), 0.1, 4.0)
    assert plan.battery is not None
    assert plan.battery.capacity.value == pytest.approx(810)
    assert plan.path == files / PLAN


@pytest.mark.parametrize(
    ("file", "read", "says"),
    [
        ("plans/demo.toml", load_bench, "this is a plan file, expected a bench file: are the files in the right order?"),
        ("benches/demo.toml", load_plan, "this is a bench file, expected a plan file: are the files in the right order?"),
        ("boards/virtual-m4.toml", load_bench, "this is a board file, expected a bench file"),
    ],
)
def test_a_file_of_another_kind_is_told_as_that_and_not_key_by_key(file: str, read: Callable[[Path], object], says: str) -> None:
    with pytest.raises(FileError, match=re.escape(f"{file}: {says}")) as caught:
        read(resources.path("fixtures") / file)
    assert len(caught.value.problems) == 1

"""Who fires the board, when and by what: keys that contradict each other or the bench are named with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.bench_file import check_trigger, load_bench, notices, plan_of
from labd.bench_file.cards import with_cards
from labd.bench_file.plan import Plan
from labd.daemon.board_gpio import gpio_settings
from labd.dut.gpio_chip import Wire
from labd.errors import FileError
from labd.trigger.schedule import Arrivals
from tests.bench_file.changes import BENCH, PLAN, change, load, problems

REAL_TIME = ('time = "stepped"', 'time = "real"')
REAL = (
    ('time = "stepped"', ""),
    ('virtual = "keysight_n6705c"', 'resource = "TCPIP::192.168.1.5::5025::SOCKET"'),
    ("virtual = true", 'port = "/dev/ttyACM0"'),
)
HOST = ("\n[captures]", '\ntrigger = "host"\n[captures]')
POISSON = ("\n[captures]", '\ntrigger = "host"\n[schedule]\narrivals = "poisson"\n[captures]')
RECORDED = ("\n[captures]", '\ntrigger = "host"\n[schedule]\narrivals = "recorded"\nfile = "arrivals.txt"\n[captures]')
GPIO = """
[gpio.pi]
chip = "pinctrl-rp1"
io_level = "3.3 V"
isolation = "level_shifter"
[[gpio.pi.lines]]
pin = "WAKE"
direction = "out"
line = "GPIO17"
[[gpio.pi.lines]]
pin = "READY"
direction = "in"
offset = 4
bias = "pull_down"
[trigger]
by = "gpio"
gpio = "pi.WAKE"
"""


def add(files: Path, text: str) -> None:
    with (files / BENCH).open("a", encoding="utf-8") as file:
        file.write(text)


def plan(files: Path) -> Plan:
    return load(files)[1]


def test_a_plan_that_says_nothing_is_paced_by_the_device(files: Path) -> None:
    assert plan(files).arrivals is None


def test_the_host_fires_periodically_unless_a_schedule_says_otherwise(files: Path) -> None:
    change(files, BENCH, REAL_TIME)
    change(files, PLAN, HOST)
    assert plan(files).arrivals == Arrivals("periodic", 1_000_000)


def test_arrivals_may_be_poisson(files: Path) -> None:
    change(files, BENCH, REAL_TIME)
    change(files, PLAN, POISSON)
    assert plan(files).arrivals == Arrivals("poisson", 1_000_000)


def test_recorded_arrivals_are_read_beside_the_plan(files: Path) -> None:
    change(files, BENCH, REAL_TIME)
    change(files, PLAN, RECORDED)
    (files / PLAN).with_name("arrivals.txt").write_text("".join(f"{k / 10:g}\n" for k in range(1, 101)), encoding="utf-8")
    found = plan(files).arrivals
    assert found is not None
    assert found.kind == "recorded"
    assert found.recorded_ns == tuple(k * 100_000_000 for k in range(1, 101))


@pytest.mark.parametrize(
    ("bench", "changed", "arrivals", "says"),
    [
        ((), (HOST,), None, 'plans/demo.toml: trigger: expected "device", got "host": '),
        (
            (REAL_TIME,),
            (("\n[captures]", '\n[schedule]\narrivals = "poisson"\n[captures]'),),
            None,
            "schedule: a device that paces itself is",
        ),
        (
            (REAL_TIME,),
            (POISSON, ('"poisson"', '"posson"')),
            None,
            'schedule.arrivals: expected one of "periodic", "poisson", "recorded", got',
        ),
        ((REAL_TIME,), (RECORDED, ('file = "arrivals.txt"', "")), None, "schedule.file: this key is required with recorded arrivals"),
        ((REAL_TIME,), (POISSON, ("[captures]", 'file = "a"\n[captures]')), None, "schedule.file: only recorded arrivals have this key"),
        ((REAL_TIME,), (RECORDED,), None, "schedule.file: plans/arrivals.txt cannot be read: No such file"),
        ((REAL_TIME,), (RECORDED,), "1\n2\nx\n", "plans/arrivals.txt: line 3: expected an instant in seconds"),
        ((REAL_TIME,), (RECORDED,), "1\n2\n", "captures.events: expected at most these: arrivals.txt has 2 arrivals, got"),
    ],
)
def test_a_wrong_schedule_is_named(
    files: Path, bench: tuple[tuple[str, str], ...], changed: tuple[tuple[str, str], ...], arrivals: str | None, says: str
) -> None:
    change(files, BENCH, *bench)
    change(files, PLAN, *changed)
    if arrivals is not None:
        (files / PLAN).with_name("arrivals.txt").write_text(arrivals, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        load(files)
    assert says in str(caught.value).replace(f"{files}/", "")


def test_a_plan_sent_to_a_daemon_names_its_file_absolutely(files: Path) -> None:
    change(files, PLAN, RECORDED)
    with pytest.raises(FileError, match=r"schedule.file: a plan that was sent to a daemon needs an absolute path, got 'arrivals.txt'"):
        plan_of(with_cards((files / PLAN).read_text(encoding="utf-8"), files / PLAN), Path("job 7 (demo)"))
    path = files / "arrivals.txt"
    path.write_text("".join(f"{k}\n" for k in range(1, 101)), encoding="utf-8")
    text = with_cards((files / PLAN).read_text(encoding="utf-8"), files / PLAN).replace('"arrivals.txt"', f'"{path}"')
    found = plan_of(text, Path("job 7 (demo)")).arrivals
    assert found is not None
    assert len(found.recorded_ns) == 100


def test_stock_firmware_cannot_be_armed(files: Path) -> None:
    change(files, BENCH, REAL_TIME)
    change(files, "boards/virtual-m4.toml", ('firmware = "labd"', 'firmware = "mlperf-tiny"'))
    change(files, PLAN, HOST)
    assert any("cannot be armed" in problem for problem in problems(files))


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ('port = "/dev/ttyACM0"\nvia = "interface-board"', "there is an interface board, which passes on whole commands only"),
        ('port = "/dev/ttyACM0"\nkey_file = "agent.key"', "there is an agent, whose link takes whole commands only"),
    ],
)
def test_a_byte_is_no_trigger_where_only_commands_pass(files: Path, link: str, says: str) -> None:
    change(files, BENCH, *REAL[:2], ("virtual = true", link))
    if "key_file" in link:
        change(files, BENCH, ('kind = "serial"', 'kind = "agent"'))
    change(files, PLAN, HOST)
    (problem,) = problems(files)
    assert "plans/demo.toml: trigger: " in problem
    assert says in problem
    add(files, GPIO)
    load(files)


def test_a_meter_without_a_log_shows_no_arrivals(files: Path) -> None:
    change(files, BENCH, REAL_TIME)
    change(files, PLAN, HOST)
    bench, wanted = load(files)
    check_trigger(bench, wanted, streams=True)
    with pytest.raises(FileError, match=r'trigger: expected "device", got "host": smu .* has no gap-free log'):
        check_trigger(bench, wanted, streams=False)


def test_gpio_lines_are_those_of_the_boards_pins(files: Path) -> None:
    change(files, BENCH, *REAL)
    add(files, GPIO)
    settings = gpio_settings(load_bench(files / BENCH).gpio["pi"])
    assert settings.chip == "pinctrl-rp1"
    assert settings.outputs == {"WAKE": Wire("GPIO17")}
    assert settings.inputs == {"READY": Wire(4, bias="pull_down")}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'line = "GPIO17"',
            "",
            'gpio.pi.lines[0].line: expected the line\'s name (line = "GPIO17") or its number (offset = 17), got neither',
        ),
        ("offset = 4", 'offset = 4\nline = "GPIO4"', "gpio.pi.lines[1].line: expected the line's name"),
        ('direction = "out"', 'direction = "out"\nbias = "pull_up"', "gpio.pi.lines[0].bias: only a line from the board has this key"),
        ('pin = "READY"', 'pin = "WAKE"', 'gpio.pi.lines[1].pin: expected each pin once, got "WAKE" again'),
        ('pin = "WAKE"', 'pin = "TRIG"', 'gpio.pi.lines[0].pin: "TRIG" is driven by lines.'),
        ('gpio = "pi.WAKE"', 'gpio = "pi.WAEK"', 'trigger.gpio: pi drives no pin "WAEK"; did you mean "WAKE"?'),
        ('gpio = "pi.WAKE"', 'gpio = "pi.READY"', 'trigger.gpio: pi drives no pin "READY"'),
        ('gpio = "pi.WAKE"', 'gpio = "rp.WAKE"', "trigger.gpio: no table gpio.rp"),
        ('gpio = "pi.WAKE"', 'gpio = "pi.WAKE"\nseen = "pi.WAKE"', 'trigger.seen: pi reads no pin "WAKE"'),
        ('gpio = "pi.WAKE"', 'gpio = "pi.WAKE"\nseen = "MARK"', "trigger.seen: expected a table and a pin"),
        ('gpio = "pi.WAKE"', 'gpio = "WAKE"', "trigger.gpio: expected a table and a pin"),
        ('by = "gpio"', 'by = "rts"', 'trigger.gpio: only by = "gpio" has this key'),
        ('by = "gpio"', 'by = "gpio"\npulse = "11 ms"', "trigger.pulse: expected at most 10 ms, got 11 ms"),
        ('isolation = "level_shifter"', 'isolation = "none"', 'gpio.pi.isolation: "none" with io_level 3.3 V'),
        (
            'isolation = "level_shifter"\n[[gpio.pi.lines]]',
            'isolation = "none"\n[[gpio.pi.lines]]\nactive_low = true',
            "gpio.pi.lines[0].active_low: an output that is high at rest stays so when labd is killed",
        ),
        (
            "[trigger]",
            '[gpio.other]\nchip = "1"\nio_level = "3.0 V"\nisolation = "isolator"\n[[gpio.other.lines]]\npin = "WAKE"\ndirection = "out"\n'
            "offset = 3\n[trigger]",
            'gpio.other.lines[0].pin: "WAKE" is driven by gpio.pi.lines[0] already',
        ),
    ],
)
def test_wrong_gpio_is_named(files: Path, old: str, new: str, says: str) -> None:
    change(files, BENCH, *REAL)
    assert GPIO.count(old) >= 1
    add(files, GPIO.replace(old, new, 1))
    change(files, "boards/virtual-m4.toml", ('supply = "3.0 V"', 'supply = "2.9 V"'))
    found = problems(files)
    assert any(says in problem for problem in found), found


def test_a_modem_line_that_cannot_float_needs_something_between(files: Path) -> None:
    change(files, BENCH, *REAL)
    add(files, '[trigger]\nby = "rts"\n')
    assert any("trigger.by: RTS cannot float and would feed the board" in problem for problem in problems(files))
    change(files, BENCH, ('isolation = "none"            # none', 'isolation = "isolator"        # none'))
    load(files)


def test_two_lines_into_one_pin_are_refused(files: Path) -> None:
    add(files, '\n[lines.second]\nfrom = "smu.other"\nto = "board.TRIG"\nlevel = "3.0 V"\nisolation = "none"\n')
    assert any('lines.second.to: "TRIG" is driven by lines.' in problem for problem in problems(files))


def test_edges_that_no_capture_reads_are_told(files: Path) -> None:
    change(files, BENCH, *REAL)
    add(files, GPIO)
    assert any("gpio.pi: READY: nothing reads this" in text for text in notices(load(files)[0]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GPIO, "gpio.pi: the instruments are virtual, so the board is: no GPIO ends at it"),
        ('[trigger]\nby = "rts"\n', 'trigger.by: expected "uart", got "rts": the instruments are virtual'),
    ],
)
def test_a_virtual_board_has_no_lines_of_this_host(files: Path, text: str, says: str) -> None:
    add(files, text)
    assert any(says in problem for problem in problems(files))

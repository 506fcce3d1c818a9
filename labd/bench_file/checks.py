"""What bench, board and plan contradict among each other, each problem named with the file and the key to change."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from labd.bench.expand import CapturePlan
from labd.bench.interlock import IO_ABOVE_SUPPLY_V
from labd.bench_file.bench import Bench, read_bench
from labd.bench_file.cards import hardware_card
from labd.bench_file.instrument import InstrumentRole
from labd.bench_file.plan import Plan
from labd.bench_file.text import amperes, hertz, rate, seconds, volts
from labd.config.problems import did_you_mean, files_error
from labd.config.quantity import shown
from labd.config.section import Wrong, bare_or_quoted
from labd.records import Mode
from labd_instruments.contract import SourceLimits

Found = Iterator[tuple[str, Wrong]]
# what the bench file calls a role -> what drivers call those that can have it
KINDS: Mapping[InstrumentRole, tuple[str, ...]] = {
    "source": ("source",),
    "meter": ("meter", "power_analyzer"),
    "cross_check": ("power_analyzer",),
}


def load_bench(path: Path) -> Bench:
    """Read a bench file and its board's file, and check one against the other. Raises FileError with every problem, one line each."""
    bench = read_bench(path)
    check_bench(bench)
    return bench


def check_bench(bench: Bench) -> None:
    """What the bench file and its board's file contradict. Raises FileError naming every problem, one line each."""
    supply = (bench.board.supply,)
    hardware_card(bench.board)
    _refuse([*_board_within_limits(bench), *_lines_fit(bench, supply, "supply", str(bench.board.path)), *_lines_idle_low(bench)])


def check_plan(bench: Bench, plan: Plan) -> None:
    """What a plan asks of a bench and board that they cannot do. Raises FileError naming every problem, one line each."""
    _refuse(
        [
            *_supplies_allowed(bench, plan),
            *_lines_fit(bench, plan.supply, "supply", str(plan.path)),
            *_rates_possible(bench, plan),
            *_firmware_can(bench, plan),
            *_host_can_fire(bench, plan),
            *(_stock_fits(bench, plan) if bench.board.firmware != "labd" else _no_windows(bench, plan)),
        ]
    )


def check_trigger(bench: Bench, plan: Plan, *, streams: bool) -> None:
    """A host that is to fire where no capture shows what it fires. streams: whether the meter logs without gaps. Raises FileError."""
    if plan.arrivals is not None and not streams:
        meter = bench.instruments[bench.meter]
        text = (
            f'expected "device", got "host": {bench.meter} ({meter.driver}) has no gap-free log, in which arrivals would be seen; '
            "figures at a rate are composed of floor and single events there, or are steady readings"
        )
        _refuse([(str(plan.path), Wrong("trigger", text))])


def check_aim(plan: Plan, captures: Collection[CapturePlan]) -> None:
    """An aim whose time is over before everything was measured once. captures: of the first round. Raises FileError."""
    once_s = sum(capture.duration_s for capture in captures)
    if plan.aim is not None and once_s > plan.aim.time:
        text = f"expected at least {seconds(once_s)}, which measuring everything once takes ({len(captures)} captures)"
        _refuse([(str(plan.path), Wrong("aim.time", f"{text}, got {seconds(plan.aim.time)}; or fewer operating points"))])


def check_against(bench: Bench, source_limits: SourceLimits) -> None:
    """Limits above what the source instrument can be set to: they would protect nothing. Raises FileError."""
    _refuse([*_within_source(bench, source_limits)])


def check_drivers(bench: Bench, known: Collection[str], virtual: Collection[str] | None = None) -> None:
    """Names of drivers (and, when given, of virtual instruments) that do not exist. Raises FileError with the nearest right name."""
    _refuse([*_drivers_known(bench, known, virtual)])


def check_options(bench: Bench, options: Mapping[str, Collection[str]]) -> None:
    """Option names that a driver does not have; `options` maps a driver to the names it takes. Raises FileError."""
    _refuse([*_options_known(bench, options)])


def check_leave(bench: Bench, need_leave: Collection[str]) -> None:
    """Drivers that the bench file has to allow by name and does not; `need_leave` are those. Raises FileError."""
    _refuse([*_leave_given(bench, need_leave)])


def check_roles(bench: Bench, roles: Mapping[str, Collection[str]]) -> None:
    """Roles on this bench that a driver cannot have; `roles` maps a driver to what it may be. Raises FileError."""
    _refuse([*_roles_possible(bench, roles)])


def flags(bench: Bench, today: datetime.date, *, warm_up_s: float = 3600.0) -> tuple[str, ...]:
    """What does not stop a run but goes with each of its KPIs: overdue or undated calibration, cold instruments."""
    found = []
    for name, instrument in bench.instruments.items():
        calibration = instrument.calibration_flag(today)
        if calibration:
            found.append(f"{name}: {calibration}")
        if instrument.warm is None:
            found.append(f"{name}: warm-up time not given")
        elif instrument.warm < warm_up_s:
            found.append(f"{name}: powered on for {seconds(instrument.warm)}, warm-up takes {seconds(warm_up_s)}")
    return tuple(found)


def notices(bench: Bench) -> tuple[str, ...]:
    """What a bench file asks for that labd cannot do at a real port, which is told and what it does to the board tested; and what it leaves
    out that figures need."""
    return (*_floated(bench), *_unread(bench), *_unbudgeted(bench))


def _unread(bench: Bench) -> Iterator[str]:
    for name, chip in bench.gpio.items():
        pins = ", ".join(pin for pin in chip.pins("in") if f"{name}.{pin}" != bench.trigger.seen)
        if pins:
            named = f'seen = "{name}.MARK"'
            yield f"gpio.{name}: {pins}: nothing reads this; trigger.seen names the line that shows inferences, as in {named}"


def _unbudgeted(bench: Bench) -> Iterator[str]:
    """Only a document or a measurement gives an analyzer's inputs, so a run without them is made, and told before hours of it are over."""
    for name, instrument in bench.instruments.items():
        if not instrument.reads_power or instrument.shunt is not None or instrument.voltmeter is not None:
            continue
        lost = "closure.power_analyzer carries" if "cross_check" in instrument.roles else "figures carry"
        yield (
            f"instruments.{name}.shunt: neither shunt nor voltmeter is declared, so {lost} no interval: declare the input on the board's "
            "side (shunt where the voltage terminals are on the source's side, else voltmeter; both where that is not known)"
        )


def _floated(bench: Bench) -> tuple[str, ...]:
    return tuple(
        f'links.{name}: the adapter\'s TX cannot be floated by labd (tx_idle = "high_z"): use an isolator or an adapter that tri-states; '
        "back-feed is tested"
        for name, link in bench.links.items()
        if link.port is not None and link.isolation == "none" and link.tx_idle == "high_z"
    )


def _refuse(found: list[tuple[str, Wrong]]) -> None:
    if found:
        raise files_error(found)


def _board_within_limits(bench: Bench) -> Found:
    board, limits, file = bench.board, bench.limits, str(bench.path)
    if board.supply > limits.voltage:
        yield (
            file,
            Wrong("limits.voltage", f"{volts(limits.voltage)} is below the supply of {board.name}, {volts(board.supply)} ({board.path})"),
        )
    if limits.voltage > board.supply_max:
        allowed = f"the absolute maximum of {board.name}, {volts(board.supply_max)} ({board.path}: supply_max)"
        yield file, Wrong("limits.voltage", f"expected at most {allowed}, got {volts(limits.voltage)}")
    if board.peak_current > limits.current:
        needs = f"{board.name} draws up to {amperes(board.peak_current)} ({board.path}: peak_current)"
        yield file, Wrong("limits.current", f"{amperes(limits.current)} is too little: {needs}")
    elif board.peak_current > limits.steady_current:
        needs = f"{board.name} draws up to {amperes(board.peak_current)} ({board.path}: peak_current)"
        yield file, Wrong("limits.power", f"allows {amperes(limits.steady_current)} at limits.voltage, too little: {needs}")
    if limits.off_voltage >= board.supply_min:
        yield file, Wrong("limits.off_voltage", f"{volts(limits.off_voltage)} is not off: {board.name} runs from {volts(board.supply_min)}")


def _supplies_allowed(bench: Bench, plan: Plan) -> Found:
    board = bench.board
    for index, supply in enumerate(plan.supply):
        key = f"supply[{index}]"
        if supply > bench.limits.voltage:
            limit = f"{volts(bench.limits.voltage)} ({bench.path}: limits.voltage)"
            yield str(plan.path), Wrong(key, f"{volts(supply)} is above the bench's limit, {limit}")
        elif not board.supply_min <= supply <= board.supply_max:
            span = f"{volts(board.supply_min)} to {volts(board.supply_max)} ({board.path}: supply_min, supply_max)"
            yield str(plan.path), Wrong(key, f"{volts(supply)} is outside what {board.name} takes, {span}")


def _lines_fit(bench: Bench, supplies: tuple[float, ...], key: str, file: str) -> Found:
    """A pin more than 0.3 V above the supply feeds the board through its clamp diode."""
    driven = [
        *((f"links.{bare_or_quoted(n)}", "io_level", link.io_level or 0.0, link.isolation) for n, link in bench.links.items()),
        *((f"lines.{bare_or_quoted(n)}", "level", line.level, line.isolation) for n, line in bench.lines.items() if line.into_board),
        *((f"gpio.{bare_or_quoted(n)}", "io_level", chip.io_level, chip.isolation) for n, chip in bench.gpio.items()),
    ]
    lowest = min(supplies)
    for path, level_key, level, isolation in driven:
        # 1 nV: 3.3 - 0.3 is not exactly 3.0
        if isolation == "none" and lowest < level - IO_ABOVE_SUPPLY_V - 1e-9:
            yield (
                str(bench.path),
                Wrong(
                    f"{path}.isolation",
                    f'"none" with {level_key} {volts(level)} needs a supply of at least {volts(round(level - IO_ABOVE_SUPPLY_V, 9))}, '
                    f"got {volts(lowest)} ({file}: {key}); put in a level shifter and declare it, or raise the supply",
                ),
            )


def _lines_idle_low(bench: Bench) -> Found:
    """An instrument's line is driven from its reset on, before the supply is: one that idles high would feed the board."""
    for line in bench.lines.values():
        owner = line.start.partition(".")[0]
        instrument = bench.instruments.get(owner)
        if line.into_board and line.isolation == "none" and instrument and instrument.options.get("fire_polarity") == "NEG":
            key = f"instruments.{bare_or_quoted(owner)}.options.fire_polarity"
            text = f'"NEG" idles high and drives {line.end} of a board without supply; take "POS", or put in an isolator and declare it'
            yield str(bench.path), Wrong(key, text)


def _rates_possible(bench: Bench, plan: Plan) -> Found:
    largest = bench.board.largest_rate_hz
    because = f"{bench.board.path}: longest_event is {seconds(bench.board.longest_event)}"
    for index, wanted in enumerate(plan.rates):
        if wanted > largest * (1 + 1e-9):
            yield (
                str(plan.path),
                Wrong(f"rates[{index}]", f"expected at most {rate(float(f'{largest:.4g}'))}, got {rate(wanted)} ({because})"),
            )


def _firmware_can(bench: Bench, plan: Plan) -> Found:
    board, file = bench.board, str(plan.path)
    for index, model in enumerate(plan.models):
        if model not in board.models:
            yield file, Wrong(f"models[{index}]", f"{board.name} holds no model {shown(model)}{did_you_mean(model, board.models)}")
    for index, hz in enumerate(plan.clocks):
        if hz not in board.clocks:
            can = ", ".join(hertz(one) for one in board.clocks) or "no other clock while it runs; leave this key out"
            yield file, Wrong(f"clocks[{index}]", f"{board.path}: clocks says that {board.name} can be set to {can}; got {hertz(hz)}")
    if board.firmware == "labd":
        return
    for index, mode in enumerate(plan.modes):
        if mode is not Mode.ALWAYS_ON:
            yield (
                file,
                Wrong(f"modes[{index}]", f'"{mode}" needs labd\'s firmware; stock firmware ({board.path}: firmware) is always_on only'),
            )


def _no_windows(bench: Bench, plan: Plan) -> Found:
    if plan.windows is not None:
        own = f"labd's own ({bench.board.path}: firmware) paces its inferences"
        yield str(plan.path), Wrong("windows", f"this table is of stock firmware; {own}: leave it out")


def _stock_fits(bench: Bench, plan: Plan) -> Found:
    """Stock firmware holds one model, takes one size of input and waits in one way."""
    board, file = bench.board, str(plan.path)
    if len(board.models) > 1:
        yield str(board.path), Wrong("models", f"stock firmware holds one model, got {len(board.models)}")
    if "idle_kind" in plan.model_fields_set and plan.idle_kind != "busy_poll":
        yield file, Wrong("idle_kind", f'expected "busy_poll" or no such key: stock firmware polls its UART, got "{plan.idle_kind}"')
    if plan.input is None and board.input_size is None:
        text = "this key is required: input_size = 490 or the like; or name the bytes in the plan ([windows] input)"
        yield str(board.path), Wrong("input_size", text)
    if plan.input is not None and board.input_size is not None and len(plan.input) != board.input_size:
        text = f"expected a file of {board.input_size} bytes ({board.path}: input_size), got {len(plan.input)}"
        yield file, Wrong("windows.input", text)
    if plan.aim is not None:
        yield file, Wrong("aim", "only labd's own firmware is measured until figures are known well enough; write repeats instead")
    if plan.captures.starts:
        yield file, Wrong("captures.starts", "expected 0 or no such key: stock firmware does not show on a line when it is ready")
    if bench.board.dialect != "mlperf-tiny":
        yield str(board.path), Wrong("dialect", f'runs are of "mlperf-tiny" so far, got "{bench.board.dialect}"')


def _host_can_fire(bench: Bench, plan: Plan) -> Found:
    """A process of this host fires in real time, a device that was armed for it."""
    if plan.arrivals is None:
        return
    file = str(plan.path)
    if bench.clock == "stepped":
        text = (
            f'expected "device", got "host": {bench.path} is in stepped time, and a process fires in real time; write time = "real" there'
        )
        yield file, Wrong("trigger", text)
    if bench.board.firmware != "labd":
        stock = f"stock firmware ({bench.board.path}: firmware) cannot be armed"
        yield file, Wrong("trigger", f'expected "device", got "host": {stock}')
    by, link = bench.trigger.by, next(iter(bench.links.values()))
    between = "an agent, whose link takes" if link.kind == "agent" else "an interface board, which passes on"
    if (link.kind == "agent" and by != "gpio") or (link.via == "interface-board" and by == "uart"):
        text = f'"host" needs another [trigger] than by = "{by}" in {bench.path}: there is {between} whole commands only; take by = "gpio"'
        yield file, Wrong("trigger", text)


def _within_source(bench: Bench, source: SourceLimits) -> Found:
    name = bench.source
    by = f"instruments.{bare_or_quoted(name)} ({bench.instruments[name].driver}) sources"
    asked = (
        ("voltage", volts, bench.limits.voltage, source.voltage_v),
        ("current", amperes, bench.limits.current, source.current_a),
        ("inrush", amperes, bench.limits.inrush, source.current_a),
    )
    for key, write, value, most in asked:
        if value > most:
            yield str(bench.path), Wrong(f"limits.{key}", f"expected at most {write(most)}, which is what {by}, got {write(value)}")


def _drivers_known(bench: Bench, known: Collection[str], virtual: Collection[str] | None) -> Found:
    for name, instrument in bench.instruments.items():
        path = f"instruments.{bare_or_quoted(name)}"
        if instrument.driver not in known:
            yield str(bench.path), Wrong(f"{path}.driver", f"no driver {shown(instrument.driver)}{did_you_mean(instrument.driver, known)}")
        if virtual is not None and instrument.virtual is not None and instrument.virtual not in virtual:
            hint = did_you_mean(instrument.virtual, virtual)
            yield str(bench.path), Wrong(f"{path}.virtual", f"no virtual instrument {shown(instrument.virtual)}{hint}")


def _leave_given(bench: Bench, need_leave: Collection[str]) -> Found:
    for name, instrument in bench.instruments.items():
        if instrument.driver in need_leave and not instrument.allow_experimental:
            why = f"{instrument.driver} is experimental: hardly anything stands behind its commands, and none was tried on an instrument"
            text = f"expected true, got false: {why}; compare its readings with another meter's before you trust them"
            yield str(bench.path), Wrong(f"instruments.{bare_or_quoted(name)}.allow_experimental", text)


def _options_known(bench: Bench, options: Mapping[str, Collection[str]]) -> Found:
    for name, instrument in bench.instruments.items():
        known = options.get(instrument.driver)
        for option in instrument.options if known is not None else ():
            if option not in (known or ()):
                key = f"instruments.{bare_or_quoted(name)}.options.{bare_or_quoted(option)}"
                yield str(bench.path), Wrong(key, f"{instrument.driver} has no such option{did_you_mean(option, known or ())}")


def _roles_possible(bench: Bench, roles: Mapping[str, Collection[str]]) -> Found:
    for name, instrument in bench.instruments.items():
        can, key = roles.get(instrument.driver, instrument.roles), f"instruments.{bare_or_quoted(name)}.roles"
        for role in instrument.roles:
            if not any(kind in can for kind in KINDS[role]):
                yield str(bench.path), Wrong(key, f"{instrument.driver} cannot be the {role}; it can be {_kinds(can)}")
        if instrument.roles == ("meter",) and "source" in can:
            text = (
                f'expected ["source", "meter"], got ["meter"]: {instrument.driver} measures what it feeds itself, and as the meter alone '
                "its output stays off; let it feed the board, or take a meter that has no output"
            )
            yield str(bench.path), Wrong(key, text)


def _kinds(can: Collection[str]) -> str:
    return " or ".join("a meter or cross_check" if kind == "power_analyzer" else f"the {kind}" for kind in can)

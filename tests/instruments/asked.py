"""What every driver is asked, as far as it names the capability: set up, measure, switch off; and where it and its persona are found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from labd_instruments import loader
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels, StreamSetup
from labd_instruments.errors import InstrumentError, OutOfRangeError
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

T = TypeVar("T")

POINTS, BEFORE = 200, 50  # of a capture
LEAST_S, MOST_LOOKS = 0.02, 500  # between two looks, and how often before one gives up
MEANS = 3
STREAM_S = 2.0  # the slowest log comes in chunks of a quarter of a second
AGREE = 1e-3  # relative: specimens without an error
QUESTIONS = {"output": "Sources", "mean": "Measures", "stream": "Streams", "capture": "Captures"}  # and the capability that each needs
BAD = BlockFlag.OVER_RANGE | BlockFlag.GAP_BEFORE | BlockFlag.CLIPPED


class Unanswered(InstrumentError):
    """Nothing came, however long one looked: what a run would end with too, by its own deadline."""


class Limited(InstrumentError):
    """The source says that it holds its output at a limit, at which a run ends."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Mean currents (A), by what they were asked as. flagged: blocks that say themselves that they are not whole."""

    current_a: Mapping[str, float]
    flagged: tuple[str, ...] = ()


def with_personas() -> list[str]:
    """Drivers that have an instrument behind them, by name."""
    return [found.name for found in loader.available() if not found.needs_no_wires]


def wired(driver: str) -> Wired:
    found: Wired = import_module(f"tests.instruments.test_{driver}_against_virtual").WIRED
    return found


def persona(driver: str) -> ModuleType:
    return import_module(f"labd_virtual.instruments.{driver}")


def traps(driver: str) -> Mapping[str, str]:
    found: Mapping[str, str] = persona(driver).TRAPS
    return found


@asynccontextmanager
async def set_up(driver: str, *, interface: Interface | None = None, trap: str = "") -> AsyncIterator[Rig]:
    """The driver reset on its persona, over the first interface that the instrument has unless told. Raises InstrumentError."""
    how = wired(driver)
    bench = Bench(load=((0, how.load_a),), volts=how.supply_v, interface=interface or how.interfaces[0])
    table = rows({quantity: tuple((full_scale, 0.0, 0.0) for full_scale in ranges) for quantity, ranges in how.tables.items()})
    setup = bench.setup(options=how.options, wires=how.wires, accuracy=table, trap=trap)
    async with rig(driver, persona(driver).create(setup), bench, **how.options) as made:
        yield made


async def found_by(driver: str, trap: str, *, interface: Interface | None = None) -> str:
    """What tells of a sprung trap: a named error in its own words, or a flag of the samples. Nothing where all seemed well, where one only
    gave up, or where any question got a wrong number."""
    told: list[str] = []
    for question in questions(driver):
        try:
            async with set_up(driver, interface=interface, trap=trap) as made:
                answers = await ask(made, wired(driver), only=question)
        except Unanswered:
            return ""
        except InstrumentError as error:
            if type(error) is InstrumentError:
                return ""
            told.append(f"{type(error).__name__}: {error}")
        else:
            if answers.flagged:
                told.append(f"{question} flagged")
            elif not right(answers, wired(driver)):
                return ""
    return told[0] if told else ""


def questions(driver: str) -> list[str]:
    """What it can be asked, one by one."""
    return [name for name, capability in QUESTIONS.items() if capability in loader.info(driver).capabilities]


def right(answers: Answers, how: Wired) -> bool:
    return all(abs(ampere - how.load_a) <= AGREE * how.load_a for ampere in answers.current_a.values())


async def ask(made: Rig, how: Wired, *, only: str = "") -> Answers:
    """Everything that its capabilities promise, once, or one of it. Raises InstrumentError."""
    asked = [only] if only else questions(made.driver_name)
    found: dict[str, float] = {}
    flagged: list[str] = []
    try:
        if "Sources" in loader.info(made.driver_name).capabilities:
            await power(made, how)
        for question in asked:
            if question == "output":
                found[question] = (await made.do(made.driver.measure_output)).current_a
            elif question == "mean":
                found[question] = await _means(made, how)
            else:
                blocks = await (_stream if question == "stream" else _capture)(made, how)
                if any(block.flags & BAD for block in blocks):
                    flagged.append(question)
                else:
                    found[question] = _mean_of(blocks)
        await made.do(made.driver.check_errors, "the end")
    finally:
        await made.do(made.driver.make_safe)
    return Answers(found, tuple(flagged))


async def power(made: Rig, how: Wired) -> None:
    """As a run does it: limits first, read back, then the output."""
    driver = made.driver
    await _where_offered(made, driver.set_voltage, 0.0)
    if not await _where_offered(made, driver.set_off_mode, True):
        await made.do(driver.set_off_mode, False)
    if not await _where_offered(made, driver.set_remote_sense, True):
        await made.do(driver.set_remote_sense, False)
    got = await made.do(driver.protect, ProtectionLevels(1.2 * how.supply_v, max(10 * how.load_a, 0.02)))
    assert got.current_a >= how.load_a
    await made.do(driver.set_voltage, how.supply_v)
    await made.do(driver.set_output, True)
    assert await made.do(driver.output_is_on)
    if (told := await made.do(driver.tripped)) is not None:
        raise Limited(told)


async def _where_offered(made: Rig, setting: Callable[[Any], None], value: object) -> bool:
    """A refusal before anything is sent is an answer too."""
    try:
        await made.do(setting, value)
    except OutOfRangeError:
        return False
    return True


async def _means(made: Rig, how: Wired) -> float:
    await made.do(made.driver.configure_mean, MeanSetup(how.aperture_s, how.current_range_a, how.voltage_range_v))
    await made.do(made.driver.zero)
    readings = [await _until(made, how.aperture_s, made.driver.read_mean, lambda reading: reading is not None) for _ in range(MEANS)]
    return float(np.mean([reading.current_a for reading in readings if reading is not None]))


async def _stream(made: Rig, how: Wired) -> list[Block]:
    taken = await made.do(made.driver.configure_stream, StreamSetup(how.stream_dt_s, how.current_range_a, how.voltage_range_v))
    await made.do(made.driver.start_stream)
    blocks: list[Block] = []
    end_ns = made.bench.clock.now_ns() + round(STREAM_S * 1e9)
    while made.bench.clock.now_ns() < end_ns:
        made.bench.clock.pass_s(LEAST_S)
        while (block := await made.do(made.driver.read_block)) is not None:
            blocks.append(block)
    end = await made.do(made.driver.stop_stream)
    assert end.missing == 0
    assert taken.dt_ns * sum(map(len, blocks)) > 0.5e9 * STREAM_S
    return blocks


async def _capture(made: Rig, how: Wired) -> list[Block]:
    setup = CaptureSetup(how.capture_dt_s, POINTS, BEFORE, how.current_range_a, how.voltage_range_v, fire_dut=how.fires)
    taken = await made.do(made.driver.configure_capture, setup)
    await made.do(made.driver.arm)
    await made.do(made.driver.fire)
    await _until(made, POINTS * how.capture_dt_s, made.driver.captured, bool)
    blocks: tuple[Block, ...] = await made.do(made.driver.fetch)
    assert [len(block) for block in blocks] == [taken.points]
    return list(blocks)


async def _until(made: Rig, step_s: float, look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    for _ in range(MOST_LOOKS):
        if enough(found := await made.do(look)):
            return found
        made.bench.clock.pass_s(max(LEAST_S, step_s / 10))
    raise Unanswered(f"{made.driver_name}: nothing came in {MOST_LOOKS} looks")


def _mean_of(blocks: list[Block]) -> float:
    return float(np.mean(np.concatenate([block.current for block in blocks])))

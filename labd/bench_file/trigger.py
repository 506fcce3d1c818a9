"""What of the bench and plan files is about firing the board: `[trigger]` and `[gpio.NAME]` of a bench, `[schedule]` of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from labd.bench_file.links import Isolation
from labd.config.problems import file_error
from labd.config.section import Section, Wrong
from labd.config.types import CountOrZero, Flag, Seconds, Volts, Words
from labd.trigger.firing import LONGEST_PULSE_NS
from labd.trigger.schedule import recorded

LONGEST_PULSE_S = LONGEST_PULSE_NS * 1e-9
MODEM_LINES = ("rts", "dtr")


class GpioLineSection(Section):
    """One line of a GPIO chip, and the pin of the board that it is wired to."""

    pin: Words = Field(description='pin of the board, such as "TRIG"')
    direction: Literal["out", "in"] = Field(description="out: into the board, floating while the board has no supply; in: from the board")
    line: Words | None = Field(default=None, description="the line's name in the chip, as `gpioinfo` shows it; this or `offset`")
    offset: CountOrZero | None = Field(default=None, description="its number in the chip; this or `line`")
    active_low: Flag = Field(default=False, description="true: low means active")
    bias: Literal["as_is", "pull_up", "pull_down", "disabled"] = Field(default="as_is", description="of a line from the board")

    @property
    def wanted(self) -> str | int:
        return self.line if self.line is not None else self.offset or 0

    def wrong(self) -> Iterator[Wrong]:
        if (self.line is None) == (self.offset is None):
            found = "neither" if self.line is None else "both"
            yield Wrong("line", f'expected the line\'s name (line = "GPIO17") or its number (offset = 17), got {found}')
        if self.direction == "out" and self.bias != "as_is":
            yield Wrong("bias", "only a line from the board has this key: a line into it is driven, or floats")


class GpioSection(Section):
    """Lines of one GPIO chip of this machine (Linux, libgpiod)."""

    chip: Words = Field(description='path, name or label of the chip, such as "/dev/gpiochip0" or "pinctrl-rp1"')
    io_level: Volts = Field(description="high level of the lines into the board")
    isolation: Isolation = Field(description="what stands between: nothing, a level shifter, or an isolator")
    lines: tuple[GpioLineSection, ...] = Field(min_length=1, description="one table a line")

    def wrong(self) -> Iterator[Wrong]:
        pins = [line.pin for line in self.lines]
        for index, pin in enumerate(pins):
            if pin in pins[:index]:
                yield Wrong(f"lines[{index}].pin", f'expected each pin once, got "{pin}" again')
        for index, line in enumerate(self.lines):
            if line.direction == "out" and line.active_low and self.isolation == "none":
                yield Wrong(
                    f"lines[{index}].active_low",
                    "an output that is high at rest stays so when labd is killed, and feeds the board once its supply is cut: put an "
                    "isolator or a level shifter between (isolation), or wire it active high",
                )

    def pins(self, direction: Literal["out", "in"]) -> list[str]:
        return [line.pin for line in self.lines if line.direction == direction]


class TriggerSection(Section):
    """How this host fires the board, for plans with `trigger = "host"`."""

    by: Literal["uart", "rts", "dtr", "gpio"] = Field(
        default="uart", description="a byte on the link's UART, one of its port's modem lines, or a GPIO line"
    )
    gpio: Words | None = Field(default=None, description='with by = "gpio": its table and pin, such as "pi.TRIG" for [gpio.pi]')
    seen: Words | None = Field(
        default=None,
        description='table and pin of a GPIO line that shows this host the inferences, such as "pi.MARK": latency by the kernel\'s time '
        "stamps, also where no instrument has a line",
    )
    pulse: Seconds = Field(default=100e-6, description="how long a line is held active; at most 10 ms")
    asserted: Flag = Field(default=True, description="of a modem line: its state during the pulse; false: released for it")

    def wrong(self) -> Iterator[Wrong]:
        if self.by == "gpio" and (self.gpio is None or not all(self.gpio.partition("."))):
            yield Wrong("gpio", 'expected a table and a pin: gpio = "pi.TRIG" for the pin TRIG of [gpio.pi]')
        if self.seen is not None and not all(self.seen.partition(".")):
            yield Wrong("seen", 'expected a table and a pin: seen = "pi.MARK" for the pin MARK of [gpio.pi]')
        if self.by != "gpio" and self.gpio is not None:
            yield Wrong("gpio", 'only by = "gpio" has this key')
        if self.pulse > LONGEST_PULSE_S:
            yield Wrong("pulse", f"expected at most {LONGEST_PULSE_S * 1e3:g} ms, got {self.pulse * 1e3:g} ms")


class ScheduleSection(Section):
    """When the inferences of a mean capture happen, with `trigger = "host"`."""

    arrivals: Literal["periodic", "poisson", "recorded"] = Field(
        description="periodic: whole periods; poisson: independent of each other, at the rate in the mean, none within the board's "
        "`longest_event` after another; recorded: as in a file, stretched so that their mean rate is the operating point's"
    )
    file: Words | None = Field(
        default=None, description="with recorded: one instant a line, in seconds from the start, ascending; relative to this file"
    )
    late: Seconds = Field(default=1e-3, description="fired later than this after its instant, an inference has missed its deadline")

    def wrong(self) -> Iterator[Wrong]:
        if (self.arrivals == "recorded") != (self.file is not None):
            needed = self.arrivals == "recorded"
            yield Wrong("file", "this key is required with recorded arrivals" if needed else "only recorded arrivals have this key")

    def recorded_ns(self, plan: Path) -> tuple[int, ...]:
        """The instants of `file`; empty where there is none. Raises FileError, which names it."""
        if self.file is None:
            return ()
        path = Path(self.file)
        if not path.is_absolute() and not plan.is_file():
            raise file_error(
                str(plan), [Wrong("schedule.file", f"a plan that was sent to a daemon needs an absolute path, got {self.file!r}")]
            )
        path = plan.parent / path
        try:
            text = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "is not UTF-8 text"
            raise file_error(str(plan), [Wrong("schedule.file", f"{path} cannot be read: {why}")]) from error
        return recorded(text, str(path))

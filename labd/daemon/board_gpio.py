"""The GPIO lines of a bench: opened with it, driven only while the board has its supply."""

from __future__ import annotations

from labd.bench.host_trigger import HostTrigger
from labd.bench.interlock import IoLine
from labd.bench_file import Bench
from labd.bench_file.trigger import GpioSection
from labd.dut.gpio_chip import Wire
from labd.dut.gpio_link import GpioLink, GpioSettings
from labd.dut.lines import Line
from labd.dut.serial_link import SerialLink
from labd.errors import DutFailure
from labd.trigger.firing import Bytes, GpioPulse, ModemPulse, Target


def gpio_settings(section: GpioSection) -> GpioSettings:
    """Lines by the board's pins."""
    wires = {line.pin: Wire(line.wanted, line.active_low, line.bias) for line in section.lines}
    outputs = {line.pin for line in section.lines if line.direction == "out"}
    return GpioSettings(
        section.chip,
        outputs={pin: wire for pin, wire in wires.items() if pin in outputs},
        inputs={pin: wire for pin, wire in wires.items() if pin not in outputs},
    )


def io_lines(bench: Bench, links: dict[str, GpioLink]) -> list[IoLine]:
    """One a chip that drives any: its outputs float and are driven together."""
    return [
        IoLine(f"gpio.{name}", section.io_level, section.isolation != "none", links[name].connect, links[name].disconnect)
        for name, section in bench.gpio.items()
        if links[name].settings.outputs
    ]


class Firing:
    """What this host fires the board by: the link's port, or a GPIO line. link: the one to the board, once it is connected."""

    def __init__(self, bench: Bench, gpio: dict[str, GpioLink]) -> None:
        self._section = bench.trigger
        self._gpio = gpio
        self.link: SerialLink | None = None

    @property
    def host_trigger(self) -> HostTrigger:
        return HostTrigger("uart" if self._section.by == "uart" else "pin", self._target, self._seen)

    def _seen(self) -> Line | None:
        if self._section.seen is None:
            return None
        table, _, pin = self._section.seen.partition(".")
        return self._gpio[table].line(pin)

    def _target(self) -> Target:
        """Raises DutFailure while the board is not connected."""
        section = self._section
        pulse_ns = round(section.pulse * 1e9)
        if section.gpio is not None:
            table, _, pin = section.gpio.partition(".")
            return GpioPulse(*self._gpio[table].pulsed_at(pin), pulse_ns)
        if self.link is None:
            raise DutFailure("the link to the board is not open: its supply is off")
        descriptor: int = self.link.serial.fileno()
        if section.by == "uart":
            return Bytes(descriptor, b"\n")
        return ModemPulse(descriptor, section.by, pulse_ns, section.asserted)

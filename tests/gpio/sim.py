"""A GPIO chip of the kernel's own simulator, and the other end of its wires [kernel: admin-guide/gpio/gpio-sim]."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
CONFIG = Path("/sys/kernel/config/gpio-sim")
SET = re.compile(r"(\d+\.\d+): gpio_value: \d+ set (\d)")


class Sim:
    """chip: its path in /dev."""

    def __init__(self, chip: str, folder: Path, offsets: Mapping[str, int]) -> None:
        self.chip = chip
        self._folder = folder
        self._offsets = offsets

    def drive(self, name: str, *, high: bool) -> None:
        """The DUT's end of an input."""
        (self._line(name) / "pull").write_text("pull-up" if high else "pull-down")

    def high(self, name: str) -> bool:
        """What the DUT sees of an output, or of what its own pull holds while nobody drives it."""
        return (self._line(name) / "value").read_text().strip() == "1"

    def _line(self, name: str) -> Path:
        return self._folder / f"sim_gpio{self._offsets[name]}"


@contextmanager
def traced() -> Iterator[Callable[[], list[tuple[int, bool]]]]:
    """What the kernel itself saw of outputs that were set: when (ns of CLOCK_MONOTONIC, to a microsecond), and whether high
    [kernel: trace/events, gpio:gpio_value]."""
    (TRACING / "trace_clock").write_text("mono")
    (TRACING / "trace").write_text("")
    enabled = TRACING / "events/gpio/gpio_value/enable"
    enabled.write_text("1")
    try:
        yield lambda: [(round(float(t_s) * 1e9), level == "1") for t_s, level in SET.findall((TRACING / "trace").read_text())]
    finally:
        enabled.write_text("0")


@contextmanager
def simulated(names: tuple[str, ...], label: str = "labd-sim") -> Iterator[Sim]:
    """A chip with 8 lines, the first of them named."""
    device = CONFIG / label
    bank = device / "bank0"
    for offset in range(len(names)):
        (bank / f"line{offset}").mkdir(parents=True)
        (bank / f"line{offset}" / "name").write_text(names[offset])
    (bank / "num_lines").write_text("8")
    (bank / "label").write_text(label)
    (device / "live").write_text("1")
    chip = (bank / "chip_name").read_text().strip()
    folder = Path("/sys/devices/platform") / (device / "dev_name").read_text().strip() / chip
    try:
        yield Sim(f"/dev/{chip}", folder, {name: offset for offset, name in enumerate(names)})
    finally:
        (device / "live").write_text("0")
        for offset in range(len(names)):
            (bank / f"line{offset}").rmdir()
        bank.rmdir()
        device.rmdir()

"""A JS110 or JS220 as its parts see it: options, the ranges that its metadata tell, and what is set.

Sources: [D] jetperch/joulescope_driver (js110_usb.c and js110_sample_processor.c in src/devices/js110, src/devices/js220/js220_usb.c,
doc/js220.txt); [P] jetperch/pyjoulescope (joulescope/v1/js220.py), the vendor's older package over the same topics; [U] the vendor's
pyjoulescope_ui (devices/jsdrv, waveform_widget.py); [B] pyjoulescope_driver 2.2.12, binding.pyx. A JS220 sends the metadata of its own
topics, of which no document was found: names are looked up in them ("manual", "15 V"), no number of theirs is written here.

Nothing is read back: the package answers a query with what was published, even after a time-out (tried with 2.2.12), and a JS110's return
code is 0 whatever became of it [D, handle_cmd_publish]. Range of current and rate are seen in the stream; the range of voltage nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labd_instruments.drivers._joulescope_link import JoulescopeLink
from labd_instruments.drivers._joulescope_stream import IDS_HZ
from labd_instruments.errors import OutOfRangeError, ReplyError, WrongInstrumentError
from labd_instruments.options import option

VERSIONS = {"firmware": "c/fw/version", "hardware": "c/hw/version", "FPGA": "s/fpga/version"}
EXPONENT = {"": 0, "m": -3, "u": -6, "\u00b5": -6, "\u03bc": -6}  # two signs for micro
SLACK = 1e-9
LOWEST_BIT = {0: ("current", "s/i/lsb_src"), 1: ("voltage", "s/v/lsb_src")}  # of a JS110: whose, for each input


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    model: str = option("JS220", "which one it must be: JS110 or JS220", choices=("JS110", "JS220"))
    marker_gpi: int | None = option(None, "input of the DUT's marker: 0 to 3, 7 (trigger); of a JS110 0 or 1", choices=(0, 1, 2, 3, 7))
    logic_v: float = option(
        3.0, "voltage that stands for a high input in the marker's column; a JS110's inputs are set to it", low=1.8, high=5.0
    )
    autorange: bool = option(False, "current ranges may change inside a capture, where the run would take none that is fixed")
    on_loss: str = option("error", "lost samples: error ends the capture, gap leaves a hole in it", choices=("error", "gap"))
    timeout_s: float = option(3.0, "time-out of one exchange, and of samples on their way, in seconds", low=0.1, high=10.0)


@dataclass(frozen=True, slots=True)
class Model:
    """step: sample ids from one value of current and voltage to the next, at the highest rate [D]. inputs: of its connector [D]."""

    name: str
    step: int
    inputs: tuple[int, ...]

    @property
    def hz(self) -> int:
        return IDS_HZ // self.step


MODELS = {"JS110": Model("JS110", 1, (0, 1)), "JS220": Model("JS220", 2, (0, 1, 2, 3, 7))}


class Kit:
    """One device. `ranges_a`, `voltages_v`: fixed, ascending, from its metadata."""

    def __init__(self, name: str, link: JoulescopeLink, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options
        _, family, self.serial = link.device.split("/")
        if family.upper() != options.model:
            raise WrongInstrumentError(f"{name}: {link.device} is a {family.upper()}, option model says {options.model}")
        self.model = MODELS[options.model]
        if options.marker_gpi is not None and options.marker_gpi not in self.model.inputs:
            inputs = ", ".join(map(str, self.model.inputs))
            raise OutOfRangeError(f"{name}: option marker_gpi is {options.marker_gpi}, a {self.model.name} has inputs {inputs}")
        self._metadata: Mapping[str, Any] = {}
        self.ranges_a: tuple[float, ...] = ()
        self.voltages_v: tuple[float, ...] = ()

    def learn(self) -> str:
        """Read the metadata; the versions that it tells. Raises ReplyError where a topic that is needed has none."""
        self._metadata = self.link.metadata()
        self.ranges_a = self._scales("s/i/range/select", "A")
        self.voltages_v = self._scales("s/v/range/select", "V")
        told = [f"{what} {self._version(topic)}" for what, topic in VERSIONS.items() if topic in self._metadata]
        return ", ".join(told) or "version not told"

    def automatic(self) -> None:
        """Current ranges as each sample needs them: no fixed one is left that starves the board."""
        if self.model.step == 1:
            self._choose("s/i/range/select", "auto")
        else:
            self._choose("s/i/range/mode", "auto")

    def range_code(self, full_scale_a: float) -> int:
        """Of s/i/range/!data: ranges counted from the largest on [U, _JS220_AXIS_R, _JS110_AXIS_R], as a JS110's calibration is [D]."""
        return len(self.ranges_a) - 1 - self.ranges_a.index(full_scale_a)

    def range_named(self, code: int) -> str:
        """For a message. Codes behind the last range are of an open path [U]."""
        told = f"{self.ranges_a[-1 - code]:g} A" if code < len(self.ranges_a) else "no range"
        return f"{told} (code {code} of s/i/range/!data)"

    def fix_current(self, wanted_a: float) -> float:
        """The lowest range that holds wanted_a. Raises OutOfRangeError. Whether it was taken shows in the stream."""
        full_scale = self._holding("current range", wanted_a, self.ranges_a, "A")
        self._select("s/i/range/select", "A", full_scale)
        if self.model.step != 1:
            self._choose("s/i/range/mode", "manual")
        return full_scale

    def fix_voltage(self, wanted_v: float) -> float:
        """As `fix_current`. A JS110 has no automatic one [D]."""
        full_scale = self._holding("voltage range", wanted_v, self.voltages_v, "V")
        self._select("s/v/range/select", "V", full_scale)
        if self.model.step != 1:
            self._choose("s/v/range/mode", "manual")
        return full_scale

    def full_rate(self) -> None:
        """Every value of the converter that the package hands on; the mean over a sample is the driver's."""
        self.put("h/fs", self.model.hz)

    def set_input(self, gpi: int | None) -> None:
        """Switch an input into the stream, or none. A JS220 has streams of its own for them, whose thresholds follow its Vref terminal,
        the default [U].

        A JS110 reads input 0 in bit 0 of the current's code and input 1 in that of the voltage's (js110_sample_processor.c), where noise
        is until the source is switched; its thresholds are by its own IO voltage. Opening it sends none of this [D], so all of it is set.
        """
        if self.model.step != 1:
            return
        for number, (_, topic) in LOWEST_BIT.items():
            self._choose(topic, f"gpi{gpi}" if gpi == number else "normal")
        if gpi is not None:
            self.put("s/extio/voltage", round(self.options.logic_v * 1e3))

    def input_told(self, gpi: int | None) -> str:
        """Where the marker comes from, for the record."""
        if gpi is None:
            return "none"
        bit = f"; it takes the place of the lowest bit of the {LOWEST_BIT[gpi][0]}" if self.model.step == 1 else ""
        return f"input {gpi} at {IDS_HZ} Hz, averaged over the sample{bit}"

    def put(self, topic: str, value: int) -> None:
        """Raises OutOfRangeError where its options do not have the value, and as the link does where it is refused."""
        rows = self._rows(topic)
        if rows and value not in [row[0] for row in rows]:
            right = ", ".join(str(row[0]) for row in rows)
            raise OutOfRangeError(f"{self.name}: {topic} is {value}, right would be one of {right}")
        self.link.publish(topic, value)

    def _choose(self, topic: str, word: str) -> None:
        found = [row[0] for row in self._rows(topic) if word in row[1:]]
        if not found:
            raise ReplyError(f"{self.name}: the device tells no {word!r} among the options of {topic}")
        self.put(topic, found[0])

    def _select(self, topic: str, unit: str, full_scale: float) -> None:
        self.put(topic, next(row[0] for row in self._rows(topic) if _scale(row, unit) == full_scale))

    def _holding(self, what: str, wanted: float, scales: tuple[float, ...], unit: str) -> float:
        found = [scale for scale in scales if scale >= wanted * (1 - SLACK)]
        if not wanted > 0 or not found:
            right = ", ".join(f"{scale:g}" for scale in scales)
            raise OutOfRangeError(f"{self.name}: {what} is {wanted:g} {unit}, a {self.model.name} has {right} {unit}")
        return found[0]

    def _scales(self, topic: str, unit: str) -> tuple[float, ...]:
        found = sorted({scale for row in self._rows(topic) if (scale := _scale(row, unit)) is not None})
        if not found:
            raise ReplyError(f"{self.name}: the device tells no ranges in its metadata of {topic}")
        return tuple(found)

    def _rows(self, topic: str) -> list[list[Any]]:
        """Options of a topic: a value and its names each. Raises ReplyError where the device does not have the topic."""
        if topic not in self._metadata:
            raise ReplyError(f"{self.name}: the device has no {topic}; its metadata name {len(self._metadata)} topics")
        return list((self._metadata[topic] or {}).get("options") or [])

    def _version(self, topic: str) -> str:
        """major8.minor8.patch16 [D, fw_ver_meta]."""
        code = self.link.query(topic)
        return f"{code >> 24}.{code >> 16 & 0xFF}.{code & 0xFFFF}"


def _scale(row: list[Any], unit: str) -> float | None:
    """Full scale that the name of an option says: "180 µA", "15 V"."""
    match = re.fullmatch(rf"([\d.]+) ?([mu\u00b5\u03bc]?){unit}", str(row[1]))
    return None if match is None else float(f"{match[1]}e{EXPONENT[match[2]]}")

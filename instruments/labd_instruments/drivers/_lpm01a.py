"""The commands of a PowerShield (X-NUCLEO-LPM01A): what they are, how it answers, and what it says of itself.

Sources: [H] the help text of its firmware, as quoted in mlcommons/tiny, benchmark/runner/power_manager/power_manager_lpm.py; [T] the code
of that file; [Z] Zephyr, scripts/pm/power_monitor_stm32l562e_dk (Intel, STM32L562E-DK, the same firmware); [G] zissis-pap,
x-nucleo-lpm01a-gui; [L] lazicdanilo/LPM01A-lib; [P] a Python class LPM01 of 2019, which compares replies byte for byte;
[V] vladBaciu/LPM01A-PowerShield-Control; [U] ST UM2243 Rev 2, by page. [-]: by no source.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from labd_instruments.checks import same, within
from labd_instruments.contract import SourceLimits
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError, ReadBackError, RefusedError, ReplyError, WrongInstrumentError
from labd_instruments.links.serial import SerialLink
from labd_instruments.options import option

PROMPT = "PowerShield > "  # [T] [G] [P]
BAUD = 3_686_400  # [H] [Z] [G] [P]
VOLTAGE_V = (1.8, 3.3)  # [H] volt [P]
PROTECTION_A = 0.059  # [U] p. 24: from here its over-current protection operates; spikes up to 75 mA pass for some milliseconds
RANGE_A = 0.05  # [U] p. 24: dynamic measurement, 100 nA to 50 mA
LIMITS = SourceLimits(voltage_v=VOLTAGE_V[1], current_a=PROTECTION_A)
FREQUENCIES = {  # [H] freq [P] [G]: by hertz
    **{hz: f"{hz // 1000}k" for hz in (100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000)},
    **{hz: str(hz) for hz in (500, 200, 100, 50, 20, 10, 5, 2, 1)},
}
ENDLESS_HZ = {"ascii_dec": 5_000, "bin_hexa": 100_000}  # [H] table of maximum acquisition times: up to here without an end
HIGH_HZ = 50_000  # [H] funcmode high is for 50 to 100 kHz
COMPLETED = b"Acquisition completed"  # [T] [P] [V]
VOLT_TOLERANCE_V = 0.03  # [Z] shows 3292-03; neither a resolution nor an accuracy is in any source
DRIFT_K = 5.0  # [H] calib: a new one after more than 5 degrees
LONGEST_CALIBRATION_S = 10.0  # [-]
TOLD = re.compile(r"(ack|error) (stop|pwr off)\b|Error detail: ")
FIRST_FIRMWARE = (1, 0, 6)  # one before it answers `error pwr off`: eembc/energyrunner, issue 8


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    format: str = option("bin_hexa", "how samples come: bin_hexa up to 100 kHz, ascii_dec up to 5 kHz", choices=("bin_hexa", "ascii_dec"))
    funcmode: str = option("optim", "dynamic mode: optim, or high from 50 kHz on, whose readings begin at 30 uA", choices=("optim", "high"))
    no_current_limit: bool = option(False, "accept that the output is not limited below 59 mA: the instrument has no limit to program")
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


class Kit:
    """The instrument as its parts see it: commands that it acknowledges, one at a time, while nothing streams."""

    def __init__(self, name: str, link: SerialLink, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options
        self.acquires: tuple[int, str] | None = None  # what the last acquisition was set up for
        self.tripped: str | None = None  # what it said of over-current; nothing can be asked for it
        self._calibrated_c: float | None = None

    def tell(self, command: str) -> None:
        """Send without waiting for an answer. A line feed ends it [T] [G] [L]."""
        self.link.send(command.encode("ascii") + b"\n")

    def silence(self) -> None:
        """End an acquisition, whoever began it, and throw away what it left. Raises LinkTimeoutError when it goes on."""
        self.link.send(b"\n")  # ends half a command that somebody left
        self.tell("stop")
        self.link.discard()

    def order(self, command: str, *, timeout_s: float | None = None) -> str:
        """Send a command and return what stands behind its acknowledgement. Raises RefusedError, ReplyError, LinkTimeoutError.

        `ack volt get 3292-03` [Z], `ack version: 1.0.7` (as [T] takes it apart), `error volt 9` and a line `Error detail: ...` [T].
        """
        self.tell(command)
        end_s = time.monotonic() + (self.link.timeout_s if timeout_s is None else timeout_s)
        while True:
            line = self._line(end_s)
            said = line.removeprefix(PROMPT)
            late = TOLD.match(said)
            if late is not None and late[2] != command:  # sent without waiting for an answer, and answered now
                continue
            if re.match(rf"ack {re.escape(command)}(?![^\s:])", said):
                return said[len("ack ") + len(command) :].lstrip(": ").strip()
            if said.startswith("error"):
                raise RefusedError(f"{self.name}: {command!r} was refused: {self._rest(said)}", ((0, said),))
            if said:
                raise ReplyError(f"{self.name}: to {command!r} it says {line[:60]!r}, which is no acknowledgement of it")

    def asked(self, command: str) -> str:
        """The answer behind an acknowledgement, or in a line of its own: [Z] and [T] show the first, [V] takes both. Raises as `order`."""
        return self.order(command) or self._next(time.monotonic() + self.link.timeout_s)

    def number(self, command: str) -> float:
        """The value that answers, `3292-03` or `28.0` [Z]. Raises as `order`."""
        text = self.asked(command)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:([+-]\d{1,2}))?", text)
        if match is None:
            raise ReplyError(f"{self.name}: {command!r} is answered by {text!r}, which is no number")
        return float(f"{match[1]}e{match[2] or 0}")

    def identity(self) -> tuple[str, str]:
        """Number of the board and version of the firmware. Raises WrongInstrumentError, also for a firmware that cannot be switched off."""
        try:
            board, version = self.asked("powershield"), self.asked("version")  # [H] [T]
        except (LinkTimeoutError, ReplyError, RefusedError) as error:
            raise WrongInstrumentError(f"{self.name}: it is no PowerShield: {error}") from error
        numbers = tuple(int(number) for number in re.findall(r"\d+", version))
        if numbers < FIRST_FIRMWARE:
            least = ".".join(map(str, FIRST_FIRMWARE))
            raise WrongInstrumentError(f"{self.name}: its firmware is {version}, which refuses 'pwr off'; {least} or later is needed")
        return board, version

    def status(self) -> None:
        """Raises RefusedError: `ok` or `error: ...` [H], the latter clears it [V]."""
        said = self.asked("status")
        if said != "ok":
            raise RefusedError(f"{self.name}: its status is {said!r}", ((0, said),))

    def regulate(self, volt: float) -> float:
        """Set the voltage; what reads back (V). Raises ReadBackError."""
        self.order(f"volt {round(volt * 1e3)}m", timeout_s=LONGEST_CALIBRATION_S)  # [H]: it calibrates itself after each
        self._calibrated_c = self.number("temp degc")
        return same(f"{self.name}: the voltage", volt, self.number("volt get"), tolerance=VOLT_TOLERANCE_V)

    def calibrate(self) -> None:
        """Self-calibration, with the output off: whether it disturbs the target is in no source."""
        self.order("calib", timeout_s=LONGEST_CALIBRATION_S)
        self._calibrated_c = self.number("temp degc")

    def temperature(self) -> str:
        """For the record. Raises OutOfRangeError when it has drifted too far since the calibration."""
        now_c = self.number("temp degc")
        since_c = now_c if self._calibrated_c is None else self._calibrated_c
        what = f"{self.name}: its temperature since the calibration (set_voltage and zero calibrate)"
        within(what, abs(now_c - since_c), low=0.0, high=DRIFT_K, unit="K", limit="help text of the firmware, calib")
        return f"{now_c:g} Cel, calibrated at {since_c:g} Cel"

    def powered(self) -> bool:
        """Raises ReplyError. [H] pwr get: `on` or `off`."""
        said = self.asked("pwr get")
        if said not in ("on", "off"):
            raise ReplyError(f"{self.name}: 'pwr get' is answered by {said!r}, right would be on or off")
        return said == "on"

    def power(self, *, on: bool) -> None:
        """Switch and read back. Raises ReadBackError."""
        self.order(f"pwr {'on' if on else 'off'}")
        if self.powered() != on:
            raise ReadBackError(f"{self.name}: the output was switched {'on' if on else 'off'} and reads back the other way")

    def acquire(self, hz: int, seconds: str) -> None:
        """Set up an acquisition in dynamic mode. seconds: as the command takes it. Each must be acknowledged; none but the voltage and the
        output can be read back."""
        for command in (
            "acqmode dyn",
            f"funcmode {self.options.funcmode if hz >= HIGH_HZ else 'optim'}",
            "output current",
            f"format {self.options.format}",
            f"freq {FREQUENCIES[hz]}",
            f"acqtime {seconds}",
            "trigsrc sw",
            "trigdelay 0",
        ):
            self.order(command)
        self.acquires = hz, seconds

    def start(self) -> None:
        """Returns behind the acknowledgement's line; what follows are samples. Raises RefusedError, LinkTimeoutError, ReplyError."""
        self.tell("start")
        head = self.link.until(b"start").decode("latin-1")
        if not re.fullmatch(rf"[\r\n\0]*{PROMPT}ack start", head):
            text = self._rest(head.strip())
            self.silence()
            raise RefusedError(f"{self.name}: 'start' was refused: {text}", ((0, text),))

    def _next(self, end_s: float) -> str:
        """The next line that says something, without the prompt."""
        while not (line := self._line(end_s)):
            pass
        return line.removeprefix(PROMPT)

    def _line(self, end_s: float) -> str:
        """The next line without its end, and without the zero bytes that come before some [L]."""
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise LinkTimeoutError(f"{self.name}: it does not acknowledge")
        line = self.link.until(b"\n", timeout_s=left_s).decode("latin-1").strip("\r\n\0")
        return "" if line == PROMPT.strip() else line

    def _rest(self, first: str) -> str:
        """What it says besides, in one line: the detail of an error comes behind it [T]."""
        told = self.link.available(wait_s=0.2).tobytes().decode("latin-1", "replace")
        self.link.discard()
        return " ".join(f"{first} {told}".replace(PROMPT, "").replace("\0", "").split())


def frequencies(kit: Kit) -> list[int]:
    """Those that it streams at with its options, Hz."""
    lowest = HIGH_HZ if kit.options.funcmode == "high" else 0
    return [f for f in FREQUENCIES if lowest <= f <= ENDLESS_HZ[kit.options.format]] or [*FREQUENCIES]


def frequency(kit: Kit, dt_s: float) -> int:
    """The frequency whose samples are `dt_s` apart. Raises OutOfRangeError: it has sixteen, and each format its fastest."""
    hz = next((f for f in FREQUENCIES if abs(dt_s * f - 1.0) <= 1e-9), None)
    highest = ENDLESS_HZ[kit.options.format]
    if hz is None or hz > highest:
        named = ", ".join(text for f, text in FREQUENCIES.items() if f <= highest)
        raise OutOfRangeError(f"{kit.name}: sample interval is {dt_s:g} s, with {kit.options.format} its frequencies are {named} Hz")
    if kit.options.funcmode == "high" and hz < HIGH_HZ:
        raise OutOfRangeError(f"{kit.name}: option funcmode is high, which is for 50k and 100k Hz, and {FREQUENCIES[hz]} Hz was asked for")
    return hz

"""What stock MLPerf Tiny firmware does with each byte, hazards included: own code, written from its described behaviour."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

COMMAND_SIZE = 80
UPLOAD_SIZE = 96 * 96 * 3
BEYOND = 64  # bytes of memory behind the buffer that nothing of the firmware's own lies in
COUNTER = 2**32
PULSE_HOLD_US = 1500.0  # a loop of 100 000 turns at some 70 MHz
COMMAND_US = 100
INFERENCE_US = 2059


def scores(data: bytes, classes: int) -> list[float]:
    """What these models compute: every byte and its place count, so that a damaged input shows."""
    digest = zlib.crc32(data)
    best = digest % classes
    return [0.75 if k == best else (digest >> (2 * k) & 15) / 100 for k in range(classes)]


def _decimals(values: list[float]) -> str:
    return ",".join(f"{value:.3f}" for value in values)


def _by_hand(values: list[float]) -> str:
    """As kws prints: `0.` and the thousandths, of which 1.0 has a thousand."""
    return ",".join(f"0.{round(value * 1000):03d}" for value in values)


@dataclass(frozen=True, slots=True)
class StockModel:
    """A reference model: what it takes, computes and prints."""

    name: str
    input_size: int
    run: Callable[[bytes], list[float]]
    show: Callable[[list[float]], str] = _decimals


KWS = StockModel("kws01", 490, lambda data: scores(data, 12), _by_hand)
IC = StockModel("ic01", 3072, lambda data: scores(data, 10))
VWW = StockModel("vww01", UPLOAD_SIZE, lambda data: scores(data, 2), lambda values: _decimals(values) + ",")
AD = StockModel("ad01", 2560, lambda data: [zlib.crc32(data) % 40_000 / 1000])


@dataclass(frozen=True, slots=True)
class Doing:
    """What the chip did, in microseconds of its own time. hold: the timestamp pin is low, the CPU spins."""

    what: Literal["hold", "infer", "uart"]
    start_us: float
    end_us: float


@dataclass(slots=True)
class StockFirmware:
    """Bytes in, bytes out. dead: why it answers nothing any more. greeting: free text of old firmware in its boot banner.

    trusts_announcement: infers on an upload of the right size however much of it has come.
    baud: paces what it prints, on its own clock, and that goes on while the CPU works. cut_in: words (`infer`) whose next reply stops half
    way; reboots_in: words during whose next command the supply browns out.
    """

    model: StockModel = KWS
    energy: bool = False
    device_name: str = "dut"
    greeting: Sequence[str] = ()
    counter_us: float = 1600.0
    baud: int = 115200
    hold_us: float = PULSE_HOLD_US
    command_size: int = COMMAND_SIZE
    trusts_announcement: bool = False
    cut_in: set[str] = field(default_factory=set)
    reboots_in: set[str] = field(default_factory=set)
    dead: str = ""
    done: list[Doing] = field(default_factory=list)
    written_past_end: int = 0
    boots: int = 0
    ready: bool = False
    _out: bytearray = field(default_factory=bytearray)
    _command: bytearray = field(default_factory=bytearray)
    _memory: bytearray = field(default_factory=lambda: bytearray(UPLOAD_SIZE + BEYOND))
    _size: int = 0
    _at: int = 0
    _tensor: bytes = b""
    _result: list[float] = field(default_factory=list)
    _uart_free_us: float = 0.0

    def power_on(self) -> bytes:
        """The first half of the banner: until `finish_boot` commands are dropped."""
        self.boots += 1
        self.ready, self.dead = False, ""
        self._command.clear()
        self._memory[:] = bytes(len(self._memory))
        self._size = self._at = 0
        self._tensor, self._result = bytes(self.model.input_size), []
        self._line(f"m-timestamp-mode-{'energy' if self.energy else 'performance'}")
        self._timestamp()
        for text in self.greeting:
            self._line(text)
        return self._taken()

    def finish_boot(self) -> bytes:
        self._line("m-init-done")
        self._line("m-ready")
        self.ready = True
        return self._taken()

    def boot(self) -> bytes:
        return self.power_on() + self.finish_boot()

    def feed(self, data: bytes) -> bytes:
        """What it prints on hearing these bytes."""
        for byte in data:
            if self.dead or not self.ready:
                continue
            if byte == ord("%"):
                command = bytes(self._command)
                self._command.clear()
                self._execute(command)
            elif len(self._command) < self.command_size:
                self._command.append(byte)  # what comes behind is lost without a word
        return self._taken()

    def _execute(self, command: bytes) -> None:
        self.counter_us += COMMAND_US
        words = [word for word in command.split(b" ") if word]
        if not words:
            self.dead = "compared a string that is not there"
            return
        known: dict[bytes, Callable[[list[bytes]], None]] = {
            b"name": lambda _: self._line(f"m-name-{self.device_name}-[unspecified]"),
            b"profile": self._profile,
            b"help": self._help,
            b"timestamp": lambda _: self._timestamp(),
            b"db": self._db,
            b"infer": self._infer,
            b"results": lambda _: self._results(),
        }
        word = words[0].decode("latin-1")
        before = len(self._out)
        if words[0] in known:
            known[words[0]](words[1:])
        else:
            self._line(f"e-[Unknown command: {word}]")
        if self.dead:
            return
        self._line("m-ready")
        self._accidents(word, before)

    def _accidents(self, word: str, before: int) -> None:
        if word in self.cut_in:
            self.cut_in.discard(word)
            del self._out[before + (len(self._out) - before) // 2 :]
        if word in self.reboots_in:
            self.reboots_in.discard(word)
            printed = bytes(self._out[: before + (len(self._out) - before) // 2])
            self._out[:] = b""
            self._out[:] = printed + self.boot()

    def _profile(self, _: list[bytes]) -> None:
        self._line("m-profile-[ULPMark for tinyML Firmware V0.0.1]")
        self._line(f"m-model-[{self.model.name}]")

    def _help(self, _: list[bytes]) -> None:
        for text in ("ULPMark for tinyML Firmware V0.0.1", "", "help         : this", "name         : device name", "db SUBCMD    : input"):
            self._line(text)

    def _timestamp(self) -> None:
        """A line, or a falling edge whose hold the CPU spins away."""
        if self.energy:
            self.done.append(Doing("hold", self.counter_us, self.counter_us + self.hold_us))
            self.counter_us += self.hold_us
        else:
            self._line(f"m-lap-us-{int(self.counter_us) % COUNTER}")

    def _db(self, words: list[bytes]) -> None:
        if not words:
            self._line("e-[Command 'db' requires a subcommand]")
        elif words[0] == b"load":
            self._load(words[1:])
        elif words[0] == b"print":
            self._print()
        else:
            self._take(words[0])

    def _load(self, words: list[bytes]) -> None:
        if not words:
            self._line("e-[Command 'db load' requires the # of bytes]")
        elif (size := leading_number(words[0])) == 0:
            self._size = 0
            self._line("e-[Command 'db load' must be >0 bytes]")
        else:
            self._size, self._at = size % 2**64, 0  # also where it is too large: refused in text only
            if self._size > UPLOAD_SIZE:
                self._say(f"Supplied buffer size {size} exceeds maximum of {UPLOAD_SIZE}\n")
            else:
                self._line(f"m-[Expecting {size} bytes]")

    def _take(self, digits: bytes) -> None:
        if len(digits) % 2:
            self._line("e-[Insufficent number of hex digits]")
            return
        for k in range(0, len(digits), 2):
            pair = digits[k : k + 2]
            if not all(chr(digit) in "0123456789abcdefABCDEF" for digit in pair):
                self._line(f"e-[Invalid hex digit '{pair.decode('latin-1')}']")
                return
            self._store(int(pair, 16))
            if self.dead:
                return
            if self._at == self._size:
                self._line("m-load-done")
                return

    def _store(self, value: int) -> None:
        """Nothing looks whether it belongs there."""
        self.written_past_end += self._at >= self._size
        if self._at >= len(self._memory):
            self.dead = "wrote over its own variables"
            return
        self._memory[self._at] = value
        self._at += 1

    def _print(self) -> None:
        shown = self._memory[: self._size]
        for k in range(0, len(shown), 8):
            self._line("m-buffer-" + "-".join(f"{byte:02x}" for byte in shown[k : k + 8]))
        if len(shown) % 8:
            self._line("")

    def _infer(self, words: list[bytes]) -> None:
        count = leading_number(words[0]) if words else 1
        warm_ups = leading_number(words[1]) if len(words) > 1 else 10
        if count <= 0:
            self._line("e-[Inference iterations must be >0]")
        elif warm_ups < 0:
            self._line("e-[Inference warmup must be >=0]")
        else:
            self._copy_input()
            self._run(count, warm_ups)

    def _copy_input(self) -> None:
        """As many bytes as have come, over what was there before. A submitter may ask for the announced size alone."""
        size = self.model.input_size
        has = min(size, self._at)
        if self.trusts_announcement:
            has = size if self._size == size else has
        self._tensor = bytes(self._memory[:has]) + self._tensor[has:]
        if has != size:
            self._say(f"Input db has {has} elemented, expected {size}\n")

    def _run(self, count: int, warm_ups: int) -> None:
        self._line(f"m-warmup-start-{warm_ups}")
        self.counter_us += warm_ups * INFERENCE_US
        self._line("m-warmup-done")
        self._line(f"m-infer-start-{count}")
        self._timestamp()
        for _ in range(min(count, 100_000)):
            self.done.append(Doing("infer", self.counter_us, self.counter_us + INFERENCE_US))
            self.counter_us += INFERENCE_US
        self._timestamp()
        self._line("m-infer-done")
        self._result = self.model.run(self._tensor)
        self._results()

    def _results(self) -> None:
        self._line(f"m-results-[{self.model.show(self._result)}]")

    def _line(self, text: str) -> None:
        self._say(f"{text}\r\n")

    def _say(self, text: str) -> None:
        """Buffered: the CPU goes on while the bytes leave at their pace."""
        data = text.encode("latin-1")
        self._out += data
        start_us = max(self.counter_us, self._uart_free_us)
        self._uart_free_us = start_us + len(data) * 10e6 / self.baud
        self.done.append(Doing("uart", start_us, self._uart_free_us))

    def _taken(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data


def leading_number(word: bytes) -> int:
    """As C's atoi reads it."""
    text = word.decode("latin-1")
    digits = text.removeprefix("-")
    end = next((k for k, char in enumerate(digits) if not "0" <= char <= "9"), len(digits))
    value = int(digits[:end] or "0")
    return -value if text.startswith("-") else value

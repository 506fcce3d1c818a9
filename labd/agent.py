#!/usr/bin/env python3
"""labd's agent on a Linux board: speaks the device protocol for a Python callable or a command. One file, Python 3.9 or newer, no packages.

    python3 agent.py --key-file key --make-key
    python3 agent.py --key-file key --callable model.py:infer --listen 0.0.0.0:8471
    python3 agent.py --key-file key --command "./infer --serve" --serial /dev/ttyS0

Two processes: the parent holds the key, lets one client in and passes commands on; its child holds the model and serves them, and can be
killed when it hangs. docs/how-to/linux-board.md says what a callable looks like and what the modes mean here.
"""

from __future__ import annotations

import argparse
import ast
import ctypes
import gc
import hmac
import importlib.util
import itertools
import mmap
import os
import random
import re
import secrets
import select
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import traceback
import tty
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

LONGEST_COMMAND = 80
MOST_WAITING = 32  # commands; one more is answered with an overflow
UNPROVEN_CLIENTS, UNPROVEN_COMMANDS, PROOF_S = 8, 8, 10.0
WRONG_KEY_S, LONGEST_WRONG_KEY_S = 1.0, 16.0
SEND_S = 5.0
LAPS = 256
STAMP_BYTES = 8  # a trigger on its way from parent to child: written at once or not at all
UPLOAD_LIMIT = 1 << 22
MOST_SCORES = 4096
LONGEST_MS = 4294967
TAIL_NS, READY_NS, HOLD_NS = 5_000_000, 500_000, 20_000
READY = b"m-ready\r\n"
MODES, STYLES = ("always_on", "event_sleep", "event_reload"), ("off", "pulses", "gate", "phases")
RUNNING = {b"L": "load", b"I": "infer", b"-": "nothing"}  # which of the user's functions, in a byte that both processes see
MASKS = {5: 0x14, 6: 0x30, 7: 0x60, 8: 0xB8, 9: 0x110, 10: 0x240}  # of maximal-length sequences, by order
QUIET_CHIPS = 4
RUNS_MODEL = ("infer", "periodic", "arm")
KEPT = ("mode", "marks", "bracket", "workload")  # what a new child is told again
NAMED = re.compile(r"([A-Za-z0-9_-]{1,40})=(.+)", re.DOTALL)


class Refused(Exception):
    """A command that is answered with `e-[..]`."""


def plain(text: str) -> str:
    """One line of printable ASCII of bounded length: what comes from a callable or a stranger is echoed as that."""
    line = " ".join(text.split())[:300]
    return "".join(char if " " <= char <= "~" else "?" for char in line)


# --- the way in


class Commands:
    """Bytes to commands, which end with `%`. None: one that is too long. Line ends and zero bytes around a command are skipped."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[str | None]:
        found: list[str | None] = []
        for byte in data:
            if byte == ord("%"):
                text = bytes(self._text).rstrip(b"\r\n\0").decode("ascii", "replace")
                if self._too_long or text.strip():
                    found.append(None if self._too_long else text)
                self._text, self._too_long = bytearray(), False
            elif len(self._text) == LONGEST_COMMAND:
                self._too_long = True
            elif self._text or byte not in b"\r\n\0":
                self._text.append(byte)
        return found


def proof(key: bytes, who: str, host_nonce: str, agent_nonce: str) -> str:
    """HMAC-SHA-256 [RFC 2104] over both nonces; `who` is host or agent, so that neither side's proof serves as the other's."""
    return hmac.new(key, f"labd agent 1 {who} {host_nonce} {agent_nonce}".encode(), "sha256").hexdigest()


def penalty_s(wrong: int) -> float:
    """How long the answer to the so many-th wrong key in a row is held back."""
    doubled = min(wrong - 1, 16)  # 2.0 ** 1024 is no float, and whoever tries on ends no agent by it
    return min(WRONG_KEY_S * 2.0**doubled, LONGEST_WRONG_KEY_S)


class Gate:
    """`hello NONCE`, then `proof HMAC`, both in hexadecimal; nothing else is understood before. Pure: gives the lines to answer.

    A challenge is good for one try. wrong: tries that failed in a row.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonces: tuple[str, str] | None = None
        self.open = False
        self.wrong = 0

    def answer(self, command: str | None) -> list[str]:
        words = (command or "").split(" ")
        if words[0] == "hello" and len(words) == 2 and re.fullmatch("[0-9a-f]{32}", words[1]):
            self.open, self._nonces = False, (words[1], secrets.token_hex(16))
            return [f"m-challenge-[{self._nonces[1]}]"]
        if words[0] == "proof" and len(words) == 2 and self._nonces is not None:
            return self._proven(words[1], *self._nonces)
        return ["e-[Not authenticated: hello and a proof of the key come first]"]

    def _proven(self, given: str, host_nonce: str, agent_nonce: str) -> list[str]:
        self._nonces = None
        expected = proof(self._key, "host", host_nonce, agent_nonce)
        self.open = hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
        self.wrong = 0 if self.open else self.wrong + 1
        return [f"m-welcome-[{proof(self._key, 'agent', host_nonce, agent_nonce)}]"] if self.open else ["e-[Wrong key]"]


# --- pins


class NoPins:
    """A board that shows nothing and is triggered by its link or its clock alone.

    mark: level of the marker, and with it a phase; phase: what the board does from now on; trigger: a descriptor that has something when
    one came, -1 for none; edge: when the oldest one came that was not taken yet (monotonic ns). Each may raise Refused.
    """

    has_marker = False

    def mark(self, level: int, phase: str = "", activity: int = 1) -> None: ...

    def phase(self, name: str, activity: int = 1) -> None: ...

    def trigger(self) -> int:
        return -1

    def edge(self) -> int | None:
        return None


class GpioPins(NoPins):
    """Lines of a GPIO chip through libgpiod, whose Python package is `gpiod`, version 2."""

    def __init__(self, marker: str | None, trigger: str | None) -> None:
        self._api = gpiod_package()
        line = self._api.line
        self._marker, self._marker_line = self._request(marker, direction=line.Direction.OUTPUT, output_value=line.Value.INACTIVE)
        self._trigger, _ = self._request(trigger, direction=line.Direction.INPUT, edge_detection=line.Edge.RISING)
        self.has_marker = marker is not None

    def _request(self, place: str | None, **settings: Any) -> tuple[Any, Any]:
        if place is None:
            return None, None
        chip, _, line = place.rpartition(":")
        wanted = int(line) if line.isdigit() else line
        path = chip if "/" in chip else f"/dev/{chip}"
        config = {wanted: self._api.LineSettings(**settings)}
        try:
            return self._api.request_lines(path, consumer="labd-agent", config=config), wanted
        except (OSError, ValueError) as error:
            raise SystemExit(f"agent.py: GPIO line {place}: {getattr(error, 'strerror', None) or error}") from None

    def close(self) -> None:
        for request in (self._marker, self._trigger):
            if request is not None:
                request.release()

    def mark(self, level: int, phase: str = "", activity: int = 1) -> None:
        if self._marker is not None:
            value = self._api.line.Value
            try:
                self._marker.set_value(self._marker_line, value.ACTIVE if level else value.INACTIVE)
            except OSError as error:
                raise Refused(f"No pins: the marker line {self._marker_line}: {error.strerror or error}") from None

    def trigger(self) -> int:
        return -1 if self._trigger is None else int(self._trigger.fd)

    def edge(self) -> int | None:
        """By the kernel's time stamp of the interrupt, CLOCK_MONOTONIC; one at a time, so that each is served."""
        try:
            events = self._trigger.read_edge_events(1) if self._trigger.wait_edge_events(0) else []
        except OSError as error:
            raise Refused(f"No pins: the trigger line: {error.strerror or error}") from None
        return int(events[0].timestamp_ns) if events else None


class SocketPins(NoPins):
    """Text lines over a unix socket: `phase NAME ACTIVITY T_NS` and `mark 0|1 T_NS` out, by the monotonic clock; any byte in is a trigger.

    activity: of idle, whether it polls; of sleep, whether the model is kept; else 1.
    """

    has_marker = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def mark(self, level: int, phase: str = "", activity: int = 1) -> None:
        self._tell(f"mark {int(level)}", *([f"phase {phase} {int(activity)}"] if phase else []))

    def phase(self, name: str, activity: int = 1) -> None:
        self._tell(f"phase {name} {int(activity)}")

    def edge(self) -> int | None:
        now_ns = time.monotonic_ns()
        try:
            taken = self._connected().recv(1)
        except OSError as error:
            self._socket = None
            raise Refused(f"No pins: {self._path}: {error.strerror or error}") from None
        if not taken:
            self._socket = None
            raise Refused(f"No pins: {self._path} was closed")
        return now_ns

    def trigger(self) -> int:
        return self._connected().fileno()

    def _tell(self, *lines: str) -> None:
        now_ns = time.monotonic_ns()
        text = "".join(f"{line} {now_ns}\n" for line in lines).encode()
        try:
            self._connected().sendall(text)
        except OSError:  # who listened has been started anew
            self._socket = None
            try:
                self._connected().sendall(text)
            except OSError as error:
                raise Refused(f"No pins: {self._path}: {error.strerror or error}") from None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            opened.settimeout(SEND_S)
            try:
                opened.connect(self._path)
            except OSError as error:
                opened.close()
                raise Refused(f"No pins: {self._path}: {error.strerror or error}") from None
            self._socket = opened
        return self._socket


def gpiod_package() -> Any:
    """Raises SystemExit with what to install."""
    try:
        import gpiod
        import gpiod.line

        gpiod.request_lines  # noqa: B018  version 1 has another API under the same name
    except (ImportError, AttributeError):
        raise SystemExit("agent.py: --marker-line and --trigger-line need the Python package gpiod, version 2 or newer") from None
    return gpiod


# --- models: `load`, `infer`, `drop`, and `rest` and `wake` around a sleep; they raise whatever the user's code raises


class CallableModel:
    """A function of a Python file. The file may also have load, unload, rest, wake, sample and INPUT_BYTES."""

    def __init__(self, name: str, file: str, function: str) -> None:
        self.name, self.resident = name, False
        self._file, self._function = file, function
        self._module: Any = None
        self._held: tuple[Any, ...] = ()

    def load(self) -> None:
        if self._module is None:
            sys.path.insert(0, str(Path(self._file).resolve().parent))
            spec = importlib.util.spec_from_file_location(f"labd_model_{self.name}", self._file)
            if spec is None or spec.loader is None:
                raise ImportError(f"{self._file} is no Python file")
            self._module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self._module)
        if hasattr(self._module, "load"):
            self._held = (self._module.load(),)
        self.resident = True

    def infer(self, data: bytes) -> Any:
        return getattr(self._module, self._function)(*self._held, data)

    def drop(self) -> None:
        """What `load` returned; without a `load` the whole module, which is executed anew at the next load."""
        self.resident = False
        if self._module is None or not hasattr(self._module, "load"):
            self._module = None
        elif self._held and hasattr(self._module, "unload"):
            self._module.unload(*self._held)
        self._held = ()
        gc.collect()
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed memory otherwise

    def rest(self) -> None:
        getattr(self._module, "rest", lambda *_: None)(*self._held)

    def wake(self) -> None:
        getattr(self._module, "wake", lambda *_: None)(*self._held)

    def sample(self, activity: int, seed: int, size: int) -> bytes:
        """Input data. Loads the module, as its author's `sample` or INPUT_BYTES say what it is."""
        if hasattr(self._module, "sample"):
            return bytes(self._module.sample(activity, seed))
        return random.Random(f"{activity} {seed}").randbytes(int(getattr(self._module, "INPUT_BYTES", size)))


class CommandModel:
    """A program that says `ready` on a line and then answers each line of hexadecimal input with a line of scores."""

    def __init__(self, name: str, command: str) -> None:
        self.name, self.resident = name, False
        self._command = shlex.split(command)
        self._process: Any = None

    def load(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._line() != "ready":
            raise RuntimeError("the command's first line is not `ready`")
        self.resident = True

    def infer(self, data: bytes) -> Any:
        with suppress(BrokenPipeError):  # who has ended says no line either
            self._process.stdin.write(data.hex().encode() + b"\n")
            self._process.stdin.flush()
        return [float(word) for word in self._line().replace(",", " ").split()]

    def drop(self) -> None:
        self.resident = False
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def rest(self) -> None: ...

    def wake(self) -> None: ...

    def sample(self, activity: int, seed: int, size: int) -> bytes:
        return random.Random(f"{activity} {seed}").randbytes(size)

    def _line(self) -> str:
        line: bytes = self._process.stdout.readline(1 << 20)
        if not line:
            raise RuntimeError(f"the command ended with exit code {self._process.wait()}")
        return line.decode("utf-8", "replace").strip()


def scores_of(result: Any) -> tuple[float, ...]:
    """Numbers in whatever nesting; arrays by their `tolist`."""
    result = result.tolist() if hasattr(result, "tolist") else result
    if result is None:
        return ()
    if isinstance(result, (list, tuple)):
        return tuple(score for part in result for score in scores_of(part))
    return (float(result),)


# --- the child: the device


class Device:
    """Serves commands as labd's firmware does [docs/reference/dut-protocol.md]. What it is asked comes over a socket of its parent."""

    def __init__(self, options: argparse.Namespace, channel: socket.socket, note: mmap.mmap, triggers: int) -> None:
        self._options, self._channel, self._note, self._triggers = options, channel, note, triggers
        self._pins = pins_of(options)
        self._models = {model.name: model for model in models_of(options)}
        self._model = next(iter(self._models.values()))
        self._data: bytes | None = None
        self._expected, self._upload = 0, bytearray()
        self._mode, self._polls, self._style = "always_on", False, "off"
        self._bracket: tuple[int, int, int] | None = None
        self._scores: tuple[float, ...] = ()
        self._laps: deque[tuple[int, ...]] = deque(maxlen=LAPS)
        self._counts = {"infer": 0, "wake": 0, "missed": 0, "boot": 1}
        self._shown: tuple[str, int] = ("idle", 0)
        self._out: list[str] = []

    def serve(self) -> None:
        """Until the parent is gone."""
        commands = Commands()
        while data := self._channel.recv(4096):
            for text in commands.feed(data):
                self._serve_one((text or "").split())

    def _serve_one(self, words: list[str]) -> None:
        do: Callable[..., None] = getattr(self, f"do_{words[0]}", self._unknown(words[0]))
        try:
            do(*words[1:])
            self._show("idle", 0)
        except Refused as error:
            with suppress(Refused):
                self._pins.mark(self._style == "pulses")
                self._show("idle", 0)
            self._say(f"e-[{plain(str(error))}]")
        self._say("m-ready")
        self._flush()

    def _unknown(self, word: str) -> Callable[..., None]:
        def refuse(*_: str) -> None:
            raise Refused(f"Unknown command: {word}")

        return refuse

    def _show(self, phase: str, activity: int = 1) -> None:
        if (phase, activity) != self._shown:
            self._pins.phase(phase, activity)
            self._shown = (phase, activity)

    def _say(self, *lines: str) -> None:
        self._out += lines

    def _flush(self) -> None:
        lines, self._out = self._out, []
        self._channel.sendall("".join(f"{line}\r\n" for line in lines).encode("ascii", "replace"))

    # MLPerf Tiny's commands; each ignores words past the last one it knows

    def do_name(self, *_: str) -> None:
        self._say("m-name-dut-[labd-agent]")

    def do_profile(self, *_: str) -> None:
        self._say("m-profile-[labd agent]", f"m-model-[{self._model.name}]")

    def do_timestamp(self, *_: str) -> None:
        self._say(f"m-lap-us-{time.monotonic_ns() // 1000 % 2**32}")

    def do_results(self, *_: str) -> None:
        self._say(f"m-results-[{','.join(map(repr, self._scores))}]")

    def do_db(self, what: str = "", count: str = "", *_: str) -> None:
        if what == "load":
            self._expected = number(count, 1, UPLOAD_LIMIT, f"Command 'db load' takes 1..{UPLOAD_LIMIT} bytes")
            self._upload = bytearray()
            self._say(f"m-[Expecting {self._expected} bytes]")
        elif what == "print":
            rows = (self._upload[k : k + 8] for k in range(0, len(self._upload), 8))
            self._say(*(f"m-buffer-{row.hex('-')}" for row in rows))
        elif len(self._upload) >= self._expected:
            raise Refused("Command 'db' has no load in progress")
        else:
            self._take_hex(what)

    def _take_hex(self, digits: str) -> None:
        try:
            self._upload += bytes.fromhex(digits)
        except ValueError:
            raise Refused("Insufficent number of hex digits" if len(digits) % 2 else f"Invalid hex digit in '{digits}'") from None
        if len(self._upload) >= self._expected:
            del self._upload[self._expected :]
            self._say("m-load-done")

    def do_infer(self, count: str = "1", warm_ups: str = "10", *_: str) -> None:
        inferences = number(count, 1, 2**31, "Inference iterations must be >0")
        before = number(warm_ups, 0, 2**31, "Inference warmup must be >=0")
        self._load()
        self._take_input()
        self._say(f"m-warmup-start-{before}")
        for _k in range(before):
            self._infer()
        self._say("m-warmup-done", f"m-infer-start-{inferences}")
        self._flush()  # and no printing inside the window
        self._laps.clear()
        self._pulse()
        start_ns = time.monotonic_ns()
        for k in range(inferences):
            event_ns = time.monotonic_ns()
            self._gated(k, event_ns, event_ns, event_ns)
        end_ns = time.monotonic_ns()
        self._pulse()
        self._say(*(f"m-lap-us-{t_ns // 1000 % 2**32}" for t_ns in (start_ns, end_ns)), "m-infer-done")
        self.do_results()

    # labd's own

    def do_ver(self, *_: str) -> None:
        self._say("m-ver-[labd 1]")

    def do_mode(self, mode: str = "", kind: str = "", *_: str) -> None:
        if mode not in MODES:
            raise Refused(f"Unknown mode: {mode}")
        if kind and (mode != "always_on" or kind not in ("wfi", "busy_poll")):
            raise Refused(f"Unknown mode: {kind}")  # clocks are the kernel's here: nobody can ask for `clock_gated`
        self._mode, self._polls = mode, kind == "busy_poll"
        self._say(f"m-mode-[{mode} {kind or 'wfi'}]" if mode == "always_on" else f"m-mode-[{mode}]")

    def do_workload(self, name: str = "", activity: str = "", seed: str = "", *_: str) -> None:
        if name not in self._models:
            raise Refused(f"Unknown workload: {name}")
        share = number(activity, 0, 100, "Workload activity must be 0..100")
        drawn = number(seed, 0, 2**32 - 1, "Workload seed must be 0..4294967295")
        if name != self._model.name:
            self._drop()
        self._model, self._expected, self._upload = self._models[name], 0, bytearray()
        self._load()
        self._draw(share, drawn)
        self._say(f"m-workload-[{name} {share} {drawn}]")

    def do_marks(self, style: str = "", *_: str) -> None:
        if style not in STYLES:
            raise Refused(f"Unknown marks: {style}")
        if style != "off" and not self._pins.has_marker:
            raise Refused("No marker: the agent was started without --marker-line and without --pins-socket")
        self._style = style
        self._pins.mark(style == "pulses")
        self._say(f"m-marks-[{style}]")

    def do_stat(self, clear: str = "", *_: str) -> None:
        if clear not in ("", "clear"):
            raise Refused(f"Unknown stat: {clear}")
        self._say(f"m-stat-[{','.join(f'{name}={count}' for name, count in self._counts.items())}]")
        if clear:
            self._counts.update(infer=0, wake=0, missed=0)

    def do_laps(self, *_: str) -> None:
        self._say(*(f"m-phase-[{','.join(map(str, lap))}]" for lap in self._laps))

    def do_checksum(self, *_: str) -> None:
        self._say(f"m-checksum-[{zlib.crc32(repr(self._scores).encode()) if self._scores else 0:08x}]")

    def do_bracket(self, chip_us: str = "", order: str = "", seed: str = "", *_: str) -> None:
        self._bracket = None if chip_us == "off" else pattern_of(chip_us, order, seed)
        self._say(f"m-bracket-[{' '.join(map(str, self._bracket)) if self._bracket else 'off'}]")

    # programs

    def do_signature(self, chip_us: str = "", order: str = "", seed: str = "", *_: str) -> None:
        pattern = pattern_of(chip_us, order, seed)
        self._begin("m-signature-start")
        self._say(self._burn(*pattern))

    def _enclose(self) -> list[str]:
        return [self._burn(*self._bracket)] if self._bracket else []

    def _burn(self, chip_us: int, order: int, seed: int) -> str:
        """A pattern of polling and blocking in the current, by which the laps are found in a record that has no line from here."""
        register, chips = seed, []
        for _k in range(2**order - 1):
            chips.append(register & 1)
            register = (register >> 1) ^ (MASKS[order] if register & 1 else 0)
        due_ns = start_ns = time.monotonic_ns() + QUIET_CHIPS * chip_us * 1000
        self._hold(0, due_ns)
        for busy, alike in itertools.groupby(chips):  # from edge to edge, with no wake-up between
            due_ns += len(list(alike)) * chip_us * 1000
            self._hold(busy, due_ns)
        self._hold(0, due_ns + QUIET_CHIPS * chip_us * 1000)
        return f"m-signature-[{start_ns // 1000},{due_ns // 1000}]"

    def _hold(self, busy: int, until_ns: int) -> None:
        self._show("idle", busy)
        left_ns = until_ns - time.monotonic_ns()
        if busy:
            spin(left_ns)
        elif left_ns > 0:
            time.sleep(left_ns * 1e-9)

    def do_idle(self, ms: str = "", *_: str) -> None:
        due_ns = number(ms, 1, LONGEST_MS, f"Idle time must be 1..{LONGEST_MS} ms") * 1_000_000
        self._begin("m-idle-start")
        burnt = self._enclose()
        self._wake(slept=self._rest(time.monotonic_ns() + due_ns, -1, after_event=False))
        self._say(*burnt, *self._enclose(), "m-idle-done")

    def do_periodic(self, count: str = "", period_us: str = "", *_: str) -> None:
        events = number(count, 1, 2**32 - 1, "Periodic count must be >0")
        period_ns = number(period_us, 1, 2**32 - 2, "Periodic period must be >0 us") * 1000
        self._prepare()
        self._begin(f"m-periodic-start-{events}")
        burnt = self._enclose()
        missed, due_ns = 0, time.monotonic_ns() + period_ns
        for k in range(events):
            late = time.monotonic_ns() >= due_ns
            missed += late
            slept = not late and self._rest(due_ns, -1, after_event=k > 0)
            self._event(k, due_ns, slept=slept)
            due_ns += period_ns  # from deadline to deadline, never from now
        self._wake(slept=self._rest(due_ns, -1, after_event=True))
        self._counts["missed"] += missed
        self._say(*burnt, *self._enclose(), f"m-periodic-done-{events}-missed-{missed}")

    def do_arm(self, count: str = "", timeout_ms: str = "", source: str = "pin", *_: str) -> None:
        events = number(count, 1, 2**32 - 1, "Arm count must be >0")
        timeout_ns = number(timeout_ms, 1, LONGEST_MS, f"Arm time-out must be 1..{LONGEST_MS} ms") * 1_000_000
        if source not in ("pin", "uart"):
            raise Refused(f"Unknown trigger: {source}")
        pin = self._pins.trigger() if source == "pin" else -1
        if source == "pin" and pin < 0:
            raise Refused("No trigger pin: the agent was started without --trigger-line and without --pins-socket")
        self._prepare()
        burnt = self._enclose()  # before the start line: a trigger during it would be lost
        while select.select([self._triggers], [], [], 0)[0]:
            self._byte()  # of an earlier program, which ended before it
        self._begin(f"m-arm-start-{events}")
        fd, edge = (pin, self._pins.edge) if source == "pin" else (self._triggers, self._byte)
        served, slept, event_ns = 0, False, None
        while served < events:
            slept = self._rest(time.monotonic_ns() + timeout_ns, fd, after_event=served > 0)
            event_ns = edge() if select.select([fd], [], [], 0)[0] else None
            if event_ns is None:
                break
            self._event(served, event_ns, slept=slept)
            served += 1
        self._wake(slept=slept and event_ns is None)
        self._say(*burnt, *self._enclose(), f"m-arm-done-{served}")

    def _byte(self) -> int:
        """When the parent read it, which waits for no inference."""
        stamp = os.read(self._triggers, STAMP_BYTES)
        if not stamp:
            raise SystemExit(0)  # the parent is gone
        return int.from_bytes(stamp, "little")

    def _prepare(self) -> None:
        if self._mode != "event_reload" or (self._data is None and not self._expected):
            self._load()
        self._take_input()
        self._laps.clear()

    def _begin(self, line: str) -> None:
        self._say(line)
        self._flush()

    def _rest(self, until_ns: int, fd: int, *, after_event: bool) -> bool:
        """The mode's rest, after an event behind its tail, until then or until `fd` has something. Returns whether it slept."""
        if self._mode == "always_on":
            self._show("idle", self._polls)
            self._wait(until_ns, fd)
            return False
        tail_ns = min(until_ns, time.monotonic_ns() + TAIL_NS)
        self._show("tail")
        if after_event and (self._wait(tail_ns, fd) or tail_ns == until_ns):
            return False
        if self._mode == "event_reload":
            self._drop()
        elif self._model.resident:
            self._call(b"L", self._model.rest)
        self._show("sleep", self._model.resident)
        self._wait(until_ns, fd)
        self._counts["wake"] += 1
        return True

    def _wait(self, until_ns: int, fd: int) -> bool:
        """Whether `fd` has something before then."""
        watched = [fd] if fd >= 0 else []
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            if not self._polls and not watched:
                time.sleep(left_ns * 1e-9)
            elif watched and select.select(watched, [], [], 0 if self._polls else left_ns * 1e-9)[0]:
                return True
        return False

    def _event(self, k: int, event_ns: int, *, slept: bool) -> None:
        awake_ns = ready_ns = time.monotonic_ns()
        if self._mode != "always_on":
            self._waking(1)
            self._wake(slept=slept)
            self._load()
            self._waking(0)
            ready_ns = time.monotonic_ns()
            spin(READY_NS)  # in every style of marks, so that the style does not change the energy
        self._pulse()
        self._gated(k, event_ns, awake_ns, ready_ns)
        self._pulse()

    def _gated(self, k: int, event_ns: int, awake_ns: int, ready_ns: int) -> None:
        start_ns = time.monotonic_ns()
        self._gate(1, "infer", 1)
        self._infer()
        always_on = self._mode == "always_on"
        self._gate(0, "idle" if always_on else "tail", self._polls if always_on else 1)
        self._laps.append((k, *(t_ns // 1000 for t_ns in (event_ns, awake_ns, ready_ns, start_ns, time.monotonic_ns()))))

    def _gate(self, level: int, phase: str, activity: int) -> None:
        """At one instant where both are shown."""
        if self._style in ("gate", "phases"):
            self._pins.mark(level, phase, activity)
            self._shown = (phase, activity)
        else:
            self._show(phase, activity)

    def _waking(self, level: int) -> None:
        if self._style == "phases":
            self._pins.mark(level, "wake")
            self._shown = ("wake", 1)
        else:
            self._show("wake")

    def _pulse(self) -> None:
        if self._style == "pulses":
            self._pins.mark(0)
            spin(HOLD_NS)
            self._pins.mark(1)

    # the user's code

    def _take_input(self) -> None:
        if self._expected and len(self._upload) == self._expected:
            self._data = bytes(self._upload)
        elif self._expected:
            self._say(f"Input db has {len(self._upload)} elemented, expected {self._expected}")
        elif self._data is None:
            self._draw(10, 1)

    def _draw(self, activity: int, seed: int) -> None:
        self._data = self._call(b"L", lambda: self._model.sample(activity, seed, self._options.input_bytes))

    def _load(self) -> None:
        if not self._model.resident:
            self._show("load")
            self._call(b"L", self._model.load)

    def _drop(self) -> None:
        self._call(b"L", self._model.drop)

    def _wake(self, *, slept: bool) -> None:
        if slept and self._mode == "event_sleep" and self._model.resident:
            self._call(b"L", self._model.wake)

    def _infer(self) -> None:
        data = self._data or b""
        result = self._call(b"I", lambda: self._model.infer(data))
        self._counts["infer"] += 1
        self._scores = self._call(b"I", lambda: scores_of(result))
        if len(self._scores) > MOST_SCORES:
            raise Refused(f"The callable gave {len(self._scores)} scores; {MOST_SCORES} at most")

    def _call(self, what: bytes, function: Callable[[], Any]) -> Any:
        """The kernel kills this process when it takes too long: its parent sees that, and nobody has to look meanwhile."""
        limit_s = self._options.infer_limit if what == b"I" else self._options.load_limit
        self._note[:1] = what
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            return function()
        except Refused:
            raise
        except BaseException as error:  # the edge to the user's code
            traceback.print_exc()
            signal.setitimer(signal.ITIMER_REAL, limit_s)
            with suppress(BaseException):
                self._model.drop()  # whatever state it is in: the next command loads it anew
            self._model.resident = False
            raise Refused(f"Callable raised {type(error).__name__}: {error}") from error
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._note[:1] = b"-"


def spin(ns: int) -> None:
    end_ns = time.monotonic_ns() + ns
    while time.monotonic_ns() < end_ns:
        pass


def pattern_of(chip_us: str, order: str, seed: str) -> tuple[int, int, int]:
    chip = number(chip_us, 20, 1_000_000, "Signature chip must be 20..1000000 us")
    bits = number(order, min(MASKS), max(MASKS), f"Signature order must be {min(MASKS)}..{max(MASKS)}")
    return chip, bits, number(seed, 1, 2**bits - 1, f"Signature seed must be 1..{2**bits - 1}")


def number(word: str, least: int, most: int, otherwise: str) -> int:
    if not (word.isascii() and word.isdigit() and least <= int(word) <= most):
        raise Refused(otherwise)
    return int(word)


# --- the parent: keeps the key, lets one client in, and outlives its child


class Child:
    """The process that holds the model, in a session of its own with whatever it starts."""

    def __init__(self, arguments: list[str]) -> None:
        self.channel, theirs = socket.socketpair()
        self._note = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this
        self._note.write(b"-" * mmap.PAGESIZE)
        self._note.flush()
        taken, self._triggers = os.pipe()
        os.set_blocking(self._triggers, False)
        handed = (theirs.fileno(), self._note.fileno(), taken)
        command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--child", ",".join(map(str, handed))]
        self._process = subprocess.Popen(
            command, pass_fds=handed, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True
        )
        theirs.close()
        os.close(taken)
        self.channel.setblocking(False)

    def write(self, data: bytes) -> None:
        with suppress(BlockingIOError, ConnectionError):  # a child that does not read any more is found by its end
            self.channel.send(data)

    def trigger(self, t_ns: int) -> None:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._triggers, t_ns.to_bytes(STAMP_BYTES, "little"))

    def end(self, *, patience_s: float = 0.5) -> int | None:
        """Kill all of it. Its own exit code where it has ended before, negative for a signal; None for one that cannot be killed."""
        try:
            code: int | None = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            code = None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(2.0) if code is None else code
        self.channel.close()
        os.close(self._triggers)
        return code

    def why_gone(self, options: argparse.Namespace) -> str:
        """After its end of the channel was closed."""
        self._note.seek(0)
        doing = RUNNING.get(self._note.read(1), "nothing")
        code = self.end()
        if code == -signal.SIGALRM:
            limit_s = options.infer_limit if doing == "infer" else options.load_limit
            return f"Callable hung: {doing} did not end within {limit_s:g} s"
        if code is not None and code < 0:
            return f"Callable crashed: killed by {signal.Signals(-code).name} in {doing}"
        return f"Callable crashed: its process ended with exit code {code} in {doing}"


class Client:
    """A connection, or the serial line."""

    def __init__(self, fd: int, gate: Gate, close: Callable[[], None] | None) -> None:
        self.fd, self.gate, self.close = fd, gate, close
        self.commands = Commands()
        self.asked = 0
        self.since_s = self.heard_s = time.monotonic()
        self.later: tuple[float, list[str]] | None = None  # an answer that has to wait, and until when
        os.set_blocking(fd, False)

    def read(self) -> bytes | None:
        """None: gone."""
        try:
            return os.read(self.fd, 4096) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def write(self, data: bytes, *, patience_s: float = SEND_S) -> bool:
        """False where it does not read for too long, or is gone."""
        end_s = time.monotonic() + patience_s
        try:
            while data:
                if not select.select([], [self.fd], [], max(0.0, end_s - time.monotonic()))[1]:
                    return False
                data = data[os.write(self.fd, data) :]
        except OSError:
            return False
        return True


class Agent:
    """Serves one client at a time, over connections or a serial line."""

    def __init__(self, options: argparse.Namespace, arguments: list[str], key: bytes) -> None:
        self._options, self._arguments, self._key = options, arguments, key
        self._selector = selectors.DefaultSelector()
        self._clients: list[Client] = []
        self._inside: Client | None = None
        self._wrong = 0
        self._child: Child | None = None
        self._dropped = ""
        # size: MOST_WAITING commands; policy: one more is answered with an overflow; counter: the answers
        self._waiting: deque[tuple[str | None, bool]] = deque()
        self._busy: tuple[str, bool] | None = None
        self._reply = b""
        self._kept: dict[str, str] = {}
        self._uploaded = self._input_lost = False  # the child holds an upload; one that had begun went with a child

    def listen(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))

    def watch(self, fd: int) -> None:
        """The serial line."""
        self._welcome(Client(fd, Gate(self._key), None))

    def serve(self) -> None:
        """For ever."""
        try:
            while True:
                for key, _ in self._selector.select(self._patience_s()):
                    if self._selector.get_map().get(key.fd) is key:  # not gone, and its number taken, through an event before this one
                        key.data()
                self._look_at_clocks(time.monotonic())
        finally:
            if self._child is not None:
                self._child.end()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            unproven = [client for client in self._clients if client is not self._inside]
            if len(unproven) >= UNPROVEN_CLIENTS:  # silent ones shut nobody out
                self._turn_out(unproven[0])
            self._welcome(Client(connection.fileno(), Gate(self._key), connection.close))

    def _welcome(self, client: Client) -> None:
        self._clients.append(client)
        self._selector.register(client.fd, selectors.EVENT_READ, lambda: self._heard(client))

    def _patience_s(self) -> float | None:
        due = [client.later[0] for client in self._clients if client.later]
        due += [client.since_s + PROOF_S for client in self._clients if client.close and not client.gate.open and not client.later]
        if self._inside is not None and self._busy is None:
            due.append(self._inside.heard_s + self._options.idle)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _look_at_clocks(self, now_s: float) -> None:
        for client in list(self._clients):
            if client.later and now_s >= client.later[0]:
                self._answer(client, client.later[1])
                self._turn_out(client)
            elif client.close and not client.gate.open and not client.later and now_s >= client.since_s + PROOF_S:
                self._turn_out(client)
        inside = self._inside
        if inside is not None and self._busy is None and now_s >= inside.heard_s + self._options.idle:
            self._answer(inside, [f"e-[Dropped: idle for {self._options.idle:g} s]"])
            self._turn_out(inside)

    def _heard(self, client: Client) -> None:
        data = client.read()
        if data is None:
            self._turn_out(client)
            if client.close is None:
                raise SystemExit(f"agent.py: {self._options.serial}: the serial port is gone")
            return
        client.heard_s = time.monotonic()
        if client is self._inside and self._busy is not None and re.fullmatch(r"arm .* uart", self._busy[0]) and self._child:
            now_ns = time.monotonic_ns()
            for _byte in data:
                self._child.trigger(now_ns)
            return
        for command in client.commands.feed(data):
            if client is not self._inside or (command or "").startswith("hello "):
                self._knock(client, command)
            elif command == "bye":
                self._leave()
                self._answer(client, [])
                self._turn_out(client)
            elif len(self._waiting) >= MOST_WAITING:
                self._answer(client, ["e-[Receive overflow]"])
            else:
                self._waiting.append((command, False))
            if client.later or client not in self._clients:
                return
        self._go_on()

    def _knock(self, client: Client, command: str | None) -> None:
        """Whoever is not let in yet, or begins anew."""
        if client is self._inside:
            self._leave()
            client.since_s = time.monotonic()  # the time for its proof begins anew, once: a stranger's does not
        client.asked += 1
        wrong, lines = client.gate.wrong, client.gate.answer(command)
        if client.gate.open:
            if self._inside is not None:  # it may be gone without a word; who proves the key has the right to take over
                self._inside.write(b"e-[Taken over: another client has proven the key]\r\nm-ready\r\n", patience_s=0.0)
                self._turn_out(self._inside)
            self._begin_anew()
            self._inside, self._wrong, client.asked = client, 0, 0
            self._answer(client, lines)
        elif client.gate.wrong > wrong:
            self._wrong += 1
            client.later = (time.monotonic() + penalty_s(self._wrong), lines)
            self._selector.unregister(client.fd)  # what it sends meanwhile is not read
        elif client.close and client.asked > UNPROVEN_COMMANDS:
            self._turn_out(client)
        else:
            self._answer(client, lines)

    def _answer(self, client: Client, lines: list[str]) -> None:
        if not client.write("".join(f"{line}\r\n" for line in (*lines, "m-ready")).encode()):
            self._turn_out(client)

    def _turn_out(self, client: Client) -> None:
        """A connection is closed; a serial line has to prove the key anew."""
        if client is self._inside:
            self._leave()
        was_waiting, client.later, client.gate.open = client.later is not None, None, False
        if client.close is None:
            if was_waiting:
                self._selector.register(client.fd, selectors.EVENT_READ, lambda: self._heard(client))
        elif client in self._clients:
            self._clients.remove(client)
            if not was_waiting:
                self._selector.unregister(client.fd)
            client.close()

    def _leave(self) -> None:
        """Nobody waits for a program any more, so it ends."""
        self._inside = None
        self._waiting.clear()
        if self._busy is not None:
            self._end_child()
        self._busy = None

    def _begin_anew(self) -> None:
        """As after a boot: nothing of what the client before has set or loaded is left."""
        self._end_child()
        self._kept.clear()
        self._dropped, self._uploaded, self._input_lost = "", False, False

    def _end_child(self) -> None:
        if self._child is not None:
            self._selector.unregister(self._child.channel)
            self._child.end(patience_s=0.0)
            self._child = None

    def _go_on(self) -> None:
        """The next command, where none is being served."""
        while self._busy is None and self._waiting and self._inside is not None:
            text, quiet = self._waiting.popleft()
            if text is None:
                self._answer(self._inside, ["e-[Command too long]"])
            elif self._dropped:
                why, self._dropped = self._dropped, ""
                self._answer(self._inside, [f"e-[Model dropped: {why}]"])
            elif self._input_lost and text.split()[0] in RUNS_MODEL:
                self._answer(self._inside, ["e-[Input lost: the process that held the upload has ended; load it again]"])
            elif self._child is None:
                self._start()
                self._waiting.appendleft((text, quiet))
                self._waiting.extendleft((kept, True) for kept in reversed(self._kept.values()))
            else:
                self._busy, self._reply = (text, quiet), b""
                self._child.write(text.encode("ascii", "replace") + b"%")

    def _start(self) -> None:
        self._child = child = Child(self._arguments)
        self._selector.register(child.channel, selectors.EVENT_READ, lambda: self._told(child))

    def _told(self, child: Child) -> None:
        """What the child says is passed on as it is."""
        try:
            data = child.channel.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._ended(child)
        elif self._busy is not None:
            (text, quiet), self._reply = self._busy, (self._reply + data)[-4096:]
            if not quiet and self._inside is not None and not self._inside.write(data):
                self._turn_out(self._inside)
            elif self._reply.endswith(READY):
                self._note_done(text, refused=re.search(rb"(?m)^e-\[", self._reply) is not None)
                self._busy = None
        self._go_on()

    def _note_done(self, text: str, *, refused: bool) -> None:
        """What a child holds that another one would have to be told, or could not be."""
        word = text.split(maxsplit=1)[0]
        if word in KEPT and not refused:
            self._kept[word] = text
        if word == "db" and b"m-load-done" in self._reply:
            self._uploaded, self._input_lost = True, False
        elif text.startswith("db load") and not refused:
            self._uploaded = True
        elif word == "workload" and not refused:
            self._uploaded = False
            self._input_lost = self._input_lost and self._busy == (text, True)  # its input is the client's choice, where it is no replay

    def _ended(self, child: Child) -> None:
        self._selector.unregister(child.channel)
        self._input_lost, self._uploaded = self._input_lost or self._uploaded, False
        why, self._child = child.why_gone(self._options), None
        busy, self._busy = self._busy, None
        if busy is None or busy[1]:
            self._dropped = why
            self._waiting = deque(one for one in self._waiting if not one[1])
        elif self._inside is not None:
            self._answer(self._inside, [f"e-[{why}]"])


# --- the command line


def named(given: str, default: str) -> tuple[str, str]:
    """`NAME=REST`, or the rest alone."""
    found = NAMED.fullmatch(given)
    return (found[1], found[2]) if found else (re.sub(r"[^A-Za-z0-9_-]", "_", default)[:40], given)


def models_of(options: argparse.Namespace) -> list[CallableModel | CommandModel]:
    """Raises SystemExit for what is written wrongly."""
    models: list[CallableModel | CommandModel] = []
    for given in options.callable:
        name, place = named(given, Path(given.rpartition(":")[0]).stem)
        file, colon, function = place.rpartition(":")
        if not colon or not file or not function.isidentifier():
            raise SystemExit(f"agent.py: --callable {given}: expected FILE:FUNCTION, such as model.py:infer")
        if not Path(file).is_file():
            raise SystemExit(f"agent.py: --callable {given}: there is no file {file}")
        refuse_unknown(given, file, function)
        models.append(CallableModel(name, file, function))
    for given in options.command:
        try:
            words = shlex.split(named(given, "")[1])
        except ValueError as error:
            raise SystemExit(f"agent.py: --command {given}: {error}") from None
        if not words or shutil.which(words[0]) is None:
            raise SystemExit(f"agent.py: --command {given}: {words[0] if words else 'nothing'} is no program that can be started here")
        models.append(CommandModel(*named(given, Path(words[0]).stem)))
    if not models:
        raise SystemExit("agent.py: what to run? --callable FILE:FUNCTION or --command COMMAND")
    if len({model.name for model in models}) < len(models):
        raise SystemExit("agent.py: two models have one name: give them names, --callable NAME=FILE:FUNCTION")
    return models


def refuse_unknown(given: str, file: str, function: str) -> None:
    """Without running the file: what it imports may take a minute. Raises SystemExit."""
    try:
        nodes = list(ast.walk(ast.parse(Path(file).read_bytes(), file)))
    except (OSError, SyntaxError, ValueError) as error:
        raise SystemExit(f"agent.py: --callable {given}: {file} is no Python file that can be read: {error}") from None
    functions = [node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    imported = [one.asname or one.name for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for one in node.names]
    assigned = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    if function not in {*functions, *imported, *assigned} and "*" not in imported:
        there = ", ".join(dict.fromkeys(functions)) or "none"
        raise SystemExit(f"agent.py: --callable {given}: {file} has no function {function}; there are {there}")


def pins_of(options: argparse.Namespace) -> NoPins:
    if options.pins_socket:
        return SocketPins(options.pins_socket)
    return GpioPins(options.marker_line, options.trigger_line) if options.marker_line or options.trigger_line else NoPins()


def key_of(path: str) -> bytes:
    """Raises SystemExit; no message shows any of it."""
    try:
        if Path(path).stat().st_mode & 0o077:
            raise SystemExit(f"agent.py: {path}: others may read this key: chmod 600 {path}")
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise SystemExit(f"agent.py: {path}: cannot be read: {error.strerror}; --make-key makes one") from None
    if len(key) < 32:
        raise SystemExit(f"agent.py: {path}: a key has at least 32 characters; --make-key makes one")
    return key


def make_key(path: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SystemExit(f"agent.py: {path}: no key is made: {error.strerror}") from None
    with os.fdopen(fd, "w") as file:
        file.write(secrets.token_hex(32) + "\n")


def serial_line(device: str, baud: int) -> int:
    """8N1, raw. Raises SystemExit."""
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise SystemExit(f"agent.py: --baud {baud}: this system has no such speed")
    try:
        fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(fd, termios.TCSANOW)
        attributes = termios.tcgetattr(fd)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
    except (OSError, termios.error) as error:
        raise SystemExit(f"agent.py: {device}: cannot be opened: {error}") from None
    return fd


def listener_at(place: str) -> socket.socket:
    """Raises SystemExit."""
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SystemExit(f"agent.py: --listen {place}: expected ADDRESS:PORT, such as 192.168.1.5:8471")
    host = host.strip("[]")
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SystemExit(f"agent.py: --listen {place}: {error.strerror or error}") from None


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="agent.py", description="Runs a model on this board for labd, for whoever proves the shared key.")
    add = parser.add_argument
    add("--key-file", required=True, metavar="FILE", help="the key shared with labd, readable by you alone")
    add("--make-key", action="store_true", help="write a new key to that file and end")
    add("--callable", action="append", default=[], metavar="[NAME=]FILE:FUNCTION", help="a function of a Python file; may be repeated")
    add("--command", action="append", default=[], metavar="[NAME=]COMMAND", help="a program that answers lines; may be repeated")
    add(
        "--listen", default="127.0.0.1:8471", metavar="ADDRESS:PORT", help="where to listen (default: %(default)s); port 0 takes a free one"
    )
    add("--serial", metavar="DEVICE", help="serve this serial port instead")
    add("--baud", type=int, default=115200, help="of the serial port (default: %(default)s)")
    add("--marker-line", metavar="CHIP:LINE", help="a GPIO line to show inferences on, such as gpiochip0:17; needs gpiod")
    add("--trigger-line", metavar="CHIP:LINE", help="a GPIO line whose rising edge triggers an inference; needs gpiod")
    add("--pins-socket", metavar="PATH", help="a unix socket to tell phases and marks to, and to be triggered by, in place of GPIO")
    add(
        "--input-bytes", type=int, default=0, metavar="N", help="how long made-up input data is (default: what the file's INPUT_BYTES says)"
    )
    add("--infer-limit", type=float, default=10.0, metavar="S", help="an inference that takes longer hangs (default: %(default)s s)")
    add("--load-limit", type=float, default=60.0, metavar="S", help="a load that takes longer hangs (default: %(default)s s)")
    add("--idle", type=float, default=3600.0, metavar="S", help="a client silent for so long is dropped (default: %(default)s s)")
    add("--child", metavar="FD,FD,FD", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def be_child(options: argparse.Namespace) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a parent that is killed takes its child along
    channel, note, triggers = (int(fd) for fd in options.child.split(","))
    os.set_inheritable(channel, False)
    os.set_inheritable(triggers, False)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with socket.socket(fileno=channel) as opened:
        Device(options, opened, mmap.mmap(note, mmap.PAGESIZE), triggers).serve()


def main(arguments: list[str]) -> None:
    options = options_of(arguments)
    if options.child:
        return be_child(options)
    if options.make_key:
        return make_key(options.key_file)
    agent = Agent(options, arguments, key_of(options.key_file))
    models_of(options)  # before anybody relies on it
    if (options.marker_line or options.trigger_line) and not options.pins_socket:
        GpioPins(options.marker_line, options.trigger_line).close()  # the child takes them, for as long as it lives
    if options.serial:
        agent.watch(serial_line(options.serial, options.baud))
        place = options.serial
    else:
        listener = listener_at(options.listen)
        agent.listen(listener)
        place = "{}:{}".format(*listener.getsockname()[:2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"labd agent: serving {place}\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        agent.serve()
    return None


if __name__ == "__main__":
    main(sys.argv[1:])

"""A DUT as typed operations over a link, stock MLPerf Tiny firmware and labd's own alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from labd.dut import replies
from labd.dut.errors import (
    CallableCrashed,
    CallableHung,
    DutRebooted,
    DutRefused,
    InputInDoubt,
    ModelDropped,
    NoMarker,
    StockFirmware,
    UnexpectedReply,
    WrongBuild,
)
from labd.dut.protocol import Reply
from labd.dut.replies import Build, Burnt, PeriodicDone, PhaseLap
from labd.dut.serial_link import Program, SerialLink
from labd.dut.upload import Upload, refuse_warnings
from labd.errors import DutFailure
from labd.records import Bracket, MarkStyle, Mode

ANSWER_S = 5.0  # EEMBC's default time-out
PROGRAM_MARGIN_S = 15.0  # a busy host beside the DUT's own time
INFER_S = 60.0
LONGEST_APART_S = 0.01
BYTE_BITS = 10  # 8N1
LOSES_INPUT = (DutRebooted, CallableCrashed, CallableHung, ModelDropped)
BEFORE_WINDOW = r"m-warmup-start-\d+|m-warmup-done|m-infer-start-\d+"


@dataclass(frozen=True, slots=True)
class DutIdentity:
    """Who answered. build: its timestamp mode. extensions: `labd 1` on labd's own firmware, None on stock firmware."""

    vendor: str
    profile: str
    model: str
    build: Build
    extensions: str | None


@dataclass(frozen=True, slots=True)
class Inferred:
    """What `infer` answered. latency_s: mean over the iterations by the DUT's counter, None in an energy build. sent_ns, ready_ns:
    host's monotonic clock around the whole command, warm-up and printing included.

    lap_text_s: how much of latency_s may be the printing of the first lap, which a UART without a buffer does inside the window.
    text_left_s: at most so long into the window a buffered UART still sends what was printed before it.
    """

    iterations: int
    warmups: int
    results: tuple[float, ...]
    laps_us: tuple[int, ...]
    latency_s: float | None
    sent_ns: int
    ready_ns: int
    lap_text_s: float = 0.0
    text_left_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Counter:
    """The DUT's counter, us, at some moment between sent_ns, when it was asked, and heard_ns, when its line was there (monotonic)."""

    us: int
    sent_ns: int
    heard_ns: int

    @property
    def middle_ns(self) -> int:
        return (self.sent_ns + self.heard_ns) // 2

    @property
    def half_s(self) -> float:
        """The moment lies within this of the middle."""
        return (self.heard_ns - self.sent_ns) * 0.5e-9


@dataclass(slots=True)
class Armed:
    """A device waiting for triggers. Known after the `async with`: served, how many it served, and the signatures it burnt."""

    served: int
    _link: SerialLink
    signatures: tuple[Burnt, ...] = ()

    async def poke(self) -> None:
        """Trigger by one UART byte, where armed with wake="uart"."""
        await self._link.poke()


class Device:
    """Operations on the DUT behind a link. Call `identify` first. Every method raises DutFailure (see labd.dut.errors).

    build: what the bench expects; None takes either. answer_s: for an answer that takes no inference. marker_wired: whether anything
    watches the marker, so that one has to be there.
    """

    def __init__(self, link: SerialLink, *, build: Build | None = None, answer_s: float = ANSWER_S, marker_wired: bool = True) -> None:
        self._link = link
        self._marker_wired = marker_wired
        self._wanted_build = build
        self.answer_s = answer_s
        self._identity: DutIdentity | None = None
        self._in_doubt = ""  # why it is not known what the DUT computes on
        self._loaded: bytes | None = None  # an input that a reboot would lose
        self._bracket: Bracket | None = None

    @property
    def identity(self) -> DutIdentity:
        if self._identity is None:
            raise DutFailure("the DUT has not been identified yet")
        return self._identity

    @property
    def extended(self) -> bool:
        """True on labd's own firmware, False on stock firmware (always_on only)."""
        return self.identity.extensions is not None

    async def identify(self) -> DutIdentity:
        """Get into step and ask who is there. The build is told from the banner if it was seen, else by `timestamp` (which in an
        energy build makes one pulse on the timestamp pin)."""
        with self._minding_input():
            vendor = replies.parse_name(await self._link.resync())
        if self._loaded is not None and self._link.rebooted_unseen:
            self._in_doubt = "the input is lost: the DUT rebooted before it was identified again"
        profile, model = replies.parse_profile(await self._ask("profile"))
        build = self._link.boot_build or await self._probe_build()
        if self._wanted_build is not None and build != self._wanted_build:
            raise WrongBuild(f"the DUT runs an {build} build, the bench wants {self._wanted_build}; build with EE_CFG_ENERGY_MODE changed")
        self._identity = DutIdentity(vendor, profile, model, build, await self._probe_extensions())
        return self._identity

    async def load_input(self, data: bytes, *, verify: bool = True) -> None:
        """Upload an input tensor and read it back by `db print`, in three attempts, each from the start (see labd.dut.upload). Where none
        succeeds `infer` is refused until an upload does."""
        self._in_doubt = "the upload did not come to its end"
        try:
            await Upload(self._link, self.answer_s).load(data, verify=verify)
        except DutFailure as error:
            self._in_doubt = str(error)
            raise
        self._in_doubt, self._loaded = "", data

    def holds(self, data: bytes) -> bool:
        """Whether this input is in the DUT, verified, and nothing has happened since that would lose it."""
        return self._loaded == data and not self._in_doubt

    async def infer(self, iterations: int, *, warmups: int = 0, timeout_s: float = INFER_S) -> Inferred:
        """Run a number of inferences back to back. warmups is always sent: the firmware's own default is 10."""
        if self._in_doubt:
            raise InputInDoubt(f"`infer` refused, load the input again: {self._in_doubt}")
        try:
            reply = await self._ask(f"infer {iterations} {warmups}", timeout_s=timeout_s)
            refuse_warnings(reply)
            laps = replies.parse_laps(reply)
            self._check_laps(laps)
            results = replies.parse_results(reply)
            _check_counts(reply, iterations, warmups)
        except (UnexpectedReply, DutRefused):
            self._link.doubt()
            raise
        latency_s = replies.lap_difference_us(laps[0], laps[1]) * 1e-6 / iterations if laps else None
        byte_s = BYTE_BITS / self._link.slowest_baud
        lap_text_s = replies.characters(reply, r"m-lap-us-\d+", first=True) * byte_s / iterations
        text_left_s = replies.characters(reply, BEFORE_WINDOW) * byte_s
        return Inferred(iterations, warmups, results, laps, latency_s, reply.sent_ns, reply.ready_ns, lap_text_s, text_left_s)

    async def set_mode(self, mode: Mode, *, idle_kind: str | None = None) -> None:
        """How it spends the time between inferences. idle_kind (busy_poll, wfi, clock_gated) only for always_on."""
        if mode is Mode.EVENT_GATED:
            raise DutFailure("event_gated is made by the supply, not by the firmware; the DUT cannot be set to it")
        if not self.extended and mode is Mode.ALWAYS_ON and idle_kind is None:
            return
        words = f"{mode} {idle_kind or 'wfi'}" if mode is Mode.ALWAYS_ON else str(mode)
        await self._set("mode", words)

    async def set_workload(self, model: str, *, activity: int, seed: int) -> None:
        """Choose the net (dnn or snn), make its input data (activity in percent) and make it resident."""
        await self._set("workload", f"{model} {activity} {seed}")
        self._in_doubt, self._loaded = "", None

    async def set_clock(self, hz: float) -> None:
        """Core clock from here on. A board that has no such clock refuses it (DutRefused); one that starts anew has its own again."""
        await self._set("clock", f"{round(hz)}")

    async def set_marks(self, style: MarkStyle, *, apart_s: float | None = None) -> None:
        """What the marker pin shows. apart_s: least width of the first pulse of phases (at most 10 ms), where the firmware's own 60 us are
        too short for an instrument.

        Stock firmware has pulses in an energy build and text laps in a performance build; an agent may have no marker, and its laps and the
        bursts of power stand for it where nothing is wired to one."""
        words = "off" if style is MarkStyle.TEXT else str(style)
        if not self.extended and words == ("off" if self.identity.build == "performance" else "pulses"):
            return
        try:
            await self._set("marks", words, "" if apart_s is None else f" {round(min(apart_s, LONGEST_APART_S) * 1e6)}")
        except NoMarker:
            if self._marker_wired:
                raise
            await self._set("marks", "off")

    async def set_bracket(self, bracket: Bracket | None) -> None:
        """The signature with which programs begin and end from now on; None for none, which firmware without it takes as said."""
        if bracket is None and self._bracket is None:
            return
        await self._set("bracket", "off" if bracket is None else f"{bracket.chip_us} {bracket.order} {bracket.seed}")
        self._bracket = bracket

    async def signature(self, pattern: Bracket) -> Burnt:
        """Burn one signature now."""
        text = f"signature {pattern.chip_us} {pattern.order} {pattern.seed}"
        async with self._running(text, "m-signature-start", lasting_s=pattern.lasts_s) as ended:
            pass
        (burnt,) = replies.parse_signatures(ended[0])
        return burnt

    @asynccontextmanager
    async def resting(self, seconds: float) -> AsyncIterator[None]:
        """The DUT rests, pin and UART wake blocked, from the entry on for `seconds` of its own time; leaving waits for the end. Stock
        firmware waits for a command and polls its UART meanwhile: it is sent none."""
        if not self.extended:
            yield
            return
        ms = max(1, round(seconds * 1e3))
        async with self._running(f"idle {ms}", "m-idle-start", lasting_s=ms * 1e-3) as ended:
            yield
        replies.check_idle_done(ended[0])

    async def periodic(self, count: int, period_us: int) -> PeriodicDone:
        """`count` inferences paced by the device, the first one period after the start, one period of rest after the last."""
        async with self.paced(count, period_us) as done:
            pass
        return done[0]

    @asynccontextmanager
    async def paced(self, count: int, period_us: int) -> AsyncIterator[list[PeriodicDone]]:
        """`periodic` from its start on; leaving waits for its end, and the list then holds what it did."""
        lasting_s = (count + 1) * period_us * 1e-6
        done: list[PeriodicDone] = []
        async with self._running(f"periodic {count} {period_us}", f"m-periodic-start-{count}", lasting_s=1.5 * lasting_s) as ended:
            yield done
        done.append(replies.parse_periodic_done(ended[0]))
        self._bracketed(ended[0])

    @asynccontextmanager
    async def armed(self, count: int, *, timeout_s: float, wake: str = "pin", backlog_s: float = 0.0) -> AsyncIterator[Armed]:
        """Up to `count` inferences, each triggered by a pin edge or a UART byte; leaving waits until all are served or timed out.

        timeout_s: of each event, in the device's time; the first that does not come ends it, so who leaves when all are triggered waits
        for one at most. backlog_s: and for what it still has to serve then, where triggers come faster than it serves them.
        """
        ms = max(1, round(timeout_s * 1e3))
        armed = Armed(0, self._link)
        async with self._running(f"arm {count} {ms} {wake}", f"m-arm-start-{count}", lasting_s=ms * 1e-3 + backlog_s) as ended:
            yield armed
        armed.served = replies.parse_arm_done(ended[0])
        armed.signatures = self._bracketed(ended[0])

    async def laps(self) -> tuple[PhaseLap, ...]:
        """The device's own times of the inferences since the last periodic, armed or infer began (at most the last 256)."""
        return replies.parse_phase_laps(await self._extension("laps"))

    async def counters(self, *, clear: bool = False) -> dict[str, int]:
        """infer, mac, synop, spike, neuron_update, cycles, wake, missed, boot, since they were cleared."""
        return replies.parse_stat(await self._extension("stat clear" if clear else "stat"))

    async def checksum(self) -> int:
        """Of all layer outputs of the last inference: equal on every machine that runs the same net."""
        return replies.parse_checksum(await self._extension("checksum"))

    async def _ask(self, text: str, *, timeout_s: float | None = None) -> Reply:
        with self._minding_input():
            return await self._link.command(text, timeout_s=self.answer_s if timeout_s is None else timeout_s)

    @contextmanager
    def _minding_input(self) -> Iterator[None]:
        """An uploaded input goes with a reboot, and with an agent's process that holds it."""
        try:
            yield
        except LOSES_INPUT as error:
            if self._loaded is not None:
                self._in_doubt = f"the input is lost: {error}"
            raise

    async def _extension(self, text: str) -> Reply:
        self._need_extension(text)
        return await self._ask(text)

    async def _set(self, name: str, words: str, further: str = "") -> None:
        """The device repeats what it has set, but for `further`; anything else is not what was asked for."""
        reply = await self._extension(f"{name} {words}{further}")
        if (said := replies.parse_word(reply, name)) != words:
            self._link.doubt()
            raise UnexpectedReply(f"`{name} {words}` was answered by {said!r}")

    @asynccontextmanager
    async def _running(self, text: str, start: str, *, lasting_s: float) -> AsyncIterator[list[Reply]]:
        """A program from its start line to its end; the list holds the reply afterwards."""
        self._need_extension(text)
        around_s = 0.0 if self._bracket is None else self._bracket.lasts_s
        with self._minding_input():
            program: Program = await self._link.start(text, until=start, timeout_s=self.answer_s + around_s)
        ended: list[Reply] = []
        try:
            yield ended
        except BaseException:
            program.abandon()
            raise
        with self._minding_input():
            ended.append(await program.finish(timeout_s=lasting_s + 2 * around_s + PROGRAM_MARGIN_S))

    def _bracketed(self, reply: Reply) -> tuple[Burnt, ...]:
        burnt = replies.parse_signatures(reply)
        if len(burnt) != (0 if self._bracket is None else 2):
            raise UnexpectedReply(f"`{reply.command}`: {len(burnt)} signatures, the bracket is {self._bracket}")
        return burnt

    def _need_extension(self, text: str) -> None:
        if not self.extended:
            word = text.split(maxsplit=1)[0]
            raise StockFirmware(f"the DUT runs stock MLPerf Tiny firmware, which has no `{word}` command (`{text}`): it is always_on only")

    async def counter(self) -> Counter | None:
        """A look at the board's counter; None in an energy build, which makes a pulse instead."""
        reply = await self._ask("timestamp")
        laps = replies.parse_laps(reply)
        return Counter(laps[0], reply.sent_ns, reply.lines[0].t_ns) if laps else None

    async def _probe_build(self) -> Build:
        return "energy" if await self.counter() is None else "performance"

    async def _probe_extensions(self) -> str | None:
        try:
            return replies.parse_version(await self._ask("ver"))
        except DutRefused as error:
            if "Unknown command" in error.reason:
                return None
            raise

    def _check_laps(self, laps: tuple[int, ...]) -> None:
        build = self.identity.build
        if build == "performance" and not laps:
            raise WrongBuild("`infer` gave no m-lap-us- lines although the DUT announced a performance build; is it an energy build?")
        if build == "energy" and laps:
            raise WrongBuild("`infer` gave m-lap-us- lines although the DUT announced an energy build; is it a performance build?")
        if laps and len(laps) != 2:
            raise UnexpectedReply(f"`infer` gives two m-lap-us- lines, this DUT gave {len(laps)}")


def _check_counts(reply: Reply, iterations: int, warmups: int) -> None:
    """A digit that was damaged on its way would make another mean."""
    if (did := replies.parse_infer(reply)) != (iterations, warmups):
        raise UnexpectedReply(f"`{reply.command}`: the DUT says that it made {did[0]} inferences after {did[1]} warm-ups")

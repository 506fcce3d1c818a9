"""A DUT as typed operations over a link, stock MLPerf Tiny firmware and labd's own alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from labd.dut import replies
from labd.dut.errors import DutRefused, StockFirmware, UnexpectedReply, WrongBuild
from labd.dut.protocol import Reply, upload_commands
from labd.dut.replies import Build, PeriodicDone, PhaseLap
from labd.dut.serial_link import Program, SerialLink
from labd.errors import DutFailure
from labd.records import MarkStyle, Mode

ANSWER_S = 5.0  # EEMBC's default time-out
PROGRAM_MARGIN_S = 15.0  # a busy host beside the DUT's own time
INFER_S = 60.0
UPLOAD_TRIES = 2


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
    host's monotonic clock around the whole command, warm-up and printing included."""

    iterations: int
    warmups: int
    results: tuple[float, ...]
    laps_us: tuple[int, ...]
    latency_s: float | None
    sent_ns: int
    ready_ns: int


@dataclass(slots=True)
class Armed:
    """A device waiting for triggers. served: how many it served, known after the `async with`."""

    served: int
    _link: SerialLink

    async def poke(self) -> None:
        """Trigger by one UART byte, where armed with wake="uart"."""
        await self._link.poke()


class Device:
    """Operations on the DUT behind a link. Call `identify` first. Every method raises DutFailure (see labd.dut.errors).

    build: what the bench expects; None takes either.
    """

    def __init__(self, link: SerialLink, *, build: Build | None = None, answer_s: float = ANSWER_S) -> None:
        self._link = link
        self._wanted_build = build
        self._answer_s = answer_s
        self._identity: DutIdentity | None = None

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
        vendor = replies.parse_name(await self._link.resync())
        profile, model = replies.parse_profile(await self._ask("profile"))
        build = self._link.boot_build or await self._probe_build()
        if self._wanted_build is not None and build != self._wanted_build:
            raise WrongBuild(f"the DUT runs an {build} build, the bench wants {self._wanted_build}; build with EE_CFG_ENERGY_MODE changed")
        self._identity = DutIdentity(vendor, profile, model, build, await self._probe_extensions())
        return self._identity

    async def load_input(self, data: bytes, *, verify: bool = True) -> None:
        """Upload an input tensor, 26 bytes a line, and read it back by `db print`. Tried twice, from the start each time: the
        protocol has no way to repair a lost line."""
        for left in reversed(range(UPLOAD_TRIES)):
            try:
                await self._upload(data, verify=verify)
            except (UnexpectedReply, DutRefused):
                if not left:
                    raise
            else:
                return

    async def infer(self, iterations: int, *, warmups: int = 0, timeout_s: float = INFER_S) -> Inferred:
        """Run a number of inferences back to back. warmups is always sent: the firmware's own default is 10."""
        reply = await self._ask(f"infer {iterations} {warmups}", timeout_s=timeout_s)
        self._refuse_warnings(reply)
        results = replies.parse_results(reply)
        laps = replies.parse_laps(reply)
        self._check_laps(laps)
        latency_s = replies.lap_difference_us(laps[0], laps[1]) * 1e-6 / iterations if laps else None
        return Inferred(iterations, warmups, results, laps, latency_s, reply.sent_ns, reply.ready_ns)

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

    async def set_marks(self, style: MarkStyle) -> None:
        """What the marker pin shows. Stock firmware has pulses in an energy build and text laps in a performance build."""
        words = "off" if style is MarkStyle.TEXT else str(style)
        if not self.extended and words == ("off" if self.identity.build == "performance" else "pulses"):
            return
        await self._set("marks", words)

    @asynccontextmanager
    async def resting(self, seconds: float) -> AsyncIterator[None]:
        """The DUT rests, pin and UART wake blocked, from the entry on for `seconds` of its own time; leaving waits for the end."""
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

    @asynccontextmanager
    async def armed(self, count: int, *, timeout_s: float, wake: str = "pin") -> AsyncIterator[Armed]:
        """Up to `count` inferences, each triggered by a pin edge or a UART byte; leaving waits until all are served or timed out.

        timeout_s: of each event, in the device's time.
        """
        ms = max(1, round(timeout_s * 1e3))
        armed = Armed(0, self._link)
        async with self._running(f"arm {count} {ms} {wake}", f"m-arm-start-{count}", lasting_s=count * ms * 1e-3) as ended:
            yield armed
        armed.served = replies.parse_arm_done(ended[0])

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
        return await self._link.command(text, timeout_s=self._answer_s if timeout_s is None else timeout_s)

    async def _extension(self, text: str) -> Reply:
        self._need_extension(text)
        return await self._ask(text)

    async def _set(self, name: str, words: str) -> None:
        """The device repeats what it has set; anything else is not what was asked for."""
        reply = await self._extension(f"{name} {words}")
        if (said := replies.parse_word(reply, name)) != words:
            raise UnexpectedReply(f"`{name} {words}` was answered by {said!r}")

    @asynccontextmanager
    async def _running(self, text: str, start: str, *, lasting_s: float) -> AsyncIterator[list[Reply]]:
        """A program from its start line to its end; the list holds the reply afterwards."""
        self._need_extension(text)
        program: Program = await self._link.start(text, until=start, timeout_s=self._answer_s)
        ended: list[Reply] = []
        try:
            yield ended
        except BaseException:
            program.abandon()
            raise
        ended.append(await program.finish(timeout_s=lasting_s + PROGRAM_MARGIN_S))

    def _need_extension(self, text: str) -> None:
        if not self.extended:
            word = text.split(maxsplit=1)[0]
            raise StockFirmware(f"the DUT runs stock MLPerf Tiny firmware, which has no `{word}` command (`{text}`): it is always_on only")

    async def _probe_build(self) -> Build:
        return "performance" if replies.parse_laps(await self._ask("timestamp")) else "energy"

    async def _probe_extensions(self) -> str | None:
        try:
            return replies.parse_version(await self._ask("ver"))
        except DutRefused as error:
            if "Unknown command" in error.reason:
                return None
            raise

    async def _upload(self, data: bytes, *, verify: bool) -> None:
        load, *lines = upload_commands(data)
        reply = await self._ask(load)
        self._refuse_warnings(reply)
        if (expected := replies.parse_expecting(reply)) != len(data):
            raise UnexpectedReply(f"`{load}`: the DUT expects {expected} bytes")
        for number, line in enumerate(lines, start=1):
            reply = await self._ask(line)
            self._refuse_warnings(reply)
            if replies.load_is_done(reply) != (number == len(lines)):
                raise UnexpectedReply(f"upload line {number} of {len(lines)}: m-load-done at the wrong place; bytes were lost")
        if verify:
            await self._verify(data)

    async def _verify(self, data: bytes) -> None:
        held = replies.parse_buffer(await self._ask("db print", timeout_s=self._answer_s + len(data) * 4e-3))
        if held != data:
            first = next((k for k, (a, b) in enumerate(zip(held, data, strict=False)) if a != b), min(len(held), len(data)))
            raise UnexpectedReply(f"the DUT holds other data than was uploaded, from byte {first} of {len(data)} on")

    def _refuse_warnings(self, reply: Reply) -> None:
        """Between `db load` and results a line without a prefix means that the inference ran on other data."""
        if reply.warnings:
            raise UnexpectedReply(f"`{reply.command}`: the DUT says {reply.warnings[0]!r}; what it computes on is not certain")

    def _check_laps(self, laps: tuple[int, ...]) -> None:
        build = self.identity.build
        if build == "performance" and not laps:
            raise WrongBuild("`infer` gave no m-lap-us- lines although the DUT announced a performance build; is it an energy build?")
        if build == "energy" and laps:
            raise WrongBuild("`infer` gave m-lap-us- lines although the DUT announced an energy build; is it a performance build?")
        if laps and len(laps) != 2:
            raise UnexpectedReply(f"`infer` gives two m-lap-us- lines, this DUT gave {len(laps)}")

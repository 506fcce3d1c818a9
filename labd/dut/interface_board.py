"""The interface board of MLPerf Tiny's energy mode: its own commands, apart from those it passes on to the DUT.

Source: the open firmware of mlcommons/tiny for the STM32H573I-DK.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

from labd.dut.dialect import RELAYED_BAUDS, BoardItself
from labd.dut.errors import UnexpectedReply
from labd.dut.protocol import Reply
from labd.dut.replies import find
from labd.dut.serial_link import SerialLink
from labd.errors import DutFailure

ANSWER_S = 5.0
RESET_S = 15.0  # after `setbaud`: it writes its flash and boots
TICK_S = 10e-6  # of the duty cycle's times, whatever their heading says
FRAMES_KEPT = 100
DETECTIONS_KEPT = 10_000
DETECTION_S = 10e-3  # detections nearer than that are one

_ITSELF = BoardItself()


@dataclass(frozen=True, slots=True)
class DutyCycle:
    """The DUT's processing pin. rises_s, falls_s: on the board's clock, to TICK_S. cut: it kept the first frames only."""

    rises_s: tuple[float, ...]
    falls_s: tuple[float, ...]
    cut: bool

    @property
    def share(self) -> float:
        """On-time over time, of whole periods. Raises DutFailure for fewer than two frames."""
        if len(self.rises_s) < 2 or self.rises_s[-1] <= self.rises_s[0]:
            raise DutFailure(f"a duty cycle needs two frames, the interface board saw {len(self.rises_s)}")
        on_s = sum(fall - rise for rise, fall in zip(self.rises_s[:-1], self.falls_s, strict=False))
        return on_s / (self.rises_s[-1] - self.rises_s[0])

    @property
    def u_share(self) -> float:
        """Standard uncertainty by the tick alone: each on-time is the difference of two rounded edges."""
        count = len(self.rises_s) - 1
        return TICK_S * math.sqrt(count / 6) / (self.rises_s[-1] - self.rises_s[0])


class InterfaceBoard:
    """Operations of the board itself. link: with the dialect of the DUT behind it. Raises DutFailure."""

    def __init__(self, link: SerialLink, *, answer_s: float = ANSWER_S) -> None:
        self._link = link
        self._answer_s = answer_s

    async def identify(self) -> str:
        """Its name, in step with it; asks nothing of the DUT. Raises OtherDevice where no interface board answers."""
        reply = await self._link.resync(timeout_s=self._answer_s, to=_ITSELF)
        return next(text for text in reply.texts if text)

    async def baud(self) -> int:
        """Of its line to the DUT."""
        return int(find(await self._ask("checkbaud"), r"baud is: (\d{1,10})", "baud is: N")[1])

    async def use_baud(self, baud: int) -> bool:
        """Set its line to the DUT, only where it has another: each time wears its flash and resets it. True when it did."""
        if baud not in RELAYED_BAUDS:
            raise DutFailure(f"{baud} baud to the DUT: expected one of {', '.join(map(str, RELAYED_BAUDS))}")
        if await self.baud() == baud:
            return False
        find(await self._ask(f"setbaud {baud}"), rf"set baud to: {baud}", f"set baud to: {baud}")
        await self._link.resync(timeout_s=RESET_S, to=_ITSELF)
        if (found := await self.baud()) != baud:
            raise UnexpectedReply(f"`setbaud {baud}` left the interface board at {found} baud to its DUT")
        return True

    async def record_detections(self) -> None:
        """Forget earlier detections and begin to record falling edges of the wake-word line."""
        await self._ask("record_detections")

    async def detections(self) -> tuple[float, ...]:
        """Times in seconds, in order, DETECTION_S apart or more. DETECTIONS_KEPT of them mean that later ones were lost."""
        reply = await self._ask("print_detections")
        rows = [text.strip().removesuffix(",") for text in reply.texts if text.strip()]
        times = [row for row in rows if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", row)]
        if wrong := [row for row in rows[1:] if row not in times]:
            raise UnexpectedReply(f"`{reply.command}`: not a time in ms: {wrong[0]!r}")
        return tuple(_ascending([float(row) * 1e-3 for row in times], reply))

    async def duty_cycle(self) -> DutyCycle:
        """Rising, then falling edges of the processing pin since it last began to record."""
        reply = await self._ask("print_dutycycle")
        ticks = [int(word) for text in reply.texts for word in _ticks(text, reply)]
        half = (len(ticks) + 1) // 2
        rises, falls = (_ascending([tick * TICK_S for tick in part], reply) for part in (ticks[:half], ticks[half:]))
        late = any(fall < rise for rise, fall in zip(rises, falls, strict=False))
        if late or any(rise < fall for fall, rise in zip(falls, rises[1:], strict=False)):
            raise UnexpectedReply(f"`{reply.command}`: rising and falling edges do not alternate; a line was lost")
        return DutyCycle(tuple(rises), tuple(falls), cut=len(rises) >= FRAMES_KEPT)

    async def _ask(self, text: str) -> Reply:
        return await self._link.command(text, timeout_s=self._answer_s, to=_ITSELF)


def _ticks(text: str, reply: Reply) -> list[str]:
    """The numbers of a line; none of a heading."""
    words = text.replace(",", " ").split()
    if any(re.search(r"[a-zA-Z]", word) for word in words):
        return []
    if wrong := [word for word in words if not re.fullmatch(r"\d{1,15}", word)]:
        raise UnexpectedReply(f"`{reply.command}`: not a number of ticks: {wrong[0]!r}")
    return words


def _ascending(times_s: list[float], reply: Reply) -> list[float]:
    if any(later < earlier for earlier, later in itertools.pairwise(times_s)):
        raise UnexpectedReply(f"`{reply.command}`: times that are not in order; a line was lost or the recording began anew")
    return times_s

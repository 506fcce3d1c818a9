"""The host fires the inferences of a capture: the device is armed, and a process of its own keeps the instants."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from labd.bench.expand import CapturePlan
from labd.bench.seen_line import gates, seen
from labd.dut.device import Device
from labd.dut.lines import Line
from labd.records import HostGates
from labd.trigger.firing import Target
from labd.trigger.jitter import Jitter, jitter
from labd.trigger.process import Trigger

WAITS_S = 2.0  # that the armed device waits longer than the longest gap: a host that is late costs no event


@dataclass(frozen=True, slots=True)
class HostTrigger:
    """How this host fires the board. wake: what the device is armed for. target: what is fired on, once the board's lines are connected.
    seen: a line on which the board shows its inferences to this host, None where there is none."""

    wake: Literal["pin", "uart"]
    target: Callable[[], Target]
    seen: Callable[[], Line | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Fired:
    """served: inferences that the device says it made. crowded: instants that came sooner after another than the longest event takes.
    gates: what this host saw of them, None where it sees nothing."""

    served: int
    jitter: Jitter
    crowded: int = 0
    gates: HostGates | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """What is told with every figure of the capture."""
        unserved = self.jitter.fired - self.served
        found = (
            f"{self.jitter.missed} deadlines missed by the host" if self.jitter.missed else "",
            f"{unserved} triggers not served by the board" if unserved else "",
            f"{self.crowded} arrivals came before the board's longest event had passed: it may have served them late"
            if self.crowded
            else "",
        )
        return tuple(text for text in found if text)


async def fire(device: Device, how: HostTrigger, process: Trigger, plan: CapturePlan, *, longest_event_s: float) -> Fired:
    """All instants of a capture. Raises DutFailure."""
    target = how.target()
    gaps_ns = [b - a for a, b in itertools.pairwise((0, *plan.offsets_ns))]
    timeout_s, backlog_s = max(gaps_ns) * 1e-9 + WAITS_S, plan.events * longest_event_s
    async with seen(how.seen()) as shown, device.armed(plan.events, timeout_s=timeout_s, wake=how.wake, backlog_s=backlog_s) as armed:
        firings = await process.fire(target, plan.offsets_ns, late_ns=plan.late_ns)
    return Fired(
        armed.served,
        jitter(firings, plan.events, plan.late_ns, process.footing),
        crowded(plan.offsets_ns, longest_event_s=longest_event_s),
        None if shown is None else gates(shown, firings),
    )


def crowded(offsets_ns: Sequence[int], *, longest_event_s: float) -> int:
    """How many instants come sooner after another than a board that serves one event at a time is sure to be ready again."""
    return sum((b - a) < longest_event_s * 1e9 for a, b in itertools.pairwise(offsets_ns))

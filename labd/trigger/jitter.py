"""How well the instants were met: planned against done. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labd.trigger.firing import Firing, Footing, Missed

P99_FROM = 100  # with fewer the 99th percentile is the largest of them


@dataclass(frozen=True, slots=True)
class Jitter:
    """Of one capture, seconds. fired of planned; late, skipped and not_taken are the missed deadlines by kind.

    mean_s, p99_s, worst_s: from the planned instant to the beginning of the call that fires, None where too few were fired to say
    (p99_s: fewer than 100). longest_call_s: of that call, within which the line moved. limit_s: beyond it a firing is late.
    footing: what the system let the process have.
    """

    planned: int
    fired: int
    late: int
    skipped: int
    not_taken: int
    mean_s: float | None
    p99_s: float | None
    worst_s: float | None
    longest_call_s: float | None
    limit_s: float
    footing: str = ""

    @property
    def missed(self) -> int:
        return self.late + self.skipped + self.not_taken

    @property
    def text(self) -> str:
        """One sentence for a report."""
        told = [f"fired {self.fired} of {self.planned}"]
        if self.mean_s is not None and self.worst_s is not None:
            p99 = f"needs n >= {P99_FROM}" if self.p99_s is None else _us(self.p99_s)
            told.append(f"late by {_us(self.mean_s)} in the mean, p99 {p99}, worst {_us(self.worst_s)}")
        kinds = [f"{count} {kind}" for kind, count in self._kinds() if count]
        told.append(f"missed deadlines: {self.missed}" + (f" ({', '.join(kinds)})" if kinds else ""))
        return "; ".join((*told, *([self.footing] if self.footing else [])))

    def _kinds(self) -> tuple[tuple[Missed, int], ...]:
        return (Missed.LATE, self.late), (Missed.SKIPPED, self.skipped), (Missed.NOT_TAKEN, self.not_taken)


def jitter(firings: Sequence[Firing], planned: int, limit_ns: int, footing: Footing | None = None) -> Jitter:
    """planned: how many there were to be; those that nobody came to (a cancelled capture) are neither fired nor missed."""
    late_ns = sorted(firing.late_ns for firing in firings if firing.fired)
    calls_ns = [firing.done_ns - firing.began_ns for firing in firings if firing.fired]
    kinds = [firing.missed for firing in firings]
    return Jitter(
        planned=planned,
        fired=len(late_ns),
        late=kinds.count(Missed.LATE),
        skipped=kinds.count(Missed.SKIPPED),
        not_taken=kinds.count(Missed.NOT_TAKEN),
        mean_s=sum(late_ns) / len(late_ns) * 1e-9 if late_ns else None,
        p99_s=late_ns[math.ceil(0.99 * len(late_ns)) - 1] * 1e-9 if len(late_ns) >= P99_FROM else None,
        worst_s=late_ns[-1] * 1e-9 if late_ns else None,
        longest_call_s=max(calls_ns) * 1e-9 if calls_ns else None,
        limit_s=limit_ns * 1e-9,
        footing="" if footing is None else footing.text,
    )


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} us"

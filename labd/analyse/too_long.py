"""Events that last longer than the board file says: what rests on that key, and what should stand there."""

from __future__ import annotations

from collections.abc import Sequence

from labd.analyse.wording import section
from labd.config.quantity import TIME, write_quantity
from labd.kpi.capture import CaptureResult
from labd.store.rows import RunRow

ROOM = 1.1  # over the longest that was seen
TOLD = "longest_event"


def too_long(run: RunRow, results: Sequence[CaptureResult], bound_s: float) -> str:
    """A sentence for who wrote the board file; empty where no event is longer than it says, or it does not say. bound_s: what it says."""
    found = [result for result in results if result.longer_than_bound_s]
    if not found:
        return ""
    least: dict[tuple[str, str], CaptureResult] = {}  # at high rates several events make one burst
    for result in sorted(found, key=lambda one: one.longer_than_bound_s):
        least.setdefault((result.point.mode, result.point.model), result)
    longest = max(least.values(), key=lambda result: result.longer_than_bound_s)
    file = section(run.bench_effective, "board").get("file", "the board file")
    lasts_s = longest.longer_than_bound_s
    most_s = float(f"{lasts_s * ROOM:.2g}")
    return (
        f"{file}: {TOLD} = {_said(bound_s)} is too short: in {len(found)} of {len(results)} captures a burst lasts longer, an event of "
        f"{longest.point.mode} up to {_said(lasts_s)} ({longest.key}). Captures are cut by it and rates allowed by it, so that events "
        f'overlap or are missed: write {TOLD} = "{_said(most_s)}" or more, or find out what keeps the board awake, and run again'
    )


def _said(seconds: float) -> str:
    return write_quantity(float(f"{seconds:.3g}"), TIME)

"""What of stock firmware needs two captures: its energy above that of the board waiting for a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labd.kpi.capture import CaptureResult
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate, published, withheld
from labd.kpi.floors import bracketed
from labd.kpi.terms import Terms
from labd.records import KpiRecord, Mode, Role

NET = "energy_per_inference.net_of_idle"
STOCK_ONLY = "stock firmware is always_on only"
OTHER_MODES = "a break-even needs an event mode: flash labd's firmware (folder firmware/), which has them"
IDLE = "idle: the board waiting for a command, by its floor captures"


def net_of_idle(captures: Sequence[CaptureResult], *, terms: Terms, draws: Draws) -> tuple[list[CaptureResult], list[KpiRecord]]:
    """The captures, those of stock firmware with `net_of_idle` among their estimates, and the records of it: gross energy less what the
    board draws while it waits, over as long as an inference takes. One range's offset is in both and cancels where they share it."""
    out: list[CaptureResult] = []
    records: list[KpiRecord] = []
    for capture in captures:
        gross, lasts = (capture.estimates.get(kpi) for kpi in ("energy_per_inference.gross", "latency.pin.mean"))
        floors = _floors(captures, capture)
        if not capture.stock or gross is None or lasts is None:
            out.append(capture)
        elif not floors:
            out.append(capture)
            records.append(withheld(NET, capture.point.key, reason="needs rate 0", captures=(capture.key,), flags=capture.flags))
        else:
            keys = (capture.key, *(floor.key for floor in floors))
            idle_w = bracketed(floors, capture.point.key, terms=terms)
            value = terms.adopt(gross.value) - idle_w * terms.adopt(lasts.value)
            net = Estimate(NET, capture.point.key, value, gross.n, capture.flags, note=IDLE)
            out.append(replace(capture, estimates={**capture.estimates, NET: net}))
            records.append(published(net, draws=draws, captures=keys))
    return out, records


def no_break_even(captures: Sequence[CaptureResult], suffix: str) -> list[KpiRecord]:
    """A refusal by name, where the board has stock firmware."""
    own = tuple(capture.key for capture in captures if capture.stock)
    at = f"{Mode.ALWAYS_ON}|{Mode.EVENT_SLEEP}{suffix}"
    return [withheld("break_even_rate", at, reason=STOCK_ONLY, captures=own, note=OTHER_MODES)] if own else []


def _floors(captures: Sequence[CaptureResult], of: CaptureResult) -> list[CaptureResult]:
    return [c for c in captures if c.role is Role.FLOOR and c.point.key == of.point.key and "power.floor" in c.estimates]

"""Draws the energy of one event as a bar stacked from its phases, one bar a mode."""

from __future__ import annotations

from labd.report import axes, svg
from labd.report.axes import Frame, Linear
from labd.report.catalogue import MODES, PHASES, curve_label
from labd.report.data import PhaseEnergy, RunReport
from labd.report.numbers import show, value_of
from labd.report.svg import Markup

_BAR, _ROW = 30.0, 58.0


def bars(report: RunReport) -> dict[str, list[PhaseEnergy]]:
    """Phases with a value per curve, in the order in which an event runs through them."""
    found: dict[str, list[PhaseEnergy]] = {}
    for item in sorted(report.phase_energies, key=lambda e: PHASES.index(e.phase)):
        if value_of(item.energy) is not None:
            found.setdefault(item.curve, []).append(item)
    return found


def draw(report: RunReport, width: int) -> Markup:
    """One horizontal bar a mode; a phase that came out negative is left out of the bar and named in the table under it."""
    rows = bars(report)
    totals = [sum(max(e.energy.value or 0.0, 0.0) for e in row) for row in rows.values()]
    height = 16 + _ROW * len(rows) + 46
    frame = Frame(12, 12, width - 12, height - 46)
    x = axes.linear(totals, frame.left, frame.right, from_zero=True)
    about = 8 if width > 500 else 4
    parts = [axes.x_axis(x, frame, "Energy per event", "J", about)]
    parts += [stack(row, curve_label(report, key), x, frame=frame, top=frame.top + _ROW * k) for k, (key, row) in enumerate(rows.items())]
    return svg.figure(f"phases-{width}", *parts, width=width, height=height, title="Energy per phase of one event", desc=describe(rows))


def describe(rows: dict[str, list[PhaseEnergy]]) -> str:
    return "; ".join(f"{MODES[row[0].mode]}: " + ", ".join(f"{e.phase} {show(e.energy)}" for e in row) for row in rows.values()) + "."


def stack(row: list[PhaseEnergy], name: str, x: Linear, *, frame: Frame, top: float) -> Markup:
    parts = [svg.text(frame.left, top + 14, name, class_="strong")]
    at = 0.0
    for item in row:
        value = max(item.energy.value or 0.0, 0.0)
        a, b = x.at(at), x.at(at + value)
        parts.append(svg.rect(a, top + 20, b - a, _BAR, class_=f"bar p-{item.phase}"))
        if b - a > svg.text_width(item.phase, 11.0) + 4:
            parts.append(svg.text((a + b) / 2, top + 20 + _BAR / 2 + 4, item.phase, class_="small strong", anchor="middle"))
        at += value
    return svg.join(parts)

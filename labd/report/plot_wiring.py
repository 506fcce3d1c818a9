"""Draws the bench: instruments and links at the left, the DUT inside its boundary plane at the right, every wire with its isolation."""

from __future__ import annotations

from dataclasses import dataclass

from labd.report import svg
from labd.report.data import NOT_DISCLOSED, BenchFacts, BoardFacts, InstrumentFacts
from labd.report.svg import Markup

_SIZE, _LEADING = 12.0, 15.0


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection to the DUT: what it does at the bench's end, its label, and the DUT's terminal."""

    style: str
    origin: str
    label: str
    terminal: str
    into_dut: bool = True


@dataclass(frozen=True, slots=True)
class Box:
    """One thing outside the boundary: its title, a line under it, and the wires that leave it."""

    title: str
    detail: str
    wires: tuple[Wire, ...]


def draw(bench: BenchFacts, board: BoardFacts, width: int) -> Markup:
    """`width` in pixels; labels are broken to the room between the boxes."""
    left, right = (200.0, 190.0) if width > 600 else (104.0, 84.0)
    start, end = 6 + left, width - 22 - right
    y, parts = 34.0, []
    for box in boxes(bench):
        drawn, y = outside(box, y, left, (start, end))
        parts.append(drawn)
    bottom = max(y, 190.0)
    parts.insert(0, dut(board, (end, width - 8.0), bottom))
    return svg.figure(
        f"wiring-{width}",
        *parts,
        width=width,
        height=bottom + 26,
        title="Boundary plane and wiring",
        desc=describe(bench, board),
        class_="wiring",
    )


def describe(bench: BenchFacts, board: BoardFacts) -> str:
    """The drawing in words."""
    wires = [f"{box.title}: {wire.label} to {wire.terminal}" for box in boxes(bench) for wire in box.wires]
    return f"{board.name} inside the boundary plane. {bench.boundary} " + "; ".join(wires) + "."


def boxes(bench: BenchFacts) -> list[Box]:
    """Instruments in the order of the meters, then links, then lines that belong to neither."""
    order = {name: k for k, name in enumerate(bench.meter_order)}
    found = [instrument_box(bench, item) for item in sorted(bench.instruments, key=lambda i: order.get(i.name, len(order)))]
    for link in bench.links:
        extra = f", idle {link.idle.replace('_', '-')}" if link.idle else ""
        label = f"{link.kind}, {link.io_level or NOT_DISCLOSED}, isolation: {link.isolation or NOT_DISCLOSED}{extra}"
        found.append(Box(link.name, link.detail or "DUT link", (Wire("wire", "", label, link.kind.upper()),)))
    names = {i.name for i in bench.instruments}
    loose = [line for line in bench.lines if not {head(line.origin), head(line.target)} & names]
    found += [Box(head(n.origin), "line", (Wire("wire", n.origin, line_label(n.name, n.level, n.isolation), n.target),)) for n in loose]
    return found


def instrument_box(bench: BenchFacts, item: InstrumentFacts) -> Box:
    """Its supply path first (heavy), then each line that starts or ends at it."""
    wires = []
    if "source" in item.roles or item.name in bench.meter_order:
        verb = (
            "feeds and measures"
            if len(set(item.roles) & {"source", "meter"}) == 2
            else "feeds"
            if "source" in item.roles
            else "measures, in series"
        )
        leads = f", leads {item.lead_resistance} each way" if item.lead_resistance else ""
        wires.append(Wire("supply", verb, f"{verb}: {item.sense or 'sense ' + NOT_DISCLOSED}{leads}", "VDD, GND"))
    for line in bench.lines:
        if head(line.origin) == item.name:
            wires.append(Wire("wire", line.origin, line_label(line.name, line.level, line.isolation), tail(line.target)))
        elif head(line.target) == item.name:
            wires.append(Wire("wire", line.target, line_label(line.name, line.level, line.isolation), tail(line.origin), into_dut=False))
    name = " ".join(part for part in (item.maker.split(" ")[0], item.model) if part) or item.driver
    return Box(item.name, name + (" (virtual)" if item.virtual else ""), tuple(wires))


def line_label(name: str, level: str, isolation: str) -> str:
    return f"{name}, {level or NOT_DISCLOSED}, isolation: {isolation or NOT_DISCLOSED}"


def head(terminal: str) -> str:
    return terminal.partition(".")[0]


def tail(terminal: str) -> str:
    return terminal.rpartition(".")[2]


def outside(box: Box, top: float, width: float, room: tuple[float, float]) -> tuple[Markup, float]:
    """The box, its wires one under the other, and the y under which the next box may start."""
    inner = room[1] - room[0] - 24
    y, parts = top, []
    for wire in box.wires:
        lines = svg.wrap(wire.label, inner, 11.0)
        y += _LEADING * len(lines)
        parts += [svg.text(room[0] + 12, y - _LEADING * (len(lines) - 1 - k), part, class_="small") for k, part in enumerate(lines)]
        y += 7
        parts += [
            svg.line(room[0], y, room[1], y, class_=wire.style),
            arrow(room[1] if wire.into_dut else room[0], y, 1 if wire.into_dut else -1),
        ]
        parts.append(svg.text(room[1] + 12, y + 4, svg.shorten(wire.terminal, 74, 11.0), class_="small strong"))
        y += 10
    details = svg.wrap(box.detail, width - 16, 11.0)
    bottom = max(y + 4, top + 30 + _LEADING * len(details))
    parts.append(svg.rect(6, top, width, bottom - top, class_="box", rx=6))
    parts.append(svg.text(14, top + 20, svg.shorten(box.title, width - 16), class_="strong"))
    parts += [svg.text(14, top + 20 + _LEADING * (k + 1), part, class_="small") for k, part in enumerate(details)]
    return svg.join(parts), bottom + 16


def arrow(x: float, y: float, way: int) -> Markup:
    return svg.path([(x, y), (x - 8 * way, y - 4), (x - 8 * way, y + 4)], class_="arrow", closed=True)


def dut(board: BoardFacts, room: tuple[float, float], bottom: float) -> Markup:
    """The dashed boundary plane with the DUT in it."""
    left, right = room
    plane = svg.rect(left, 20, right - left, bottom - 8, class_="plane", rx=8)
    name = svg.text(right, 14, "boundary plane", class_="small strong", anchor="end")
    wide = right - left > 120
    x, inner = (left + 84, right - left - 92) if wide else (left + 12, right - left - 16)
    words = [(board.name, "strong")] + [(part, "small") for part in (*board.inside, board.supply, board.clock) if part]
    if not wide:
        words = words[:1]
    y, parts = (42.0 if wide else bottom - 4), []
    for content, style in words:
        for part in svg.wrap(content, inner, 11.0):
            parts.append(svg.text(x, y, part, class_=style))
            y += _LEADING
    return svg.join([plane, name, *parts])

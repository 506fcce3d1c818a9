"""Scales from data to pixels with round ticks, and the frame with grid and labels that the plots share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labd.report import svg
from labd.report.numbers import choose_scale, joined, quantity
from labd.report.svg import Markup


@dataclass(frozen=True, slots=True)
class Linear:
    """low..high mapped onto start..end pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 6) -> list[float]:
        """Round numbers inside the range, 1, 2 or 5 times a power of ten apart."""
        step = round_step((self.high - self.low) / max(about, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        slack = 1e-6 * (self.high - self.low)  # far from zero a number has no digits left for more
        return [v for v in (k * step for k in range(first, last + 1)) if self.low - slack <= v <= self.high + slack]


@dataclass(frozen=True, slots=True)
class Log:
    """low..high (both > 0) mapped onto start..end pixels by their logarithms; what lies at or below 0 has no place: see `at`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Pixel of `value`; a value at or below `low` lies on the axis' end (the plots say so in words where it happens)."""
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 6) -> list[float]:
        """Powers of ten, with 2 and 5 between them when there is room."""
        first, last = math.floor(math.log10(self.low) + 1e-9), math.ceil(math.log10(self.high) - 1e-9)
        decades = max(last - first, 1)
        steps = (1, 2, 5) if decades * 3 <= about + 2 else (1,)
        skip = max(1, math.ceil(decades / max(about, 1)))
        every = [m * 10.0**k for k in range(first, last + 1, skip) for m in steps]
        return [v for v in every if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]


Scaling = Linear | Log


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area of one plot, in pixels."""

    left: float
    top: float
    right: float
    bottom: float


def round_step(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten that is not less than `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= step * (1 - 1e-9))


def linear(values: Iterable[float], start: float, end: float, *, from_zero: bool = False, margin: float = 0.05) -> Linear:
    """A linear scale that holds the finite values with a margin; a single value gets room around it."""
    finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * margin or abs(high) * margin or 1.0
    return Linear(low if from_zero and low == 0 else low - room, high + room, start, end)


def log(values: Iterable[float], start: float, end: float, *, margin: float = 0.06) -> Log:
    """A logarithmic scale that holds the finite values above 0 with a margin."""
    positive = [v for v in values if math.isfinite(v) and v > 0] or [1.0, 10.0]
    low, high = min(positive), max(positive)
    room = max((high / low) ** margin, 1.05)
    return Log(low / room, high * room, start, end)


def shared_labels(values: Sequence[float], unit: str) -> tuple[list[str], str]:
    """Tick labels in one common prefix, and that unit for the axis title."""
    scale = choose_scale(unit, max((abs(v) for v in values), default=0.0))
    return [f"{round(v / scale.factor, 9):g}".replace("-", "−") for v in values], scale.symbol


def x_axis(scale: Scaling, frame: Frame, title: str, unit: str, about: int = 6) -> Markup:
    """Vertical grid lines, tick labels and the title under the frame. Log axes label each tick with its own prefix."""
    ticks = scale.ticks(about)
    labels, symbol = tick_texts(scale, ticks, unit)
    parts = [svg.line(scale.at(v), frame.top, scale.at(v), frame.bottom, class_="grid") for v in ticks]
    parts += [svg.text(scale.at(v), frame.bottom + 16, t, class_="tick", anchor="middle") for v, t in zip(ticks, labels, strict=True)]
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text(middle, frame.bottom + 34, titled(title, symbol), class_="axis", anchor="middle"))
    return svg.join(parts)


def y_axis(scale: Scaling, frame: Frame, title: str, unit: str, about: int = 5, *, title_y: float | None = None) -> Markup:
    """Horizontal grid lines, tick labels left of the frame, and the title above its left end, where it reads without turning."""
    ticks = scale.ticks(about)
    labels, symbol = tick_texts(scale, ticks, unit)
    parts = [svg.line(frame.left, scale.at(v), frame.right, scale.at(v), class_="grid") for v in ticks]
    parts += [svg.text(frame.left - 6, scale.at(v) + 4, t, class_="tick", anchor="end") for v, t in zip(ticks, labels, strict=True)]
    parts.append(svg.text(max(frame.left - 44, 2), frame.top - 10 if title_y is None else title_y, titled(title, symbol), class_="axis"))
    return svg.join(parts)


def tick_texts(scale: Scaling, ticks: Sequence[float], unit: str) -> tuple[list[str], str]:
    if isinstance(scale, Log):
        if choose_scale(unit, 1e-3).factor != choose_scale(unit, 1.0).factor:
            return [quantity(v, unit, 1) for v in ticks], ""
        return [f"{v:g}" for v in ticks], choose_scale(unit, 1.0).symbol
    return shared_labels(ticks, unit)


def titled(title: str, symbol: str) -> str:
    return title if not symbol else joined(f"{title},", symbol)


def border(frame: Frame) -> Markup:
    return svg.rect(frame.left, frame.top, frame.right - frame.left, frame.bottom - frame.top, class_="frame")

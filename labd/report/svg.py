"""Markup by construction: tags whose text is always escaped, and the few SVG shapes the plots are made of."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

# What XML 1.0 allows no document to contain (section 2.2, production [2]), lone surrogates included.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_VOID = frozenset({"meta", "br", "hr", "col", "link"})

# Widths of a sans-serif face in parts of the font size; good enough to keep labels apart.
_NARROW_CHARS = frozenset("iIjl.,:;'|!()[]{}/ ft·")
_WIDE_CHARS = frozenset("mwMW%@—ΩGOQ")


class Markup(str):
    """Text that is markup already; any other text is escaped when it meets a tag."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Text as it may stand in an element or an attribute; characters that no XML document may hold become U+FFFD."""
    return Markup(html.escape(_FORBIDDEN.sub("�", text), quote=True))


def attribute(value: str | float) -> str:
    """Numbers with two decimals (a hundredth of a pixel), text escaped."""
    if isinstance(value, str):
        return escape(value)
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def tag(tag_name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element. A trailing underscore of an attribute name is dropped, other underscores become hyphens; None leaves it out."""
    written = "".join(f' {k.rstrip("_").replace("_", "-")}="{attribute(v)}"' for k, v in attributes.items() if v is not None)
    if tag_name in _VOID:
        return Markup(f"<{tag_name}{written}/>")
    return Markup(f"<{tag_name}{written}>{join(children)}</{tag_name}>")


def join(children: Iterable[str], between: str = "") -> Markup:
    return Markup(between.join(child if isinstance(child, Markup) else escape(child) for child in children))


def text_width(text: str, size: float = 12.0) -> float:
    """About how wide `text` is in a sans-serif face of that size, in pixels."""
    parts = sum(0.34 if c in _NARROW_CHARS else 0.9 if c in _WIDE_CHARS else 0.68 if c.isupper() or c.isdigit() else 0.6 for c in text)
    return parts * size


def wrap(text: str, width: float, size: float = 12.0) -> list[str]:
    """`text` broken at spaces into lines of at most `width` pixels; a longer word stands alone and is cut with an ellipsis."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, size) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [shorten(part, width, size) for part in (*lines, line) if part]


def shorten(text: str, width: float, size: float = 12.0) -> str:
    """`text`, cut with an ellipsis to fit `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def figure(ident: str, *shapes: str, width: float, height: float, title: str, desc: str, class_: str = "") -> Markup:
    """An <svg> with an accessible name and description; `ident` must be unique in the page."""
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-t"),
        tag("desc", desc, id=f"{ident}-d"),
        *shapes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {attribute(float(width))} {attribute(float(height))}",
        role="img",
        aria_labelledby=f"{ident}-t {ident}-d",
        class_=class_ or None,
    )


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Markup:
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def rect(x: float, y: float, width: float, height: float, *, class_: str, rx: float | None = None) -> Markup:
    return tag("rect", x=float(x), y=float(y), width=float(max(width, 0.0)), height=float(max(height, 0.0)), rx=rx, class_=class_)


def text(x: float, y: float, content: str, *, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", content, x=float(x), y=float(y), class_=class_ or None, text_anchor=None if anchor == "start" else anchor)


def turned_text(x: float, y: float, content: str, *, class_: str = "") -> Markup:
    """Text reading upwards, centred on the point."""
    return tag("text", content, class_=class_ or None, text_anchor="middle", transform=f"translate({x:.1f} {y:.1f}) rotate(-90)")


def path(points: Sequence[tuple[float, float]], *, class_: str, closed: bool = False) -> Markup:
    """A polyline through the points, to a tenth of a pixel."""
    if not points:
        return Markup("")
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
    return tag("path", d=d, class_=class_)


def band(xs: Sequence[float], low: Sequence[float], high: Sequence[float], *, class_: str) -> Markup:
    """The area between two lines over the same abscissae."""
    return path([*zip(xs, high, strict=True), *reversed(list(zip(xs, low, strict=True)))], class_=class_, closed=True)


def symbol(shape: str, x: float, y: float, *, class_: str, radius: float = 4.0) -> Markup:
    """A data point: `circle`, `square`, `triangle` or `diamond`, so that no curve is told by colour alone."""
    r = radius
    if shape == "square":
        return rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r, class_=class_)
    if shape == "triangle":
        return path([(x, y - 1.2 * r), (x + 1.1 * r, y + 0.8 * r), (x - 1.1 * r, y + 0.8 * r)], class_=class_, closed=True)
    if shape == "diamond":
        return path([(x, y - 1.3 * r), (x + 1.3 * r, y), (x, y + 1.3 * r), (x - 1.3 * r, y)], class_=class_, closed=True)
    return tag("circle", cx=float(x), cy=float(y), r=float(r), class_=class_)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as simple pushing gets to `wanted`, in its order of size, at least `gap` apart and inside low..high.

    Where they do not fit, they share the room evenly.
    """
    count = len(wanted)
    if count == 0:
        return []
    step = min(gap, (high - low) / max(count - 1, 1))
    order = sorted(range(count), key=lambda k: wanted[k])
    placed = [0.0] * count
    floor = low
    for k in order:
        placed[k] = floor = max(wanted[k], floor)
        floor += step
    ceiling = high
    for k in reversed(order):
        placed[k] = min(placed[k], ceiling)
        ceiling = placed[k] - step
    return placed

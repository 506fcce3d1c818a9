"""Draws an uncertainty budget: each term's share of u squared as a bar, largest first."""

from __future__ import annotations

from labd.records import KpiRecord
from labd.report import svg
from labd.report.svg import Markup
from labd.report.verdict import percent, shares, term_name

MOST = 5  # terms drawn; the others are added up in a last bar
_ROW = 20.0


def rows(record: KpiRecord) -> list[tuple[str, str, float]]:
    """(name, kind, share) of the largest terms, and what is left as `n other terms`."""
    ranked = shares(record)
    shown = [(term_name(term.name), term.kind, share) for term, share in ranked[:MOST]]
    rest = ranked[MOST:]
    if rest:
        shown.append((f"{len(rest)} other term{'s' if len(rest) > 1 else ''}", "", sum(share for _, share in rest)))
    return shown


def draw(record: KpiRecord, width: int, *, ident: str, label: str) -> Markup:
    """Names at the left, bars at the right with the share written out; scatter (type A) and instrument (type B) differ in hue and hatch."""
    shown = rows(record)
    names = min(max((svg.text_width(name, 12.0) for name, _, _ in shown), default=0.0) + 8, width * 0.48)
    room = width - names - 58
    parts = []
    for k, (name, kind, share) in enumerate(shown):
        y = 4 + _ROW * k
        parts.append(svg.text(names - 6, y + 13, svg.shorten(name, names - 8), class_="small", anchor="end"))
        parts.append(svg.rect(names, y + 3, max(room * share, 1.0), 13, class_=f"budget k-{kind or 'rest'}"))
        parts.append(svg.text(names + room * share + 6, y + 13, percent(share), class_="small"))
    desc = ", ".join(f"{name} {percent(share)}" for name, _, share in shown)
    title = f"Uncertainty budget of {label}"
    return svg.figure(f"{ident}-{width}", *parts, width=width, height=8 + _ROW * len(shown), title=title, desc=desc)

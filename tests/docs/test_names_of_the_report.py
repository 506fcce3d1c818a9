"""Parts of a report that the documentation names in quotes are headings of a report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from labd.report import html, markdown
from tests.report.sample import full_report

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("reference/report.md", "how-to/your-own-bench.md")
QUOTED = re.compile(r'"([A-Z][a-z][^"`]+)"')
FENCES = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def named(page: str) -> set[str]:
    """Words in quotes that begin with a capital, wherever lines break."""
    text = FENCES.sub("", (DOCS / page).read_text("utf-8"))
    return {" ".join(name.split()) for name in QUOTED.findall(text)}


@pytest.mark.parametrize("page", PAGES)
def test_parts_of_a_report_are_called_as_the_report_calls_them_in_every_form(page: str) -> None:
    report = full_report()
    first, *others = report.kpis
    report = replace(report, kpis=(replace(first, flags=("clipped",)), *others))
    assert "Figures without a value, and why" in named(page)
    for text in (html.render(report), markdown.render(report)):
        assert {name for name in named(page) if name not in text} == set()

"""Units of figures that others give: alike by what they measure."""

from __future__ import annotations

import pytest

from labd.kpi.table import rows, wrong_figure
from labd.kpi.units import alike, dimension


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("J", "uJ"), ("W", "mW"), ("W", "J/s"), ("%", "1"), ("Hz", "/s"), ("1/s", "Hz"), ("/J", "1/J"), ("1/pJ", "1/J"), ("mm2", "m2"),
        ("kBy", "By"), ("MiBy", "By"), ("Gbit/s", "bit/s"), ("h", "s"), ("uJ.ms", "J.s"), ("1/(s.mm2)", "1/(s.m2)"), ("mAh", "C"),
        ("ms", "s"), ("min", "s"),
    ],
)  # fmt: skip
def test_prefixes_and_spellings_do_not_matter(first: str, second: str) -> None:
    assert alike(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("J", "W"), ("J", "1"), ("s", "Hz"), ("By", "bit"), ("m2", "m"), ("joule", "J"), ("", "J"), ("J.", "J"), ("J..s", "J.s"), ("//", "J")],
)
def test_what_measures_something_else_is_not_alike(first: str, second: str) -> None:
    assert not alike(first, second)


def test_every_unit_of_the_table_is_understood_and_right_for_its_own_row() -> None:
    for row in rows():
        for unit in row.unit.split(", "):
            assert dimension(unit) is not None, row.id
            for kpi in (row.id, *row.records):
                assert wrong_figure(kpi, unit) is None


def test_what_is_wrong_is_told_by_key() -> None:
    assert wrong_figure("latency.p95", "ms") is None
    assert wrong_figure("latencyy", "s") == ("id", "no KPI has the id 'latencyy' (`labd kpis` lists them)")
    assert wrong_figure("latency", "mJ") == ("unit", "expected the UCUM code of latency, s, or one with another prefix, got 'mJ'")

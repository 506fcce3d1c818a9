"""The effective configuration as JSON-able data."""

from __future__ import annotations

import datetime
import json
import math

from pydantic import Field

from labd.config.effective import effective_section, plain
from labd.config.section import Section
from labd.config.types import Date, Metered, Rate, UncertainCelsius, Words


class Things(Section):
    start: Words = Field(default="smu.fire", alias="from")
    quantity: Words = "current"
    range: Metered = 0.1
    rates: tuple[Rate, ...] = (0.5, 2.0)
    ambient: UncertainCelsius | None = None
    made: Date | None = None


def test_quantities_carry_their_si_value_and_ucum_unit_under_the_file_s_keys() -> None:
    things = Things.model_validate({"ambient": "23 degC +- 1 K", "made": datetime.date(2026, 6, 1)})
    assert effective_section(things) == {
        "from": "smu.fire",
        "quantity": "current",
        "range": {"value": 0.1, "unit": "A"},
        "rates": [{"value": 0.5, "unit": "/s"}, {"value": 2.0, "unit": "/s"}],
        "ambient": {"value": 23.0, "half_width": 1.0, "unit": "Cel"},
        "made": "2026-06-01",
    }


def test_whatever_a_free_table_holds_can_be_written_as_json() -> None:
    table = {"a": [math.inf, math.nan, 1, True], "b": {"t": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}, "c": datetime.time(7)}
    assert json.loads(json.dumps(plain(table), allow_nan=False))["a"] == ["inf", "nan", 1, True]

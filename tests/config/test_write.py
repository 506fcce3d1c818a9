"""Data as TOML: whatever a file parses into is written so that it parses into the same."""

from __future__ import annotations

import datetime
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd import resources
from labd.config.write import toml_text

SHIPPED = sorted(resources.path("fixtures").rglob("*.toml"))
scalars = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20), st.dates(datetime.date(1000, 1, 1))
)
data = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=12
    ),
    max_size=4,
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_written_as_what_it_says(path: Path) -> None:
    read = tomllib.loads(path.read_text("utf-8"))
    assert tomllib.loads(toml_text(read)) == read


@given(data)
def test_any_data_is_written_so_that_it_reads_the_same(given_data: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(given_data)) == given_data


def test_infinity_and_no_number_have_a_form() -> None:
    read = tomllib.loads(toml_text({"a": math.inf, "b": -math.inf, "c": math.nan}))
    assert (read["a"], read["b"]) == (math.inf, -math.inf)
    assert math.isnan(read["c"])


def test_what_toml_has_no_form_of_is_refused() -> None:
    with pytest.raises(TypeError, match="None"):
        toml_text({"a": None})

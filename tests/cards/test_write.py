"""A stored card as a file is the same card again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd import resources
from labd.cards.kinds import KINDS
from labd.cards.read import card_from, stored
from labd.cards.write import written
from tests.cards.test_cards import filled

FILES = sorted((resources.path("fixtures") / "cards").rglob("*.toml"))


def again(text: str) -> None:
    card = stored(card_from(text, "card"))
    back = stored(card_from(written(card), "again"))
    del card["sha256_of_file"], back["sha256_of_file"]
    assert back == card


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_shipped_card_reads_back_as_it_was(file: object) -> None:
    again(file.read_text("utf-8"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_kind_is_written(kind: str) -> None:
    text = filled(kind)
    full = re.sub(r'= ""$', '= "word"', text, flags=re.MULTILINE).replace("= []", '= ["word"]')
    again(full.replace("= 0\n", "= 1\n").replace("= 0.0\n", "= 1.0\n"))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.floats(1e-12, 1e12))
def test_any_text_and_any_number_survive(text: str, number: float) -> None:
    card = stored(card_from('schema = 1\ncard = "task"\nname = "x"\n', "card"))
    figure = stored(
        card_from(f'schema = 1\ncard = "task"\nname = "x"\n[[given]]\nid = "latency"\nvalue = {number!r}\nunit = "s"\nsource = "s"\n', "c")
    )
    back = stored(card_from(written({**card, "objective": text, "given": figure["given"]}), "again"))
    assert back["objective"] == text
    assert back["given"][0]["value"] == number

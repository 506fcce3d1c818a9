"""Files with everything wrong that can be, read against a small model of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from labd.config.document import Source, parse_section, read_section
from labd.config.section import Section, Wrong
from labd.config.types import Amperes, Count, Date, Flag, Metered, Seconds, UncertainOhms, Words
from labd.errors import FileError


class Row(Section):
    quantity: Literal["current", "voltage"]
    range: Metered


class Fuse(Section):
    blows_at: Amperes
    after: Seconds = Field(default=1.0)
    resistance: UncertainOhms | None = None
    rows: tuple[Row, ...] = ()

    def wrong(self) -> Iterator[Wrong]:
        if self.blows_at > 10:
            yield Wrong("blows_at", "too much")


class Box(Section):
    name: Words
    colour: Literal["red", "green"] = "red"
    count: Count = 1
    open: Flag = False
    made: Date | None = None
    start: Words = Field(default="a", alias="from")
    fuses: Mapping[str, Fuse] = Field(default_factory=dict)


GOOD = 'name = "b"\n[fuses.f]\nblows_at = "1 A"\n'


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(FileError) as caught:
        parse_section(Source(Path("box.toml"), text, ""), Box)
    assert all(problem.isprintable() for problem in caught.value.problems)
    return caught.value.problems


def test_a_right_file_becomes_si_floats() -> None:
    box = parse_section(Source(Path("box.toml"), GOOD + 'resistance = "1 ohm +- 10 %"', ""), Box)
    fuse = box.fuses["f"]
    assert (fuse.blows_at, fuse.after) == (1.0, 1.0)
    assert fuse.resistance is not None
    assert fuse.resistance.half_width == pytest.approx(0.1)


def test_a_section_cannot_be_changed() -> None:
    box = parse_section(Source(Path("box.toml"), GOOD, ""), Box)
    with pytest.raises(ValidationError):
        box.name = "other"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "box.toml: name: this key is required"),
        ('name = "b"\nnam = 1', "box.toml: nam: no such key; did you mean name?"),
        ('name = "b"\nzzz = 1', "box.toml: zzz: no such key; the keys here are name, colour, count, open, made, from, fuses"),
        ('name = ""', 'box.toml: name: expected some text, got ""'),
        ("name = 3", "box.toml: name: expected text in quotes, got 3"),
        ('name = "b"\ncolour = "gren"', 'box.toml: colour: expected one of "red", "green", got "gren"; did you mean "green"?'),
        ('name = "b"\ncount = 0', "box.toml: count: expected 1 or more, got 0"),
        ('name = "b"\ncount = "1"', 'box.toml: count: expected a whole number (without quotes), got "1"'),
        ('name = "b"\ncount = true', "box.toml: count: expected a whole number (without quotes), got true"),
        ('name = "b"\nopen = "yes"', 'box.toml: open: expected true or false (without quotes), got "yes"'),
        ('name = "b"\nmade = "2026-01-01"', 'box.toml: made: expected a date without quotes such as 2026-06-01, got "2026-01-01"'),
        ('name = "b"\nfrom = 1', "box.toml: from: expected text in quotes, got 1"),
        ('name = "b"\nfuses = 1', "box.toml: fuses: expected a table, got 1"),
        ('name = "b"\n[fuses.f]', 'box.toml: fuses.f.blows_at: this key is required: blows_at = "50 uA" or the like'),
        ('name = "b"\n[fuses.f]\nblows_att = "1 A"', "box.toml: fuses.f.blows_att: no such key; did you mean blows_at?"),
        ('name = "b"\n[fuses."f g"]\nblows_at = "1 A"\nrows = 1', 'box.toml: fuses."f g".rows: expected a list in square brackets, got 1'),
        ('name = "b"\n[fuses.f]\nblows_at = "-1 A"', 'box.toml: fuses.f.blows_at: expected a current above 0 A, got "-1 A"'),
        ('name = "b"\n[fuses.f]\nblows_at = "1 A +- 1 mA"', 'expected a current such as "50 uA", without +-, got "1 A +- 1 mA"'),
        ('name = "b"\n[fuses.f]\nblows_at = "11 A"', "box.toml: fuses.f.blows_at: too much"),
    ],
)
def test_each_problem_names_file_key_value_and_what_would_be_right(text: str, problem: str) -> None:
    found = problems_of(text)
    assert len(found) == 1
    assert problem in found[0]


def test_a_row_of_a_list_is_named_by_its_position() -> None:
    rows = '[[fuses.f.rows]]\nquantity = "current"\nrange = "1 A"\n[[fuses.f.rows]]\nquantity = "current"\nrange = "1 V"\n'
    assert problems_of(GOOD + rows) == ('box.toml: fuses.f.rows[1].range: expected a current such as "50 uA", got a voltage "1 V"',)


def test_all_problems_are_reported_and_the_message_counts_them() -> None:
    with pytest.raises(FileError) as caught:
        parse_section(Source(Path("box.toml"), 'colour = 1\ncount = "x"\n', ""), Box)
    error = caught.value
    assert len(error.problems) == 3
    assert str(error).endswith("(and 2 more)")
    assert (error.file, error.exit_code) == ("box.toml", 2)


def test_a_syntax_error_names_line_and_column() -> None:
    assert "is not TOML" in problems_of("name = \n")[0]
    assert "line 1, column 8" in problems_of("name = \n")[0]


def test_a_missing_file_a_folder_and_bytes_that_are_no_text_are_one_line_each(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b'name = "x"\n\xff\xfe')
    for path, text in (
        (tmp_path / "none.toml", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("a\0b"), "cannot be read"),
        (binary, "is not UTF-8 text (byte 0xff in line 2)"),
    ):
        with pytest.raises(FileError) as caught:
            read_section(path, Box)
        assert text in caught.value.problems[0]
        assert str(caught.value).isprintable()


def test_the_source_keeps_text_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text(GOOD)
    _, source = read_section(path, Box)
    assert source.text == GOOD
    assert len(source.sha256) == 64


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(alphabet=st.sampled_from("abcnamefus=.[]{}\"'\\\n# 0123456789-:TuAV\x00\u2028"), max_size=80))
def test_garbage_raises_nothing_but_a_file_error(text: str) -> None:
    _parse_or_file_error(text)


TOML_VALUES = st.recursive(
    st.one_of(st.sampled_from(['"1 A"', "1", "-5", "1.5", "inf", "nan", "true", "2026-01-01", "07:32:00", '"x"', '"\\u0000"', "9" * 60])),
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]"), inner.map(lambda v: f"{{ a = {v} }}")),
    max_leaves=6,
)
KEYS = st.sampled_from(["name", "colour", "count", "open", "made", "from", "fuses", "fuses.f.blows_at", "fuses.f.rows", '"a\\nb"', "x"])


@given(st.dictionaries(KEYS, TOML_VALUES, max_size=6))
def test_right_syntax_with_wrong_values_raises_nothing_but_a_file_error(entries: dict[str, str]) -> None:
    _parse_or_file_error("\n".join(f"{key} = {value}" for key, value in entries.items()))


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a." * 3000 + "b = 1", "a = 2026-13-45", "\ufeffname = 1"])
def test_pathological_files_raise_nothing_but_a_file_error(text: str) -> None:
    assert problems_of(text)


def _parse_or_file_error(text: str) -> None:
    assert all(problem.isprintable() for problem in _problems(text))


def _problems(text: str) -> tuple[str, ...]:
    try:
        parse_section(Source(Path("box.toml"), text, ""), Box)
    except FileError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("text", ["{key} = 1", "[{key}]", "x = {{ {key} = 1 }}", '"a"{key} = 1', "a = [1, {{ {key} = 2 }}]"])
def test_a_key_of_countless_parts_is_refused_before_it_is_read(text: str) -> None:
    """Time and memory of reading one grow with the square of its parts."""
    (problem,) = problems_of(text.format(key="a" + " . a" * 50_000))
    assert problem == "box.toml: is not TOML that can be read: a key of more than 100 parts"


def test_words_may_have_as_many_dots_as_sentences() -> None:
    text = "A sentence, and one more. " * 200
    assert parse_section(Source(Path("box.toml"), f'name = "{text}"\n', ""), Box).name == text

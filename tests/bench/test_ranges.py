"""Which current ranges are refused before a run, and what the refusal says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from labd.bench.ranges import Need, check_range, floor_range, peak_range, range_u95
from labd.errors import FileError, InstrumentFailure
from labd_instruments.accuracy import AccuracyRow, AccuracyTable


@dataclass
class Spec:
    name: str = "smu"


@dataclass
class Driver:
    rows: tuple[tuple[float, float, float], ...] = ((1e-4, 3e-4, 20e-9), (1e-3, 3e-4, 200e-9), (0.1, 3e-4, 15e-6))

    def accuracy(self) -> AccuracyTable:
        return AccuracyTable(tuple(AccuracyRow("current", fs, gain, offset, 1e-3, "test") for fs, gain, offset in self.rows))


@dataclass
class ClampingDriver(Driver):
    range_clamp: float = 1.05


@dataclass
class ListingDriver(Driver):
    current_ranges_a: tuple[float, ...] = (1e-4, 1e-3, 0.1, 1.0)


@dataclass
class Meter:
    driver: Any = field(default_factory=ClampingDriver)
    spec: Spec = field(default_factory=Spec)


def need(**changes: Any) -> Need:
    values: dict[str, Any] = {
        "phase": "the board's sleep current",
        "resolve_a": 9e-6,
        "draws_a": 0.0,
        "aperture_s": 0.02,
        "largest_share": 0.2,
        "file": "bench.toml",
        "key": "floor.range",
    }
    return Need(**{**values, **changes})


def check(meter: Meter, range_a: float, asked: Need) -> str | None:
    return check_range(meter, range_a, asked)  # type: ignore[arg-type]  # as much of a Tool as ranges look at


def test_a_range_that_resolves_the_phase_is_taken() -> None:
    assert check(Meter(), 1e-4, need()) is None


def test_a_range_that_resolves_the_phase_too_badly_is_refused_with_those_that_would_do() -> None:
    with pytest.raises(FileError) as refused:
        check(Meter(), 0.1, need())
    text = str(refused.value)
    assert text.startswith("bench.toml: floor.range: 100 mA range of smu refused")
    for words in ("15 uA", "167%", "the board's sleep current", "9 uA", "20%", "what would do: 100 uA, 1 mA"):
        assert words in text


def test_a_range_below_the_phase_is_refused_with_those_that_would_do() -> None:
    with pytest.raises(FileError, match=r"floor\.range: 1 uA range of smu refused: .* 9 uA, is beyond it; what would do: 100 uA, 1 mA"):
        check(Meter(ClampingDriver(((1e-6, 3e-4, 0.3e-9), *Driver().rows))), 1e-6, need())


def test_a_range_that_the_instrument_does_not_have_is_refused_with_those_that_it_has() -> None:
    meter = Meter(ListingDriver())
    with pytest.raises(FileError, match=r"floor\.range: smu has no 50 uA range; it has 100 uA, 1 mA, 100 mA, 1 A"):
        check(meter, 50e-6, need())
    assert check(meter, 1e-4 * (1 + 1e-12), need()) is None


def test_ranges_that_no_row_names_are_those_that_the_driver_lists() -> None:
    assert peak_range(Meter(ListingDriver(())), 0.04) == 0.1  # type: ignore[arg-type]


def test_the_share_is_what_decides() -> None:
    assert check(Meter(), 1e-3, need(largest_share=0.03)) is None
    with pytest.raises(FileError, match="2%"):
        check(Meter(), 1e-3, need(largest_share=0.02))


def test_a_range_that_clamps_below_what_the_board_draws_is_refused() -> None:
    with pytest.raises(FileError) as refused:
        check(Meter(), 1e-4, need(draws_a=0.04))
    text = str(refused.value)
    for words in ("100 uA range of smu refused", "limits the output to 105 uA", "may draw 40 mA", "none of its known ranges would do"):
        assert words in text


def test_the_clamp_is_at_105_percent_and_not_before() -> None:
    assert check(Meter(), 1e-4, need(draws_a=105e-6)) is None
    with pytest.raises(FileError):
        check(Meter(), 1e-4, need(draws_a=106e-6))


def test_an_instrument_whose_ranges_do_not_clamp_is_not_refused_for_it() -> None:
    assert check(Meter(Driver()), 1e-4, need(draws_a=0.04)) is None


def test_unknown_accuracy_gives_a_flag_and_no_refusal() -> None:
    text = check(Meter(), 1e-5, need())
    assert text is not None
    assert "accuracy unknown: 10 uA range of smu" in text
    assert "accuracy unknown" in (check(Meter(), 1e-4, need(aperture_s=1e-5)) or "")


def test_a_phase_that_no_file_declares_is_not_judged() -> None:
    assert check(Meter(), 0.1, need(resolve_a=None)) is None


def test_one_rectangular_term_alone_is_no_wider_than_its_limit() -> None:
    assert range_u95(Meter(), 1e-4, ampere=0.0, aperture_s=1.0) == 20e-9  # type: ignore[arg-type]


def test_the_lowest_range_that_holds_a_current_is_chosen_or_it_is_said_that_none_does() -> None:
    meter: Any = Meter()
    assert floor_range(meter, 9e-6) == 1e-4
    assert peak_range(meter, 0.04) == 0.1
    with pytest.raises(InstrumentFailure, match=r"peak_current of 200 mA is above its largest known range, 100 mA"):
        peak_range(meter, 0.2)
    with pytest.raises(InstrumentFailure, match=r"\[\[instruments\.smu\.accuracy\]\]"):
        peak_range(Meter(Driver(())), 0.2)  # type: ignore[arg-type]

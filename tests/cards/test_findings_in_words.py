"""What a comparison says to somebody who reads it for the first time: each thing once, and nothing that only labd understands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labd.cards.rules_measured import measured_long_enough, same_definition
from labd.cards.rules_pipeline import accuracy_on_the_device, hardware_told, precision_told, same_data
from labd.cards.side import Conditions, Figure, FigurePlace, Severity, Side
from labd.kpi.estimate import withheld
from labd.records import KpiRecord, Mode, Provenance
from labd.report import compared as report
from tests.cards.fair_runs import Stored, compared, first, second, with_records

PLACE = FigurePlace((Mode.ALWAYS_ON,), 10.0)
CARD = {"name": "words", "version": "2", "sha256": "ab", "split": "test", "samples": 500}


def side(name: str, *records: KpiRecord, **cards: object) -> Side:
    return Side(name, name, "board", "dnn", Conditions(3.0), cards=cards, figures=tuple(Figure(PLACE, record) for record in records))


def figure(kpi: str, value: float, half_width: float, *, n: int = 50, unit: str = "J") -> KpiRecord:
    ends = (half_width / 2, value - half_width, value + half_width)
    return KpiRecord(kpi, "p", value, unit, *ends, n, Provenance.MEASURED, "GUM Supplement 1", ("p/mean/0",))


def test_a_figure_that_one_side_withholds_is_no_other_definition_of_it() -> None:
    gross = "energy_per_inference.gross"
    gone = withheld(gross, "p", reason="not resolved", captures=())
    assert not list(same_definition([side("A", figure(gross, 1.0, 0.1)), side("B", gone)]))
    other = replace(figure(gross, 1.0, 0.1), method="median of windows")
    (found,) = same_definition([side("A", figure(gross, 1.0, 0.1)), side("B", other)])
    assert "B by median of windows" in found.what


def test_the_keys_of_one_card_are_told_in_one_line_each_kind_of_difference() -> None:
    unknown = ["preprocessing", "preprocessing_at", "preprocessing_counted"]
    a = side("A", dataset={**CARD, "unknown": unknown})
    b = side("B", dataset={**CARD, "name": "more words", "split": "all", "sha256": "", "version": "", "unknown": unknown})
    refused, flagged, told = same_data([a, b])
    assert (refused.severity, refused.what) == (Severity.REFUSE, "dataset card: name (A words; B more words), split (A test; B all)")
    assert (flagged.severity, flagged.what) == (Severity.FLAG, "dataset card: version, sha256 not told by B")
    known = "dataset card: nobody knows preprocessing, preprocessing at, preprocessing counted; the two are alike as far as is told"
    assert (told.severity, told.what) == (Severity.TELL, known)


def test_bits_that_a_side_does_not_tell_are_not_held_against_the_others() -> None:
    told, untold = {"weight_bits": "8", "activation_bits": "8"}, {"weight_bits": "", "activation_bits": ""}
    assert not list(precision_told([side("A", model=told), side("B", model=untold)]))
    half = {"weight_bits": "4", "activation_bits": ""}
    (found,) = precision_told([side("A", model=told), side("B", model=half)])
    assert found.what == "bits: A weight 8; B weight 4"
    (found,) = precision_told([side("A", model=told), side("B", model=told | {"weight_bits": "4"})])
    assert found.what == "bits: A weight 8, activation 8; B weight 4, activation 8"
    (refused,) = precision_told([side("A", model=told), side("B", figure("energy_per_op.gross", 1e-12, 1e-14), model=untold)])
    assert (refused.severity, refused.sides) == (Severity.REFUSE, ("B",))
    assert "None" not in refused.what


def test_one_thing_is_counted_as_one() -> None:
    (short,) = measured_long_enough([side("A", figure("energy_per_inference.gross", 1.0, 0.3, n=3))])
    assert short.what.startswith("1 figure has fewer than 5 windows or 10 s, and an interval wider than ±10%; energy_per_inference.gross")
    two = (figure("energy_per_inference.gross", 1.0, 0.3, n=3), figure("power.mean", 1.0, 0.3, n=3, unit="W"))
    (short,) = measured_long_enough([side("A", *two)])
    assert short.what.startswith("2 figures have fewer than")
    few = next(iter(accuracy_on_the_device([side("A", figure("task.accuracy", 1.0, 0.3, n=1, unit="1"))])))
    assert few.what == "1 sample on the board, 100 are the least"


def test_rates_are_printed_as_people_write_them(tmp_path: Path) -> None:
    """62.5 /s, and 0.64 /s apart: not 640 mHz."""

    def faster(one: KpiRecord) -> KpiRecord:
        if one.id != "largest_rate" or one.value is None or one.low is None or one.high is None:
            return one
        return replace(one, value=one.value + 30, low=one.low + 30, high=one.high + 30)

    def quick(run: Stored) -> Stored:
        return with_records(faster)(run)

    found = compared(tmp_path, first(), quick(second()))
    rows = [row for table in report.tables(found) for row in table.rows if row[0].startswith("Largest rate")]
    assert len(rows) == 2
    assert all(cell.endswith("/s") for row in rows for cell in (row[1], row[2], row[4]))
    assert all("Hz" not in cell for table in report.tables(found, every=True) for row in table.rows for cell in row)


def test_a_clock_is_written_as_on_its_card() -> None:
    chip = {"chip": "one chip", "clock": {"value": 64e6, "unit": "Hz"}}
    slow = chip | {"clock": {"value": 4.5e6, "unit": "Hz"}}
    found = [one.what for one in hardware_told([side("A", hardware=chip), side("B", hardware=slow)])]
    assert "clock: A 64 MHz; B 4.5 MHz" in found

"""Accuracy tables: nothing invented, nothing extrapolated, the bench file's rows first."""

from __future__ import annotations

from labd_instruments.accuracy import AccuracyRow, AccuracyTable, DeratingRow

ROW = AccuracyRow("current", 0.1, 2e-4, 20e-6, 0.02, "datasheet p1")
DERATING = DeratingRow("current", 1e-6, 0.1, 2e-5, 0.005, "datasheet p2")


def test_a_range_without_a_row_is_unknown() -> None:
    assert AccuracyTable((ROW,)).limit("current", 1.0, 1.0) is None


def test_a_shorter_aperture_needs_a_derating_row_and_is_never_extrapolated() -> None:
    table = AccuracyTable((ROW,), (DERATING,))
    derated = table.limit("current", 0.1, 2e-5)
    assert derated is not None
    assert abs(derated.offset - 520e-6) < 1e-12
    assert table.limit("current", 0.1, 1e-5) is None
    assert AccuracyTable((ROW,)).limit("current", 0.1, 2e-5) is None


def test_a_declared_row_stands_in_place_of_the_documents_and_no_document_derates_it() -> None:
    declared = AccuracyRow("current", 0.1, 1e-4, 1e-6, 0.02, "certificate 7")
    table = AccuracyTable((ROW,), (DERATING,)).declared((declared,))
    found = table.limit("current", 0.1, 0.02)
    assert found is not None
    assert (found.gain, found.source) == (1e-4, "certificate 7")
    assert table.limit("current", 0.1, 2e-5) is None


def test_a_declared_row_of_another_range_leaves_the_documents_rows() -> None:
    table = AccuracyTable((ROW,)).declared((AccuracyRow("current", 1.0, 1e-4, 1e-6, 0.02, "certificate 7"),))
    assert table.limit("current", 0.1, 1.0) is not None
    assert table.limit("current", 1.0, 1.0) is not None


def test_of_several_rows_of_a_range_the_longest_aperture_that_holds_is_taken() -> None:
    fast = AccuracyRow("current", 0.1, 1e-3, 1e-4, 1e-4, "certificate 7, fast", tempco_per_k=0.1)
    slow = AccuracyRow("current", 0.1, 1e-4, 1e-6, 0.02, "certificate 7, slow")
    for rows in ((fast, slow), (slow, fast)):
        table = AccuracyTable().declared(rows)
        for aperture_s, row in ((1.0, slow), (0.02, slow), (1e-3, fast), (1e-4, fast)):
            found = table.limit("current", 0.1, aperture_s)
            assert found is not None
            assert (found.gain, found.source, found.tempco_per_k) == (row.gain, row.source, row.tempco_per_k)
        assert table.limit("current", 0.1, 5e-5) is None

"""The accuracy table of the report: the row that held at each range and aperture used."""

from __future__ import annotations

from labd.analyse.instruments import UNKNOWN, RangeUse, accuracy
from labd.store.jsonform import to_json
from labd_instruments.accuracy import AccuracyRow, AccuracyTable

FAST = AccuracyRow("current", 0.1, 1e-3, 1e-4, 1e-4, "certificate, fast")
SLOW = AccuracyRow("current", 0.1, 1e-4, 1e-6, 0.02, "certificate, slow")
ANY = AccuracyRow("voltage", 20.0, 1e-4, 1e-3, 0.0, "certificate")


def test_the_aperture_a_row_holds_for_is_printed_with_it() -> None:
    used = [RangeUse("current", 0.1, 0.02), RangeUse("current", 0.1, 1e-3), RangeUse("current", 0.1, 1e-5), RangeUse("voltage", 20.0, 1e-5)]
    rows = accuracy({"accuracy": to_json(AccuracyTable((FAST, SLOW, ANY)))}, used)
    assert [(row.aperture, row.source) for row in rows] == [
        ("20 ms", "certificate, slow"),
        ("100 µs", "certificate, fast"),
        ("10 µs", ""),
        ("any", "certificate"),
    ]
    assert rows[2].gain == UNKNOWN

"""Which instruments two runs are taken to have in common."""

from __future__ import annotations

from pathlib import Path

from labd.analyse.board_curves import _specimen
from labd.store.catalogue import Catalogue
from tests.analyse.stored_run import make_run


def test_a_virtual_instrument_is_common_to_no_two_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path, [], figures=False)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        row = catalogue.runs.get(run)
    assert row is not None
    assert row.instruments
    for name in row.instruments:
        assert _specimen(row, name) == f"{run} {name}"

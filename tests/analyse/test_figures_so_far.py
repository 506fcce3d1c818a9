"""What is told of a run while it goes on."""

from __future__ import annotations

from pathlib import Path

from labd.analyse.run import analyse_run
from labd.analyse.tasks import figures_so_far
from labd.store.catalogue import Catalogue
from tests.analyse.stored_run import copy_of_a_run


def test_each_capture_brings_its_figures_every_time_and_its_windows_once(tmp_path: Path) -> None:
    run = copy_of_a_run(tmp_path)
    with Catalogue.open(tmp_path) as catalogue:
        whole = analyse_run(catalogue, run)
    first, again = figures_so_far(tmp_path, run), figures_so_far(tmp_path, run)
    assert first.windows == {result.key: result.windows for result in whole.captures}
    assert any(first.windows.values())
    assert again.windows == {}
    assert [record.id for record in again.records] == [record.id for record in first.records]

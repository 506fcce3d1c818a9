"""When a disturbance that the analysis is not told of counts as seen."""

from benchmarks.accuracy.unknown import Cell, Disturbed
from labd.records import Mode


def _case(**cells: Cell) -> Disturbed:
    return Disturbed({(Mode.ALWAYS_ON, name): cell for name, cell in cells.items()})


def test_figures_that_cover_need_no_flag() -> None:
    assert not _case(gross=Cell(100, 95, 0), net=Cell(100, 93, 10)).shortcomings()


def test_figures_that_are_flagged_each_time_need_not_cover() -> None:
    assert not _case(gross=Cell(100, 5, 100), net=Cell(100, 95, 0)).shortcomings()


def test_a_figure_that_is_wrong_and_flagged_now_and_then_falls_short_by_name() -> None:
    (told,) = _case(gross=Cell(100, 60, 97), net=Cell(100, 95, 0)).shortcomings()
    assert told == "gross in always_on: 60 of 100 cover, 97 say that they are not sure"


def test_many_figures_that_are_each_a_little_low_fall_short_together() -> None:
    cells = {f"figure{k}": Cell(40, 31, 0) for k in range(9)}
    low = Disturbed({(mode, name): cell for mode in Mode for name, cell in cells.items()})
    assert low.shortcomings() == [str(low)]

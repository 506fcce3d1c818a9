"""What a capture that the host fired tells of itself, and what is fired on."""

from __future__ import annotations

import pytest

from labd import resources
from labd.bench.host_trigger import Fired, crowded
from labd.bench_file import Bench, load_bench
from labd.daemon.board_gpio import Firing
from labd.errors import DutFailure
from labd.trigger.firing import Firing as Shot
from labd.trigger.firing import Missed
from labd.trigger.jitter import jitter


def shot(missed: Missed | None = None) -> Shot:
    return Shot(0, 10, 20, missed)


@pytest.mark.parametrize(
    ("shots", "served", "flags"),
    [
        ([shot(), shot()], 2, ()),
        ([shot(), shot(Missed.LATE)], 2, ("1 deadlines missed by the host",)),
        ([shot(), shot(Missed.SKIPPED)], 1, ("1 deadlines missed by the host",)),
        ([shot(), shot()], 1, ("1 triggers not served by the board",)),
        ([shot(Missed.LATE), shot(Missed.NOT_TAKEN), shot()], 1, ("2 deadlines missed by the host", "1 triggers not served by the board")),
    ],
)
def test_what_was_missed_is_a_flag_of_the_capture_by_who_missed_it(shots: list[Shot], served: int, flags: tuple[str, ...]) -> None:
    assert Fired(served, jitter(shots, len(shots), 1_000_000)).flags == flags


def test_arrivals_that_a_board_may_not_be_ready_for_are_told() -> None:
    close = crowded((5_000_000, 30_000_000, 58_000_000, 58_000_001), longest_event_s=0.028)
    assert close == 2
    (flag,) = Fired(2, jitter([shot(), shot()], 2, 1_000_000), close).flags
    assert flag.startswith("2 arrivals came before the board's longest event had passed")


def test_nothing_is_fired_on_a_board_without_supply() -> None:
    bench: Bench = load_bench(resources.path("fixtures") / "benches/demo.toml")
    how = Firing(bench, {}).host_trigger
    assert how.wake == "uart"
    with pytest.raises(DutFailure, match="the link to the board is not open: its supply is off"):
        how.target()

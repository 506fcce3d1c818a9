"""The journal: what is written survives, what is torn harms nothing else, an incident is reported once."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from labd.guard import journal
from labd.guard.journal import Journal


async def incident(path: Path, name: str, *, done: bool = True) -> None:
    async with Journal(path) as book:
        await book.note("lost", "demo", "process 7: no beat for 1 s", incident=name)
        await book.note("not_verified", "demo", "attempt 1: no answer", incident=name, source="smu")
        if done:
            await book.note("verified", "demo", "off, 0.31 s", incident=name, source="smu", took_s=0.31)
            await book.note("done", "demo", "every output is off", incident=name)


async def test_an_incident_is_unreported_until_it_is_marked_so(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "guard.jsonl"
    await incident(path, "a")
    await incident(path, "b")
    first, second = journal.unreported(path)
    assert (first.id, first.bench, first.off) == ("a", "demo", True)
    assert first.text == "process 7: no beat for 1 s: smu: off, 0.31 s"
    assert first.entries[2].took_s == 0.31
    journal.mark_reported(path, [first])
    assert [one.id for one in journal.unreported(path)] == ["b"]
    journal.mark_reported(path, [second])
    assert journal.unreported(path) == []


async def test_an_incident_whose_outcome_is_open_stays_unreported(tmp_path: Path) -> None:
    path = tmp_path / "guard.jsonl"
    await incident(path, "a", done=False)
    (found,) = journal.unreported(path)
    assert not found.off
    assert "attempt 1: no answer" in found.text
    journal.mark_reported(path, [found])
    assert journal.unreported(path) == [found]


async def test_a_torn_line_is_passed_over_and_swallows_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "guard.jsonl"
    await incident(path, "a")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 3])
    await incident(path, "b")
    assert [one.id for one in journal.unreported(path)] == ["a", "b"]
    assert all(one.off for one in journal.unreported(path))


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert journal.unreported(tmp_path / "none.jsonl") == []


@given(st.binary(max_size=200))
def test_whatever_stands_in_a_line_is_an_entry_or_nothing(junk: bytes) -> None:
    found = journal._entry(junk)
    assert found is None or isinstance(found.t_ns, int)

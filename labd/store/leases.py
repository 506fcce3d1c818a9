"""Leases: a person reserves the bench for a while; the lease ends by itself."""

from __future__ import annotations

from dataclasses import dataclass

from labd.errors import WrongState
from labd.store.database import Database


class LeaseHeld(WrongState):
    """Somebody else has the bench; the message says who, until when and what for."""


@dataclass(frozen=True, slots=True)
class Lease:
    """who may use the bench until until_ns (UTC), and what for."""

    who: str
    purpose: str
    from_ns: int
    until_ns: int


class Leases:
    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, now_ns: int) -> Lease | None:
        rows = self._database.query("SELECT * FROM leases WHERE until_ns > ? ORDER BY id DESC LIMIT 1", (now_ns,))
        return Lease(rows[0]["who"], rows[0]["purpose"], rows[0]["from_ns"], rows[0]["until_ns"]) if rows else None

    def take(self, who: str, *, until_ns: int, purpose: str, now_ns: int) -> Lease:
        """Reserve, or extend one's own. Raises LeaseHeld while somebody else has it, WrongState for an end that is past."""
        if until_ns <= now_ns:
            raise WrongState("a lease ends in the future: give an end later than now")
        with self._database.transaction():
            self.refuse_others(who, now_ns=now_ns)
            held = self.current(now_ns)
            self._end(now_ns)
            begun_ns = now_ns if held is None else held.from_ns
            self._database.execute(
                "INSERT INTO leases (who, purpose, from_ns, until_ns) VALUES (?, ?, ?, ?)", (who, purpose, begun_ns, until_ns)
            )
        return Lease(who, purpose, begun_ns, until_ns)

    def give_back(self, who: str, *, now_ns: int, force: bool = False) -> Lease | None:
        """End the present one; returns it. Raises LeaseHeld for somebody else's, unless forced."""
        with self._database.transaction():
            if not force:
                self.refuse_others(who, now_ns=now_ns)
            held = self.current(now_ns)
            self._end(now_ns)
        return held

    def refuse_others(self, who: str, *, now_ns: int) -> None:
        """Raises LeaseHeld while somebody else has the bench."""
        held = self.current(now_ns)
        if held is not None and held.who != who:
            raise LeaseHeld(f"the bench is reserved by {held.who}{f' for {held.purpose}' if held.purpose else ''}; ask them, or wait")

    def _end(self, now_ns: int) -> None:
        self._database.execute("UPDATE leases SET until_ns = ? WHERE until_ns > ?", (now_ns, now_ns))

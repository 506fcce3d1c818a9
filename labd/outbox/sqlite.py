"""An outbox on disk: one SQLite file a sink, write-through."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labd.errors import StoreError
from labd.outbox.contract import Books, Caps, Gap, Lent, Message

# One step a version, applied in order to new and old files alike. The first says IF NOT EXISTS: files of old carry no version number.
STEPS = (
    (
        "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, body BLOB NOT NULL, "
        "t_ns INTEGER NOT NULL, lent INTEGER NOT NULL) STRICT",
        "CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, place INTEGER NOT NULL) STRICT",
        "CREATE TABLE IF NOT EXISTS books (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT",
        "INSERT OR IGNORE INTO books (name, count) VALUES ('dropped', 0), ('rejected', 0)",
    ),
    (
        "ALTER TABLE messages ADD COLUMN put_ns INTEGER NOT NULL DEFAULT 0",
        "UPDATE messages SET put_ns = :now_ns",  # when they were put nobody wrote down
    ),
    (
        "ALTER TABLE messages ADD COLUMN until_ns INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE messages ADD COLUMN points INTEGER NOT NULL DEFAULT 1",
        "CREATE TABLE gaps (first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, messages INTEGER NOT NULL, points INTEGER NOT NULL) "
        "STRICT",
    ),
    (  # what waits is counted as it comes and goes: a look at every message took 0.1 s at 10 000 of them, at every put
        "INSERT INTO books SELECT 'waiting', count(*) FROM messages",
        "INSERT INTO books SELECT 'waiting_bytes', coalesce(sum(length(body)), 0) FROM messages",
        "CREATE TRIGGER counted_in AFTER INSERT ON messages BEGIN "
        "UPDATE books SET count = count + 1 WHERE name = 'waiting'; "
        "UPDATE books SET count = count + length(NEW.body) WHERE name = 'waiting_bytes'; END",
        "CREATE TRIGGER counted_out AFTER DELETE ON messages BEGIN "
        "UPDATE books SET count = count - 1 WHERE name = 'waiting'; "
        "UPDATE books SET count = count - length(OLD.body) WHERE name = 'waiting_bytes'; END",
        "CREATE INDEX by_put ON messages (put_ns)",
    ),
)
COLUMNS = "address, body, t_ns, until_ns, points"
SPARE_PAGES = 1024  # 4 MB
WAITING = "SELECT count FROM books WHERE name = 'waiting'"
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class OutboxDamaged(StoreError):
    """The file is no outbox, or one no more: what is in it cannot be read."""


class SqliteOutbox:
    """See `Outbox`. Raises OutboxDamaged for a file that is none, StoreError when the disk refuses."""

    def __init__(self, path: Path, caps: Caps | None = None, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._caps = caps or Caps()
        self._now_ns = now_ns
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot be opened: {error}") from error
        try:
            with self._named():
                self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect once the file is in WAL mode
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
            self._migrate()
            self.release()  # whoever had something lent is gone
        except BaseException:
            self._db.close()
            raise

    def put(self, messages: Sequence[Message], *, source: str = "", cursor: int = 0) -> None:
        with self._transaction():
            now_ns = self._now_ns()
            self._insert(messages, now_ns)
            if source:
                self._db.execute("INSERT OR REPLACE INTO cursors (source, place) VALUES (?, ?)", (source, cursor))
            dropped = self._drop(now_ns - round(self._caps.age_s * 1e9))
        if dropped:
            with self._named():  # a script, since `execute` takes one step of it, which frees one page
                self._db.executescript("PRAGMA incremental_vacuum")

    def cursor(self, source: str) -> int:
        with self._named():
            row = self._db.execute("SELECT place FROM cursors WHERE source = ?", (source,)).fetchone()
        return int(row[0]) if row else 0

    def lend(self, most: int, *, newest: bool = False, most_bytes: int | None = None) -> list[Lent]:
        order = "DESC" if newest else "ASC"
        with self._transaction():
            cursor = self._db.execute(f"SELECT id, {COLUMNS} FROM messages WHERE lent = 0 ORDER BY id {order} LIMIT ?", (most,))
            lent: list[Lent] = []
            for number, *row in cursor:
                most_bytes = None if most_bytes is None else most_bytes - len(row[1])
                if lent and most_bytes is not None and most_bytes < 0:
                    break
                lent.append(Lent(number, Message(*row)))
            cursor.close()
            self._mark([one.id for one in lent], 1)
        return sorted(lent, key=lambda one: one.id)

    def accept(self, lent: Sequence[Lent]) -> None:
        with self._transaction():
            self._take(lent)
        with self._named():
            free, waiting = (int(self._db.execute(text).fetchone()[0]) for text in ("PRAGMA freelist_count", WAITING))
            if free >= SPARE_PAGES and not waiting:  # an outage is over: the disk is not the outbox's
                self._db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

    def keep(self, lent: Sequence[Lent]) -> None:
        with self._transaction():
            self._mark([one.id for one in lent], 0)

    def release(self) -> None:
        with self._transaction():
            self._db.execute("UPDATE messages SET lent = 0 WHERE lent = 1")

    def reject(self, lent: Sequence[Lent]) -> None:
        with self._transaction():
            self._count("rejected", self._take(lent))

    def tell_gap(self, told: Callable[[Gap], Message]) -> bool:
        with self._transaction():
            found = self._db.execute("SELECT min(first_ns), max(last_ns), sum(messages), sum(points) FROM gaps").fetchone()
            if found[0] is None:
                return False
            self._db.execute("DELETE FROM gaps")
            self._insert([told(Gap(*found))], self._now_ns())
        return True

    def books(self) -> Books:
        with self._named():
            (oldest_ns,) = self._db.execute("SELECT min(put_ns) FROM messages").fetchone()
            counts = dict(self._db.execute("SELECT name, count FROM books").fetchall())
        waiting, held = int(counts["waiting"]), int(counts["waiting_bytes"])
        return Books(waiting, held, int(counts["dropped"]), int(counts["rejected"]), oldest_ns)

    def close(self) -> None:
        self._db.close()

    def _insert(self, messages: Sequence[Message], now_ns: int) -> None:
        rows = [(one.address, one.body, one.t_ns, one.until_ns, one.points, now_ns) for one in messages]
        self._db.executemany(f"INSERT INTO messages ({COLUMNS}, put_ns, lent) VALUES (?, ?, ?, ?, ?, ?, 0)", rows)

    def _take(self, lent: Sequence[Lent]) -> int:
        return sum(self._db.execute("DELETE FROM messages WHERE id = ?", (one.id,)).rowcount for one in lent)

    def _mark(self, ids: Sequence[int], lent: int) -> None:
        self._db.executemany("UPDATE messages SET lent = ? WHERE id = ?", [(lent, number) for number in ids])

    def _count(self, name: str, more: int) -> None:
        self._db.execute("UPDATE books SET count = count + ? WHERE name = ?", (more, name))

    def _drop(self, oldest_ns: int) -> int:
        """The oldest beyond the caps; what they told of is a gap. Returns how many."""
        dropped = self._gone("put_ns < ?", (oldest_ns,))
        held = int(self._db.execute("SELECT count FROM books WHERE name = 'waiting_bytes'").fetchone()[0])
        while held > self._caps.bytes:
            number, size = self._db.execute("SELECT id, length(body) FROM messages ORDER BY id LIMIT 1").fetchone()
            dropped += self._gone("id = ?", (number,))
            held -= size
        if dropped:
            self._count("dropped", dropped)
        return dropped

    def _gone(self, which: str, values: tuple[int, ...]) -> int:
        self._db.execute(
            "INSERT INTO gaps SELECT min(t_ns), max(max(t_ns, until_ns)), count(*), sum(points) "
            f"FROM messages WHERE {which} HAVING count(*) > 0",
            values,
        )
        return self._db.execute(f"DELETE FROM messages WHERE {which}", values).rowcount

    def _migrate(self) -> None:
        with self._transaction():
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version > len(STEPS):
                raise StoreError(f"{self._path}: its schema is version {version}, this labd knows versions up to {len(STEPS)}")
            for statement in (one for step in STEPS[version:] for one in step):
                self._db.execute(statement, {"now_ns": self._now_ns()} if ":now_ns" in statement else {})
            self._db.execute(f"PRAGMA user_version = {len(STEPS)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says where it was found
            raise (OutboxDamaged if code in DAMAGED else StoreError)(f"{self._path}: {error}") from error

"""The catalogue's schema: one step per version, applied in order to new and old databases alike, never edited once released."""

from __future__ import annotations

VERSION_1 = (
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        ended_ns INTEGER,
        bench_name TEXT NOT NULL,
        bench_text TEXT NOT NULL,
        bench_sha256 TEXT NOT NULL,
        bench_effective TEXT NOT NULL,
        board_text TEXT NOT NULL,
        plan_name TEXT NOT NULL,
        plan_text TEXT NOT NULL,
        plan_sha256 TEXT NOT NULL,
        plan_expanded TEXT NOT NULL,
        cards TEXT NOT NULL,
        seeds TEXT NOT NULL,
        versions TEXT NOT NULL,
        environment TEXT NOT NULL,
        instruments TEXT NOT NULL,
        firmware_sha256 TEXT NOT NULL,
        error TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE captures (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        role TEXT NOT NULL,
        point TEXT NOT NULL,
        "order" INTEGER NOT NULL,
        repeat INTEGER NOT NULL,
        plan TEXT NOT NULL,
        state TEXT NOT NULL,
        started_ns INTEGER,
        ended_ns INTEGER,
        acquisition TEXT NOT NULL,
        trace TEXT NOT NULL,
        samples INTEGER NOT NULL,
        stretches INTEGER NOT NULL,
        flags TEXT NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (run_id, key),
        UNIQUE (run_id, "order")
    ) STRICT""",
    """CREATE TABLE marks (
        run_id TEXT NOT NULL,
        capture TEXT NOT NULL,
        n INTEGER NOT NULL,
        kind TEXT NOT NULL,
        source TEXT NOT NULL,
        t_s REAL NOT NULL,
        u_s REAL NOT NULL,
        axis TEXT NOT NULL,
        PRIMARY KEY (run_id, capture, n),
        FOREIGN KEY (run_id, capture) REFERENCES captures(run_id, key) ON DELETE CASCADE
    ) STRICT""",
    """CREATE TABLE windows (
        run_id TEXT NOT NULL,
        capture TEXT NOT NULL,
        n INTEGER NOT NULL,
        phase TEXT NOT NULL,
        start_s REAL NOT NULL,
        end_s REAL NOT NULL,
        u_start_s REAL NOT NULL,
        u_end_s REAL NOT NULL,
        stretch INTEGER NOT NULL,
        event INTEGER NOT NULL,
        PRIMARY KEY (run_id, capture, n),
        FOREIGN KEY (run_id, capture) REFERENCES captures(run_id, key) ON DELETE CASCADE
    ) STRICT""",
    """CREATE TABLE kpis (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        id TEXT NOT NULL,
        at TEXT NOT NULL,
        value REAL,
        unit TEXT NOT NULL,
        u REAL,
        low REAL,
        high REAL,
        n INTEGER NOT NULL,
        provenance TEXT NOT NULL,
        method TEXT NOT NULL,
        captures TEXT NOT NULL,
        budget TEXT NOT NULL,
        flags TEXT NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (run_id, position)
    ) STRICT""",
    "CREATE INDEX kpis_by_id ON kpis (id, at)",
    """CREATE TABLE events (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        t_ns INTEGER NOT NULL,
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        capture TEXT NOT NULL,
        PRIMARY KEY (run_id, n)
    ) STRICT""",
)

VERSION_2 = (
    "ALTER TABLE runs ADD COLUMN notes TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE run_tags (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        tag TEXT NOT NULL,
        PRIMARY KEY (run_id, tag)
    ) STRICT""",
)

VERSION_3 = (
    "ALTER TABLE runs ADD COLUMN job TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE captures ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE told (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        t_ns INTEGER NOT NULL,
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        capture TEXT NOT NULL,
        UNIQUE (run_id, n)
    ) STRICT""",
    """INSERT INTO told (run_id, n, t_ns, kind, text, capture)
        SELECT run_id, n, t_ns, kind, text, capture FROM events ORDER BY t_ns, run_id, n""",
    "DROP TABLE events",
    "ALTER TABLE told RENAME TO events",
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        urgent INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        position INTEGER NOT NULL,
        plan_name TEXT NOT NULL,
        plan_text TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        started_ns INTEGER,
        ended_ns INTEGER,
        not_before_ns INTEGER,
        recurrence TEXT NOT NULL,
        zone TEXT NOT NULL,
        after_failure TEXT NOT NULL,
        retries INTEGER NOT NULL,
        attended INTEGER NOT NULL,
        submitted_by TEXT NOT NULL,
        note TEXT NOT NULL,
        tags TEXT NOT NULL,
        run_id TEXT NOT NULL,
        error TEXT NOT NULL,
        estimate_s REAL
    ) STRICT""",
    "CREATE INDEX jobs_by_state ON jobs (state)",
    "CREATE TABLE queue (paused INTEGER NOT NULL, why TEXT NOT NULL) STRICT",
    "INSERT INTO queue (paused, why) VALUES (0, '')",
    """CREATE TABLE leases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        who TEXT NOT NULL,
        purpose TEXT NOT NULL,
        from_ns INTEGER NOT NULL,
        until_ns INTEGER NOT NULL
    ) STRICT""",
)

VERSION_4 = (
    "ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'plan'",
    "ALTER TABLE jobs ADD COLUMN asked TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD COLUMN made TEXT NOT NULL DEFAULT ''",
)

VERSION_5 = ("ALTER TABLE runs ADD COLUMN untold TEXT",)

STEPS = (VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5)
VERSION = len(STEPS)

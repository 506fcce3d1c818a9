-- A catalogue as schema version 1 wrote it, with one run in it. Never edited: it stands for the files on people's disks.
PRAGMA auto_vacuum = INCREMENTAL;
CREATE TABLE runs (
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
) STRICT;
CREATE TABLE captures (
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
) STRICT;
CREATE TABLE marks (
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
) STRICT;
CREATE TABLE windows (
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
) STRICT;
CREATE TABLE kpis (
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
) STRICT;
CREATE INDEX kpis_by_id ON kpis (id, at);
CREATE TABLE events (
    run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    t_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    capture TEXT NOT NULL,
    PRIMARY KEY (run_id, n)
) STRICT;
INSERT INTO runs VALUES ('20260601-080000-demo-0a1b', 'finished', 1780300800000000000, 1780300860000000000, 'demo', 'name = "demo"', '00', '{"mains":50.0}', '', 'rate sweep', 'seed = 1', '11', '{}', '{}', '{"order":1}', '{"labd":"0.1.0"}', '{}', '{"smu":{"model":"N6705C"}}', '', '');
INSERT INTO captures VALUES ('20260601-080000-demo-0a1b', 'always_on/r=5/v=3/dnn/mean/0', 'mean', '{"mode":"always_on","model":"dnn","rate_hz":5.0,"settings":{"idle_kind":"wfi"},"supply_v":3.0}', 0, 0, '{"events":24}', 'finished', 1780300801000000000, 1780300806000000000, '{}', 'traces/20260601-080000-demo-0a1b/0000-mean.parquet', 250000, 1, '[]', '');
INSERT INTO marks VALUES ('20260601-080000-demo-0a1b', 'always_on/r=5/v=3/dnn/mean/0', 0, 'rise', 'marker', 0.2, 6e-06, 'smu');
INSERT INTO windows VALUES ('20260601-080000-demo-0a1b', 'always_on/r=5/v=3/dnn/mean/0', 0, 'infer', 0.2, 0.21, 6e-06, 6e-06, 0, 0);
INSERT INTO kpis VALUES ('20260601-080000-demo-0a1b', 0, 'energy_per_inference.gross', 'always_on/r=5/v=3/dnn', 0.000125, 'J', 1e-07, 0.0001248, 0.0001252, 24, 'measured', 'guard_band', '["always_on/r=5/v=3/dnn/mean/0"]', '[{"distribution":"rectangular","dof":null,"kind":"B","name":"smu.gain","u":1e-07}]', '[]', '');
INSERT INTO events VALUES ('20260601-080000-demo-0a1b', 0, 1780300800500000000, 'supply', 'on', '');
PRAGMA user_version = 1;

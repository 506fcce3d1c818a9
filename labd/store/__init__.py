"""What outlives a run: `catalogue` (SQLite: runs, captures, marks, windows, KPIs, events), trace files beside it, the bench lock."""

"""Live power for InfluxDB and what reads it.

The store is the truth: `summaries` and `points` turn what it holds into columns, `lines` into line protocol, `feeder` puts that into the
outbox with the place it came from, `sender` takes it to a server through `transport`, and `answers` says what a server's answer means.
"""

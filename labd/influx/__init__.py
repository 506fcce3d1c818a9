"""Live power for InfluxDB and what reads it.

The store is the truth: `held` says what it holds of a run, `summaries` and `points` turn that into columns, `lines` into line protocol,
`feeder` puts it into the outbox with the place it came from, `sender` takes it to a server through `transport`, and `answers` says what
a server's answer means.
"""

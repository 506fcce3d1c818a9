"""Fires the DUT at planned instants: `schedule` (pure) says when, `process` has a process of its own do it, `jitter` (pure) judges it."""

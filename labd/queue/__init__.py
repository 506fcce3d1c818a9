"""When which job runs: `recurrence` and `estimate` are pure, `retention` looks after the disk, `scheduler` does it."""

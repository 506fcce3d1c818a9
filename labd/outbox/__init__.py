"""What must reach a server that may be away: `contract` says how it is lent and given back, `sqlite` keeps it, `session` is its thread."""

"""What must reach a server that may be away: `contract` says how it is lent and given back, `sqlite` and `memory` keep it."""

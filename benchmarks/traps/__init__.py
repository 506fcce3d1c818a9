"""`make traps`: every known trap of every instrument, sprung in its persona; what the driver says of each."""

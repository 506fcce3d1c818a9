"""From instrument to consumer: `session` owns the instrument's one thread, `pump` reads blocks through it for one consumer in the loop."""

"""Samples for the eye: `envelope` and `frame` are pure, `view` makes frames of what is captured now, `windows` reads what is stored."""

"""The composition root. `opened` opens a bench, `run` measures and analyses one plan on it, `check` tests it, `serve` is the daemon."""

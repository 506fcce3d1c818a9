"""Accuracy runs: `dataset` (files) -> `measure` (sample by sample through the DUT) -> `session` (kept on disk) -> `score` (pure)."""

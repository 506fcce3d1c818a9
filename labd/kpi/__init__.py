"""Figures with their uncertainty: inputs -> trace (sums over windows) -> energy | power | latency -> capture -> sweep. Pure."""

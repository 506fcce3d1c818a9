"""The deployment pipeline as cards.

kinds (what a card holds) -> read (from TOML) -> disclosure (what is missing) -> rules and fairness (what may be compared) -> tables (the
paper's forms). Source of what is asked for: Narduzzi et al., "Benchmarking Neuromorphic Computing for Inference", table 1.1, 1.2 and 1.3.
"""
